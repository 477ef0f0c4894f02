//! ApplicationSets that make the same Applications, for people who let Argo CD make them.
//!
//! An ApplicationSet writes its Applications again and again, so it must leave alone what the orchestrator moves:
//! the pin and the sync policy; all of the source where the orchestrator applies the set itself. It never deletes one by itself, and has no RollingSync, which would request syncs of
//! its own. Templates are Go's, where a key that is missing is an error: the older kind leaves it in the name.
//!
//! Sources: Argo CD's `ApplicationSet` type, its list and git generators, and `applicationset/utils`. Without
//! `preserveResourcesOnDeletion` it gives every Application the finalizer that deletes what it deployed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::customer::Customer;
use super::{ENVIRONMENT, MANAGED_BY, Rules, Tenant, Texts};
use crate::domain::application::ApplicationSpec;
use crate::domain::names::{ALL, BASE, CustomerId, NameError, Revision};

/// The name of a customer, as the git generator tells it.
const FOLDER: &str = "{{ .path.basenameNormalized }}";
/// What the annotation is called that a refresh of ours leaves, besides the one that Argo CD takes off itself.
const REFRESHED: &str = "argocd.argoproj.io/refresh-timestamp";
/// What the orchestrator moves in Applications that somebody else's set makes.
const PIN: [&str; 2] = ["/spec/source/targetRevision", "/spec/syncPolicy"];
/// What it moves in those of a set of its own. A set writes to all at once, so what services are made of must not come
/// by it: each gets that with its pin, in its turn.
const SOURCE: [&str; 2] = ["/spec/source", "/spec/syncPolicy"];
/// Values of an element, put into its Application. They are data there: nothing in them is taken for a template,
/// as it would be in `template`.
const VALUES: &str = "spec:\n  source:\n    helm:\n      valuesObject: {{ toJson .values }}\n";

/// The set with an Application for each service of a customer and one for what they share: a list from the
/// catalogue.
///
/// # Errors
/// When a name is too long.
pub fn of_services(
    customer: &Customer<'_>,
    revision: Option<&Revision>,
    rules: &Rules,
) -> Result<Value, NameError> {
    let elements = customer.applications()?.iter().map(of_service).collect();
    let name = name_of_services(&customer.tenant.customer);
    let list = List { tenant: &customer.tenant, path: &customer.path, generated: customer.is_generated() };
    Ok(list.set(name, elements, Some("{{ .service }}"), revision, rules))
}

/// The set that the orchestrator applies: it only makes the Applications, from the chart in this folder. What it has
/// made gets its source from us, values and all.
pub fn of_applications(tenant: &Tenant, path: &str, specs: &[ApplicationSpec], rules: &Rules) -> Value {
    // By name: that services change places is no change of the set.
    let mut specs: Vec<&ApplicationSpec> = specs.iter().collect();
    specs.sort_by(|one, other| one.name.cmp(&other.name));
    let bare = |spec: &ApplicationSpec| of_service(&ApplicationSpec { values: None, ..spec.clone() });
    let elements = specs.into_iter().map(bare).collect();
    let list = List { tenant, path, generated: false };
    let name = name_of_services(&tenant.customer);
    let mut set = list.set(name, elements, Some("{{ .service }}"), None, rules);
    set["spec"]["ignoreApplicationDifferences"] = json!([{ "jsonPointers": SOURCE }]);
    set
}

/// What the set with an Application for each service of a customer is called.
pub fn name_of_services(customer: &CustomerId) -> String {
    format!("{customer}-services")
}

fn of_service(spec: &ApplicationSpec) -> Value {
    let mut element = element(spec);
    element["service"] = json!(spec.service.as_ref().map_or(BASE, |service| service.as_str()));
    element
}

