//! One deployment, service by service.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::deployment::{Blocker, Deployment, Removing, ServiceState};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision, Wave};
use crate::domain::plan::{Action, Change, Purpose};
use crate::domain::removal::Removal;

/// One deployment, service by service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Deployment)]
pub struct DeploymentView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeploymentId,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where to.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// In which sense the order is meant.
    pub order: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asked.
    pub requested_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands, by the state's word.
    pub state: String,
    /// Why, where there is something to explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The hash of its plan; an approval is bound to it.
    pub plan: String,
    /// Its services, in the order of their turns.
    pub services: Vec<ServiceView>,
    /// Services that are removed at the end, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub removals: Vec<RemovalView>,
    /// All that was wrong with the input of a rejected one.
    pub diagnostics: Vec<Diagnostic>,
}

/// One service of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeployedService)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// Its wave; none for the shared part.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// What is done with it.
    pub action: String,
    /// Why.
    pub reasons: Vec<String>,
    /// Where it stands, by the state's word.
    pub state: String,
    /// Whether those that wait for it may go on.
    pub passes: bool,
    /// More about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
    /// Since when it stands there.
    pub since: Option<Timestamp>,
}

/// One service that is removed, because it is not in the values any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RemovedService)]
pub struct RemovalView {
    /// Its name.
    pub service: String,
    /// Where that stands: `waiting`, `removing`, `removed` or `not-removed`.
    pub state: String,
    /// Why it was not removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
}

impl RemovalView {
    fn of(removal: &Removal, state: Option<&Removing>, blockers: &[(&str, Blocker)]) -> Self {
        let service = removal.service.as_str();
        let blocker = blockers.iter().find(|(name, _)| *name == service);
        Self {
            service: service.to_owned(),
            state: state.map_or("waiting", Removing::word).to_owned(),
            reason: left(state).map(str::to_owned),
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

/// The action of a service that is left alone, by its word.
pub const LEAVE: &str = Action::Leave.word();

impl DeploymentView {
    /// How many services there are; the shared part does not count.
    pub fn service_count(&self) -> usize {
        self.services.iter().filter(|service| service.wave.is_some()).count()
    }

    /// How many services are synced; the shared part does not count.
    pub fn touched_count(&self) -> usize {
        let sync = Action::Sync.word();
        self.services.iter().filter(|service| service.wave.is_some() && service.action == sync).count()
    }

    /// A deployment as it is shown.
    pub fn of(deployment: &Deployment) -> Self {
        let (brief, state) = (&deployment.brief, deployment.state());
        let blockers = deployment.blockers();
        let services = deployment.services().map(|(change, state)| ServiceView::of(change, state, &blockers));
        Self {
            id: deployment.id().clone(),
            customer: brief.plan.customer.clone(),
            environment: brief.plan.environment.clone(),
            revision: brief.plan.revision.clone(),
            order: brief.plan.order.to_string(),
            purpose: brief.plan.purpose,
            requested_by: brief.requested_by.clone(),
            created_at: brief.created_at,
            started_at: deployment.progress.started_at,
            ended_at: state.ended_at(),
            state: state.word().to_owned(),
            reason: state.reason(),
            plan: brief.plan.hash.as_str().to_owned(),
            services: services.collect(),
            removals: deployment
                .removals()
                .map(|(removal, state)| RemovalView::of(removal, state, &blockers))
                .collect(),
            diagnostics: state.diagnostics().to_vec(),
        }
    }
}

impl ServiceView {
    /// A service as it is shown, with what it waits for among all that is waited for.
    pub fn of(change: &Change, state: &ServiceState, blockers: &[(&str, Blocker)]) -> Self {
        let blocker = blockers.iter().find(|(name, _)| *name == change.name());
        Self {
            service: change.name().to_owned(),
            wave: change.wave,
            action: change.action.word().to_owned(),
            reasons: change.reasons.iter().map(ToString::to_string).collect(),
            state: state.word().to_owned(),
            passes: state.passes(),
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
