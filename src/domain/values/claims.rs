//! Names in the cluster, and who claims them: no two services may, and none may be longer than a label.

use std::collections::{BTreeMap, HashMap};

use crate::domain::catalog::{Catalog, Service, Strategy};
use crate::domain::diagnostic::{Code, Diagnostic};
use crate::domain::names::{ALL, BASE, CustomerId, LABEL_LENGTH};

/// Names that two customers of one environment both claim: `a` with a service `b-c`, and `a-b` with `c`.
pub fn colliding<'a>(catalogs: impl IntoIterator<Item = &'a Catalog>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut owners: HashMap<(String, String), (&Catalog, &Service)> = HashMap::new();
    for catalog in catalogs {
        for service in &catalog.services {
            for name in names(&catalog.customer, service) {
                let owner = owners
                    .entry((catalog.environment.to_string(), name.clone()))
                    .or_insert((catalog, service));
                let (other, first) = *owner;
                if other.customer != catalog.customer {
                    let message = format!(
                        "the name `{name}` is also that of `{}` of `{}`; there at {}",
                        first.name, other.customer, first.place
                    );
                    let fault = Diagnostic::error(Code::NameCollision, service.place.clone(), message);
                    faults.push(fault.with_help("rename one of the two services"));
                }
            }
        }
    }
    faults
}

/// Faults in the names that this catalogue's services claim.
pub(super) fn check(catalog: &Catalog) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut owners: HashMap<String, &Service> = HashMap::new();
    let mut config_maps: HashMap<&str, &Service> = HashMap::new();
    for service in &catalog.services {
        let mut fault = |code, message: String, help: &str| {
            faults.push(Diagnostic::error(code, service.place.clone(), message).with_help(help));
        };
        if service.name.as_str() == BASE {
            let message = format!("the name `{BASE}` belongs to what all services share");
            fault(Code::NameCollision, message, "rename the service");
        }
        if service.name.as_str() == ALL {
            let message =
                format!("the name `{ALL}` belongs to the Application with all services of a customer");
            fault(Code::NameCollision, message, "rename the service");
        }
        let names = names(&catalog.customer, service);
        let longest = names.iter().max_by_key(|name| name.len());
        if let Some(name) = longest.filter(|name| name.len() > LABEL_LENGTH) {
            let message = format!("`{name}` has {} characters; Kubernetes allows {LABEL_LENGTH}", name.len());
            fault(Code::BadName, message, "shorten the name of the service or of the customer");
        }
        for name in names {
            if let Some(first) = owners.get(&name) {
                let message = format!(
                    "the name `{name}` belongs to the service `{}` already; there at {}",
                    first.name, first.place
                );
                fault(Code::NameCollision, message, "rename one of the two services");
            } else {
                owners.insert(name, service);
            }
        }
        // A service's own configMaps are rendered with it, shared ones are not.
        let own = service.config_maps.iter().map(|reference| reference.key.as_str());
        for key in
            own.filter(|key| service.enabled && !catalog.config_maps.values().any(|shared| shared == key))
        {
            let first = *config_maps.entry(key).or_insert(service);
            if first.name != service.name {
                let message = format!(
                    "the configMap `{key}` belongs to `{}` already; there at {}",
                    first.name, first.place
                );
                fault(
                    Code::NameCollision,
                    message,
                    "give it another name, or share it: list it in the file's configMaps",
                );
            }
        }
    }
    faults
}

/// Where a reference names no object: that of the shared configMap, else one named as the chart names it.
pub(super) fn fill_keys(customer: &CustomerId, shared: &BTreeMap<String, String>, services: &mut [Service]) {
    for service in services {
        for reference in service.config_maps.iter_mut().filter(|reference| reference.key.is_empty()) {
            reference.key = match shared.get(&reference.name) {
                Some(object) => object.clone(),
                None => format!("{customer}-{}-{}", service.name, reference.name),
            };
        }
        for reference in service.secrets.iter_mut().filter(|reference| reference.key.is_empty()) {
            reference.key = format!("{customer}-{}", reference.name);
        }
    }
}

/// The names of a service's workload and Services.
fn names(customer: &CustomerId, service: &Service) -> Vec<String> {
    let suffixes: &[&str] = match service.strategy {
        Strategy::BlueGreen => &["", "-active", "-preview"],
        Strategy::RollingUpdate | Strategy::Canary => &[""],
    };
    suffixes.iter().map(|suffix| format!("{customer}-{}{suffix}", service.name)).collect()
}
