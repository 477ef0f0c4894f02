//! The way back.

use super::*;

#[test]
fn the_threshold_of_a_service_is_its_own() {
    let mut brief = brief("db 0 sync a", Policy { rollback_threshold: 1, ..policy() });
    brief.plan.changes[0].rollback.failure_threshold = Some(2);
    check(
        brief,
        "0 start\n 3 db failed\n 13 tick\n 14 db failed\n 15 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        3 db: syncing -> retrying
        13 db: retrying -> syncing
        13 ! sync d.db.2 to b
        14 db: syncing -> failed
        14 ! quarantine db
        14 *: running -> rolling-back
        14 db: failed -> rollback-waiting
        14 db: rollback-waiting -> rollback-syncing
        14 ! sync d.db.3 to a
        15 db: rollback-syncing -> rollback-verifying
        15 db: rollback-verifying -> rolled-back
        15 *: rolling-back -> failed
        15 ! remember db at a",
    );
}

#[test]
fn what_was_advanced_goes_back_in_reverse() {
    check(
        brief(
            "
            base - leave a
            db 0 sync a base
            cache 0 sync - base
            api 1 sync a db cache
            web 2 sync a api",
            policy(),
        ),
        "
        0 start
        2 db healthy
        2 cache healthy
        3 api running
        4 api failed
        6 api healthy
        8 db running
        9 db healthy",
        "
        0 *: queued -> running
        0 base: waiting -> skipped
        0 db: waiting -> syncing
        0 cache: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.cache.1 to b
        2 db: syncing -> verifying
        2 db: verifying -> healthy
        2 ! remember db at b
        2 cache: syncing -> verifying
        2 cache: verifying -> healthy
        2 api: waiting -> syncing
        2 ! remember cache at b
        2 ! sync d.api.1 to b
        4 api: syncing -> failed
        4 ! quarantine api
        4 *: running -> rolling-back
        4 db: healthy -> rollback-waiting
        4 cache: healthy -> kept
        4 api: failed -> rollback-waiting
        4 web: waiting -> skipped
        4 api: rollback-waiting -> rollback-syncing
        4 ! sync d.api.2 to a
        6 api: rollback-syncing -> rollback-verifying
        6 api: rollback-verifying -> rolled-back
        6 db: rollback-waiting -> rollback-syncing
        6 ! remember api at a
        6 ! sync d.db.2 to a
        9 db: rollback-syncing -> rollback-verifying
        9 db: rollback-verifying -> rolled-back
        9 *: rolling-back -> failed
        9 ! remember db at a",
    );
}

#[test]
fn a_sync_that_runs_is_stopped_before_its_service_goes_back_or_is_kept() {
    let mut brief = brief("db 0 sync a\n cache 0 sync -", policy());
    brief.plan.changes[0].rollback.max_versions = 3;
    check(
        brief,
        "
        0 start
        1 db pending
        1 cache window
        2 rollback
        3 db running
        4 cache idle
        5 db failed
        8 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 cache: waiting -> syncing
        0 ! sync d.db.1 to b
        0 ! sync d.cache.1 to b
        2 *: running -> rolling-back
        2 db: syncing -> rollback-stopping
        2 cache: syncing -> rollback-stopping
        2 ! terminate d.db.1
        2 ! terminate d.cache.1
        3 ! terminate d.db.1
        4 cache: rollback-stopping -> kept
        5 db: rollback-stopping -> rollback-waiting
        5 db: rollback-waiting -> rollback-syncing
        5 ! sync d.db.2 to a
        8 db: rollback-syncing -> rollback-verifying
        8 db: rollback-verifying -> rolled-back
        8 *: rolling-back -> failed
        8 ! remember db at a",
    );
}

#[test]
fn a_rollback_goes_on_when_a_newer_commit_comes() {
    check(
        brief("db 0 sync a", policy()),
        "
        0 start
        1 db failed
        2 superseded
        3 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        1 db: syncing -> failed
        1 ! quarantine db
        1 *: running -> rolling-back
        1 db: failed -> rollback-waiting
        1 db: rollback-waiting -> rollback-syncing
        1 ! sync d.db.2 to a
        3 db: rollback-syncing -> rollback-verifying
        3 db: rollback-verifying -> rolled-back
        3 *: rolling-back -> failed
        3 ! remember db at a",
    );
}

#[test]
fn a_rollback_that_was_asked_for_goes_in_reverse_and_does_not_return_by_itself() {
    let mut brief =
        brief("base - leave a\n db 0 sync a base\n api 1 sync a db\n web 2 leave a api", policy());
    brief.plan.purpose = Purpose::Rollback;
    check(
        brief,
        "
        0 start
        1 api running
        3 api healthy
        5 db healthy",
        "
        0 *: queued -> rolling-back
        0 base: waiting -> skipped
        0 db: waiting -> rollback-waiting
        0 api: waiting -> rollback-waiting
        0 web: waiting -> skipped
        0 api: rollback-waiting -> rollback-syncing
        0 ! sync d.api.1 to a
        3 api: rollback-syncing -> rollback-verifying
        3 api: rollback-verifying -> rolled-back
        3 db: rollback-waiting -> rollback-syncing
        3 ! remember api at a
        3 ! quarantine api
        3 ! sync d.db.1 to a
        5 db: rollback-syncing -> rollback-verifying
        5 db: rollback-verifying -> rolled-back
        5 *: rolling-back -> succeeded
        5 ! remember db at a
        5 ! quarantine db",
    );
}

#[test]
fn a_rollout_that_failed_is_stopped_before_its_turn_to_go_back_comes() {
    let mut brief = brief("db 0 sync a\n api 1 sync a db", policy());
    for change in &mut brief.plan.changes {
        change.strategy = Strategy::Canary;
    }
    check(
        brief,
        "0 start\n 2 db healthy\n 3 api failed\n 5 api healthy\n 7 db healthy",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        2 db: syncing -> verifying
        2 db: verifying -> healthy
        2 api: waiting -> syncing
        2 ! remember db at b
        2 ! sync d.api.1 to b
        3 api: syncing -> failed
        3 ! quarantine api
        3 *: running -> rolling-back
        3 db: healthy -> rollback-waiting
        3 api: failed -> rollback-waiting
        3 api: rollback-waiting -> rollback-syncing
        3 ! abort api
        3 ! sync d.api.2 to a
        5 api: rollback-syncing -> rollback-verifying
        5 api: rollback-verifying -> rolled-back
        5 db: rollback-waiting -> rollback-syncing
        5 ! remember api at a
        5 ! sync d.db.2 to a
        7 db: rollback-syncing -> rollback-verifying
        7 db: rollback-verifying -> rolled-back
        7 *: rolling-back -> failed
        7 ! remember db at a",
    );
}
