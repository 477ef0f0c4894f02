//! What the facts about an Application prove, and what they do not.
//!
//! The gate is never fooled by old health. A verdict counts only for *our* operation, at *our* revision,
//! compared against the current spec, reconciled after the operation finished. Argo CD's timestamps have whole
//! seconds and the comparison takes its time *before* it compares, so equal timestamps prove nothing
//! (Argo CD's `reconciledAt` and `finishedAt`, as recorded on release 3.2.11).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::application::{Application, BLOCKED_BY_WINDOW, HealthStatus, Operation, Phase, SyncStatus};
use super::names::{RequestId, Revision};

/// What is seen of an operation that we asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncSeen {
    /// Nothing yet: the request is not on the Application.
    Nothing,
    /// The request is there and waits to be picked up.
    Pending,
    /// It runs.
    Running,
    /// Argo CD itself retries it.
    Retrying,
    /// A sync window holds it back.
    WindowClosed,
    /// An operation of somebody else is in the way.
    OtherOperation,
    /// It is being stopped.
    Terminating,
}

/// What became of an operation that we asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It has not ended.
    Open(SyncSeen),
    /// It succeeded at the revision asked for.
    Succeeded {
        /// When, by Argo CD's clock.
        finished_at: Timestamp,
    },
    /// It failed, or was stopped, or synced something else.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was on the Application and is not any more; another one took its place.
    Lost,
}

/// Judges the operation with our id.
///
/// `known` says whether the request was seen on the Application before: only then can it be lost.
pub fn progress(app: &Application, request: &RequestId, revision: &Revision, known: bool) -> Progress {
    let ours = |operation: &&Operation| operation.request.as_ref() == Some(request);
    if let Some(operation) = app.operation.as_ref().filter(ours) {
        return of_operation(operation, revision);
    }
    match &app.requested {
        Some(requested) if requested.request.as_ref() == Some(request) => Progress::Open(SyncSeen::Pending),
        // Ours was there, and what is there now is not ours: it ended unseen, or was overwritten.
        Some(_) | None if known => Progress::Lost,
        Some(_) => Progress::Open(SyncSeen::OtherOperation),
        None if app.is_busy() => Progress::Open(SyncSeen::OtherOperation),
        None => Progress::Open(SyncSeen::Nothing),
    }
}

fn of_operation(operation: &Operation, revision: &Revision) -> Progress {
    match operation.phase {
        Phase::Running if operation.message.contains(BLOCKED_BY_WINDOW) => {
            Progress::Open(SyncSeen::WindowClosed)
        }
        Phase::Running if operation.is_retrying() => Progress::Open(SyncSeen::Retrying),
        Phase::Running => Progress::Open(SyncSeen::Running),
        Phase::Terminating => Progress::Open(SyncSeen::Terminating),
        Phase::Failed | Phase::Error => {
            let said = if operation.message.is_empty() { "no message" } else { &operation.message };
            Progress::Failed { reason: format!("the sync failed: {said}") }
        }
        Phase::Succeeded if operation.revision.as_ref() != Some(revision) => Progress::Failed {
            reason: match &operation.revision {
                Some(other) => format!("the sync ended at {} instead of {}", other.short(), revision.short()),
                None => format!(
                    "the sync ended without saying at which revision (asked for {})",
                    revision.short()
                ),
            },
        },
        Phase::Succeeded => match operation.finished_at {
            Some(finished_at) => Progress::Succeeded { finished_at },
            // A finished operation without the time proves nothing; Argo CD writes both at once.
            None => Progress::Open(SyncSeen::Running),
        },
    }
}

/// What keeps a verdict open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "doubt", rename_all = "kebab-case")]
pub enum Doubt {
    /// Nothing was read yet.
    Unread,
    /// The last comparison did not begin after the moment that matters.
    Stale,
    /// The comparison was made against an older spec.
    OldSpec,
    /// The comparison was at another commit.
    OtherRevision,
    /// The live state differs from the commit.
    OutOfSync,
    /// It could not be compared.
    NotCompared {
        /// What Argo CD says.
        message: String,
    },
    /// An operation of somebody else runs.
    OtherOperation,
    /// It is not healthy.
    Health {
        /// What it is instead.
        status: HealthStatus,
    },
    /// Healthy, and not for long enough yet.
    Stabilising,
    /// The Application does not exist.
    Missing,
}