/// The sets with one Application for each customer: one set for each environment and repository, from the customers'
/// folders in git, and one for each customer that has no folder, from its Config as Code.
///
/// The folders are named one by one. A pattern would also take one that was called after somebody else's project,
/// and its Application would be in that.
///
/// # Errors
/// When a name is too long.
pub fn of_customers(
    customers: &[Customer<'_>],
    revision: Option<&Revision>,
    rules: &Rules,
) -> Result<Vec<Value>, NameError> {
    let mut sets = Vec::new();
    let mut places: BTreeMap<(&str, &str), Vec<&Customer<'_>>> = BTreeMap::new();
    for customer in customers {
        // For its length.
        let spec = customer.whole()?;
        if customer.is_generated() {
            let name = format!("{}-{ALL}", customer.tenant.customer);
            let list = List { tenant: &customer.tenant, path: &customer.path, generated: true };
            sets.push(list.set(name, vec![element(&spec)], None, revision, rules));
        } else {
            let place = (customer.tenant.environment.as_str(), customer.source.as_str());
            places.entry(place).or_default().push(customer);
        }
    }
    for ((environment, source), customers) in places {
        sets.push(folders(environment, source, &customers, revision, rules));
    }
    Ok(sets)
}

/// The customers of one repository and environment, by their folders.
fn folders(
    environment: &str,
    source: &str,
    customers: &[&Customer<'_>],
    revision: Option<&Revision>,
    rules: &Rules,
) -> Value {
    // A generator for each way in which a namespace follows from a customer's name: mostly one.
    let mut generators: BTreeMap<(String, &str, &str), Vec<Value>> = BTreeMap::new();
    let mut repository = "";
    for customer in customers {
        let Tenant { customer: id, namespace, repository: url, .. } = &customer.tenant;
        let namespace = namespace.as_str().replacen(id.as_str(), FOLDER, 1);
        let directories = generators.entry((namespace, url, &customer.reference)).or_default();
        directories.push(json!({ "path": customer.path }));
        repository = url;
    }
    let generators: Vec<Value> = generators
        .into_iter()
        .map(|((namespace, url, reference), directories)| {
            json!({ "git": {
                "repoURL": url,
                "revision": reference,
                "directories": directories,
                "values": { "namespace": namespace },
            } })
        })
        .collect();
    let texts = Texts {
        name: &format!("{FOLDER}-{ALL}"),
        customer: FOLDER,
        environment,
        namespace: "{{ .values.namespace }}",
        repository,
        path: "{{ .path.path }}",
        revision,
        service: None,
        values: None,
    };
    let labels = json!({ MANAGED_BY.0: MANAGED_BY.1, ENVIRONMENT: environment });
    set(&format!("customers-{source}-{environment}"), &labels, &generators, &texts, rules)
}

/// One customer's Applications, one by one.
struct List<'a> {
    tenant: &'a Tenant,
    path: &'a str,
    /// Whether their values stand in them.
    generated: bool,
}

impl List<'_> {
    fn set(
        &self,
        name: String,
        elements: Vec<Value>,
        service: Option<&str>,
        revision: Option<&Revision>,
        rules: &Rules,
    ) -> Value {
        let tenant = self.tenant;
        let texts = Texts {
            name: "{{ .name }}",
            customer: tenant.customer.as_str(),
            environment: tenant.environment.as_str(),
            namespace: tenant.namespace.as_str(),
            repository: &tenant.repository,
            path: self.path,
            revision,
            service,
            values: None,
        };
        let generators = [json!({ "list": { "elements": elements } })];
        let mut made = set(&name, &tenant.labels(), &generators, &texts, rules);
        if self.generated {
            made["spec"]["templatePatch"] = json!(VALUES);
        }
        made
    }
}

/// An Application's own part.
fn element(spec: &ApplicationSpec) -> Value {
    let mut element = json!({ "name": spec.name });
    if let Some(values) = &spec.values {
        element["values"] = values.clone();
    }
    element
}

fn set(name: &str, labels: &Value, generators: &[Value], texts: &Texts<'_>, rules: &Rules) -> Value {
    let application = texts.application(rules);
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": { "name": name, "namespace": rules.argo_cd, "labels": labels },
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": generators,
            "template": { "metadata": application["metadata"], "spec": application["spec"] },
            "ignoreApplicationDifferences": [{ "jsonPointers": PIN }],
            "preservedFields": { "annotations": [REFRESHED] },
            "syncPolicy": { "applicationsSync": "create-update", "preserveResourcesOnDeletion": true },
        },
    })
}
