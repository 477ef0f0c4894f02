//! What a service's own health check does to its way.

use super::*;

#[test]
fn a_check_that_has_not_passed_is_health_that_is_not_there_yet() {
    check(
        brief("db 0 sync a\n api 1 sync a db", policy()),
        "
        0 start
        1 db unchecked
        20 db failing
        30 db passing
        31 api running
        32 api passing",
        "
        0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        1 db: syncing -> verifying
        30 db: verifying -> healthy
        30 api: waiting -> syncing
        30 ! remember db at b
        30 ! sync d.api.1 to b
        32 api: syncing -> verifying
        32 api: verifying -> healthy
        32 *: running -> succeeded
        32 ! remember api at b",
    );
}

#[test]
fn a_check_that_does_not_pass_in_time_fails_the_attempt_and_says_what_it_saw() {
    for (fact, doubt) in [
        ("unchecked", "its health check has not passed yet: GET /health answered 503"),
        ("failing", "its health check fails: GET /health answered 503"),
    ] {
        let script = format!(
            "
            0 start
            1 db {fact}
            60 db {fact}
            101 tick
            102 db passing"
        );
        let ended = check(
            brief("db 0 sync a", policy()),
            &script,
            "
            0 *: queued -> running
            0 db: waiting -> syncing
            0 ! sync d.db.1 to b
            1 db: syncing -> verifying
            101 db: verifying -> failed
            101 *: running -> rolling-back
            101 db: failed -> rollback-waiting
            101 db: rollback-waiting -> rollback-syncing
            101 ! quarantine db
            101 ! sync d.db.2 to a
            102 db: rollback-syncing -> rollback-verifying
            102 db: rollback-verifying -> rolled-back
            102 *: rolling-back -> failed
            102 ! remember db at a",
        );
        let reason = ended.state().reason().unwrap();
        assert_eq!(reason, format!("db failed: not healthy in time: {doubt}"));
    }
}

#[test]
fn a_check_that_fails_after_the_verdict_holds_back_and_recovers_with_a_verdict_only() {
    let ended = check(
        brief("db 0 sync a\n cache 0 sync a\n api 1 sync a db cache", policy()),
        "
        0 start
        1 db passing
        2 db failing
        3 cache passing
        4 db unchecked
        9 db passing
        10 db unchecked
        11 api passing",
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
    assert_eq!(ended.state().word(), "succeeded");
}

#[test]
fn a_check_that_fails_for_too_long_after_the_verdict_fails_the_service() {
    let going = Play::of(brief("db 0 sync a\n other 0 sync a", policy())).run(
        "
        0 start
        1 db passing
        2 db failing",
    );
    let told: Vec<String> = going
        .deployment
        .blockers()
        .into_iter()
        .map(|(service, blocker)| format!("{service}: {} ({blocker})", blocker.word()))
        .collect();
    assert_eq!(
        told[0],
        "db: unhealthy (its health check fails since 12:00:02Z, after its verdict, given up at 12:01:42Z: GET \
         /health answered 503)"
    );
    let ended = going.run("90 other running\n 102 tick").deployment;
    let failure =
        ended.progress.services[0].failure().or(ended.state().reason().as_deref()).map(str::to_owned);
    let lost =
        "its health check failed after its verdict and did not recover in time: GET /health answered 503";
    assert!(failure.as_deref().is_some_and(|told| told.ends_with(lost)), "{failure:?}");
}

#[test]
fn a_check_is_asked_only_when_nothing_else_is_missing_and_anew_for_each_sync() {
    let mut brief = brief(
        "db 0 sync a\n api 1 gate a\n web 2 sync a db api",
        Policy { stabilisation: SignedDuration::from_secs(5), rollback_threshold: 2, ..policy() },
    );
    let asked = |endpoint: &str| {
        let check = serde_json::json!({
            "endpoint": endpoint, "method": "GET", "expectedStatus": 200, "timeoutSeconds": 1,
            "intervalSeconds": 1, "failureThreshold": 1, "successThreshold": 1,
        });
        serde_json::from_value(check).ok()
    };
    for change in &mut brief.plan.changes {
        change.health_check = asked("/new");
        change.previous.as_mut().unwrap().health_check = asked("/old");
    }
    let mut play = Play::of(brief);
    let mut told = Vec::new();
    for line in [
        "0 start",
        "1 db running",
        "2 db synced",
        "3 db progressing",
        "4 db unchecked",
        "5 db degraded",
        "6 db failing",
        "7 db passing",
        "8 back",
        "9 api unchecked",
        "10 api passing",
        "107 tick",
        "118 tick",
        "119 db unchecked",
        "120 db passing",
        "125 tick",
        "126 db degraded",
        "127 rollback",
    ] {
        play = play.run(line);
        let seen = |change: u32| match play.deployment.occasion(change) {
            None => "-".to_owned(),
            Some(Occasion::Run(request)) => request.to_string(),
            Some(Occasion::Check(_)) => "check".into(),
            Some(Occasion::After) => "after".into(),
        };
        let endpoint = play.deployment.health_check(0).unwrap().endpoint.to_string();
        told.push(format!("{line} | {} {} {endpoint}", seen(0), seen(1)));
    }
    assert_eq!(
        told,
        [
            "0 start | - - /new",
            "1 db running | - - /new",
            "2 db synced | - - /new",
            "3 db progressing | - - /new",
            "4 db unchecked | d.db.1 - /new",
            "5 db degraded | - - /new",
            "6 db failing | d.db.1 - /new",
            "7 db passing | d.db.1 - /new",
            "8 back | - - /new",
            "9 api unchecked | - check /new",
            "10 api passing | - after /new",
            "107 tick | - after /new",
            "118 tick | - after /new",
            "119 db unchecked | d.db.2 after /new",
            "120 db passing | d.db.2 after /new",
            "125 tick | after after /new",
            "126 db degraded | after after /new",
            "127 rollback | - - /old",
        ]
    );
}
