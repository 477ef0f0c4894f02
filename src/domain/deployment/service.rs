//! The states of a service in a deployment. Each carries the data that only it has.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::application::HealthStatus;
use crate::domain::gate::{Doubt, SyncSeen};
use crate::domain::names::{RequestId, Revision};

/// Where one service (or the shared part) stands in a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ServiceState {
    /// Its turn has not come.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
    /// Not touched by this deployment, yet others wait for it: a fresh comparison was asked for.
    Checking(Checking),
    /// A sync to the target revision is on its way to a verdict.
    Advancing(Run),
    /// It has its verdict: healthy at the target revision (or unchanged and healthy, when not touched).
    Healthy {
        /// Since when.
        since: Timestamp,
    },
    /// It lost its health after the verdict. Holds back its dependants.
    Unhealthy {
        /// Since when.
        since: Timestamp,
        /// When it counts as failed.
        deadline: Timestamp,
        /// What Argo CD says.
        health: HealthStatus,
        /// How its own health check fails, where it is that which does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check: Option<String>,
    },
    /// It did not become healthy, in all its attempts.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Not done in this deployment, and nothing waits for it.
    Skipped {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Skip,
    },
    /// It is being taken back.
    Retreating(Retreat),
    /// Back at the revision that it last ran healthily.
    RolledBack {
        /// When.
        at: Timestamp,
        /// The revision it is at.
        to: Revision,
    },
    /// It could not be taken back.
    RollbackFailed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// It was advanced and is left as it is.
    Kept {
        /// When that was decided.
        at: Timestamp,
        /// Why.
        reason: Keep,
    },
}

