//! How a deployment stands, at a glance.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Deployment, Tally};

/// How a deployment stands, at a glance: kept beside it, so that a thousand of them can be shown without a look into
/// any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glance {
    /// How far its services are.
    pub progress: Tally,
    /// What it waits for; none where it is over or waits for nothing.
    pub blocked: Option<Blocked>,
}

impl Glance {
    /// How a deployment stands.
    pub fn of(deployment: &Deployment) -> Self {
        let over = deployment.progress.state.is_finished();
        Self {
            progress: Tally::of_deployment(deployment),
            blocked: if over { None } else { Blocked::of(deployment) },
        }
    }
}

/// What a deployment waits for: the blocker that holds back most of it, behind which the others wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Blocked {
    /// The service that waits.
    pub service: String,
    /// The blocker's word.
    pub kind: String,
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
            kind: blocker.word().to_owned(),
            text: blocker.to_string(),
            services: blockers.len(),
            since: stands.and_then(|(_, state)| state.since()),
        })
    }
}
