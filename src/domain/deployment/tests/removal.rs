//! Services that are not wanted any more go at the end, one after the other.

use super::*;
use crate::domain::removal::Removal;

/// One service that is synced, and two that are to go, `late` before `early`.
fn shop() -> Brief {
    let mut brief = brief("db 0 sync a", policy());
    let removal = |service: &str| Removal {
        customer: "c".parse().unwrap(),
        environment: "production".parse().unwrap(),
        service: service.parse().unwrap(),
        app: format!("c-{service}").parse().unwrap(),
    };
    brief.plan = brief.plan.with_removals(vec![removal("late"), removal("early")]);
    brief
}

const HEALTHY: &str = "0 *: queued -> running\n 0 db: waiting -> syncing\n 0 ! sync d.db.1 to b\n \
                       9 db: syncing -> verifying\n 9 db: verifying -> healthy\n";

#[track_caller]
fn plays(script: &str, expected: &str) -> Deployment {
    check(shop(), &format!("0 start\n 9 db healthy\n {script}"), &format!("{HEALTHY}{expected}"))
}

#[test]
fn each_is_gone_before_the_next_is_asked_for() {
    plays(
        "10 late there
        11 early gone
        12 late gone
        13 early there
        14 early gone",
        "9 late: waiting -> removing
        9 ! remember db at b
        9 ! remove late
        12 late: removing -> removed
        12 ! forget late
        12 early: waiting -> removing
        12 ! remove early
        14 early: removing -> removed
        14 ! forget early
        14 *: running -> succeeded",
    );
}

#[test]
fn nothing_is_removed_after_a_failure() {
    check(
        shop(),
        "0 start
        3 db failed
        9 db healthy",
        "0 *: queued -> running
        0 db: waiting -> syncing
        0 ! sync d.db.1 to b
        3 db: syncing -> failed
        3 ! quarantine db
        3 *: running -> rolling-back
        3 db: failed -> rollback-waiting
        3 db: rollback-waiting -> rollback-syncing
        3 ! sync d.db.2 to a
        9 db: rollback-syncing -> rollback-verifying
        9 db: rollback-verifying -> rolled-back
        9 *: rolling-back -> failed
        9 ! remember db at a",
    );
}

#[test]
fn one_that_does_not_go_keeps_those_behind_it_and_takes_nothing_back() {
    let begun = "9 late: waiting -> removing\n 9 ! remember db at b\n 9 ! remove late\n";
    let left = plays(
        "20 late refused",
        &format!("{begun}20 late: removing -> not-removed\n 20 *: running -> succeeded"),
    );
    let reason = |deployment: &Deployment| match deployment.removals().next() {
        Some((_, Some(Removing::Left { reason, .. }))) => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&left), "not ours");
    let late = plays(
        "50 late there
        108 tick
        109 tick",
        &format!("{begun}109 late: removing -> not-removed\n 109 *: running -> succeeded"),
    );
    assert_eq!(reason(&late), "its Application is not gone in time");
    assert_eq!(late.removals().last().map(|(_, state)| state), Some(None), "it was never asked for");
}

#[test]
fn who_waits_for_it_is_told_and_who_pauses_or_stops_it_is_obeyed() {
    let begun = "9 late: waiting -> removing\n 9 ! remember db at b\n 9 ! remove late\n";
    let paused = plays(
        "10 pause
        11 late gone",
        &format!("{begun}10 *: running -> paused\n 11 late: removing -> removed\n 11 ! forget late"),
    );
    assert!(!paused.wants(&Effect::Remove { removal: 1, app: "c-early".parse().unwrap() }));
    let waiting = plays("10 tick", begun);
    let blockers: Vec<(&str, &str)> =
        waiting.blockers().iter().map(|(service, blocker)| (*service, blocker.word())).collect();
    assert_eq!(blockers, [("late", "removal")]);
    assert!(waiting.wants(&Effect::Remove { removal: 0, app: "c-late".parse().unwrap() }));
    assert_eq!(waiting.next_wake(second(10)), Some(second(109)));
    assert!(waiting.is_watched(1) && !waiting.is_watched(2));
    let aborted = plays(
        "10 abort",
        &format!(
            "{begun}10 *: running -> stopping\n 10 late: removing -> not-removed\n 10 *: stopping -> aborted"
        ),
    );
    assert!(!aborted.wants(&Effect::Remove { removal: 0, app: "c-late".parse().unwrap() }));
}

#[test]
fn a_time_that_ran_out_while_nobody_looked_is_given_again() {
    plays(
        "500 back
        501 late there
        502 late gone",
        "9 late: waiting -> removing
        9 ! remember db at b
        9 ! remove late
        502 late: removing -> removed
        502 ! forget late
        502 early: waiting -> removing
        502 ! remove early",
    );
}

#[test]
fn removing_alone_is_something_to_do_and_another_plan() {
    let plan = shop().plan;
    let without = plan.clone().with_removals(Vec::new());
    assert_ne!(plan.hash, without.hash, "it has to be approved anew");
    let idle = Plan { changes: Vec::new(), ..plan };
    assert!(!idle.is_idle());
    assert!(idle.with_removals(Vec::new()).is_idle());
}
