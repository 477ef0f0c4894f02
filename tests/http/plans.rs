//! Plans of commits and of posted values: what they would do, and that nothing is done.

use argocd_orchestrator::store::DeploymentFilter;
use serde_json::{Value, json};

use crate::people::{OPERATOR_B, VIEWER_A, settings};
use crate::support::repo::values;
use crate::support::web::Web;
use crate::support::world::World;

const PATH: &str = "/api/v1/plans";

/// What a plan does with each service, in the order of turns.
fn actions(planned: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("base").to_owned();
    let changes = planned["plan"]["changes"].as_array().unwrap();
    changes.iter().map(|change| (text(&change["service"]), text(&change["action"]["action"]))).collect()
}

fn synced(planned: &Value) -> Vec<String> {
    let synced = actions(planned).into_iter().filter(|(_, action)| action == "sync");
    synced.map(|(service, _)| service).collect()
}

#[tokio::test]
async fn a_plan_says_what_a_commit_or_posted_values_would_do() {
    let world = World::new(&["customer-a"]);
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    let first = world.repo.head();
    // Not fetched by anybody yet.
    let second = world.repo.new_tag("customer-a", "v2");
    let mine = |more: Value| {
        let mut body = json!({"customer": "customer-a"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let other_tag = values("customer-a").replace("imageTag: \"v1\"", "imageTag: \"v3\"");
    let stats = "      - name: stats\n        image: rtte/stats:v1\n        dependencies: []\n";
    let fewer = values("customer-a").replace(stats, "");
    let both = ["user-service", "web"].map(str::to_owned).to_vec();
    let one = |name: &str| vec![name.to_owned()];
    for (body, expected) in [
        (mine(json!({})), both.clone()),
        (mine(json!({"revision": second})), both.clone()),
        (mine(json!({"revision": first})), vec![]),
        (mine(json!({"environment": "production", "service": "web"})), one("web")),
        (mine(json!({"wave": 2})), ["stats", "user-service"].map(str::to_owned).to_vec()),
        (mine(json!({"order": "dependencies"})), both.clone()),
        (mine(json!({"revision": first, "values": other_tag})), both.clone()),
        (mine(json!({"revision": first, "values": fewer})), vec![]),
        (mine(json!({"revision": first, "service": "stats", "force": true})), one("stats")),
    ] {
        let answer = web.post(PATH, &body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        let planned = answer.json();
        assert_eq!(synced(&planned), expected, "{body}: {:?}", actions(&planned));
        assert_eq!(planned["idle"], json!(expected.is_empty()), "{body}");
        assert_eq!(planned["needs_approval"], json!(false));
        let removed = if body["values"] == json!(fewer) { json!(["stats"]) } else { json!([]) };
        assert_eq!(planned["diff"]["removed"], removed, "{body}");
    }
    // The same as what is really made.
    let planned = web.post(PATH, &mine(json!({}))).await.json();
    let made = running.deploy_one(&second).await;
    assert_eq!(planned["plan"]["hash"], json!(made.brief.plan.hash.as_str()));
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn a_plan_stores_nothing_and_needs_no_key() {
    let world = World::new(&["customer-a"]);
    let (app, _cluster) = world.parts().await;
    let web = Web::beside(app).await;
    let body = json!({"customer": "customer-a"}).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    for _ in 0..2 {
        let answer = web.send("POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (200, None), "{}", answer.text());
        assert_eq!(answer.json()["diff"], Value::Null, "nothing was ever started");
        assert_eq!(synced(&answer.json()).len(), 5, "all of it is new");
    }
    let all = web.app.store.deployments(&DeploymentFilter::default(), 10).await.unwrap().value;
    assert!(all.is_empty());
    assert_eq!(web.json("/api/v1/events").await["items"], json!([]));
    web.stop().await;
}

#[tokio::test]
async fn what_cannot_be_planned_is_told_with_its_place() {
    let mut world = World::new(&["customer-a"]);
    world.config.http = Some(settings());
    let (app, _cluster) = world.parts().await;
    let web = Web::beside(app).await;
    let ring = values("customer-a").replace("dependencies: []", "dependencies: [web]");
    let missing = "0123456789012345678901234567890123456789";
    for (token, body, status, said) in [
        (VIEWER_A, json!({"customer": "customer-a"}), 200, ""),
        (OPERATOR_B, json!({"customer": "customer-a"}), 404, "no such customer"),
        (OPERATOR_B, json!({"customer": "customer-b"}), 422, "add charts/customers/customer-b/values.yaml"),
        (VIEWER_A, json!({"customer": "customer-a", "revision": missing}), 404, "no such commit"),
        (VIEWER_A, json!({"customer": "customer-a", "revision": "main"}), 422, "revision"),
        (VIEWER_A, json!({"customer": "customer-a", "environment": "nowhere"}), 422, "no configured source"),
        (VIEWER_A, json!({"customer": "customer-a", "service": "nobody"}), 422, "no enabled service nobody"),
        (VIEWER_A, json!({"customer": "customer-a", "order": "random"}), 422, "order"),
        (VIEWER_A, json!({"customer": "customer-a", "extra": 1}), 422, "extra"),
        (VIEWER_A, json!({"customer": "customer-a", "values": ring}), 422, "dependency-cycle"),
        (VIEWER_A, json!({"customer": "customer-a", "values": "a: [b"}), 422, "values.yaml"),
        (VIEWER_A, json!({"customer": "customer-a", "values": values("customer-b")}), 422, "customer-b"),
    ] {
        let answer = web.post_as(token, PATH, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(said), "{body}: no {said:?} in {}", answer.text());
    }
    world.repo.hide();
    let later = web.post_as(VIEWER_A, PATH, &json!({"customer": "customer-a"})).await;
    assert_eq!(later.problem(503)["detail"], "the repository does not answer");
    assert_eq!(later.header("retry-after"), Some("5"));
    world.repo.show();
    web.stop().await;
}
