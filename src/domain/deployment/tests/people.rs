//! What people and newer commits want, and what people are told.

use super::*;

#[test]
fn a_newer_commit_lets_those_in_flight_finish_and_starts_no_more() {
    check(
        brief(SHOP, policy()),
        "0 start\n 1 db running\n 2 superseded\n 5 db healthy",
        "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        2 *: running -> stopping
        5 db: syncing -> verifying
        5 db: verifying -> healthy
        5 api: waiting -> skipped
        5 web: waiting -> skipped
        5 *: stopping -> superseded
        5 ! remember db at b",
    );
    check(
        brief(SHOP, policy()),
        "0 superseded\n 1 start",
        "
        0 *: queued -> superseded",
    );
}

#[test]
fn a_pause_starts_nothing_and_watches_what_is_in_flight() {
    check(
        brief(SHOP, policy()),
        "
        0 start
        1 pause
        3 db healthy
        9 tick
        10 resume",
        "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        1 *: running -> paused
        3 db: syncing -> verifying
        3 db: verifying -> healthy
        3 ! remember db at b
        10 *: paused -> running
        10 api: waiting -> syncing
        10 ! sync d.api.1 to b",
    );
}

#[test]
fn an_abort_stops_what_runs_even_if_it_was_not_picked_up_yet() {
    check(
        brief("db 0 sync a\n api 0 sync a\n web 0 sync a", policy()),
        "
        0 start
        1 db pending
        1 api progressing
        2 abort
        3 web gone
        4 db running
        5 db failed
        6 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 api: waiting -> syncing
        0 web: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.api.1 to b
        0 ! sync d.web.1 to b
        1 api: syncing -> verifying
        2 api: verifying -> kept
        2 *: running -> stopping
        2 ! terminate d.db.1
        2 ! terminate d.web.1
        3 web: syncing -> kept
        4 ! terminate d.db.1
        5 db: syncing -> kept
        5 *: stopping -> aborted",
    );
}

#[test]
fn an_approval_is_bound_to_the_plan_that_was_looked_at() {
    let brief = || brief("db 0 sync a", Policy { needs_approval: true, ..policy() });
    let deployment = check(
        brief(),
        "
        0 start
        1 approve fedcba98
        2 approve 0123
        3 approve 01234567
        4 approve 01234567",
        "
        0 *: queued -> awaiting-approval
        3 *: awaiting-approval -> running
        3 db: waiting -> syncing
        3 ! sync d.db.1 to b",
    );
    let again = deployment.accepts(&Command::Approve { plan: None });
    assert_eq!(again, Err("the deployment is running; this needs one that is awaiting approval".into()));
    check(
        brief(),
        "0 start\n 1 reject\n 2 approve 01234567",
        "
        0 *: queued -> awaiting-approval
        1 *: awaiting-approval -> rejected",
    );
}

#[test]
fn those_behind_a_skipped_service_go_on() {
    check(
        brief(SHOP, Policy { on_failure: OnFailure::Continue, ..policy() }),
        "
        0 start
        1 pause
        2 db failed
        3 skip db
        4 resume",
        "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        1 *: running -> paused
        2 db: syncing -> failed
        2 ! quarantine db
        3 db: failed -> skipped
        4 *: paused -> running
        4 api: waiting -> syncing
        4 ! sync d.api.1 to b",
    );
}

