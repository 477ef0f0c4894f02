//! What a deployment wants done.

use serde::{Deserialize, Serialize};

use crate::domain::names::{AppName, RequestId, Revision};
use crate::domain::plan::Baseline;

/// What is to be done, after the state was saved. Each may be done again after a crash: the cluster recognises
/// a request by its id, and a refresh or a termination twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// Request a sync.
    Sync {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
        /// Our id for the request.
        request: RequestId,
        /// The commit.
        revision: Revision,
        /// Why, for people who look at the operation.
        reason: String,
    },
    /// Ask for a fresh comparison.
    Refresh {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
    },
    /// Stop an operation of ours.
    Terminate {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
        /// Which operation.
        request: RequestId,
    },
    /// Let a Rollout that is paused go on.
    Promote {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
    },
    /// Stop a Rollout that is under way: its traffic goes back to the stable pods at once.
    AbortRollout {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
    },
    /// Keep the cluster from moving it by itself until then: it waits for its turn.
    TakeOver {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
    },
    /// Let the cluster keep it at its commit, now that it has its verdict.
    Automate {
        /// Which change of the plan.
        change: u32,
        /// Its Application.
        app: AppName,
    },
    /// Delete the Application of a service that is not wanted any more, and its objects.
    Remove {
        /// Which removal of the plan.
        removal: u32,
        /// Its Application.
        app: AppName,
    },
    /// Remember that a service runs healthily: its baseline from now on. Done in the same transaction.
    Remember {
        /// The service's name, or `base`.
        service: String,
        /// What it runs.
        baseline: Baseline,
        /// How many healthy revisions to keep.
        keep: u32,
    },
    /// Remember that a service failed with this content. Done in the same transaction.
    Quarantine {
        /// The service's name, or `base`.
        service: String,
        /// The content.
        fingerprint: String,
        /// Why it failed.
        reason: String,
    },
    /// Forget what a service ran, and what of it failed: it is gone. Done in the same transaction.
    Forget {
        /// The service's name.
        service: String,
    },
}

impl Effect {
    /// Whether it reaches out to the cluster; the others are part of the transaction that saves them.
    pub fn is_outward(&self) -> bool {
        match self {
            Self::Sync { .. }
            | Self::Refresh { .. }
            | Self::Terminate { .. }
            | Self::Promote { .. }
            | Self::AbortRollout { .. }
            | Self::TakeOver { .. }
            | Self::Automate { .. }
            | Self::Remove { .. } => true,
            Self::Remember { .. } | Self::Quarantine { .. } | Self::Forget { .. } => false,
        }
    }
}