impl ServiceState {
    /// Its stable name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Checking(_) => "checking",
            Self::Advancing(run) => run.word(),
            Self::Healthy { .. } => "healthy",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Retreating(retreat) => match retreat {
                Retreat::Waiting { .. } => "rollback-waiting",
                Retreat::Stopping { .. } => "rollback-stopping",
                Retreat::Running(run) => match run {
                    Run::Syncing { .. } => "rollback-syncing",
                    Run::Verifying { .. } => "rollback-verifying",
                    Run::Retrying { .. } => "rollback-retrying",
                },
            },
            Self::RolledBack { .. } => "rolled-back",
            Self::RollbackFailed { .. } => "rollback-failed",
            Self::Kept { .. } => "kept",
        }
    }

    /// Why it failed.
    pub fn failure(&self) -> Option<&str> {
        if let Self::Failed { reason, .. } = self { Some(reason) } else { None }
    }

    /// How far it is on its way back.
    pub fn retreat(&self) -> Option<&Retreat> {
        if let Self::Retreating(retreat) = self { Some(retreat) } else { None }
    }

    /// The sync that is on its way to a verdict, in either direction, or between two attempts.
    pub fn run(&self) -> Option<&Run> {
        if let Self::Advancing(run) | Self::Retreating(Retreat::Running(run)) = self {
            Some(run)
        } else {
            None
        }
    }

    /// Its next forward attempt, where one is to come: its number, and since when it is due or will be.
    pub(super) fn next_attempt(&self) -> Option<(u32, Timestamp)> {
        match self {
            Self::Waiting { since } => Some((1, *since)),
            Self::Advancing(Run::Retrying { failed, at, .. }) => Some((failed + 1, *at)),
            Self::Advancing(_)
            | Self::Checking(_)
            | Self::Healthy { .. }
            | Self::Unhealthy { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Retreating(_)
            | Self::RolledBack { .. }
            | Self::RollbackFailed { .. }
            | Self::Kept { .. } => None,
        }
    }

    /// Whether facts about its Application can move it.
    pub fn is_watched(&self) -> bool {
        match self {
            Self::Checking(_)
            | Self::Advancing(_)
            | Self::Healthy { .. }
            | Self::Unhealthy { .. }
            | Self::Retreating(Retreat::Stopping { .. } | Retreat::Running(_)) => true,
            Self::Waiting { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Retreating(Retreat::Waiting { .. })
            | Self::RolledBack { .. }
            | Self::RollbackFailed { .. }
            | Self::Kept { .. } => false,
        }
    }

    /// Whether those that wait for it may go on.
    pub fn passes(&self) -> bool {
        match self {
            Self::Healthy { .. } | Self::Skipped { reason: Skip::Person { .. } | Skip::Untouched, .. } => {
                true
            }
            Self::Waiting { .. }
            | Self::Checking(_)
            | Self::Advancing(_)
            | Self::Unhealthy { .. }
            | Self::Failed { .. }
            | Self::Skipped {
                reason: Skip::Quarantined { .. } | Skip::Blocked { .. } | Skip::Ended, ..
            }
            | Self::Retreating(_)
            | Self::RolledBack { .. }
            | Self::RollbackFailed { .. }
            | Self::Kept { .. } => false,
        }
    }

    /// Whether nothing more happens to it in this deployment, short of a person's command.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Healthy { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::RolledBack { .. }
            | Self::RollbackFailed { .. }
            | Self::Kept { .. } => true,
            Self::Waiting { .. }
            | Self::Checking(_)
            | Self::Advancing(_)
            | Self::Unhealthy { .. }
            | Self::Retreating(_) => false,
        }
    }

    /// Whether a person's wish to try it again makes sense: it failed, or pauses before its next attempt.
    pub fn can_be_retried(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Advancing(Run::Retrying { .. }) => true,
            Self::Waiting { .. }
            | Self::Checking(_)
            | Self::Advancing(_)
            | Self::Healthy { .. }
            | Self::Unhealthy { .. }
            | Self::Skipped { .. }
            | Self::Retreating(_)
            | Self::RolledBack { .. }
            | Self::RollbackFailed { .. }
            | Self::Kept { .. } => false,
        }
    }

    /// Since when it has been as it is, where that is known.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting { since }
            | Self::Healthy { since }
            | Self::Unhealthy { since, .. }
            | Self::Retreating(Retreat::Waiting { since }) => Some(*since),
            Self::Checking(checking) => Some(checking.asked_at),
            Self::Advancing(run) | Self::Retreating(Retreat::Running(run)) => {
                run.attempt().map(|attempt| attempt.requested_at)
            }
            Self::Failed { at, .. }
            | Self::Skipped { at, .. }
            | Self::RolledBack { at, .. }
            | Self::RollbackFailed { at, .. }
            | Self::Kept { at, .. } => Some(*at),
            Self::Retreating(Retreat::Stopping { .. }) => None,
        }
    }

    /// Whether a sync of ours is on its way to a verdict, in either direction.
    pub fn in_flight(&self) -> bool {
        self.run().is_some_and(Run::in_flight) || matches!(self.retreat(), Some(Retreat::Stopping { .. }))
    }
}

/// One sync, from its request to its verdict, with its retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "kebab-case")]
pub enum Run {
    /// Requested; the operation has not ended.
    Syncing {
        /// What was asked for.
        attempt: Attempt,
        /// What was last seen of the operation.
        seen: SyncSeen,
    },
    /// The operation succeeded; the verdict on its health is not in.
    Verifying {
        /// What was asked for.
        attempt: Attempt,
        /// When the operation finished, by Argo CD's clock.
        finished_at: Timestamp,
        /// The refreshes that make the verdict fresh.
        refresh: Refresh,
        /// Since when it has been healthy without a break; none while it is not.
        healthy_since: Option<Timestamp>,
        /// Since when it has been degraded without a break.
        degraded_since: Option<Timestamp>,
        /// What keeps the verdict open.
        doubt: Doubt,
    },
    /// An attempt failed; the next one comes.
    Retrying {
        /// How many failed so far.
        failed: u32,
        /// When the next one starts.
        at: Timestamp,
        /// Why the last one failed.
        reason: String,
    },
}

