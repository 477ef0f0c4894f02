//! The ApplicationSets that make customers' Applications, where Argo CD is to make them.
//!
//! A set takes an Application that nobody else's set makes for its own, whoever made it and whatever it deploys. So
//! before it is applied, all that carry a name of its list are looked at.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;

use super::provision::Provision;
use super::resource::Application;
use super::{ArgoCd, write};
use crate::domain::application::ApplicationSpec;
use crate::domain::manifest::{ENVIRONMENT, MANAGED_BY, Tenant, set};
use crate::domain::names::{AppName, CustomerId};
use crate::ports::ClusterError;

/// How long the controller of ApplicationSets has for an Application until the set is looked at again: somebody may
/// have deleted it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sets that were applied since the start, and when.
#[derive(Debug, Default)]
pub(super) struct Sets(Mutex<HashMap<CustomerId, (Value, Instant)>>);

impl ArgoCd {
    /// Makes sure that the customer's set is as it should be, before one of its Applications is synced.
    pub(super) async fn ensure_set(
        &self,
        provision: &Provision,
        tenant: &Tenant,
        application: &ApplicationSpec,
        live: Option<&Application>,
    ) -> Result<(), ClusterError> {
        // The first of a customer's services does it, the others wait for that.
        let mut applied = self.customer_sets.0.lock().await;
        let parts = self.parts.lock().await.get(&tenant.customer).cloned().unwrap_or_default();
        let wanted = set::of_applications(tenant, &application.path, &parts, &self.settings.rules);
        if let Some((set, at)) = applied.get(&tenant.customer)
            && *set == wanted
            && (live.is_some() || at.elapsed() < PATIENCE)
        {
            return Ok(());
        }
        if !self.seen.is_complete() {
            return Err(ClusterError::Unavailable("the Applications are not listed yet".into()));
        }
        let name = set::name_of_services(&tenant.customer);
        let found =
            self.sets.get_opt(&name).await.map_err(|error| super::failure(&application.name, error))?;
        if let Some(found) = &found {
            let labels = found.metadata.labels.clone().unwrap_or_default();
            let label = |name| labels.get(name).map(String::as_str);
            check_set(&name, label, tenant).map_err(ClusterError::Refused)?;
            if applied.contains_key(&tenant.customer)
                && live.is_none()
                && let Some(message) = trouble(&found.data)
            {
                return Err(ClusterError::Refused(format!(
                    "the ApplicationSet {name} does not make {}: {message}",
                    application.name
                )));
            }
        }
        for part in &parts {
            if let Some(live) = self.seen.get(&part.name) {
                check_application(&part.name, &live, &name, tenant).map_err(ClusterError::Refused)?;
            }
        }
        provision.apply(&wanted).await?;
        applied.insert(tenant.customer.clone(), (wanted, Instant::now()));
        Ok(())
    }
}

/// Whether the set of this name may be written to.
///
/// # Errors
/// Whose it is instead.
pub(super) fn check_set<'a>(
    name: &str,
    label: impl Fn(&'static str) -> Option<&'a str>,
    tenant: &Tenant,
) -> Result<(), String> {
    if label(MANAGED_BY.0) != Some(MANAGED_BY.1) {
        return Err(format!("the ApplicationSet {name} was made by somebody else: rename or delete it"));
    }
    let (theirs, wanted) = (label(ENVIRONMENT), tenant.environment.as_str());
    if theirs == Some(wanted) {
        return Ok(());
    }
    Err(write::other_environment(&format!("the ApplicationSet {name}"), theirs, wanted))
}

/// Whether the customer's set may take this Application for its own, or has it already.
///
/// # Errors
/// Whose it is instead.
pub(super) fn check_application(
    app: &AppName,
    live: &Application,
    set: &str,
    tenant: &Tenant,
) -> Result<(), String> {
    match write::owner_set(live) {
        Some(owner) if owner != set => {
            return Err(format!("the ApplicationSet {owner} makes {app}, and {set} cannot make it too"));
        }
        Some(_) => {}
        None if !write::is_ours(live) => {
            return Err(format!(
                "{app} was made by somebody else, and the ApplicationSet {set} would take it for its own: rename one of \
                 them, or delete it"
            ));
        }
        None => {}
    }
    let labels = live.metadata.labels.as_ref();
    let theirs = labels.and_then(|labels| labels.get(ENVIRONMENT)).map(String::as_str);
    let wanted = tenant.environment.as_str();
    if theirs == Some(wanted) { Ok(()) } else { Err(write::other_environment(app.as_str(), theirs, wanted)) }
}

/// What its controller says is wrong with a set.
pub(super) fn trouble(set: &Value) -> Option<&str> {
    let conditions = set.pointer("/status/conditions")?.as_array()?;
    let wrong = conditions.iter().find(|condition| {
        condition["type"].as_str() == Some("ErrorOccurred") && condition["status"].as_str() == Some("True")
    })?;
    wrong["message"].as_str()
}
