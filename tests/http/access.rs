//! Who may do what, and that nobody learns of what is not theirs.

use serde_json::{Value, json};

use crate::people::{ADMIN, APPROVER_A, NOBODY, OPERATOR_A, OPERATOR_B, VIEWER_A, settings};
use crate::support::web::{Answer, Web};
use crate::support::world::World;

#[tokio::test]
async fn without_a_known_token_nothing_is_told() {
    let mut world = World::new(&[]);
    world.config.http = Some(settings());
    let web = Web::start(world).await;
    let headers: [&[(&str, &str)]; 8] = [
        &[],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer nothing")],
        &[("authorization", "Bearer null")],
        &[("authorization", "Bearer THE-TOKEN-OF-ADMIN")],
        &[("authorization", "Basic the-token-of-admin")],
        &[("authorization", "the-token-of-admin")],
        &[("authorization", "Bearer the-token-of-admin"), ("authorization", "Bearer nothing")],
    ];
    for given in headers {
        for (method, path) in [
            ("GET", "/api/v1/deployments"),
            ("GET", "/api/v1/deployments?limit=x"),
            ("GET", "/metrics"),
            ("GET", "/actuator/metrics"),
            ("GET", "/api/v1/events/stream"),
            ("POST", "/api/v1/sync-waves/2/trigger"),
        ] {
            let answer = web.send(method, path, given, b"{").await;
            answer.problem(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(web.get("/actuator/health").await.status, 200);
    assert_eq!(web.get_as(ADMIN, "/api/v1/deployments").await.status, 200);
    web.stop().await;
}

#[tokio::test]
async fn a_role_is_needed_with_the_very_customer() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    let running = {
        world.config.http = Some(settings());
        world.deployed().await
    };
    let web = Web::beside(running.app.clone()).await;
    let id = |customer: &str| {
        let found = running.deployments();
        let customer = customer.to_owned();
        async move {
            let all = found.await;
            all.iter().find(|one| one.brief.plan.customer.as_str() == customer).unwrap().id().to_string()
        }
    };
    let (a, b) = (id("customer-a").await, id("customer-b").await);
    let ask = |customer: &str| json!({"customer": customer, "environment": "production"});
    let pause = format!("/api/v1/deployments/{a}/pause");
    let approve = format!("/api/v1/deployments/{a}/approve");
    let pause_b = format!("/api/v1/deployments/{b}/pause");
    let wave = "/api/v1/sync-waves/2/trigger";
    let cases: [(&str, &str, Value, u16); 17] = [
        // A finished deployment: whoever may, is told that it is over.
        (OPERATOR_A, &pause, json!({}), 409),
        (ADMIN, &pause, json!({}), 409),
        (VIEWER_A, &pause, json!({}), 403),
        (APPROVER_A, &pause, json!({}), 403),
        (OPERATOR_B, &pause, json!({}), 404),
        (NOBODY, &pause, json!({}), 404),
        (OPERATOR_A, &pause_b, json!({}), 404),
        (APPROVER_A, &approve, json!({}), 409),
        (OPERATOR_A, &approve, json!({}), 403),
        (ADMIN, &approve, json!({}), 409),
        (OPERATOR_A, wave, ask("customer-a"), 202),
        (VIEWER_A, wave, ask("customer-a"), 403),
        (OPERATOR_A, wave, ask("customer-b"), 404),
        (OPERATOR_A, wave, ask("customer-unknown"), 404),
        (NOBODY, wave, ask("customer-a"), 404),
        (OPERATOR_A, "/api/v1/dead-letters/e-1/replay", json!({}), 403),
        (ADMIN, "/api/v1/dead-letters/e-1/replay", json!({}), 404),
    ];
    for (token, path, body, status) in cases {
        let answer = web.post_as(token, path, &body).await;
        assert_eq!(answer.status, status, "{token} {path} {body}: {}", answer.text());
    }
    web.halt().await;
    running.stop().await;
}

/// All answers but for the request's id.
async fn said(web: &Web, token: &str, path: &str) -> (u16, Value) {
    let answer = web.get_as(token, path).await;
    let mut body = answer.json();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, body)
}

#[tokio::test]
async fn an_unknown_customer_and_an_invisible_one_cannot_be_told_apart() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    world.config.http = Some(settings());
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    for path in [
        "/api/v1/customers/{}/deployments",
        "/api/v1/customers/{}/sync-waves",
        "/api/v1/deployments?customer={}",
        "/api/v1/sync-waves?customer={}",
        "/api/v1/dependencies?customer={}",
        "/api/v1/health/services?customer={}",
        "/api/v1/rollback/history?customer={}",
        "/api/v1/events?customer={}",
    ] {
        for token in [VIEWER_A, NOBODY] {
            let invisible = said(&web, token, &path.replace("{}", "customer-b")).await;
            let unknown = said(&web, token, &path.replace("{}", "customer-x")).await;
            assert_eq!(invisible.0, 404, "{path}");
            assert_eq!(invisible, unknown, "{path}");
        }
        assert_eq!(said(&web, VIEWER_A, &path.replace("{}", "customer-a")).await.0, 200, "{path}");
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn lists_hold_nothing_of_other_customers() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    world.config.http = Some(settings());
    let running = world.deployed().await;
    // An event that touches both, and one that is only about the other.
    running.ask(&[("customer", "customer-b"), ("environment", "production"), ("kind", "health-check")]).await;
    let web = Web::beside(running.app.clone()).await;
    let ids = running.deployments().await;
    let of_a = ids.iter().find(|one| one.brief.plan.customer.as_str() == "customer-a").unwrap().id();
    let of_b = ids.iter().find(|one| one.brief.plan.customer.as_str() == "customer-b").unwrap().id();
    for path in [
        "/api/v1/deployments",
        "/api/v1/customers",
        "/api/v1/sync-waves",
        "/api/v1/sync-waves/2",
        "/api/v1/sync-waves/2/status",
        "/api/v1/dependencies",
        "/api/v1/dependencies/graph",
        "/api/v1/dependencies/circular",
        "/api/v1/dependencies/health",
        "/api/v1/health/services",
        "/api/v1/health/services/web",
        "/api/v1/rollback/history",
        "/api/v1/events",
    ] {
        let all = web.get_as(ADMIN, path).await.text();
        let mine = web.get_as(VIEWER_A, path).await;
        assert_eq!(mine.status, 200, "{path}: {}", mine.text());
        let nothing = web.get_as(NOBODY, path).await.text();
        for word in ["customer-b", of_b.as_str()] {
            assert!(!mine.text().contains(word), "{path} tells of {word}: {}", mine.text());
            assert!(!nothing.contains(word) && !nothing.contains("customer-a"), "{path}: {nothing}");
        }
        let empty = ["circular", "rollback"].iter().any(|word| path.contains(word));
        let told = mine.text().contains("customer-a") || mine.text().contains(of_a.as_str());
        assert!(empty || (all.contains("customer-b") && told), "{path}: {}", mine.text());
    }
    for path in ["/api/v1/dead-letters", "/metrics", "/actuator/metrics"] {
        web.get_as(VIEWER_A, path).await.problem(403);
        assert_eq!(web.get_as(ADMIN, path).await.status, 200, "{path}");
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn who_asked_for_a_deployment_does_not_approve_it() {
    let mut world = World::new(&["customer-a"]);
    world.config.http = Some(settings());
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let ask = json!({"customer": "customer-a", "environment": "production"});
    let answer = web.post_as(ADMIN, "/api/v1/sync-waves/1/trigger", &ask).await;
    let event = answer.json()["event"].as_str().unwrap().parse().unwrap();
    let id = running.first_of(&event).await;
    running.when(&id, "it waits", |deployment| deployment.state().word() == "awaiting-approval").await;
    let path = format!("/api/v1/deployments/{id}/approve");
    let problem = web.post_as(ADMIN, &path, &json!({})).await.problem(403);
    assert_eq!(problem["detail"], "who asked for a deployment cannot approve it");
    let preview = format!("/api/v1/deployments/{id}/preview?command=approve");
    let refused = |answer: Answer| answer.json()["refused"].clone();
    assert_eq!(refused(web.get_as(ADMIN, &preview).await), "who asked for a deployment cannot approve it");
    assert_eq!(refused(web.get_as(APPROVER_A, &preview).await), Value::Null);
    web.post_as(APPROVER_A, &path, &json!({"plan": "00000000"})).await.problem(409);
    assert_eq!(web.post_as(APPROVER_A, &path, &json!({})).await.status, 202);
    running.ended(&id).await;
    web.halt().await;
    running.stop().await;
}
