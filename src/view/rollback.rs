//! What was taken back.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::deployment::detail;
use crate::domain::deployment::{Deployment, ServiceState};
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision};
use crate::domain::plan::Purpose;

/// A deployment that took something back, or tried to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rollback)]
pub struct RollbackView {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The commit that it was about.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// `rollback` where somebody asked for it, `deploy` where a failure turned a deployment around.
    pub purpose: Purpose,
    /// Who asked for the deployment.
    pub requested_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands, by the state's word.
    pub state: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// What it took back, or failed to.
    pub services: Vec<TakenBack>,
}

/// A service that was taken back, or not.
#[derive(Debug, Serialize, ToSchema)]
pub struct TakenBack {
    /// The service, or `base`.
    pub service: String,
    /// Where it stands, by the state's word.
    pub state: &'static str,
    /// More about that.
    pub detail: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl RollbackView {
    /// What a deployment took back; none where it went forward only.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let plan = &deployment.brief.plan;
        let asked = plan.purpose == Purpose::Rollback;
        let went_back = |state: &ServiceState| match state {
            ServiceState::Retreating(_)
            | ServiceState::RolledBack { .. }
            | ServiceState::RollbackFailed { .. } => true,
            ServiceState::Advancing(_) | ServiceState::Healthy { .. } | ServiceState::Failed { .. } => asked,
            ServiceState::Waiting { .. }
            | ServiceState::Checking(_)
            | ServiceState::Unhealthy { .. }
            | ServiceState::Skipped { .. }
            | ServiceState::Kept { .. } => false,
        };
        let services: Vec<TakenBack> = deployment
            .services()
            .filter(|(_, state)| went_back(state))
            .map(|(change, state)| TakenBack {
                service: change.name().to_owned(),
                state: state.word(),
                detail: detail(state),
                since: state.since(),
            })
            .collect();
        if services.is_empty() && !asked {
            return None;
        }
        let state = deployment.state();
        Some(Self {
            deployment: deployment.id().clone(),
            customer: plan.customer.clone(),
            environment: plan.environment.clone(),
            revision: plan.revision.clone(),
            purpose: plan.purpose,
            requested_by: deployment.brief.requested_by.clone(),
            created_at: deployment.brief.created_at,
            ended_at: state.ended_at(),
            state: state.word(),
            reason: state.reason(),
            services,
        })
    }
}
