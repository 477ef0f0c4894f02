//! The same event any number of times is one event.

use std::collections::BTreeSet;

use argocd_orchestrator::domain::names::Revision;
use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::world::World;
use crate::support::{MAIN, push};

fn commit(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn delivered(delivery: &str, before: char, after: char) -> Value {
    json!({"push": push(MAIN, Some(&commit(before)), Some(&commit(after))), "event": {"id": format!("bus-{delivery}")},
        "delivery": delivery})
}

#[tokio::test]
async fn a_hundred_at_once_and_one_after_a_restart_are_one_event() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let payload = delivered("1", 'a', 'b');
    let calls = (0..100).map(|number| {
        let (address, payload) = (&server, payload.clone());
        async move {
            // From several connections, as after each restart of a sensor.
            let mut client =
                if number % 10 == 0 { address.client().await } else { address.client().await.clone() };
            client.execute(&json!({}), &payload).await.unwrap()
        }
    });
    let receipts = futures_util::future::join_all(calls).await;
    let ids: BTreeSet<&str> = receipts.iter().map(|receipt| receipt.event.as_str()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(receipts.iter().filter(|receipt| !receipt.duplicate).count(), 1);
    assert_eq!(server.events().await.len(), 1);
    let id = receipts[0].event.clone();
    server.stop().await;

    let server = Server::start(&world).await;
    let again = server.client().await.execute(&json!({}), &payload).await.unwrap();
    assert_eq!((again.event, again.duplicate), (id, true));
    server.stop().await;
}

/// Whether each request is a new event.
async fn check(requests: &[(Value, Value, bool)]) {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    for (number, (spec, payload, new)) in requests.iter().enumerate() {
        let receipt = client.execute(spec, payload).await.unwrap();
        assert_eq!(!receipt.duplicate, *new, "request {number}: {spec} {payload}");
    }
    assert_eq!(server.events().await.len(), requests.iter().filter(|(_, _, new)| *new).count());
    server.stop().await;
}

#[tokio::test]
async fn another_delivery_of_the_same_push_is_the_same_event() {
    check(&[
        (json!({}), delivered("1", 'a', 'b'), true),
        (json!({}), delivered("2", 'a', 'b'), false),
        (json!({}), push(MAIN, Some(&commit('a')), Some(&commit('b'))), false),
        (json!({}), delivered("3", 'b', 'c'), true),
        (json!({}), delivered("1", 'a', 'b'), false),
        (json!({}), delivered("2", 'a', 'b'), false),
    ])
    .await;
}

#[tokio::test]
async fn each_trigger_gets_its_own_event_of_one_delivery() {
    check(&[
        (json!({"customer": "customer-a"}), delivered("1", 'a', 'b'), true),
        (json!({"customer": "customer-b"}), delivered("1", 'a', 'b'), true),
        (json!({"customer": "customer-a"}), delivered("1", 'a', 'b'), false),
        (json!({"customer": "customer-a", "kind": "health-check"}), delivered("1", 'a', 'b'), true),
    ])
    .await;
}

#[tokio::test]
async fn a_ref_that_moves_back_and_forth_makes_an_event_each_time() {
    check(&[
        (json!({}), delivered("1", 'a', 'b'), true),
        (json!({}), delivered("2", 'b', 'a'), true),
        (json!({}), delivered("3", 'a', 'b'), true),
        (json!({}), delivered("4", 'a', 'b'), false),
    ])
    .await;
}

#[tokio::test]
async fn a_request_by_hand_is_known_by_its_id() {
    let by_id = |id: &str| json!({"customer": "customer-a", "id": id});
    check(&[
        (by_id("one"), Value::Null, true),
        (by_id("one"), Value::Null, false),
        (by_id("two"), Value::Null, true),
        (json!({"customer": "customer-a"}), Value::Null, true),
        (json!({"customer": "customer-a"}), Value::Null, false),
        (json!({"customer": "customer-a"}), json!({"event": {"id": "bus-1"}}), true),
    ])
    .await;
}