impl SyncSeen {
    /// Whether it proves that our request reached the Application.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Nothing | Self::OtherOperation => false,
            Self::Pending | Self::Running | Self::Retrying | Self::WindowClosed | Self::Terminating => true,
        }
    }
}

impl std::fmt::Display for SyncSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "the request has not reached its Application",
            Self::Pending => "Argo CD has not picked the request up",
            Self::Running => "its sync is running",
            Self::Retrying => "its sync failed, and Argo CD retries it",
            Self::WindowClosed => "a sync window is closed",
            Self::OtherOperation => "somebody else's operation is running on it",
            Self::Terminating => "its sync is being stopped",
        })
    }
}

impl Doubt {
    /// Whether a fresh comparison could settle it. Health moves without one.
    pub fn wants_refresh(&self) -> bool {
        match self {
            Self::Unread
            | Self::Stale
            | Self::OldSpec
            | Self::OtherRevision
            | Self::OutOfSync
            | Self::NotCompared { .. } => true,
            Self::OtherOperation | Self::Health { .. } | Self::Stabilising | Self::Missing => false,
        }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unread => f.write_str("not read yet"),
            Self::Stale => f.write_str("its health is from before the sync; waiting for a fresh comparison"),
            Self::OldSpec => f.write_str("it was compared with an older spec"),
            Self::OtherRevision => f.write_str("it was compared at another revision"),
            Self::OutOfSync => f.write_str("it is OutOfSync"),
            Self::NotCompared { message } => write!(f, "it cannot be compared: {message}"),
            Self::OtherOperation => f.write_str("somebody else's operation is running on it"),
            Self::Health { status } => write!(f, "it is {status}"),
            Self::Stabilising => f.write_str("it is healthy, but not for long enough yet"),
            Self::Missing => f.write_str("its Application does not exist"),
        }
    }
}

/// Judges health after an operation of ours that succeeded: `Ok` when the facts prove it healthy now.
///
/// # Errors
/// The first thing that keeps the verdict open.
pub fn verdict(app: &Application, revision: &Revision, finished_at: Timestamp) -> Result<(), Doubt> {
    if app.is_busy() {
        return Err(Doubt::OtherOperation);
    }
    if app.pinned.as_ref().is_some_and(|pinned| pinned != revision) {
        return Err(Doubt::OtherRevision);
    }
    fresh(app, finished_at.max(last_finish(app)))?;
    if app.sync.revision.as_ref() != Some(revision) {
        return Err(Doubt::OtherRevision);
    }
    settled(app)
}

/// Judges a service that this deployment does not touch: a comparison that began after `asked_at` shows it
/// unchanged (where its revision is known) and healthy.
///
/// # Errors
/// The first thing that keeps the verdict open.
pub fn untouched(app: &Application, expected: Option<&Revision>, asked_at: Timestamp) -> Result<(), Doubt> {
    if app.is_busy() {
        return Err(Doubt::OtherOperation);
    }
    if app.refresh_pending {
        return Err(Doubt::Stale);
    }
    fresh(app, asked_at.max(last_finish(app)))?;
    if let (Some(expected), Some(compared)) = (expected, &app.sync.revision)
        && expected != compared
    {
        return Err(Doubt::OtherRevision);
    }
    settled(app)
}

/// When the last operation on it ended, whoever's that was: a comparison from before says nothing of what runs
/// now.
fn last_finish(app: &Application) -> Timestamp {
    app.operation.as_ref().and_then(|operation| operation.finished_at).unwrap_or(Timestamp::MIN)
}

fn fresh(app: &Application, since: Timestamp) -> Result<(), Doubt> {
    if app.reconciled_at.is_none_or(|reconciled| reconciled <= since) {
        return Err(Doubt::Stale);
    }
    if !app.sync.current {
        return Err(Doubt::OldSpec);
    }
    Ok(())
}

fn settled(app: &Application) -> Result<(), Doubt> {
    match app.sync.status {
        SyncStatus::Synced => {}
        SyncStatus::OutOfSync => return Err(Doubt::OutOfSync),
        SyncStatus::Unknown => {
            let message = app.condition.clone().unwrap_or_else(|| "no reason given".into());
            return Err(Doubt::NotCompared { message });
        }
    }
    match app.health.status {
        HealthStatus::Healthy => Ok(()),
        status @ (HealthStatus::Suspended
        | HealthStatus::Progressing
        | HealthStatus::Missing
        | HealthStatus::Degraded
        | HealthStatus::Unknown) => Err(Doubt::Health { status }),
    }
}
