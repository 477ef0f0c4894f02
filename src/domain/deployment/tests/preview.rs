//! What a command would do is what it does.

use super::*;
use crate::domain::preview::{Preview, preview};
use crate::domain::spans::spans;

const CHAIN: &str = "
    base - leave a
    db 0 sync a base
    cache 0 sync - base
    api 1 sync a db cache
    web 2 sync a api";

/// The services that a command would move: name, turn, and the first digit of the commit it would be synced to.
#[track_caller]
fn moved(order: Order, script: &str, command: Command) -> (Preview, Vec<String>) {
    let mut brief = brief(CHAIN, policy());
    brief.plan.order = order;
    let play = Play::of(brief).run(script);
    let seen = preview(&play.deployment, command, second(50));
    let line = |one: &crate::domain::preview::Affected| {
        let turn = one.turn.map_or("-".to_owned(), |turn| turn.to_string());
        let to = one.revision.as_ref().map_or("-", |revision| &revision.short()[..1]);
        format!("{} {turn} {to} {}", one.service, one.to)
    };
    let lines = seen.services.iter().map(line).collect();
    (seen, lines)
}

fn rollback() -> Command {
    Command::Rollback { reason: "because".into() }
}

#[test]
fn a_rollback_is_told_in_its_order_with_what_is_left_as_it_is_at_the_end() {
    for order in [Order::Dependencies, Order::Waves] {
        let script = "0 start\n 2 db healthy\n 2 cache healthy\n 4 api healthy\n 5 web running";
        let (seen, lines) = moved(order, script, rollback());
        assert_eq!((seen.from, seen.to, seen.refused), ("running", "rolling-back", None));
        assert_eq!(
            lines,
            [
                "web 1 a rollback-stopping",
                "api 2 a rollback-waiting",
                "db 3 a rollback-waiting",
                "cache - - kept"
            ]
        );
    }
}

#[test]
fn the_turns_are_those_that_the_state_machine_takes() {
    let script = "0 start\n 2 db healthy\n 2 cache healthy\n 4 api healthy\n 5 web healthy\n 6 pause";
    let script = script.replace("5 web healthy\n 6 pause", "5 web running\n 6 pause");
    let mut brief = brief(CHAIN, policy());
    brief.plan.order = Order::Waves;
    let play = Play::of(brief).run(&script);
    let told = preview(&play.deployment, rollback(), second(50));
    let told: Vec<&str> =
        told.services.iter().filter(|one| one.turn.is_some()).map(|one| one.service.as_str()).collect();
    let done = play.run("50 rollback\n 51 web failed\n 52 web healthy\n 53 api healthy\n 54 db healthy");
    let synced: Vec<&str> = done
        .story
        .lines()
        .filter(|line| line.ends_with("-> rolled-back"))
        .filter_map(|line| line.split([' ', ':']).nth(1))
        .collect();
    assert_eq!(told, synced, "{}", done.story);
}

#[test]
fn what_is_not_taken_now_says_why_and_moves_nothing() {
    let before = "0 start";
    for (script, command, part) in [
        (before, Command::Resume, "paused"),
        (before, Command::Approve { plan: None }, "approval"),
        ("0 start\n 1 abort", rollback(), "running or paused"),
    ] {
        let (seen, lines) = moved(Order::Dependencies, script, command.clone());
        let refused = seen.refused.unwrap_or_default();
        assert!(refused.contains(part), "{command:?}: {refused}");
        assert_eq!((seen.from, lines), (seen.to, Vec::new()));
    }
}

#[test]
fn a_pause_moves_no_service_and_what_goes_on_names_all_that_is_still_to_come() {
    let (seen, lines) = moved(Order::Dependencies, "0 start", Command::Pause);
    assert_eq!((seen.to, lines), ("paused", Vec::new()));
    let (seen, lines) = moved(Order::Dependencies, "0 start\n 1 pause", Command::Resume);
    assert_eq!(seen.to, "running");
    assert_eq!(lines, ["api - b waiting", "web - b waiting"]);
}

#[test]
fn each_state_of_a_service_begins_where_the_one_before_it_ended() {
    let play =
        Play::of(brief(CHAIN, policy())).run("0 start\n 2 db healthy\n 2 cache healthy\n 4 api failed");
    let rows = spans(&play.deployment.brief, &play.journal, play.deployment.state().ended_at());
    assert_eq!(rows.len(), 5);
    for row in &rows {
        for pair in row.spans.windows(2) {
            assert_eq!(pair[0].to, Some(pair[1].from), "{row:?}");
            assert_ne!(pair[0].state, pair[1].state, "{row:?}");
        }
        let last = row.spans.last().map(|span| span.state.as_str());
        let now =
            play.deployment.services().find(|(change, _)| change.name() == row.service).unwrap().1.word();
        assert!(last.is_none_or(|last| last == now), "{row:?}");
    }
}
