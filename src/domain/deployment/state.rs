//! The states of a deployment. Each carries the data that only it has.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::diagnostic::Diagnostic;
use crate::domain::names::DeploymentId;

/// Where a deployment stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Planned, and behind another deployment of the same customer and environment.
    Queued,
    /// Planned; somebody has to agree to this very plan.
    AwaitingApproval {
        /// Since when.
        since: Timestamp,
    },
    /// Services are being synced and gated.
    Running,
    /// Nothing new is started; what is in flight is still watched.
    Paused {
        /// Since when.
        since: Timestamp,
        /// By whom.
        by: String,
    },
    /// Nothing new is started; ends as soon as nothing is in flight.
    Stopping {
        /// Since when.
        since: Timestamp,
        /// How it will end.
        towards: Ending,
    },
    /// What was advanced is taken back, dependants first.
    RollingBack {
        /// Since when.
        since: Timestamp,
        /// Why.
        cause: String,
    },
    /// All services are healthy at the target revision, or were rightly left alone.
    Succeeded {
        /// When.
        at: Timestamp,
    },
    /// It did not get there. What was advanced was taken back where the policy says so.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// The input was wrong, or somebody refused the plan. Nothing was touched.
    Rejected {
        /// When.
        at: Timestamp,
        /// Why, in one sentence.
        reason: String,
        /// All that was wrong with the input.
        diagnostics: Vec<Diagnostic>,
    },
    /// Somebody stopped it.
    Aborted {
        /// When.
        at: Timestamp,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A newer commit took its place.
    Superseded {
        /// When.
        at: Timestamp,
        /// The deployment of the newer commit.
        by: DeploymentId,
    },
}

impl State {
    /// Whether somebody stops it: nothing of it is to run on.
    pub(crate) fn is_aborting(&self) -> bool {
        matches!(self, Self::Stopping { towards: Ending::Aborted { .. }, .. })
    }

    /// Whether it is over; a finished deployment never moves again.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Queued
            | Self::AwaitingApproval { .. }
            | Self::Running
            | Self::Paused { .. }
            | Self::Stopping { .. }
            | Self::RollingBack { .. } => false,
            Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Rejected { .. }
            | Self::Aborted { .. }
            | Self::Superseded { .. } => true,
        }
    }

    /// Whether it may touch the cluster: it was started and is not over.
    pub fn is_active(&self) -> bool {
        match self {
            Self::Running | Self::Paused { .. } | Self::Stopping { .. } | Self::RollingBack { .. } => true,
            Self::Queued
            | Self::AwaitingApproval { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Rejected { .. }
            | Self::Aborted { .. }
            | Self::Superseded { .. } => false,
        }
    }

    /// Its stable name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::AwaitingApproval { .. } => "awaiting-approval",
            Self::Running => "running",
            Self::Paused { .. } => "paused",
            Self::Stopping { .. } => "stopping",
            Self::RollingBack { .. } => "rolling-back",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Aborted { .. } => "aborted",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Succeeded { at }
            | Self::Failed { at, .. }
            | Self::Rejected { at, .. }
            | Self::Aborted { at, .. }
            | Self::Superseded { at, .. } => Some(*at),
            Self::Queued
            | Self::AwaitingApproval { .. }
            | Self::Running
            | Self::Paused { .. }
            | Self::Stopping { .. }
            | Self::RollingBack { .. } => None,
        }
    }

    /// All that was wrong with the input of a rejected one.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Rejected { diagnostics, .. } => diagnostics,
            Self::Queued
            | Self::AwaitingApproval { .. }
            | Self::Running
            | Self::Paused { .. }
            | Self::Stopping { .. }
            | Self::RollingBack { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Aborted { .. }
            | Self::Superseded { .. } => &[],
        }
    }

    /// Why it ended the way it did, for people; none where there is nothing to explain.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::RollingBack { cause, .. } => Some(cause.clone()),
            Self::Failed { reason, .. } | Self::Rejected { reason, .. } => Some(reason.clone()),
            Self::Aborted { by, reason, .. } => Some(format!("aborted by {by}: {reason}")),
            Self::Superseded { by, .. } => Some(format!("a newer commit took its place: {by}")),
            Self::Stopping { towards, .. } => Some(towards.to_string()),
            Self::Paused { by, .. } => Some(format!("paused by {by}")),
            Self::Queued | Self::AwaitingApproval { .. } | Self::Running | Self::Succeeded { .. } => None,
        }
    }
}

/// How a deployment that is stopping will end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "kebab-case")]
pub enum Ending {
    /// A newer commit takes its place.
    Superseded {
        /// The deployment of the newer commit.
        by: DeploymentId,
    },
    /// Somebody stops it.
    Aborted {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A service failed and the policy is to stop there.
    Failed {
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Superseded { by } => write!(f, "superseded by {by}"),
            Self::Aborted { by, reason } => write!(f, "aborted by {by}: {reason}"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
        }
    }
}
