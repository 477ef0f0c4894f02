//! One deployment, service by service.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::deployment::{Blocker, Deployment, Removing, ServiceState};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision, Wave};
use crate::domain::plan::{Change, Purpose};
use crate::domain::removal::Removal;

/// One deployment, service by service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deployment)]
pub struct DeploymentView<'a> {
    /// Its id.
    #[schema(value_type = String)]
    pub id: &'a DeploymentId,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: &'a CustomerId,
    /// Where to.
    #[schema(value_type = String)]
    pub environment: &'a Environment,
    /// The commit.
    #[schema(value_type = String)]
    pub revision: &'a Revision,
    /// In which sense the order is meant.
    pub order: String,
    /// What it is for.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// Who asked.
    pub requested_by: &'a str,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands, by the state's word.
    pub state: &'static str,
    /// Why, where there is something to explain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The hash of its plan; an approval is bound to it.
    pub plan: &'a str,
    /// Its services, in the order of their turns.
    pub services: Vec<ServiceView<'a>>,
    /// Services that are removed at the end, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub removals: Vec<RemovalView<'a>>,
    /// All that was wrong with the input of a rejected one.
    #[schema(value_type = Vec<Object>)]
    pub diagnostics: &'a [Diagnostic],
}

/// One service of a deployment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeployedService)]
pub struct ServiceView<'a> {
    /// Its name.
    pub service: &'a str,
    /// Its wave; none for the shared part.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// What is done with it.
    pub action: &'static str,
    /// Why.
    pub reasons: Vec<String>,
    /// Where it stands, by the state's word.
    pub state: &'static str,
    /// More about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub blocker: Option<Blocker>,
    /// Since when it stands there.
    pub since: Option<Timestamp>,
}

/// One service that is removed, because it is not in the values any more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemovedService)]
pub struct RemovalView<'a> {
    /// Its name.
    pub service: &'a str,
    /// Where that stands: `waiting`, `removing`, `removed` or `not-removed`.
    pub state: &'static str,
    /// Why it was not removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub blocker: Option<Blocker>,
}

impl<'a> RemovalView<'a> {
    fn of(removal: &'a Removal, state: Option<&'a Removing>, blockers: &[(&str, Blocker)]) -> Self {
        let service = removal.service.as_str();
        let blocker = blockers.iter().find(|(name, _)| *name == service);
        Self {
            service,
            state: state.map_or("waiting", Removing::word),
            reason: left(state),
            blocker: blocker.map(|(_, blocker)| blocker.clone()),
        }
    }
}

/// Why a service was not removed.
pub fn left(state: Option<&Removing>) -> Option<&str> {
    match state {
        Some(Removing::Left { reason, .. }) => Some(reason),
        Some(Removing::Asked { .. } | Removing::Gone { .. }) | None => None,
    }
}

impl<'a> DeploymentView<'a> {
    /// A deployment as it is shown.
    pub fn of(deployment: &'a Deployment) -> Self {
        let (brief, state) = (&deployment.brief, deployment.state());
        let blockers = deployment.blockers();
        let services = deployment.services().map(|(change, state)| ServiceView::of(change, state, &blockers));
        Self {
            id: deployment.id(),
            customer: &brief.plan.customer,
            environment: &brief.plan.environment,
            revision: &brief.plan.revision,
            order: brief.plan.order.to_string(),
            purpose: brief.plan.purpose,
            requested_by: &brief.requested_by,
            created_at: brief.created_at,
            started_at: deployment.progress.started_at,
            ended_at: state.ended_at(),
            state: state.word(),
            reason: state.reason(),
            plan: brief.plan.hash.as_str(),
            services: services.collect(),
            removals: deployment
                .removals()
                .map(|(removal, state)| RemovalView::of(removal, state, &blockers))
                .collect(),
            diagnostics: state.diagnostics(),
        }
    }
}

impl<'a> ServiceView<'a> {
    /// A service as it is shown, with what it waits for among all that is waited for.
    pub fn of(change: &'a Change, state: &'a ServiceState, blockers: &[(&str, Blocker)]) -> Self {
        let blocker = blockers.iter().find(|(name, _)| *name == change.name());
        Self {
            service: change.name(),
            wave: change.wave,
            action: change.action.word(),
            reasons: change.reasons.iter().map(ToString::to_string).collect(),
            state: state.word(),
            detail: detail(state),
            blocker: blocker.map(|(_, blocker)| blocker.clone()),
            since: state.since(),
        }
    }
}

/// What there is to say about a state beside its word.
pub fn detail(state: &ServiceState) -> Option<String> {
    match state {
        ServiceState::Failed { reason, .. } | ServiceState::RollbackFailed { reason, .. } => {
            Some(reason.clone())
        }
        ServiceState::Skipped { reason, .. } => Some(reason.to_string()),
        ServiceState::Kept { reason, .. } => Some(reason.to_string()),
        ServiceState::RolledBack { to, .. } => Some(format!("at {}", to.short())),
        ServiceState::Waiting { .. }
        | ServiceState::Checking(_)
        | ServiceState::Advancing(_)
        | ServiceState::Healthy { .. }
        | ServiceState::Unhealthy { .. }
        | ServiceState::Retreating(_) => None,
    }
}
