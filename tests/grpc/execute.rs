//! Execute: which requests are taken, in all the forms in which sensors send them, and which never can be.

use argocd_orchestrator::domain::event::{Kind, Trigger};
use argocd_orchestrator::grpc::Taken;
use serde_json::{Value, json};

use crate::support::server::{Server, lines};
use crate::support::world::World;
use crate::support::{MAIN, REPOSITORY, push};

const AFTER: &str = "0123456789abcdef0123456789abcdef01234567";

fn a_push() -> Value {
    push(MAIN, None, Some(&AFTER.parse().unwrap()))
}

/// All of these are pushes of the same commit to the main branch.
async fn check_push(payloads: &[Value]) {
    for payload in payloads {
        let world = World::new(&[]);
        let server = Server::start(&world).await;
        let receipt = server.client().await.execute(&json!({}), payload).await.unwrap();
        assert_eq!(receipt.status, Taken::Accepted, "{payload}: {}", lines(&receipt.faults));
        let request = server.event(&receipt.event).await.request;
        let Trigger::Push(found) = request.trigger else { panic!("{payload}") };
        assert_eq!((found.reference.as_str(), found.repository.as_str()), (MAIN, REPOSITORY));
        assert_eq!(found.after.unwrap().as_str(), AFTER, "{payload}");
        assert_eq!(found.before, None, "{payload}");
        assert_eq!(request.source.as_str(), crate::support::SOURCE);
        server.stop().await;
    }
}

/// These can never succeed: each is kept with all of its faults and answered OK, and the next event goes on.
async fn check_dead(cases: &[(Value, Value, &[&str])]) {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    for (number, (spec, payload, faults)) in cases.iter().enumerate() {
        let receipt = client.execute(spec, payload).await.unwrap();
        let found = lines(&receipt.faults);
        assert_eq!(receipt.status, Taken::DeadLetter, "{spec} {payload}");
        assert_eq!(receipt.faults.len(), faults.len(), "{spec} {payload}:\n{found}");
        for fault in *faults {
            assert!(found.contains(fault), "{spec} {payload}: no {fault:?} in\n{found}");
        }
        let kept = server.app.store.dead_letters(1_000).await.unwrap().value;
        let kept = kept.iter().find(|kept| kept.letter.id.as_str() == receipt.event).unwrap();
        assert_eq!(lines(&kept.letter.faults), found);
        let manual = json!({"customer": "customer-a", "id": format!("next-{number}")});
        let next = client.execute(&manual, &Value::Null).await.unwrap();
        assert_eq!(next.status, Taken::Accepted);
    }
    assert_eq!(server.letters().await, cases.len());
    assert_eq!(server.events().await.len(), cases.len());
    server.stop().await;
}

#[tokio::test]
async fn a_push_is_understood_in_every_form_a_sensor_gives_it() {
    check_push(&[
        a_push(),
        json!({"push": a_push(), "event": {"id": "0af1", "type": "github"}, "delivery": "72d3162e"}),
        json!({"push": a_push().to_string(), "event": "0af1", "delivery": "72d3162e"}),
        json!({"push": a_push(), "event": {"id": ""}, "delivery": ""}),
        json!({"push": a_push(), "event": "null", "delivery": "<no value>"}),
        json!({"push": a_push(), "event": null, "delivery": null}),
        json!({"push": a_push()}),
    ])
    .await;
}

#[tokio::test]
async fn fields_that_decide_nothing_may_have_any_type() {
    let mut odd = a_push();
    for (key, value) in [
        ("commits", json!("none")),
        ("head_commit", json!(7)),
        ("sender", json!([])),
        ("pusher", json!("alice")),
        ("forced", json!("false")),
        ("created", json!(1)),
        ("base_ref", json!({})),
        ("compare", json!(null)),
        ("installation", json!(true)),
        ("new_key_of_next_year", json!({"deep": [[[]]]})),
    ] {
        odd[key] = value;
    }
    odd["repository"]["pushed_at"] = json!("2026-01-01T00:00:00Z");
    odd["repository"]["owner"] = json!("rtte");
    odd["repository"]["id"] = json!(1e30);
    check_push(&[odd]).await;
}

#[tokio::test]
async fn the_specs_texts_become_the_request() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let spec = json!({"kind": "sync-wave", "wave": "3", "customer": "customer-a", "environment": "production",
        "order": "dependencies", "source": "shop", "requested-by": "alice", "id": "one", "service": ""});
    let receipt = server.client().await.execute(&spec, &Value::Null).await.unwrap();
    let request = server.event(&receipt.event).await.request;
    assert_eq!((request.kind, request.wave.unwrap().0), (Kind::SyncWave, 3));
    assert_eq!(request.customer.unwrap().as_str(), "customer-a");
    assert_eq!(request.environment.unwrap().as_str(), "production");
    assert_eq!((request.service, request.requested_by.as_str()), (None, "alice"));
    server.stop().await;
}

