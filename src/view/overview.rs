//! How all customers and environments stand, in one line each.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::wave::Tally;
use crate::domain::deployment::Deployment;
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision};
use crate::store::Summary;

/// A customer and environment in one line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub struct OverviewRow {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// Its newest deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// The commit of that.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// Where it stands, by the state's word.
    pub state: String,
    /// Why, where there is something to explain.
    pub reason: Option<String>,
    /// Since when it stands there, as far as that is known: when it ended, was started, or was made.
    pub since: Timestamp,
    /// Whether it is over.
    pub finished: bool,
    /// Who asked.
    pub requested_by: String,
    /// How far its services are; none where it succeeded, because then all have passed.
    pub progress: Option<Tally>,
    /// What it waits for; none where it is over.
    pub blocked: Option<Blocked>,
}

/// What a deployment waits for: the blocker that holds back most of it, behind which the others wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Blocked {
    /// The service that waits.
    pub service: String,
    /// The blocker's word.
    pub kind: &'static str,
    /// The same in a sentence.
    pub text: String,
    /// How many services wait altogether.
    pub services: usize,
    /// Since when that service stands where it does.
    pub since: Option<Timestamp>,
}

impl Blocked {
    /// What a deployment waits for. Who waits for another service of it, or for its turn among them, only waits for
    /// what that one waits for.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let blockers = deployment.blockers();
        let behind = |kind: &str| matches!(kind, "dependency" | "wave" | "concurrency" | "dependant");
        let root = blockers.iter().find(|(_, blocker)| !behind(blocker.word())).or(blockers.first())?;
        let (service, blocker) = root;
        let stands = deployment.services().find(|(change, _)| change.name() == *service);
        Some(Self {
            service: (*service).to_owned(),
            kind: blocker.word(),
            text: blocker.to_string(),
            services: blockers.len(),
            since: stands.and_then(|(_, state)| state.since()),
        })
    }
}

impl OverviewRow {
    /// A place in one line, with its newest deployment where that is looked into.
    pub fn of(summary: Summary, deployment: Option<&Deployment>) -> Self {
        Self {
            since: summary.ended_at.or(summary.started_at).unwrap_or(summary.created_at),
            progress: deployment.map(Tally::of_deployment),
            blocked: deployment.filter(|_| !summary.finished).and_then(Blocked::of),
            customer: summary.customer,
            environment: summary.environment,
            deployment: summary.id,
            revision: summary.revision,
            state: summary.state,
            reason: summary.reason,
            finished: summary.finished,
            requested_by: summary.requested_by,
        }
    }
}
