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
use super::probe::Verdict;

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
    /// An operation has ended, and Argo CD does not clear the request for it: nothing new can be asked for.
    Uncleared,
    /// It is not healthy.
    Health {
        /// What it is instead.
        status: HealthStatus,
    },
    /// Healthy, as far as Argo CD can see; its own health check has not said so.
    Unchecked {
        /// What was seen of it last.
        reason: String,
    },
    /// Healthy, as far as Argo CD can see; its own health check fails.
    CheckFails {
        /// How.
        reason: String,
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
    /// Its stable name, for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Stale => "stale",
            Self::OldSpec => "old-spec",
            Self::OtherRevision => "other-revision",
            Self::OutOfSync => "out-of-sync",
            Self::NotCompared { .. } => "not-compared",
            Self::OtherOperation => "other-operation",
            Self::Uncleared => "uncleared",
            Self::Health { .. } => "health",
            Self::Unchecked { .. } => "unchecked",
            Self::CheckFails { .. } => "check-fails",
            Self::Stabilising => "stabilising",
            Self::Missing => "missing",
        }
    }

    /// Whether only a pause keeps the verdict open: everything before health is proven.
    pub fn is_suspended(&self) -> bool {
        matches!(self, Self::Health { status: HealthStatus::Suspended })
    }

    /// Whether asking again could settle it. Health moves by itself, but for a pause that somebody has to end.
    pub fn wants_refresh(&self) -> bool {
        match self {
            Self::Health { status } => *status == HealthStatus::Suspended,
            Self::Unread
            | Self::Stale
            | Self::OldSpec
            | Self::OtherRevision
            | Self::OutOfSync
            | Self::NotCompared { .. } => true,
            Self::OtherOperation
            | Self::Uncleared
            | Self::Unchecked { .. }
            | Self::CheckFails { .. }
            | Self::Stabilising
            | Self::Missing => false,
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
            Self::Uncleared => f.write_str("Argo CD has not cleared the operation that ended on it"),
            Self::Health { status } => write!(f, "it is {status}"),
            Self::Unchecked { reason } => write!(f, "its health check has not passed yet: {reason}"),
            Self::CheckFails { reason } => write!(f, "its health check fails: {reason}"),
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
    free(app)?;
    if app.pinned.as_ref().is_some_and(|pinned| pinned != revision) {
        return Err(Doubt::OtherRevision);
    }
    fresh(app, finished_at.max(last_finish(app)))?;
    if app.sync.revision.as_ref() == Some(revision) {
        return settled(app);
    }
    // Who follows a branch is compared with its head, whatever was synced. Then the last operation, whoever's,
    // must have brought it to our commit, and only health counts.
    let last = app.operation.as_ref().and_then(|operation| operation.revision.as_ref());
    if app.pinned.is_none() && last == Some(revision) { healthy(app) } else { Err(Doubt::OtherRevision) }
}

/// Judges a service that this deployment does not touch: a comparison that began after `asked_at` shows it
/// unchanged (where its revision is known) and healthy.
///
/// # Errors
/// The first thing that keeps the verdict open.
pub fn untouched(app: &Application, expected: Option<&Revision>, asked_at: Timestamp) -> Result<(), Doubt> {
    free(app)?;
    if app.refresh_pending {
        return Err(Doubt::Stale);
    }
    fresh(app, asked_at.max(last_finish(app)))?;
    // Who follows a branch is compared with its head: Synced there, it has nothing new to run.
    if let (Some(expected), Some(compared), Some(_)) = (expected, &app.sync.revision, &app.pinned)
        && expected != compared
    {
        return Err(Doubt::OtherRevision);
    }
    settled(app)
}

/// Nothing is requested or running on it.
fn free(app: &Application) -> Result<(), Doubt> {
    let ended = app.operation.as_ref().filter(|operation| operation.is_finished());
    match (&app.requested, ended) {
        (Some(requested), Some(ended))
            if requested.request.is_some() && requested.request == ended.request =>
        {
            Err(Doubt::Uncleared)
        }
        _ if app.is_busy() => Err(Doubt::OtherOperation),
        _ => Ok(()),
    }
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
    healthy(app)
}

fn healthy(app: &Application) -> Result<(), Doubt> {
    match app.health.status {
        HealthStatus::Healthy => checked(app),
        status @ (HealthStatus::Suspended
        | HealthStatus::Progressing
        | HealthStatus::Missing
        | HealthStatus::Degraded
        | HealthStatus::Unknown) => Err(Doubt::Health { status }),
    }
}

/// What its own health check adds, where one is made.
fn checked(app: &Application) -> Result<(), Doubt> {
    match &app.check {
        None | Some(Verdict::Passing) => Ok(()),
        Some(Verdict::Unknown { reason }) => Err(Doubt::Unchecked { reason: reason.clone() }),
        Some(Verdict::Failing { reason }) => Err(Doubt::CheckFails { reason: reason.clone() }),
    }
}

#[cfg(test)]
mod tests;
