//! What a rollback would do, before it is asked for.

use serde_json::{Value, json};

use crate::people::{ADMIN, VIEWER_A, settings};
use crate::support::web::Web;
use crate::support::world::{World, touched};

const PREVIEW: &str = "/api/v1/rollback/preview?customer=customer-a&environment=production";

/// The services with their turn and commit, as `web 1 0123abcd`.
fn lines(preview: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let commit = one["revision"].as_str().map_or("-", |revision| &revision[..8]);
        format!("{} {} {commit}", one["service"].as_str().unwrap(), one["turn"])
    };
    preview["services"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn what_is_foreseen_is_done_and_looking_at_it_changes_nothing() {
    let world = World::new(&["customer-a"]);
    let running = world.deployed().await;
    let first = world.repo.head();
    running.deploy_one(&world.repo.new_tag("customer-a", "v2")).await;
    let web = Web::beside(running.app.clone()).await;
    let before = web.json("/api/v1/events").await;

    let all = web.json(PREVIEW).await;
    let first = first.short();
    assert_eq!(lines(&all)[..2], [format!("web 1 {first}"), format!("user-service 2 {first}")]);
    assert!(lines(&all)[2..].iter().all(|line| line.ends_with(" null -")), "{all}");
    assert_eq!(
        (&all["refused"], &all["needs_approval"], &all["behind"]),
        (&Value::Null, &json!(false), &json!([]))
    );
    let service = web.json(&format!("{PREVIEW}&service=user-service")).await;
    assert_eq!(lines(&service), [format!("user-service 1 {first}")]);
    let wave = web.json(&format!("{PREVIEW}&wave=2")).await;
    assert_eq!(lines(&wave), [format!("user-service 1 {first}"), "stats null -".to_owned()]);
    let cause = wave["services"][1]["cause"].as_str().unwrap();
    assert!(cause.contains("nothing else ran healthily before"), "{cause}");
    let nobody = web.json(&format!("{PREVIEW}&service=nobody")).await;
    assert!(nobody["refused"].as_str().is_some(), "{nobody}");
    assert_eq!(web.json("/api/v1/events").await, before);
    assert_eq!(running.deployments().await.len(), 2);

    let ask = json!({"customer": "customer-a", "environment": "production"});
    let answer = web.post("/api/v1/rollback/wave/2", &ask).await;
    let event = answer.json()["event"].as_str().unwrap().parse().unwrap();
    let done = running.ended(&running.first_of(&event).await).await;
    assert_eq!((done.state().word(), touched(&done)), ("succeeded", vec!["user-service"]));
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn it_needs_what_asking_for_it_needs() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    world.config.http = Some(settings());
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let of_b = "/api/v1/rollback/preview?customer=customer-b&environment=production";
    web.get_as(VIEWER_A, PREVIEW).await.problem(403);
    web.get_as(VIEWER_A, of_b).await.problem(404);
    web.get_as(ADMIN, "/api/v1/rollback/preview?customer=customer-a&environment=nowhere").await.problem(422);
    web.get_as(ADMIN, "/api/v1/rollback/preview?customer=customer-a").await.problem(400);
    let ask = json!({"customer": "customer-a", "environment": "production"});
    let asked = web.post_as(ADMIN, "/api/v1/sync-waves/1/trigger", &ask).await;
    let event = asked.json()["event"].as_str().unwrap().parse().unwrap();
    let id = running.first_of(&event).await;
    let told = web.get_as(ADMIN, PREVIEW).await.json();
    assert_eq!((&told["needs_approval"], &told["behind"]), (&json!(true), &json!([id.to_string()])));
    web.halt().await;
    running.stop().await;
}
