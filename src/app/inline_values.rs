//! The values that stand in an Application itself: those of a customer in Config as Code, whose file the chart that all
//! share does not know.

use std::collections::BTreeMap;

use serde_json::Value;

use super::App;
use super::customers::{self, Layout};
use crate::domain::deployment::Brief;
use crate::domain::manifest::Tenant;
use crate::domain::manifest::bundle::Layout::PerCustomer;
use crate::domain::manifest::customer::Customer;
use crate::domain::names::{AppName, Revision};
use crate::ports::{ClusterError, SourceError};

/// Values of a customer's Applications, at one commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Each has its own.
    PerService(BTreeMap<AppName, Value>),
    /// There is one Application for all.
    PerCustomer(Value),
}

impl Values {
    /// Those of one Application.
    pub fn of(&self, name: &AppName) -> Option<&Value> {
        match self {
            Self::PerService(values) => values.get(name),
            Self::PerCustomer(values) => Some(values),
        }
    }
}

/// The values of a customer's Applications at a commit; none where its chart has them. A rollback takes those of the
/// commit that it goes back to.
///
/// # Errors
/// When the commit's file cannot be read now, or is no catalogue.
pub async fn values(app: &App, brief: &Brief, revision: &Revision) -> Result<Option<Values>, ClusterError> {
    let plan = &brief.plan;
    let Some(target) = app.config.target(&plan.source, &plan.environment) else { return Ok(None) };
    let layout = Layout::of(&app.config, target);
    if layout.cac.is_none() || brief.path != layout.base {
        return Ok(None);
    }
    let git = app.values.as_ref();
    let (found, _) = customers::customers(git, &plan.source, revision, &layout).await.map_err(failure)?;
    let files = found.into_iter().find(|files| files.customer == plan.customer);
    let refused = |reason: String| {
        ClusterError::Refused(format!("{} at {}: {reason}", plan.customer, revision.short()))
    };
    let files = files.ok_or_else(|| refused("it has no file in Config as Code".into()))?;
    let limit = app.config.limits.max_bytes;
    let text = git.read(&plan.source, revision, &files.values, limit).await.map_err(failure)?;
    let text = text.ok_or_else(|| refused(format!("{} is not a regular file", files.values)))?;
    let expected = customers::expected(&plan.customer, &plan.environment, target);
    let loaded = customers::load(&files.values, &text, &expected, plan.order, &app.config.limits);
    let loaded = loaded.map_err(|faults| {
        refused(faults.first().map(ToString::to_string).unwrap_or_else(|| "its file is no catalogue".into()))
    })?;
    let customer = Customer {
        tenant: Tenant {
            customer: plan.customer.clone(),
            environment: plan.environment.clone(),
            namespace: plan.namespace.clone(),
            repository: String::new(),
        },
        source: plan.source.clone(),
        reference: target.reference.clone(),
        path: brief.path.clone(),
        catalog: &loaded.catalog,
        graph: &loaded.graph,
    };
    if app.config.cluster.layout() == PerCustomer {
        let whole = customer.whole().map_err(|error| refused(error.to_string()))?;
        return Ok(whole.values.map(Values::PerCustomer));
    }
    let applications = customer.applications().map_err(|error| refused(error.to_string()))?;
    let values = applications.into_iter().filter_map(|spec| Some((spec.name, spec.values?))).collect();
    Ok(Some(Values::PerService(values)))
}

fn failure(error: SourceError) -> ClusterError {
    match error {
        SourceError::Unavailable { .. } => ClusterError::Unavailable(error.to_string()),
        SourceError::MissingRevision { .. } | SourceError::TooLarge { .. } | SourceError::Refused(_) => {
            ClusterError::Refused(error.to_string())
        }
    }
}
