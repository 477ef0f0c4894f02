//! The place that a customer is deployed to: its project, its namespace, and what lies in that before any service.
//!
//! Applied by the server with a field manager of our own, so that what others add to these objects stays.

use std::collections::HashMap;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tokio::sync::Mutex;

use super::write::MANAGER;
use crate::domain::manifest::{self, Rules, Tenant};
use crate::domain::names::CustomerId;
use crate::ports::ClusterError;

pub(super) struct Provision {
    client: Client,
    rules: Rules,
    /// What was applied since the start, so that it is applied once and again where it is to be different.
    applied: Mutex<HashMap<CustomerId, Tenant>>,
}

impl Provision {
    pub(super) fn new(client: Client, rules: Rules) -> Self {
        Self { client, rules, applied: Mutex::default() }
    }

    /// Makes sure that the customer has its place.
    pub(super) async fn ensure(&self, tenant: &Tenant) -> Result<(), ClusterError> {
        // The first of a customer's services does it, the others wait for that.
        let mut applied = self.applied.lock().await;
        if applied.get(&tenant.customer) == Some(tenant) {
            return Ok(());
        }
        for object in manifest::namespace(tenant, &self.rules) {
            self.apply(&object).await?;
        }
        self.apply(&manifest::project(tenant, &self.rules)).await?;
        applied.insert(tenant.customer.clone(), tenant.clone());
        Ok(())
    }

    /// Applies one object.
    pub(super) async fn apply(&self, object: &Value) -> Result<(), ClusterError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let (name, namespace) = (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &namespace, &resource)
        };
        let parameters = PatchParams::apply(MANAGER).force();
        let outcome = api.patch(&name, &parameters, &Patch::Apply(object)).await;
        outcome.map(drop).map_err(|error| {
            if let kube::Error::Api(status) = &error
                && matches!(status.code, 400 | 403 | 422)
            {
                return ClusterError::Refused(format!("{kind} {name} cannot be made: {}", status.message));
            }
            ClusterError::Unavailable(format!("{kind} {name}: {error}"))
        })
    }
}
