//! ApplyPolicy: where an event stands, told by the store.

use argocd_orchestrator::domain::names::EventId;
use argocd_orchestrator::store::{Outcome, Settlement};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::server::{Client, Server};
use crate::support::world::World;

async fn accepted(client: &mut Client, id: &str) -> (EventId, Vec<u8>) {
    let receipt = client.execute(&json!({"customer": "customer-a", "id": id}), &Value::Null).await.unwrap();
    (receipt.event.parse().unwrap(), serde_json::to_vec(&receipt).unwrap())
}

#[tokio::test]
async fn an_event_is_told_by_its_outcome() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let store = &server.app.store;
    let lease = store.acquire_worker("the test", Timestamp::now()).await.unwrap();
    let reason = || "because of X".to_owned();
    let outcomes = [
        (Outcome::Planned, true, "led to "),
        (Outcome::Ignored { reason: reason() }, true, "is ignored: because of X"),
        (Outcome::Superseded { reason: reason() }, true, "is superseded: because of X"),
        (Outcome::Rejected { reason: reason(), diagnostics: Vec::new() }, false, "is rejected: because of X"),
    ];
    for (number, (outcome, success, message)) in outcomes.into_iter().enumerate() {
        let (id, receipt) = accepted(&mut client, &number.to_string()).await;
        assert_eq!(client.policy(&receipt).await.unwrap(), (true, format!("{id} is accepted")));
        store.postpone_event(&id, Timestamp::now(), "git is away").await.unwrap();
        assert_eq!(
            client.policy(&receipt).await.unwrap(),
            (true, format!("{id} is tried again: git is away"))
        );
        let settlement = Settlement {
            event: id.clone(),
            outcome,
            at: Timestamp::now(),
            deployments: Vec::new(),
            existing: Vec::new(),
            inputs: Vec::new(),
            epoch: lease.epoch(),
        };
        store.settle_event(settlement).await.unwrap();
        assert_eq!(client.policy(&receipt).await.unwrap(), (success, format!("{id} {message}")));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_dead_letter_and_what_is_unknown_are_told_without_an_error() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let dead = client.execute(&json!({"kind": "nonsense"}), &Value::Null).await.unwrap();
    let (success, message) = client.policy(&serde_json::to_vec(&dead).unwrap()).await.unwrap();
    assert!(!success && message.contains("dead letter"), "{message}");

    let unknown = json!({"event": "e-unknown", "status": "accepted", "duplicate": false, "deployments": []})
        .to_string();
    let no_id = json!({"event": "'; DROP TABLE events; --", "status": "accepted", "duplicate": false, "deployments": []});
    let no_id = no_id.to_string();
    let cases: [(&[u8], &str); 6] = [
        (unknown.as_bytes(), "there is no event e-unknown"),
        (no_id.as_bytes(), "this is not what Execute answered"),
        (b"", "this is not what Execute answered"),
        (b"{}", "this is not what Execute answered"),
        (b"\xff\x00", "this is not what Execute answered"),
        (b"[[[[", "this is not what Execute answered"),
    ];
    for (request, message) in cases {
        assert_eq!(client.policy(request).await.unwrap(), (false, message.to_owned()));
    }
    server.stop().await;
}
