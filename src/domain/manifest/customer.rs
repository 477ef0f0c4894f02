//! One customer as its repository has it: what all of its manifests are made from.

use serde_json::Value;

use super::Tenant;
use crate::domain::application::ApplicationSpec;
use crate::domain::catalog::{Catalog, Format, Service};
use crate::domain::graph::Graph;
use crate::domain::names::{AppName, NameError, ServiceName, SourceName};
use crate::domain::values::helm_values;

/// One customer as its repository has it.
#[derive(Debug, Clone)]
pub struct Customer<'a> {
    /// Whose, where to, where from.
    pub tenant: Tenant,
    /// The configured repository.
    pub source: SourceName,
    /// The branch or tag that is deployed, as git knows it; `HEAD` where that is not known.
    pub reference: String,
    /// The folder of its chart in the repository; for Config as Code that of the chart that all share.
    pub path: String,
    /// What it wants.
    pub catalog: &'a Catalog,
    /// In which order.
    pub graph: &'a Graph,
}

impl Customer<'_> {
    /// Whether its chart's folder has no values of its own, so that they stand in its Applications.
    pub fn is_generated(&self) -> bool {
        self.catalog.format == Format::Cac
    }

    /// Its Applications: the shared part, then the services that are switched on, in the order of waves.
    ///
    /// # Errors
    /// When a name is too long.
    pub fn applications(&self) -> Result<Vec<ApplicationSpec>, NameError> {
        let customer = &self.tenant.customer;
        let mut specs = vec![self.spec(AppName::of_base(customer)?, None, |_| false)];
        for (_, services) in self.graph.waves() {
            for service in services {
                let name = self.graph.name(service);
                let app = AppName::of_service(customer, name)?;
                specs.push(self.spec(app, Some(name.clone()), |other| &other.name == name));
            }
        }
        Ok(specs)
    }

    /// The Application with all of it, for [`super::whole`].
    ///
    /// # Errors
    /// When its name is too long.
    pub fn whole(&self) -> Result<ApplicationSpec, NameError> {
        Ok(self.spec(AppName::of_all(&self.tenant.customer)?, None, |_| true))
    }

    fn spec(
        &self,
        name: AppName,
        service: Option<ServiceName>,
        rendered: impl Fn(&Service) -> bool,
    ) -> ApplicationSpec {
        ApplicationSpec {
            name,
            customer: self.tenant.customer.clone(),
            environment: self.tenant.environment.clone(),
            service,
            namespace: self.tenant.namespace.clone(),
            source: self.source.clone(),
            path: self.path.clone(),
            values: self.is_generated().then(|| self.values(rendered)),
        }
    }

    /// Values for what is rendered alone: a change of one service changes no other one's Application, and no
    /// Application carries the whole catalogue. Waves that the file leaves open are those of the graph.
    fn values(&self, rendered: impl Fn(&Service) -> bool) -> Value {
        let mut catalog = self.catalog.clone();
        catalog.services.retain(|service| rendered(service));
        for service in &mut catalog.services {
            let place = self.graph.index(&service.name);
            service.wave = service.wave.or_else(|| place.map(|place| self.graph.wave(place)));
        }
        without_nulls(helm_values(&catalog))
    }
}

/// The value without keys that have nothing behind them. To Helm they mean that a default is unset, and the chart
/// has none; but a merge patch takes them for deletions, and an ApplicationSet that finds one writes the whole
/// Application, its pin included.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
