//! The way forward: verdicts, attempts, and what waits for what.

use super::*;

#[test]
fn three_services_go_one_after_the_other() {
    check(
        brief(SHOP, policy()),
        "
        0 start
        1 db pending
        1 db running
        4 db synced
        5 tick
        6 db progressing
        9 db healthy
        11 api healthy
        12 web running
        13 web healthy
        14 web degraded",
        "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        4 db: syncing -> verifying
        5 ! refresh db
        9 db: verifying -> healthy
        9 api: waiting -> syncing
        9 ! remember db at b
        9 ! sync d.api.1 to b
        11 api: syncing -> verifying
        11 api: verifying -> healthy
        11 web: waiting -> syncing
        11 ! remember api at b
        11 ! sync d.web.1 to b
        13 web: syncing -> verifying
        13 web: verifying -> healthy
        13 *: running -> succeeded
        13 ! remember web at b",
    );
}

#[test]
fn what_follows_a_branch_is_kept_from_moving_before_its_turn() {
    let forward = Policy { upkeep: Upkeep::Forward, ..policy() };
    let played = check(
        brief(SHOP, forward),
        "
        0 start
        4 db healthy",
        "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 ! take over db
        0 ! take over api
        0 ! take over web
        0 ! sync d.db.1 to b
        4 db: syncing -> verifying
        4 db: verifying -> healthy
        4 api: waiting -> syncing
        4 ! remember db at b
        4 ! automate db
        4 ! sync d.api.1 to b",
    );
    let wanted = |change, app: &str| {
        played.wants(&Effect::TakeOver { change, app: format!("c-{app}").parse().unwrap() })
    };
    // The cluster keeps db again, and api's request does it for api.
    assert_eq!([wanted(1, "db"), wanted(2, "api"), wanted(3, "web")], [false, false, true]);
}

#[test]
fn a_failed_attempt_is_repeated_after_a_pause() {
    check(
        brief("db 0 sync a", Policy { rollback_threshold: 2, ..policy() }),
        "
        0 start
        3 db failed
        12 tick
        13 tick
        15 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        3 db: syncing -> retrying
        13 db: retrying -> syncing
        13 ! sync d.db.2 to b
        15 db: syncing -> verifying
        15 db: verifying -> healthy
        15 *: running -> succeeded
        15 ! remember db at b",
    );
}

#[test]
fn degraded_counts_when_it_lasts() {
    check(
        brief("db 0 sync a", Policy { on_failure: OnFailure::Stop, ..policy() }),
        "
        0 start
        5 db degraded
        20 db progressing
        30 db degraded
        59 tick
        60 tick",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        5 db: syncing -> verifying
        60 db: verifying -> failed
        60 *: running -> stopping
        60 *: stopping -> failed
        60 ! quarantine db",
    );
}

#[test]
fn health_that_is_lost_holds_back_and_then_fails() {
    check(
        brief("db 0 sync a\n cache 0 sync a\n api 1 sync a db cache", policy()),
        "
        0 start
        1 db healthy
        2 db degraded
        3 cache healthy
        9 db healthy
        11 api healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 cache: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.cache.1 to b
        1 db: syncing -> verifying
        1 db: verifying -> healthy
        1 ! remember db at b
        2 db: healthy -> unhealthy
        3 cache: syncing -> verifying
        3 cache: verifying -> healthy
        3 ! remember cache at b
        9 db: unhealthy -> healthy
        9 api: waiting -> syncing
        9 ! sync d.api.1 to b
        11 api: syncing -> verifying
        11 api: verifying -> healthy
        11 *: running -> succeeded
        11 ! remember api at b",
    );
    check(
        brief("db 0 sync a\n other 0 sync a", Policy { on_failure: OnFailure::Stop, ..policy() }),
        "
        0 start
        1 db healthy
        2 db degraded
        50 db healthy
        60 db progressing
        90 other running
        159 tick
        160 tick
        170 other failed",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 other: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.other.1 to b
        1 db: syncing -> verifying
        1 db: verifying -> healthy
        1 ! remember db at b
        2 db: healthy -> unhealthy
        50 db: unhealthy -> healthy
        60 db: healthy -> unhealthy
        159 other: syncing -> failed
        159 *: running -> stopping
        159 *: stopping -> failed
        159 ! terminate d.other.1
        159 ! quarantine other",
    );
}