#[test]
fn each_unfinished_service_has_one_blocker_that_says_why() {
    let plan = "
        base - leave a
        db 0 sync a base
        cache 0 sync a base
        api 1 sync a db
        web 2 sync a api";
    let limit = Policy { max_in_flight: 1, rollback_threshold: 2, ..policy() };
    let told = |script: &str| -> Vec<String> {
        let play = Play::of(brief(plan, limit.clone())).run(script);
        let blockers = play.deployment.blockers();
        blockers.iter().map(|(name, blocker)| format!("{name}: {} ({blocker})", blocker.word())).collect()
    };
    let stories = [
        ("0 superseded", vec![]),
        (
            "0 start",
            vec![
                "db: sync (the request has not reached its Application since 12:00:00Z, given up at 12:01:40Z)",
                "cache: concurrency-limit (1 services are under way, which is the limit)",
                "api: dependency (waits for db, which is syncing since 12:00:00Z)",
                "web: dependency (waits for api, which is waiting since 12:00:00Z)",
            ],
        ),
        (
            "0 start\n 1 db synced",
            vec![
                "db: stale-health (its health is from before the sync; waiting for a fresh comparison, given up at 12:01:40Z)",
                "cache: concurrency-limit (1 services are under way, which is the limit)",
                "api: dependency (waits for db, which is verifying since 12:00:00Z)",
                "web: dependency (waits for api, which is waiting since 12:00:00Z)",
            ],
        ),
        (
            "0 start\n 1 db failed",
            vec![
                "db: retry (attempt 2 starts at 12:00:11Z (the sync failed: no such kind))",
                "cache: sync (the request has not reached its Application since 12:00:01Z, given up at 12:01:41Z)",
                "api: dependency (waits for db, which is retrying)",
                "web: dependency (waits for api, which is waiting since 12:00:00Z)",
            ],
        ),
        (
            "0 start\n 1 db healthy\n 2 db degraded\n 3 cache window",
            vec![
                "db: unhealthy (turned Degraded at 12:00:02Z after its verdict, given up at 12:01:42Z)",
                "cache: sync-window (a sync window is closed since 12:00:01Z, and waited for)",
                "api: dependency (waits for db, which is unhealthy since 12:00:02Z)",
                "web: dependency (waits for api, which is waiting since 12:00:00Z)",
            ],
        ),
        (
            "0 start\n 1 pause",
            vec![
                "db: sync (the request has not reached its Application since 12:00:00Z, given up at 12:01:40Z)",
                "cache: paused (paused by bob since 12:00:01Z)",
                "api: paused (paused by bob since 12:00:01Z)",
                "web: paused (paused by bob since 12:00:01Z)",
            ],
        ),
    ];
    for (script, expected) in stories {
        let expected: Vec<&str> = expected;
        assert_eq!(told(script), expected, "{script}");
    }
}

#[test]
fn what_failed_is_tried_again_when_somebody_wants_it_and_what_was_blocked_with_it() {
    let plan = || {
        brief(
            "db 0 sync a\n cache 0 sync a\n api 1 sync a db",
            Policy { on_failure: OnFailure::Continue, ..policy() },
        )
    };
    let deployment = check(
        plan(),
        "
        0 start
        1 db failed
        2 retry cache
        3 retry db
        5 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 cache: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.cache.1 to b
        1 db: syncing -> failed
        1 ! quarantine db
        1 api: waiting -> skipped
        3 db: failed -> waiting
        3 api: skipped -> waiting
        3 db: waiting -> syncing
        3 ! sync d.db.2 to b
        5 db: syncing -> verifying
        5 db: verifying -> healthy
        5 api: waiting -> syncing
        5 ! remember db at b
        5 ! sync d.api.1 to b",
    );
    let refused = deployment.accepts(&Command::Retry { service: Some("cache".into()) });
    assert_eq!(refused, Err("cache is syncing; only what failed can be tried again".into()));
    let unknown = deployment.accepts(&Command::Retry { service: Some("cash".into()) });
    assert_eq!(unknown, Err("the deployment has no service \"cash\"".into()));
    check(
        plan(),
        "
        0 start
        1 db failed
        3 skip db",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 cache: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.cache.1 to b
        1 db: syncing -> failed
        1 ! quarantine db
        1 api: waiting -> skipped
        3 db: failed -> skipped
        3 api: skipped -> waiting
        3 api: waiting -> syncing
        3 ! sync d.api.1 to b",
    );
}
