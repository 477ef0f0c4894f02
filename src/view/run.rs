//! One service in one deployment, for its history.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::deployment::detail;
use crate::domain::deployment::Deployment;
use crate::domain::names::{DeploymentId, Environment, Revision};

/// What a deployment did with a service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceRun)]
pub struct RunView {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// When the deployment was made.
    pub created_at: Timestamp,
    /// What was done with the service, by its word.
    pub action: &'static str,
    /// Why.
    pub reasons: Vec<String>,
    /// How many syncs were requested.
    pub requests: u32,
    /// Where it stands in it, by the state's word.
    pub state: &'static str,
    /// Since when.
    pub since: Option<Timestamp>,
    /// More about that.
    pub detail: Option<String>,
}

impl RunView {
    /// What a deployment did with a service; none where it does not know it.
    pub fn of(deployment: &Deployment, service: &str) -> Option<Self> {
        let plan = &deployment.brief.plan;
        let at = plan.changes.iter().position(|change| change.name() == service)?;
        let (change, state) = plan.changes.get(at).zip(deployment.progress.services.get(at))?;
        Some(Self {
            deployment: deployment.id().clone(),
            environment: plan.environment.clone(),
            revision: plan.revision.clone(),
            created_at: deployment.brief.created_at,
            action: change.action.word(),
            reasons: change.reasons.iter().map(ToString::to_string).collect(),
            requests: deployment.progress.requests.get(at).copied().unwrap_or_default(),
            state: state.word(),
            since: state.since(),
            detail: detail(state),
        })
    }
}
