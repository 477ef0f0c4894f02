//! What is asked for: waves, checks, rollbacks, commands; once with the same key, and only of what was looked at.

use std::time::Duration;

use argocd_orchestrator::domain::audit::Origin;
use argocd_orchestrator::domain::event::{Kind, Trigger};
use serde_json::{Value, json};

use crate::support::web::{Answer, Web};
use crate::support::world::World;

const PLACE: (&str, &str) = ("customer-a", "production");

fn place() -> Value {
    json!({"customer": PLACE.0, "environment": PLACE.1})
}

#[tokio::test]
async fn what_is_asked_for_becomes_an_event_like_any_other() {
    let web = Web::start(World::new(&[])).await;
    let cases = [
        ("/api/v1/sync-waves/2/trigger", Kind::SyncWave, None, Some(2)),
        ("/api/v1/rollback/services/web", Kind::Rollback, Some("web"), None),
        ("/api/v1/rollback/wave/3", Kind::Rollback, None, Some(3)),
        ("/api/v1/health/services/web/check", Kind::HealthCheck, Some("web"), None),
    ];
    for (path, kind, service, wave) in cases {
        let answer = web.post(path, &place()).await;
        assert_eq!(answer.status, 202, "{path}: {}", answer.text());
        let id = answer.json()["event"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("location"), Some(&*format!("/api/v1/events/{id}")));
        let event = web.app.store.event(&id.parse().unwrap()).await.unwrap().unwrap();
        let request = event.request;
        assert_eq!(request.kind, kind, "{path}");
        assert_eq!(request.service.as_ref().map(|name| name.as_str()), service, "{path}");
        assert_eq!(request.wave.map(|wave| wave.0), wave, "{path}");
        assert_eq!(request.customer.unwrap().as_str(), PLACE.0);
        assert_eq!(request.environment.unwrap().as_str(), PLACE.1);
        assert_eq!(request.requested_by, "local");
        assert!(matches!(request.trigger, Trigger::Manual { force: false, revision: None, .. }));
    }
    web.stop().await;
}

#[tokio::test]
async fn who_does_not_say_for_whom_is_told_what_is_missing() {
    let web = Web::start(World::new(&[])).await;
    let path = "/api/v1/sync-waves/2/trigger";
    for (body, status, said) in [
        (json!({}), 422, "customer"),
        (json!({"customer": "customer-a"}), 422, "environment"),
        (json!({"customer": "customer-a", "environment": "nowhere"}), 422, "no configured source"),
        (json!({"customer": "customer-a", "environment": "production", "order": "x"}), 422, "order"),
        (json!({"customer": "customer-a", "environment": "production", "extra": 1}), 422, "extra"),
        (json!({"customer": "A B", "environment": "production"}), 422, "customer"),
        (json!(["customer-a"]), 422, ""),
    ] {
        let problem = web.post(path, &body).await.problem(status);
        assert!(problem["detail"].as_str().unwrap().contains(said), "{body}: {problem}");
    }
    let json = [("content-type", "application/json")];
    web.send("POST", path, &json, b"{\"customer\": ").await.problem(400);
    web.send("POST", path, &[("content-type", "text/plain")], b"{}").await.problem(415);
    web.send("POST", path, &[], b"{}").await.problem(415);
    web.send("POST", path, &[], b"").await.problem(422);
    web.post("/api/v1/sync-waves/x/trigger", &place()).await.problem(400);
    web.post("/api/v1/sync-waves/-1/trigger", &place()).await.problem(400);
    assert_eq!(web.json("/api/v1/events").await["items"], json!([]));
    web.stop().await;
}

