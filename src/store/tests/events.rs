use serde_json::json;

use super::*;
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::store::{AuditFilter, DeadLetter, EventFilter, EventState};

/// Accepts pushes one after another: event id, delivery id, before, after, and which event it turns out to be.
async fn check(cases: &[(&str, Option<&str>, char, char, &str)]) {
    let store = Fixture::new().await;
    for (event, delivery, before, after, right) in cases {
        let mut push = push(*before, *after);
        push.delivery = delivery.map(str::to_owned);
        let request = request(Trigger::Push(push));
        let accepted = store
            .accept(NewEvent { id: id(event), request, received_at: at(1), origin: Origin::cli("somebody") })
            .await
            .unwrap();
        let right = Accepted { event: id(right), duplicate: event != right, deployments: Vec::new() };
        assert_eq!(accepted, right);
    }
}

#[tokio::test]
async fn the_same_delivery_is_the_same_event() {
    check(&[("1", Some("d"), 'a', 'b', "1"), ("2", Some("d"), 'a', 'b', "1")]).await;
}

#[tokio::test]
async fn the_same_push_under_another_delivery_is_the_same_event() {
    check(&[("1", Some("d"), 'a', 'b', "1"), ("2", Some("e"), 'a', 'b', "1"), ("3", None, 'a', 'b', "1")])
        .await;
}

#[tokio::test]
async fn a_branch_that_is_forced_back_and_forth_gives_an_event_each_time() {
    check(&[
        ("1", None, 'a', 'b', "1"),
        ("2", None, 'b', 'a', "2"),
        ("3", None, 'a', 'b', "3"),
        ("4", None, 'a', 'b', "3"),
        ("5", None, 'b', 'a', "5"),
    ])
    .await;
}

#[tokio::test]
async fn a_delivery_that_comes_again_late_is_still_the_same_event() {
    check(&[
        ("1", Some("d"), 'a', 'b', "1"),
        ("2", Some("e"), 'b', 'a', "2"),
        ("3", Some("d"), 'a', 'b', "1"),
    ])
    .await;
}

#[tokio::test]
async fn another_delivery_of_a_push_that_comes_again_late_is_still_the_same_event() {
    check(&[
        ("1", Some("d"), 'a', 'b', "1"),
        ("2", Some("e"), 'a', 'b', "1"),
        ("3", Some("f"), 'b', 'c', "3"),
        ("4", Some("e"), 'a', 'b', "1"),
        ("5", Some("d"), 'a', 'b', "1"),
    ])
    .await;
}

#[tokio::test]
async fn one_delivery_to_triggers_with_different_targets_gives_an_event_for_each() {
    let store = Fixture::new().await;
    for (event, customer) in [("1", "customer-a"), ("2", "customer-b")] {
        let mut push = push('a', 'b');
        push.delivery = Some("d".into());
        let mut request = request(Trigger::Push(push));
        request.customer = Some(id(customer));
        for again in [false, true] {
            let event = NewEvent {
                id: id(event),
                request: request.clone(),
                received_at: at(1),
                origin: Origin::cli("somebody"),
            };
            assert_eq!(store.accept(event).await.unwrap().duplicate, again);
        }
    }
}