impl Run {
    /// Its stable name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Syncing { .. } => "syncing",
            Self::Verifying { .. } => "verifying",
            Self::Retrying { .. } => "retrying",
        }
    }

    /// Whether an attempt is under way.
    pub fn in_flight(&self) -> bool {
        match self {
            Self::Syncing { .. } | Self::Verifying { .. } => true,
            Self::Retrying { .. } => false,
        }
    }

    /// The attempt that is under way.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Syncing { attempt, .. } | Self::Verifying { attempt, .. } => Some(attempt),
            Self::Retrying { .. } => None,
        }
    }
}

/// One request for a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Our id for it.
    pub request: RequestId,
    /// Which attempt, from 1.
    pub number: u32,
    /// The commit.
    pub revision: Revision,
    /// When it was requested, by our clock.
    pub requested_at: Timestamp,
    /// When it counts as failed.
    pub deadline: Timestamp,
}

/// When to ask for the next comparison, and how often that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// When the next one is due.
    pub due: Timestamp,
    /// How many were asked for.
    pub asked: u32,
}

impl Refresh {
    /// The first one, so long after `from`.
    pub fn after(from: Timestamp, pause: SignedDuration) -> Self {
        Self { due: later(from, pause), asked: 0 }
    }

    /// Notes that one was asked for. The next is due after a pause that doubles, up to 32 times the first.
    pub fn ask(&mut self, now: Timestamp, pause: SignedDuration) {
        let factor = 1 << self.asked.min(5);
        self.asked = self.asked.saturating_add(1);
        self.due = later(now, pause * factor);
    }
}

/// The check of a service that this deployment does not touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checking {
    /// When the first refresh was asked for: only a comparison that began later counts.
    pub asked_at: Timestamp,
    /// When it counts as failed.
    pub deadline: Timestamp,
    /// The refreshes.
    pub refresh: Refresh,
    /// What keeps the verdict open.
    pub doubt: Doubt,
}

/// The way back of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "retreat", rename_all = "kebab-case")]
pub enum Retreat {
    /// Those that depend on it go first.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
    /// Its forward operation may still be running and is being stopped.
    Stopping {
        /// The operation that is to stop.
        request: RequestId,
        /// What was last seen of it.
        seen: SyncSeen,
        /// When the rollback is tried regardless.
        deadline: Timestamp,
    },
    /// A sync to the earlier revision is on its way to a verdict.
    Running(Run),
}

/// Why a service was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Skip {
    /// Nothing of it changed, and nothing waits for it.
    Untouched,
    /// It failed before with this very content and nobody asked for it again.
    Quarantined {
        /// Why it failed then.
        reason: String,
    },
    /// Something before it failed.
    Blocked {
        /// What.
        by: String,
    },
    /// The deployment ended before its turn.
    Ended,
    /// Somebody decided so. Counts as done for those that wait for it.
    Person {
        /// Who.
        by: String,
    },
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Untouched => f.write_str("untouched, and nothing waits for it"),
            Self::Quarantined { reason } => {
                write!(f, "quarantined: it failed with this content before ({reason})")
            }
            Self::Blocked { by } => write!(f, "{by} is not healthy"),
            Self::Ended => f.write_str("the deployment ended before its turn"),
            Self::Person { by } => write!(f, "skipped by {by}"),
        }
    }
}

/// Why a service was advanced and not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// It never ran healthily before: there is nothing to go back to, and nothing is ever deleted.
    NoEarlierRevision,
    /// Its values say `rollback.enabled: false`.
    RollbackDisabled,
    /// The deployment ended before its verdict.
    NoVerdict,
}

impl std::fmt::Display for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoEarlierRevision => "no earlier healthy revision to go back to",
            Self::RollbackDisabled => "rollback is switched off for it",
            Self::NoVerdict => "the deployment ended before its verdict",
        })
    }
}

/// A moment so long after another one; the end of time where it would lie beyond.
pub(crate) fn later(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}