#[tokio::test]
async fn a_ping_is_accepted_and_starts_nothing() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let repository = json!({"full_name": REPOSITORY});
    let mut client = server.client().await;
    for ping in [
        json!({"zen": "Design for failure.", "hook_id": 1, "repository": repository, "X-GitHub-Event": "ping"}),
        json!({"push": {"zen": "Approachable is better.", "repository": repository}, "event": "", "delivery": "2"}),
    ] {
        let receipt = client.execute(&json!({}), &ping).await.unwrap();
        assert_eq!(receipt.status, Taken::Accepted, "{}", lines(&receipt.faults));
        let request = server.event(&receipt.event).await.request;
        assert!(
            matches!(&request.trigger, Trigger::Other { what, .. } if what == "ping"),
            "{:?}",
            request.trigger
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_specs_are_kept_with_their_faults() {
    check_dead(&[
        (json!({"custmer": "customer-a"}), a_push(), &["did you mean `customer`?"]),
        (
            json!({"kind": "deploy"}),
            a_push(),
            &["is none of `deployment`, `sync-wave`, `health-check`, `rollback`"],
        ),
        (json!({"kind": "sync-wave"}), a_push(), &["`wave` is missing"]),
        (json!({"wave": "two"}), a_push(), &["is not the number of a wave"]),
        (json!({"wave": 2}), a_push(), &["`wave` must be a text"]),
        (json!({"customer": "Customer_A"}), a_push(), &["is not a DNS label"]),
        (json!({"service": "web\n{{ .Values.x }}"}), a_push(), &["is not a DNS label"]),
        (json!({"source": "shopp"}), a_push(), &["did you mean `shop`?"]),
        (json!({"order": "random"}), a_push(), &["`order`"]),
        (json!({"customer": "customer-a", "force": "maybe"}), Value::Null, &["`force`"]),
        (json!({"customer": "customer-a", "revision": "main"}), Value::Null, &["is not a full commit id"]),
        (json!({}), Value::Null, &["`customer` is missing"]),
        (json!([1, 2]), a_push(), &["is not a JSON object"]),
    ])
    .await;
}

#[tokio::test]
async fn wrong_payloads_are_kept_with_their_faults() {
    let with = |key: &str, value: Value| {
        let mut wrong = a_push();
        wrong[key] = value;
        wrong
    };
    check_dead(&[
        (
            json!({}),
            with("repository", json!({"full_name": "mallory/shop"})),
            &["no configured source has the repository"],
        ),
        (
            json!({"source": "shop"}),
            with("repository", json!({"full_name": "mallory/shop"})),
            &["but the source `shop` is"],
        ),
        (json!({}), with("after", json!("--upload-pack=/bin/sh")), &["`after`"]),
        (json!({}), with("ref", json!("main")), &["a full ref such as `refs/heads/main`"]),
        (json!({}), with("after", json!("0".repeat(40))), &["nothing was pushed"]),
        (json!({}), json!(["a", "list"]), &["it is JSON, but not an object"]),
        (json!({}), json!({"action": "opened"}), &["it is no push"]),
    ])
    .await;
}

#[tokio::test]
async fn all_faults_of_a_request_are_told_at_once() {
    let spec = json!({"knd": "deployment", "kind": "sync-wave", "customer": "A B", "order": "up"});
    let mut wrong = a_push();
    wrong["ref"] = json!("main");
    check_dead(&[(
        spec,
        wrong,
        &["did you mean `kind`?", "`wave` is missing", "`customer`", "`order`", "full ref"],
    )])
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_json_are_kept_and_do_not_block_what_follows() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let deep = "[".repeat(100_000);
    let cases: [(&[u8], &[u8], &str); 5] = [
        (b"{}", b"{\"ref\": \"refs/heads/ma", "it ends in the middle"),
        (b"{}", b"\x1f\x8b\x00\xff", "it is not JSON"),
        (b"{}", deep.as_bytes(), "it is not JSON"),
        (b"kind: deployment", b"{}", "is not a JSON object"),
        (b"{\"kind\": \"deployment\"", b"{}", "is not a JSON object"),
    ];
    for (spec, payload, fault) in cases {
        let receipt = client.execute_bytes(spec, payload).await.unwrap();
        assert_eq!(receipt.status, Taken::DeadLetter);
        assert!(lines(&receipt.faults).contains(fault), "{fault}: {}", lines(&receipt.faults));
        let kept = server.app.store.dead_letters(1).await.unwrap().value.remove(0);
        assert_eq!(kept.letter.payload, payload, "{fault}");
    }
    let next = client.execute(&json!({}), &a_push()).await.unwrap();
    assert_eq!(next.status, Taken::Accepted);
    server.stop().await;
}

#[tokio::test]
async fn the_same_dead_letter_again_is_only_counted() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let first = client.execute(&json!({"kind": "x"}), &a_push()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.execute(&json!({"kind": "x"}), &a_push()).await.unwrap().event, first.event);
    }
    let kept = server.app.store.dead_letters(10).await.unwrap().value;
    assert_eq!((kept.len(), kept[0].count), (1, 4));
    server.stop().await;
}
