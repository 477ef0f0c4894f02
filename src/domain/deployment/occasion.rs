//! When a service's own health check is asked, and which one.
//!
//! A check says nothing of the revision that answers it: while a sync is on its way, the pods of before may answer.
//! So it is asked only once all else is proven, and each time anew: what it said on another occasion does not count.

use jiff::Timestamp;

use super::{Deployment, Retreat, Run, ServiceState, State};
use crate::domain::catalog::HealthCheck;
use crate::domain::gate::Doubt;
use crate::domain::names::RequestId;

/// What a check is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// The verdict of this sync.
    Run(RequestId),
    /// The look at a service that is not touched, begun at this moment.
    Check(Timestamp),
    /// Whether it keeps its health after the verdict, whichever that was.
    After,
}

impl Occasion {
    /// Whether what was asked on the other occasion still counts on this one.
    pub fn follows(&self, other: &Self) -> bool {
        self == other || *self == Self::After
    }
}

impl Deployment {
    /// The check that counts for a change: on the way back, the one of the revision that it goes back to.
    pub fn health_check(&self, change: u32) -> Option<&HealthCheck> {
        let planned = self.brief.plan.changes.get(change as usize)?;
        let state = self.progress.services.get(change as usize)?;
        match (state.retreat(), &planned.previous) {
            (Some(_), Some(previous)) => previous.health_check.as_ref(),
            (Some(_), None) | (None, _) => planned.health_check.as_ref(),
        }
    }

    /// What the check of a change is asked for now; none where nothing would follow from its answer.
    pub fn occasion(&self, change: u32) -> Option<Occasion> {
        if !self.progress.state.is_active() {
            return None;
        }
        match self.progress.services.get(change as usize)? {
            ServiceState::Advancing(Run::Verifying { attempt, doubt, .. })
            | ServiceState::Retreating(Retreat::Running(Run::Verifying { attempt, doubt, .. })) => {
                is_all_that_is_missing(doubt).then(|| Occasion::Run(attempt.request.clone()))
            }
            ServiceState::Checking(checking) => {
                is_all_that_is_missing(&checking.doubt).then_some(Occasion::Check(checking.asked_at))
            }
            ServiceState::Healthy { .. } | ServiceState::Unhealthy { .. } => {
                matches!(self.progress.state, State::Running | State::Paused { .. })
                    .then_some(Occasion::After)
            }
            ServiceState::Waiting { .. }
            | ServiceState::Advancing(Run::Syncing { .. } | Run::Retrying { .. })
            | ServiceState::Failed { .. }
            | ServiceState::Skipped { .. }
            | ServiceState::Retreating(_)
            | ServiceState::RolledBack { .. }
            | ServiceState::RollbackFailed { .. }
            | ServiceState::Kept { .. } => None,
        }
    }
}

/// Whether Argo CD's facts leave nothing open, so that an answer is that of the pods that are meant.
fn is_all_that_is_missing(doubt: &Doubt) -> bool {
    match doubt {
        Doubt::Unchecked { .. } | Doubt::CheckFails { .. } | Doubt::Stabilising => true,
        Doubt::Unread
        | Doubt::Stale
        | Doubt::OldSpec
        | Doubt::OtherRevision
        | Doubt::OutOfSync
        | Doubt::NotCompared { .. }
        | Doubt::OtherOperation
        | Doubt::Uncleared
        | Doubt::Health { .. }
        | Doubt::Missing => false,
    }
}
