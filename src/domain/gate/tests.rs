//! What facts prove, case by case.

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
        ("not picked up", requested(Some("ours")), None, [open(SyncSeen::Pending), open(SyncSeen::Pending)]),
        ("another request", requested(None), None, [open(SyncSeen::OtherOperation), Progress::Lost]),
        ("another one runs", None, other(Phase::Running), [open(SyncSeen::OtherOperation), Progress::Lost]),
        ("another one has ended", None, other(Phase::Succeeded), [open(SyncSeen::Nothing), Progress::Lost]),
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
