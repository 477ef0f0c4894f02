//! What unfinished services wait for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::deployment::{Blocker, Deployment};
use crate::domain::names::DeploymentId;

/// The one thing that a service waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// In which deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Which service.
    pub service: String,
    /// The blocker's word, for filters.
    pub kind: String,
    /// What is known of it; `blocker` is its word once more.
    #[serde(flatten)]
    pub blocker: Blocker,
    /// The same in a sentence.
    pub text: String,
}

impl Waiting {
    /// What each unfinished service of a deployment waits for; only that of one service where it is named.
    pub fn of(deployment: &Deployment, only: Option<&str>) -> Vec<Self> {
        let blockers = deployment.blockers().into_iter();
        blockers
            .filter(|(service, _)| only.is_none_or(|only| only == *service))
            .map(|(service, blocker)| Self {
                deployment: deployment.id().clone(),
                service: service.to_owned(),
                kind: blocker.word().to_owned(),
                text: blocker.to_string(),
                blocker,
            })
            .collect()
    }
}