#[test]
fn to_continue_blocks_only_what_depends_on_the_failed() {
    check(
        brief(
            "
            db 0 sync a
            cache 0 sync a
            api 1 sync a db
            web 1 sync a cache",
            Policy { on_failure: OnFailure::Continue, ..policy() },
        ),
        "
        0 start
        1 db failed
        2 cache healthy
        4 web healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 cache: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.cache.1 to b
        1 db: syncing -> failed
        1 ! quarantine db
        1 api: waiting -> skipped
        2 cache: syncing -> verifying
        2 cache: verifying -> healthy
        2 web: waiting -> syncing
        2 ! remember cache at b
        2 ! sync d.web.1 to b
        4 web: syncing -> verifying
        4 web: verifying -> healthy
        4 *: running -> failed
        4 ! remember web at b",
    );
}

#[test]
fn an_attempt_to_come_behind_a_failure_never_comes() {
    check(
        brief(
            "db 0 sync a\n api 1 sync a db",
            Policy { on_failure: OnFailure::Continue, rollback_threshold: 2, ..policy() },
        ),
        "
        0 start
        1 db healthy
        2 db degraded
        3 api failed
        102 tick",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        1 db: syncing -> verifying
        1 db: verifying -> healthy
        1 api: waiting -> syncing
        1 ! remember db at b
        1 ! sync d.api.1 to b
        2 db: healthy -> unhealthy
        3 api: syncing -> retrying
        102 db: unhealthy -> failed
        102 api: retrying -> skipped
        102 *: running -> failed
        102 ! quarantine db",
    );
}

#[test]
fn an_overtaken_operation_is_requested_again_in_the_same_attempt() {
    check(
        brief("db 0 sync a", policy()),
        "
        0 start
        1 db others
        2 db pending
        3 db others
        4 db others
        6 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        3 ! sync d.db.2 to b
        6 db: syncing -> verifying
        6 db: verifying -> healthy
        6 *: running -> succeeded
        6 ! remember db at b",
    );
}

#[test]
fn waves_wait_for_all_of_the_wave_before() {
    let mut brief = brief(
        "
        base - gate a
        db 0 gate a base
        cache 0 sync a base
        api 1 sync a base
        web 2 gate a base",
        policy(),
    );
    brief.plan.order = Order::Waves;
    check(
        brief,
        "
        0 start
        1 base healthy
        2 db degraded
        3 cache healthy
        4 db healthy
        6 api healthy
        8 web healthy",
        "
        0 *: queued -> running
        0 base: waiting -> checking
        0 db: waiting -> checking
        0 ! refresh base
        0 ! refresh db
        1 base: checking -> healthy
        1 cache: waiting -> syncing
        1 ! refresh db
        1 ! sync d.cache.1 to b
        3 cache: syncing -> verifying
        3 cache: verifying -> healthy
        3 ! remember cache at b
        4 db: checking -> healthy
        4 api: waiting -> syncing
        4 ! sync d.api.1 to b
        6 api: syncing -> verifying
        6 api: verifying -> healthy
        6 web: waiting -> checking
        6 ! remember api at b
        6 ! refresh web
        8 web: checking -> healthy
        8 *: running -> succeeded",
    );
}

#[test]
fn a_check_syncs_nothing_and_looks_at_everything() {
    let mut brief = brief("db 0 gate a\n api 1 gate a db\n web 1 gate a", policy());
    brief.plan.purpose = Purpose::Check;
    check(
        brief,
        "
        0 start
        1 db healthy
        2 api degraded
        90 web healthy
        100 tick",
        "
        0 *: queued -> running
        0 db: waiting -> checking
        0 api: waiting -> checking
        0 web: waiting -> checking
        0 ! refresh db
        0 ! refresh api
        0 ! refresh web
        1 db: checking -> healthy
        1 ! refresh api
        1 ! refresh web
        2 ! refresh web
        90 web: checking -> healthy
        100 api: checking -> failed
        100 *: running -> failed",
    );
}

