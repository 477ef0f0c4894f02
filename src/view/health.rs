//! The health of services: what their Applications show now, and what the latest deployment says.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::application::Application;
use crate::domain::deployment::{Deployment, ServiceState};
use crate::domain::names::{AppName, CustomerId, DeploymentId, Environment, Revision, Wave};
use crate::domain::plan::Change;

/// The health of one service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceHealth {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The service, or `base`.
    pub service: String,
    /// Its wave; none for the shared part.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// Its Application.
    #[schema(value_type = String)]
    pub application: AppName,
    /// What the Application shows now; none where it does not exist or cannot be read.
    pub shown: Option<Shown>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// The latest deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Where the service stands in it, by the state's word.
    pub state: &'static str,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What an Application shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    /// Argo CD's word for its health, such as `Healthy`.
    pub health: String,
    /// Argo CD's word for its comparison, such as `Synced`.
    pub sync: String,
    /// The commit that it is pinned to.
    #[schema(value_type = Option<String>)]
    pub revision: Option<Revision>,
    /// When Argo CD last began a full comparison that it finished.
    pub compared_at: Option<Timestamp>,
}

impl Shown {
    /// What an Application shows.
    pub fn of(application: &Application) -> Self {
        Self {
            health: word(&application.health.status),
            sync: word(&application.sync.status),
            revision: application.pinned.clone(),
            compared_at: application.reconciled_at,
        }
    }
}

/// The serialised word of a unit variant.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => "Unknown".into(),
    }
}

impl ServiceHealth {
    /// What the latest deployment says of a service; what its Application shows is to be added.
    pub fn of(deployment: &Deployment, change: &Change, state: &ServiceState) -> Self {
        let plan = &deployment.brief.plan;
        Self {
            customer: plan.customer.clone(),
            environment: plan.environment.clone(),
            service: change.name().to_owned(),
            wave: change.wave,
            application: change.app.clone(),
            shown: None,
            unreadable: None,
            deployment: deployment.id().clone(),
            state: state.word(),
            since: state.since(),
        }
    }
}
