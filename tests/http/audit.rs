//! Every write leaves a record: who, from where, what, and what came of it.

use argocd_orchestrator::domain::audit::Via;
use argocd_orchestrator::domain::compliance::Compliance;
use argocd_orchestrator::store::AuditFilter;
use serde_json::{Value, json};

use crate::people::{ADMIN, APPROVER_A, NOBODY, OPERATOR_A, OPERATOR_B, VIEWER_A, settings};
use crate::support::web::Web;
use crate::support::world::World;

async fn records(web: &Web, token: &str, query: &str) -> Vec<Value> {
    let answer = web.get_as(token, &format!("/api/v1/audit{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn who_asked_for_what_is_told_with_its_before_and_after() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    world.config.http = Some(settings());
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let ask = json!({"customer": "customer-a", "environment": "production"});
    let headers = [
        ("authorization", &*format!("Bearer {OPERATOR_A}")),
        ("content-type", "application/json"),
        ("x-request-id", "the-request"),
    ];
    let path = "/api/v1/sync-waves/1/trigger";
    let asked = web.send("POST", path, &headers, ask.to_string().as_bytes()).await;
    let event = asked.json()["event"].as_str().unwrap().to_owned();
    let id = running.first_of(&event.parse().unwrap()).await;
    running.when(&id, "it waits", |deployment| deployment.state().word() == "awaiting-approval").await;
    let command = |name: &str| format!("/api/v1/deployments/{id}/{name}");
    // What is refused leaves nothing.
    web.post_as(OPERATOR_A, &command("approve"), &json!({})).await.problem(403);
    web.post_as(OPERATOR_B, &command("abort"), &json!({})).await.problem(404);
    assert_eq!(web.post_as(APPROVER_A, &command("approve"), &json!({})).await.status, 202);
    let deployment = running.ended(&id).await;

    let told = records(&web, VIEWER_A, "?customer=customer-a").await;
    let told: Vec<_> = told.iter().map(|one| (&one["actor"], &one["action"], &one["before"])).collect();
    let (approver, operator) = (json!("approver-a"), json!("operator-a"));
    let (approve, wave) = (json!("approve"), json!("sync-wave"));
    let waits = json!("awaiting-approval");
    assert_eq!(told, [(&approver, &approve, &waits), (&operator, &wave, &Value::Null)]);
    let all = records(&web, ADMIN, "").await;
    let first = all.last().unwrap();
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(first["request_id"], "the-request");
    assert_eq!((&first["event"], &first["after"]), (&json!(event), &json!("planned")));
    let approval = &all[0];
    assert_ne!(approval["after"], json!("awaiting-approval"));
    assert!(approval["summary"].as_str().unwrap().contains("awaiting-approval, then"), "{approval}");

    let stored = running.app.store.audit(&AuditFilter::default(), 10).await.unwrap().value;
    assert!(stored.iter().all(|record| record.origin.via == Via::Http));
    let report = Compliance::of(&deployment, &stored);
    assert_eq!(
        (report.requested_by.as_str(), report.approved_by.as_deref()),
        ("operator-a", Some("approver-a"))
    );
    assert_eq!((report.needed_approval, report.four_eyes), (true, Some(true)));

    // Nobody learns of others.
    assert!(records(&web, OPERATOR_B, "").await.is_empty());
    assert!(records(&web, NOBODY, "").await.is_empty());
    web.get_as(OPERATOR_B, "/api/v1/audit?customer=customer-a").await.problem(404);
    for (query, count) in [
        ("?actor=operator-a", 1),
        ("?actor=nobody", 0),
        (&*format!("?deployment={id}"), 1),
        ("?since=2100-01-01T00:00:00Z", 0),
        ("?until=2100-01-01T00:00:00Z", 2),
        ("?limit=1", 1),
        ("?cursor=1", 0),
    ] {
        assert_eq!(records(&web, ADMIN, query).await.len(), count, "{query}");
    }
    web.get_as(ADMIN, "/api/v1/audit?cursor=x").await.problem(400);
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_told_twice_is_recorded_once_and_old_records_are_forgotten() {
    let mut world = World::new(&["customer-a"]);
    world.config.http = Some(settings());
    let web = Web::start(world).await;
    let ask = json!({"customer": "customer-a", "environment": "production"}).to_string();
    let token = format!("Bearer {ADMIN}");
    let headers =
        [("authorization", &*token), ("content-type", "application/json"), ("idempotency-key", "the-key")];
    for _ in 0..2 {
        let answer = web.send("POST", "/api/v1/sync-waves/1/trigger", &headers, ask.as_bytes()).await;
        assert_eq!(answer.status, 202);
    }
    assert_eq!(records(&web, ADMIN, "").await.len(), 1);
    web.post_as(ADMIN, "/api/v1/sync-waves/2/trigger", &serde_json::from_str(&ask).unwrap()).await;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    web.app.store.forget_audit(later).await.unwrap();
    let left = records(&web, ADMIN, "").await;
    // The numbers go on, so that a cursor never means something else.
    assert_eq!((left.len(), &left[0]["seq"]), (1, &json!(2)));
    web.stop().await;
}