#[tokio::test]
async fn manual_requests_are_told_apart_by_their_own_ids() {
    let store = Fixture::new().await;
    for (event, own, duplicate) in [("1", "x", false), ("2", "y", false), ("3", "x", true)] {
        let trigger = Trigger::Manual { revision: None, force: false, id: own.into() };
        let event = NewEvent {
            id: id(event),
            request: request(trigger),
            received_at: at(1),
            origin: Origin::cli("somebody"),
        };
        assert_eq!(store.accept(event).await.unwrap().duplicate, duplicate);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_are_one_event() {
    let store = Fixture::new().await;
    let other = store.beside().await;
    let tasks: Vec<_> = (0..100)
        .map(|index| {
            // Two processes, as far as the database can tell.
            let store = if index % 2 == 0 { store.store.clone() } else { other.clone() };
            tokio::spawn(async move { store.accept(push_event(&format!("e{index}"), 'a', 'b')).await })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    let mut fresh = 0;
    for task in tasks {
        let accepted = task.await.unwrap().unwrap();
        fresh += u32::from(!accepted.duplicate);
        ids.insert(accepted.event);
    }
    assert_eq!((fresh, ids.len()), (1, 1));
    assert_eq!(store.events(&EventFilter::default(), 10).await.unwrap().value.len(), 1);
}

#[tokio::test]
async fn an_event_is_pending_until_it_is_settled_and_not_before_it_is_due() {
    let store = Fixture::new().await;
    let lease = store.worker().await;
    let event: EventId = store.accept(push_event("1", 'a', 'b')).await.unwrap().event;
    let pending = async |second| store.pending_events(at(second), 10).await.unwrap().value;
    assert_eq!(pending(0).await.len(), 0);
    let stored = pending(1).await;
    assert_eq!(stored[0].request, push_event("1", 'a', 'b').request);

    store.postpone_event(&event, at(60), "git is down").await.unwrap();
    assert_eq!(pending(59).await.len(), 0);
    let reason = Some("git is down".to_owned());
    assert_eq!(pending(60).await[0].state, EventState::Accepted { due_at: at(60), attempts: 1, reason });

    store.settle_event(settlement(&event, Vec::new(), &lease)).await.unwrap();
    store.postpone_event(&event, at(70), "too late").await.unwrap();
    assert_eq!(pending(99).await.len(), 0);
}

#[tokio::test]
async fn settling_twice_changes_nothing() {
    let store = Fixture::new().await;
    let (first, lease) = store.planned("first").await;
    let event = store.accept(push_event("second", 'b', 'c')).await.unwrap().event;
    let superseded = Input::Superseded { by: id("second") };
    let mut settlement = settlement(&event, vec![deployment("second")], &lease);
    settlement.existing = vec![id("first"), id("unknown")];
    settlement.inputs = vec![(id("first"), superseded.clone()), (id("unknown"), superseded.clone())];
    store.settle_event(settlement.clone()).await.unwrap();
    let once = store.event(&event).await.unwrap().unwrap();
    assert_eq!(once.deployments, [first.brief.id.clone(), id("second")]);
    assert_eq!(once.state, EventState::Settled { at: at(2), outcome: Outcome::Planned });

    settlement.outcome = Outcome::Ignored { reason: "no".into() };
    settlement.deployments.push(deployment("third"));
    store.settle_event(settlement.clone()).await.unwrap();
    assert_eq!(store.event(&event).await.unwrap().unwrap(), once);
    assert_eq!(store.inbox(&first.brief.id).await.unwrap().value, [(1, superseded)]);
    assert_eq!(store.deployment(&id("third")).await.unwrap(), None);
    let again = store.accept(push_event("x", 'b', 'c')).await.unwrap();
    assert_eq!(again.deployments, [first.brief.id, id("second")]);

    settlement.event = id("nobody");
    assert_eq!(store.settle_event(settlement).await, Err(StoreError::NotFound("event nobody".into())));
}

#[tokio::test]
async fn every_outcome_is_read_as_it_was_written() {
    let store = Fixture::new().await;
    let lease = store.worker().await;
    let diagnostic = Diagnostic::error(Code::BadYaml, Place::file("values.yaml"), "no");
    let outcomes = [
        Outcome::Planned,
        Outcome::Ignored { reason: "a tag".into() },
        Outcome::Rejected { reason: "bad".into(), diagnostics: vec![diagnostic] },
        Outcome::Superseded { reason: "newer".into() },
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let after = char::from_digit(u32::try_from(index).unwrap(), 10).unwrap();
        let event = store.accept(push_event(&format!("e{index}"), 'a', after)).await.unwrap().event;
        let settlement = Settlement { outcome: outcome.clone(), ..settlement(&event, Vec::new(), &lease) };
        store.settle_event(settlement).await.unwrap();
        let filter = EventFilter { state: Some(outcome.word().into()), ..EventFilter::default() };
        let found = store.events(&filter, 10).await.unwrap().value;
        assert_eq!(found[0].state, EventState::Settled { at: at(2), outcome });
        assert_eq!(found.len(), 1);
    }
}

#[tokio::test]
async fn events_are_listed_newest_first_and_page_by_page() {
    let store = Fixture::new().await;
    for (event, before, after) in [("1", 'a', 'b'), ("2", 'b', 'c'), ("3", 'c', 'd')] {
        store.accept(push_event(event, before, after)).await.unwrap();
    }
    let page = async |before: Option<&str>| {
        let filter = EventFilter { before: before.map(id), ..EventFilter::default() };
        let found = store.events(&filter, 2).await.unwrap().value;
        found.into_iter().map(|event| event.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ["3", "2"]);
    assert_eq!(page(Some("2")).await, ["1"]);
}

#[tokio::test]
async fn a_dead_letter_keeps_its_bytes_and_counts_how_often_it_came() {
    let store = Fixture::with(|settings| Settings { dead_letters: 2, ..settings }).await;
    let letter = |name: &str, payload: &[u8], second| DeadLetter {
        id: id(name),
        received_at: at(second),
        faults: vec![Diagnostic::error(Code::BadRequest, Place::file("payload"), "no `after`")],
        resource: b"kind: deployment\n".to_vec(),
        payload: payload.to_vec(),
    };
    let wild = [0xff, 0x00, b'{'];
    let from = || Origin::cli("sensor");
    assert_eq!(store.dead_letter(letter("1", &wild, 1), from()).await.unwrap(), id("1"));
    assert_eq!(store.dead_letter(letter("2", &wild, 2), from()).await.unwrap(), id("1"));
    assert_eq!(store.dead_letter(letter("3", b"{}", 3), from()).await.unwrap(), id("3"));
    let found = store.dead_letters(10).await.unwrap();
    assert_eq!(found.value[1].letter, letter("1", &wild, 1));
    assert_eq!((found.value[1].count, found.value[1].last_at), (2, at(2)));

    store.dead_letter(letter("4", b"[]", 4), from()).await.unwrap();
    let kept: Vec<_> = store.dead_letters(10).await.unwrap().value;
    assert_eq!(kept.iter().map(|kept| kept.letter.id.as_str()).collect::<Vec<_>>(), ["4", "3"]);

    // Who sent it is recorded once, and so is who tried it again.
    let event = id("event");
    for _ in 0..2 {
        store.unbury(&id("4"), &event, from(), at(5)).await.unwrap();
    }
    let told = store.audit(&AuditFilter::default(), 10).await.unwrap().value;
    let told: Vec<_> = told.iter().map(|one| (one.action.as_str(), one.detail["letter"].clone())).collect();
    let expected = [("replay", "4"), ("dead-letter", "4"), ("dead-letter", "3"), ("dead-letter", "1")];
    assert_eq!(told, expected.map(|(action, letter)| (action, json!(letter))));
}