#[test]
fn what_is_held_is_seen_only_where_something_waits_for_it() {
    check(
        brief("db 0 hold a\n api 1 sync a db\n web 1 hold a\n new 1 hold -", policy()),
        "0 start\n 1 db healthy\n 3 api healthy",
        "
        0 *: queued -> running
        0 db: waiting -> checking
        0 web: waiting -> skipped
        0 new: waiting -> skipped
        0 ! refresh db
        1 db: checking -> healthy
        1 api: waiting -> syncing
        1 ! sync d.api.1 to b
        3 api: syncing -> verifying
        3 api: verifying -> healthy
        3 *: running -> succeeded
        3 ! remember api at b",
    );
    check(
        brief("db 0 hold -\n api 1 sync a db", policy()),
        "0 start",
        "
        0 *: queued -> running
        0 db: waiting -> skipped
        0 api: waiting -> skipped
        0 *: running -> failed",
    );
}

#[test]
fn what_ran_out_or_went_wrong_while_nobody_looked_is_looked_at_first() {
    let script = "
        0 start
        1 db running
        500 back
        500 tick
        501 db synced
        503 db healthy
        504 api synced
        505 api degraded
        900 back
        900 tick
        901 api healthy";
    let story = "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        501 db: syncing -> verifying
        503 db: verifying -> healthy
        503 api: waiting -> syncing
        503 ! remember db at b
        503 ! sync d.api.1 to b
        504 api: syncing -> verifying
        900 ! refresh api
        901 api: verifying -> healthy
        901 web: waiting -> syncing
        901 ! remember api at b
        901 ! sync d.web.1 to b";
    check(brief(SHOP, policy()), script, story);
}

#[test]
fn nothing_runs_out_while_the_cluster_does_not_answer() {
    let mut brief = brief("db 0 sync a\n api 0 sync a db", policy());
    brief.policy.health_timeout = SignedDuration::from_secs(10);
    let deployment = check(
        brief,
        "0 start\n 1 db running\n 2 outage\n 50 tick\n 90 outage\n 100 db running\n 105 tick\n 108 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        108 db: syncing -> verifying
        108 db: verifying -> healthy
        108 api: waiting -> syncing
        108 ! remember db at b
        108 ! sync d.api.1 to b",
    );
    assert_eq!(deployment.progress.outage, None);
}

#[test]
fn a_pause_is_ended_when_all_else_is_proven_and_where_the_policy_says_so() {
    let of = |strategy, promotion| {
        let mut brief = brief("db 0 sync a", Policy { promotion, ..policy() });
        brief.plan.changes[0].strategy = strategy;
        brief
    };
    let (none, all) =
        (Promotion { blue_green: false, canary: false }, Promotion { blue_green: true, canary: true });
    let cases = [
        (Strategy::BlueGreen, Promotion::default(), true),
        (Strategy::BlueGreen, none, false),
        (Strategy::Canary, Promotion::default(), false),
        (Strategy::Canary, all, true),
        (Strategy::RollingUpdate, all, false),
    ];
    for (strategy, promotion, promoted) in cases {
        // Asked for again only when a second has passed, however often the pause is seen.
        let promote = if promoted { "2 ! promote db\n 3 ! promote db" } else { "3 ! refresh db" };
        let story = format!(
            "0 *: queued -> running\n 0 db: waiting -> syncing\n 0 ! sync d.db.1 to b\n 2 db: syncing -> verifying\n \
             {promote}\n 9 db: verifying -> healthy\n 9 *: running -> succeeded\n 9 ! remember db at b"
        );
        check(
            of(strategy, promotion),
            "0 start\n 2 db suspended\n 3 db suspended\n 5 db progressing\n 9 db healthy",
            &story,
        );
    }
}