async fn with_key(web: &Web, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    web.send("POST", path, &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn the_same_key_is_the_same_request() {
    let web = Web::start(World::new(&[])).await;
    let path = "/api/v1/sync-waves/2/trigger";
    let first = with_key(&web, path, "k1", &place()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, None));
    for _ in 0..3 {
        let again = with_key(&web, path, "k1", &place()).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")));
        assert_eq!((&again.body, again.header("location")), (&first.body, first.header("location")));
    }
    let other = with_key(&web, path, "k2", &place()).await;
    assert_ne!(other.json()["event"], first.json()["event"]);
    with_key(&web, "/api/v1/sync-waves/3/trigger", "k1", &place()).await.problem(422);
    with_key(&web, path, "", &place()).await.problem(400);
    with_key(&web, path, &"k".repeat(256), &place()).await.problem(400);
    // What failed may be tried again with the same key.
    with_key(&web, path, "k3", &json!({})).await.problem(422);
    assert_eq!(with_key(&web, path, "k3", &place()).await.status, 202);
    assert_eq!(web.json("/api/v1/events").await["items"].as_array().unwrap().len(), 3);
    web.stop().await;
}

#[tokio::test]
async fn many_at_once_with_the_same_key_do_it_once() {
    let web = Web::start(World::new(&[])).await;
    let path = "/api/v1/sync-waves/2/trigger";
    let body = place();
    let asks = (0..20).map(|_| with_key(&web, path, "k", &body));
    for answer in futures_util::future::join_all(asks).await {
        assert!(matches!(answer.status, 202 | 409), "{}", answer.text());
    }
    assert_eq!(web.json("/api/v1/events").await["items"].as_array().unwrap().len(), 1);
    web.stop().await;
}

#[tokio::test]
async fn a_running_deployment_is_paused_and_resumed_and_aborted() {
    let mut world = World::new(&["customer-a"]);
    world.slow("postgres", Duration::from_secs(3));
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    let path = |command: &str| format!("/api/v1/deployments/{id}/{command}");
    running.when(&id, "it runs", |deployment| deployment.state().word() == "running").await;
    let why = web.json(&path("why")).await;
    assert!(why.as_array().unwrap().iter().any(|waiting| waiting["service"] == "web"), "{why:#}");
    web.post(&path("approve"), &json!({})).await.problem(409);
    web.post(&path("resume"), &json!({})).await.problem(409);
    web.post(&path("skip"), &json!({"service": "nothing"})).await.problem(409);
    web.post(&path("skip"), &json!({})).await.problem(422);
    // What was looked at is not there any more.
    let json = ("content-type", "application/json");
    web.send("POST", &path("pause"), &[json, ("if-match", "\"0-000000000000\"")], b"{}").await.problem(412);
    assert_eq!(web.post(&path("pause"), &json!({})).await.status, 202);
    running.when(&id, "it pauses", |deployment| deployment.state().word() == "paused").await;
    assert_eq!(web.send("POST", &path("resume"), &[], b"").await.status, 202);
    running.when(&id, "it goes on", |deployment| deployment.state().word() == "running").await;
    assert_eq!(web.post(&path("abort"), &json!({"reason": "enough"})).await.status, 202);
    let ended = running.ended(&id).await;
    assert_eq!(ended.state().reason().unwrap(), "aborted by local: enough");
    web.post(&path("abort"), &json!({})).await.problem(409);
    // Of one that is over, a new one is asked for.
    let again = web.post(&path("retry"), &json!({})).await;
    assert_eq!(again.status, 202, "{}", again.text());
    assert!(again.json()["event"].is_string());
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn a_dead_letter_that_can_succeed_by_now_is_replayed() {
    let web = Web::start(World::new(&[])).await;
    let spec = json!({"customer": "customer-a", "source": "shop", "id": "once"}).to_string().into_bytes();
    let wrong = json!({"customer": "customer-a", "source": "gone"}).to_string().into_bytes();
    let now = jiff::Timestamp::now();
    for (id, resource) in [("e-1", spec), ("e-2", wrong)] {
        web.app
            .bury(id.parse().unwrap(), Vec::new(), resource, Vec::new(), Origin::cli("sensor"), now)
            .await
            .unwrap();
    }
    let letters = web.json("/api/v1/dead-letters").await;
    assert_eq!(letters["items"].as_array().unwrap().len(), 2);
    let answer = web.post("/api/v1/dead-letters/e-1/replay", &json!({})).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("accepted")));
    let problem = web.post("/api/v1/dead-letters/e-2/replay", &json!({})).await.problem(422);
    assert!(problem.to_string().contains("gone"), "{problem}");
    web.post("/api/v1/dead-letters/e-1/replay", &json!({})).await.problem(404);
    let letters = web.json("/api/v1/dead-letters").await;
    assert_eq!(letters["items"].as_array().unwrap().len(), 1);
    web.stop().await;
}
