//! Services that ran and are not wanted any more: whether they are removed, and in which order.
//!
//! Nothing is removed by accident: the policy must say so, and an Application must carry the labels of exactly this
//! customer, environment and service. Removing is deleting the Application after it was given Argo CD's finalizer,
//! without which its objects would stay; each is gone before the next is deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest::{CUSTOMER, ENVIRONMENT, MANAGED_BY, SERVICE};
use super::names::{AppName, CustomerId, Environment, NameError, ServiceName};
use super::plan::Plan;

/// What happens to services that are not in the catalogue any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedServices {
    /// They are left running, and named.
    #[default]
    Keep,
    /// They are deleted with all of their objects, volume claims among them; only what the chart annotates with Argo
    /// CD's `Delete=false` stays.
    Prune,
}

/// Argo CD's finalizer: the objects of an Application that is deleted go before it does. With `/background` behind
/// it they are not waited for.
pub const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// One service that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Whose.
    pub customer: CustomerId,
    /// Where.
    pub environment: Environment,
    /// The service.
    pub service: ServiceName,
    /// Its Application.
    pub app: AppName,
}

/// What is to be removed, in the order in which it is: who needed a service goes before that service.
///
/// `removed` is [`Plan::removed`]. The new catalogue does not say what they needed, and of what runs only a hash of
/// that is recorded; but the plans that were carried out are, so `earlier` are those of this customer and
/// environment, the newest first. Of each service the newest plan that has it counts:
///
/// 1. Services that no plan has: nobody that is known needed them, or they would be in its plan. By name, backwards.
/// 2. Those of older plans before those of newer ones: what a newer plan has cannot have needed what was gone from it.
/// 3. Those of one plan in the reverse of its turns, in which everything came after what it needs.
///
/// # Errors
/// When a service's name is too long for an Application's; it cannot have run then.
pub fn removals(policy: RemovedServices, plan: &Plan, earlier: &[Plan]) -> Result<Vec<Removal>, NameError> {
    match policy {
        RemovedServices::Keep => return Ok(Vec::new()),
        RemovedServices::Prune => {}
    }
    let turn = |service: &ServiceName| {
        let same =
            |other: &&Plan| (&other.customer, &other.environment) == (&plan.customer, &plan.environment);
        earlier.iter().filter(same).enumerate().find_map(|(age, earlier)| {
            let turn = earlier.changes.iter().position(|change| change.service.as_ref() == Some(service))?;
            Some((age, turn))
        })
    };
    let mut removals = Vec::new();
    for service in &plan.removed {
        let removal = Removal {
            customer: plan.customer.clone(),
            environment: plan.environment.clone(),
            service: service.clone(),
            app: AppName::of_service(&plan.customer, service)?,
        };
        // No turn counts as the oldest.
        let (age, turn) = turn(service).unwrap_or((usize::MAX, 0));
        removals.push(((age, turn), removal));
    }
    removals.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| other.service.cmp(&one.service)));
    Ok(removals.into_iter().map(|(_, removal)| removal).collect())
}

impl Removal {
    /// Whether an Application with these labels is the one that is meant, made by us or from our manifests. One that
    /// an ApplicationSet owns must leave its list first, or it is made again.
    pub fn owns(&self, labels: &BTreeMap<String, String>) -> bool {
        let is = |label: &str, value: &str| labels.get(label).is_some_and(|text| text == value);
        is(MANAGED_BY.0, MANAGED_BY.1)
            && is(CUSTOMER, self.customer.as_str())
            && is(ENVIRONMENT, self.environment.as_str())
            && is(SERVICE, self.service.as_str())
    }
}

/// The merge patch that makes sure an Application's objects go with it; none where they do already.
///
/// The list of finalizers is replaced as a whole, so the patch holds for this version only.
pub fn finalize(finalizers: &[String], resource_version: &str) -> Option<Value> {
    let is_it = |text: &String| {
        text.strip_prefix(FINALIZER).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if finalizers.iter().any(is_it) {
        return None;
    }
    let all: Vec<&str> = finalizers.iter().map(String::as_str).chain([FINALIZER]).collect();
    Some(json!({ "metadata": { "resourceVersion": resource_version, "finalizers": all } }))
}

#[cfg(test)]
mod tests;
