//! Who may call, for whom, and that credentials stay where they belong.

use argocd_orchestrator::config::Token;
use argocd_orchestrator::domain::event::Trigger;
use argocd_orchestrator::grpc::Taken;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::logged::Logged;
use crate::support::server::Server;
use crate::support::world::World;
use crate::support::{MAIN, SOURCE, push};

const CANARY: &str = "canary-7f3e9b1d5a";

fn token(name: &str, secret: &str, sources: &[&str], customers: &[&str]) -> Token {
    Token {
        name: name.into(),
        token: secret.into(),
        sources: sources.iter().map(|name| name.parse().unwrap()).collect(),
        customers: customers.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

/// A world in which three tokens are known.
fn world() -> World {
    let mut world = World::new(&[]);
    world.config.grpc.tokens = vec![
        token("all", "the-token-of-all", &[], &[]),
        token("a", "the-token-of-a", &[SOURCE], &["customer-a"]),
        token("elsewhere", "the-token-of-elsewhere", &["another-shop"], &[]),
    ];
    world
}

fn a_push() -> Value {
    push(MAIN, None, Some(&"a".repeat(40).parse().unwrap()))
}

#[tokio::test]
async fn without_the_right_token_nothing_is_answered_and_nothing_stored() {
    let world = world();
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let wrong = [
        json!({}),
        json!({"token": ""}),
        json!({"token": "the-token-of-al"}),
        json!({"token": "the-token-of-all "}),
        json!({"token": "THE-TOKEN-OF-ALL"}),
        json!({"token": ["the-token-of-all"]}),
        json!({"token": null, "kind": "nonsense"}),
        json!(["the-token-of-all"]),
    ];
    for spec in wrong {
        let status = client.execute(&spec, &a_push()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{spec}");
        assert_eq!(status.message(), "the token in `spec` is missing or wrong");
    }
    let status = client.execute_bytes(b"\xff", b"{").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!((server.events().await.len(), server.letters().await), (0, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_token_covers_its_own_customers_and_sources_only() {
    let world = world();
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let cases = [
        ("the-token-of-all", "customer-b", true),
        ("the-token-of-a", "customer-a", true),
        ("the-token-of-a", "customer-b", false),
        ("the-token-of-a", "customer-unknown", false),
        ("the-token-of-elsewhere", "customer-a", false),
    ];
    for (secret, customer, fine) in cases {
        for payload in [Value::Null, a_push()] {
            let answer = client.execute(&json!({"token": secret, "customer": customer}), &payload).await;
            match answer {
                Ok(receipt) => assert!(fine && receipt.status == Taken::Accepted, "{secret} {customer}"),
                Err(status) => {
                    assert!(!fine, "{secret} {customer}: {status}");
                    let said = (status.code(), status.message());
                    assert_eq!(said, (Code::PermissionDenied, "the token does not cover this"));
                }
            }
        }
    }
    let stored = server.events().await;
    assert_eq!((stored.len(), server.letters().await), (4, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_push_with_a_customers_token_reaches_that_customer_alone() {
    let world = world();
    let server = Server::start(&world).await;
    let receipt =
        server.client().await.execute(&json!({"token": "the-token-of-a"}), &a_push()).await.unwrap();
    let request = server.event(&receipt.event).await.request;
    assert!(matches!(request.trigger, Trigger::Push(_)));
    assert_eq!(request.scope.iter().map(|customer| customer.as_str()).collect::<Vec<_>>(), ["customer-a"]);
    server.stop().await;
}

#[tokio::test]
async fn a_limited_token_learns_nothing_of_other_sources() {
    let mut world = world();
    let mut other = world.config.sources[0].clone();
    other.name = "another-shop".parse().unwrap();
    world.config.sources.push(other);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let near = json!({"token": "the-token-of-all", "source": "another-shap", "customer": "customer-a"});
    let open = client.execute(&near, &Value::Null).await.unwrap();
    assert!(format!("{:?}", open.faults).contains("did you mean `another-shop`?"), "{:?}", open.faults);
    let near = json!({"token": "the-token-of-a", "source": "another-shap", "customer": "customer-a"});
    let limited = client.execute(&near, &Value::Null).await.unwrap();
    assert_eq!(limited.status, Taken::DeadLetter);
    assert!(!format!("{:?}", limited.faults).contains("another-shop"), "{:?}", limited.faults);
    let named = json!({"token": "the-token-of-a", "source": "another-shop", "customer": "customer-a"});
    let status = client.execute(&named, &Value::Null).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    server.stop().await;
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Sends a token in every place where one may be, and looks for it wherever something is kept or told.
async fn check_canary(tokens: Vec<Token>) {
    let logged = Logged::of_all();
    let mut world = World::new(&[]);
    world.config.grpc.tokens = tokens;
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let mut told = format!("{:?}", world.config);
    for spec in [
        json!({"token": CANARY}),
        json!({"token": CANARY, "customer": "customer-b"}),
        json!({"token": CANARY, "kind": "nonsense", "wave": 7}),
        json!({"token": [CANARY]}),
        json!({"token": {"inner": CANARY}, "kind": "nonsense"}),
    ] {
        match client.execute(&spec, &a_push()).await {
            Ok(receipt) => {
                let receipt = serde_json::to_vec(&receipt).unwrap();
                told += &format!("{receipt:?} {:?}", client.policy(&receipt).await.unwrap());
                told += &String::from_utf8(receipt).unwrap();
            }
            Err(status) => told += &format!("{status:?}"),
        }
    }
    let broken = client.execute_bytes(format!("{{\"token\": \"{CANARY}\"").as_bytes(), b"{}").await;
    told += &format!("{broken:?}");
    told += &format!("{:?}", client.fetch(format!("token: {CANARY}\n- x").as_bytes()).await);
    for letter in server.app.store.dead_letters(100).await.unwrap().value {
        told += &String::from_utf8_lossy(&letter.letter.resource);
        told += &String::from_utf8_lossy(&letter.letter.payload);
    }
    let stored = server.events().await.len() + server.letters().await;
    assert!(stored > 0, "nothing was stored, so this proves nothing");
    assert!(!told.contains(CANARY), "told: {told}");
    let folder = world.config.data_dir.clone();
    let look = || {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                assert!(!contains(&std::fs::read(&path).unwrap(), CANARY), "{}", path.display());
            }
        }
    };
    look();
    server.stop().await;
    look();
    let logged = logged.text();
    assert!(logged.contains("event accepted"), "nothing was logged, so this proves nothing");
    assert!(!logged.contains(CANARY), "{logged}");
}

#[tokio::test]
async fn a_token_is_neither_stored_nor_told() {
    check_canary(vec![
        token("canary", CANARY, &[], &["customer-a"]),
        token("other", "something-else", &[], &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_token_that_nobody_asked_for_is_neither_stored_nor_told() {
    check_canary(Vec::new()).await;
}
