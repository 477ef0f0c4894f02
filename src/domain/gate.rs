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
mod tests {
    use super::*;
    use crate::domain::application::{Comparison, Health, Requested};

    /// So many seconds after twelve o'clock.
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_788_264_000 + second).unwrap()
    }

    fn revision(digit: char) -> Revision {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn operation(request: Option<&str>, phase: Phase, finished: Option<i64>, to: Option<char>) -> Operation {
        Operation {
            request: request.map(|request| request.parse().unwrap()),
            phase,
            message: String::new(),
            started_at: at(50),
            finished_at: finished.map(at),
            revision: to.map(revision),
        }
    }

    /// Our operation to revision b finished at :57; a comparison of :58 shows it healthy.
    fn proven() -> Application {
        Application {
            name: "c-web".parse().unwrap(),
            resource_version: 1,
            pinned: Some(revision('b')),
            requested: None,
            operation: Some(operation(Some("ours"), Phase::Succeeded, Some(57), Some('b'))),
            sync: Comparison { status: SyncStatus::Synced, revision: Some(revision('b')), current: true },
            health: Health { status: HealthStatus::Healthy, message: String::new() },
            reconciled_at: Some(at(58)),
            refresh_pending: false,
            condition: None,
            check: None,
        }
    }

    type Case = (&'static str, fn(&mut Application), &'static str);

    /// What is told of the proven Application after a change of it; nothing where it passes.
    fn check(judge: fn(&Application) -> Result<(), Doubt>, cases: &[Case]) {
        for (what, change, expected) in cases {
            let mut app = proven();
            change(&mut app);
            let told = judge(&app).err().map(|doubt| doubt.to_string()).unwrap_or_default();
            assert_eq!(&told, expected, "{what}");
        }
    }

    const STALE: &str = "its health is from before the sync; waiting for a fresh comparison";
    const ELSEWHERE: &str = "it was compared at another revision";
    const OTHERS: &str = "somebody else's operation is running on it";

    /// What holds for a verdict after our operation and for the look at an untouched service alike.
    const ALIKE: &[Case] = &[
        ("proven", |_| {}, ""),
        ("never compared", |app| app.reconciled_at = None, STALE),
        ("compared before", |app| app.reconciled_at = Some(at(56)), STALE),
        ("equal timestamps prove nothing", |app| app.reconciled_at = Some(at(57)), STALE),
        ("an older spec", |app| app.sync.current = false, "it was compared with an older spec"),
        ("at another revision", |app| app.sync.revision = Some(revision('a')), ELSEWHERE),
        ("OutOfSync", |app| app.sync.status = SyncStatus::OutOfSync, "it is OutOfSync"),
        (
            "not comparable",
            |app| (app.sync.status, app.condition) = (SyncStatus::Unknown, Some("no chart".into())),
            "it cannot be compared: no chart",
        ),
        ("suspended", |app| app.health.status = HealthStatus::Suspended, "it is Suspended"),
        ("progressing", |app| app.health.status = HealthStatus::Progressing, "it is Progressing"),
        ("missing", |app| app.health.status = HealthStatus::Missing, "it is Missing"),
        ("degraded", |app| app.health.status = HealthStatus::Degraded, "it is Degraded"),
        ("unknown health", |app| app.health.status = HealthStatus::Unknown, "it is Unknown"),
        ("its check passes", |app| app.check = Some(Verdict::Passing), ""),
        (
            "its check was not made",
            |app| app.check = Some(Verdict::untried()),
            "its health check has not passed yet: no attempt has ended",
        ),
        (
            "its check does not pass",
            |app| app.check = Some(Verdict::Unknown { reason: "GET /health answered 503".into() }),
            "its health check has not passed yet: GET /health answered 503",
        ),
        (
            "its check fails",
            |app| app.check = Some(Verdict::Failing { reason: "GET /health answered 503".into() }),
            "its health check fails: GET /health answered 503",
        ),
        (
            "what Argo CD says comes first",
            |app| {
                app.health.status = HealthStatus::Progressing;
                app.check = Some(Verdict::Failing { reason: "GET /health answered 503".into() });
            },
            "it is Progressing",
        ),
        (
            "a check proves nothing of old health",
            |app| (app.reconciled_at, app.check) = (Some(at(57)), Some(Verdict::Passing)),
            STALE,
        ),
        (
            "somebody else asks for an operation",
            |app| app.requested = Some(Requested { request: None, revision: None }),
            OTHERS,
        ),
        (
            "somebody else's operation runs",
            |app| app.operation = Some(operation(None, Phase::Running, None, None)),
            OTHERS,
        ),
        (
            "somebody else's operation ended after the comparison",
            |app| app.operation = Some(operation(None, Phase::Succeeded, Some(58), Some('b'))),
            STALE,
        ),
        (
            "somebody else's operation ended before it",
            |app| app.operation = Some(operation(None, Phase::Succeeded, Some(57), Some('b'))),
            "",
        ),
    ];

    #[test]
    fn a_verdict_counts_only_after_a_comparison_that_began_after_our_operation() {
        let judge = |app: &Application| verdict(app, &revision('b'), at(57));
        check(judge, ALIKE);
        check(
            judge,
            &[
                (
                    "as recorded: the old health in the second of the end",
                    |app| {
                        app.reconciled_at = Some(at(57));
                        app.sync.status = SyncStatus::OutOfSync;
                    },
                    STALE,
                ),
                (
                    "as recorded, a tenth of a second later",
                    |app| {
                        app.reconciled_at = Some(at(57));
                        app.health.status = HealthStatus::Progressing;
                    },
                    STALE,
                ),
                ("pinned elsewhere", |app| app.pinned = Some(revision('a')), ELSEWHERE),
                ("not pinned at all", |app| app.pinned = None, ""),
                (
                    "compared with the head of a branch",
                    |app| (app.pinned, app.sync.revision) = (None, Some(revision('c'))),
                    "",
                ),
                (
                    "on a branch, and brought elsewhere since",
                    |app| {
                        (app.pinned, app.sync.revision) = (None, Some(revision('c')));
                        app.operation = Some(operation(None, Phase::Succeeded, Some(57), Some('c')));
                    },
                    ELSEWHERE,
                ),
                (
                    "an operation that ended and is not cleared",
                    |app| {
                        let request = Some("ours".parse().unwrap());
                        app.requested = Some(Requested { request, revision: None });
                    },
                    "Argo CD has not cleared the operation that ended on it",
                ),
            ],
        );
    }

    #[test]
    fn an_untouched_service_counts_after_a_comparison_that_began_after_it_was_asked_for() {
        check(|app| untouched(app, Some(&revision('b')), at(57)), ALIKE);
        check(
            |app| untouched(app, None, at(57)),
            &[
                ("where it should be is not known", |app| app.sync.revision = Some(revision('a')), ""),
                ("a refresh is still to come", |app| app.refresh_pending = true, STALE),
            ],
        );
    }

    #[test]
    fn an_operation_is_ours_by_its_id_and_good_at_our_revision() {
        let requested = |request: Option<&str>| {
            Some(Requested { request: request.map(|id| id.parse().unwrap()), revision: None })
        };
        let ours = |phase, finished, to| Some(operation(Some("ours"), phase, finished, to));
        let other = |phase| Some(operation(None, phase, Some(57), Some('b')));
        let with = |message: &str, operation: Option<Operation>| {
            operation.map(|operation| Operation { message: message.into(), ..operation })
        };
        let failed = |reason: &str| Progress::Failed { reason: reason.into() };
        let open = Progress::Open;
        let cases = [
            ("nothing there", None, None, [open(SyncSeen::Nothing), Progress::Lost]),
            (
                "not picked up",
                requested(Some("ours")),
                None,
                [open(SyncSeen::Pending), open(SyncSeen::Pending)],
            ),
            ("another request", requested(None), None, [open(SyncSeen::OtherOperation), Progress::Lost]),
            (
                "another one runs",
                None,
                other(Phase::Running),
                [open(SyncSeen::OtherOperation), Progress::Lost],
            ),
            (
                "another one has ended",
                None,
                other(Phase::Succeeded),
                [open(SyncSeen::Nothing), Progress::Lost],
            ),
            (
                "running",
                requested(Some("ours")),
                ours(Phase::Running, None, None),
                [open(SyncSeen::Running), open(SyncSeen::Running)],
            ),
            (
                "running with an end is a retry to come",
                None,
                ours(Phase::Running, Some(55), None),
                [open(SyncSeen::Retrying), open(SyncSeen::Retrying)],
            ),
            (
                "a window",
                None,
                with("Sync operation blocked by sync window", ours(Phase::Running, None, None)),
                [open(SyncSeen::WindowClosed), open(SyncSeen::WindowClosed)],
            ),
            (
                "being stopped",
                None,
                ours(Phase::Terminating, None, None),
                [open(SyncSeen::Terminating), open(SyncSeen::Terminating)],
            ),
            (
                "failed",
                None,
                with("no such kind", ours(Phase::Failed, Some(57), Some('b'))),
                [failed("the sync failed: no such kind"), failed("the sync failed: no such kind")],
            ),
            (
                "an error that says nothing",
                None,
                ours(Phase::Error, Some(57), None),
                [failed("the sync failed: no message"), failed("the sync failed: no message")],
            ),
            (
                "synced something else",
                None,
                ours(Phase::Succeeded, Some(57), Some('a')),
                [
                    failed("the sync ended at aaaaaaaa instead of bbbbbbbb"),
                    failed("the sync ended at aaaaaaaa instead of bbbbbbbb"),
                ],
            ),
            (
                "succeeded without an end",
                None,
                ours(Phase::Succeeded, None, Some('b')),
                [open(SyncSeen::Running), open(SyncSeen::Running)],
            ),
            (
                "succeeded",
                None,
                ours(Phase::Succeeded, Some(57), Some('b')),
                [Progress::Succeeded { finished_at: at(57) }, Progress::Succeeded { finished_at: at(57) }],
            ),
        ];
        for (what, requested, operation, expected) in cases {
            let app = Application { requested, operation, ..proven() };
            let ours = "ours".parse().unwrap();
            let found = [false, true].map(|known| progress(&app, &ours, &revision('b'), known));
            assert_eq!(found, expected, "{what}, unknown and known before");
        }
    }
}
