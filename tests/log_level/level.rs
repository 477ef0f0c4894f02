//! The level of the log, changed while the server runs.

use argocd_orchestrator::config::Http;
use argocd_orchestrator::config::http::AccessToken;
use argocd_orchestrator::logging::{Settings, start};
use serde_json::json;

use crate::support::web::{Web, sha256};
use crate::support::world::World;

fn token(name: &str, role: &str, customers: &str) -> AccessToken {
    let roles =
        json!([{ "role": role, "customers": serde_json::from_str::<serde_json::Value>(customers).unwrap() }]);
    AccessToken { name: name.into(), sha256: sha256(name), roles: serde_json::from_value(roles).unwrap() }
}

#[tokio::test]
async fn an_admin_changes_what_is_logged_and_nobody_else_does() {
    start(&Settings { filter: "error", json: true, colours: false, file: None }).unwrap();
    let mut world = World::new(&["customer-a"]);
    world.config.http = Some(Http {
        tokens: vec![
            token("admin", "admin", "\"all\""),
            token("operator", "operator", "\"all\""),
            token("of-one", "admin", "[\"customer-a\"]"),
        ],
        ..Http::default()
    });
    let web = Web::start(world).await;
    let put = async |token: &str, body: serde_json::Value| {
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        web.send("PUT", "/api/v1/log-level", &headers, body.to_string().as_bytes()).await
    };
    let level = async || web.get_as("admin", "/api/v1/log-level").await.json();
    assert_eq!(level().await, json!({ "level": "error" }));
    assert_eq!(put("admin", json!({ "level": "warn,argocd_orchestrator::worker=debug" })).await.status, 200);
    assert_eq!(level().await, json!({ "level": "warn,argocd_orchestrator::worker=debug" }));
    let told = web.get_as("admin", "/api/v1/audit").await.json()["items"][0].clone();
    assert_eq!((&told["action"], &told["actor"]), (&json!("log-level"), &json!("admin")), "{told}");
    assert_eq!(
        (&told["before"], &told["after"]),
        (&json!("error"), &json!("warn,argocd_orchestrator::worker=debug"))
    );
    for (body, said) in [
        (json!({ "level": "verbose" }), "is no level"),
        (json!({ "level": "" }), "is a level"),
        (json!({ "level": "argocd_orchestrator=loud" }), "argocd_orchestrator=loud"),
    ] {
        let problem = put("admin", body).await.problem(422);
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    for who in ["operator", "of-one"] {
        put(who, json!({ "level": "trace" })).await.problem(403);
        web.get_as(who, "/api/v1/log-level").await.problem(403);
        web.get_as(who, "/actuator/loggers").await.problem(403);
    }
    put("nobody", json!({ "level": "trace" })).await.problem(401);
    assert_eq!(level().await, json!({ "level": "warn,argocd_orchestrator::worker=debug" }));

    // As Spring's actuator has it.
    let root = "/actuator/loggers/ROOT";
    assert_eq!(web.post_as("admin", root, &json!({ "configuredLevel": "INFO" })).await.status, 204);
    assert_eq!(web.get_as("admin", root).await.json()["effectiveLevel"], "INFO");
    assert_eq!(
        web.get_as("admin", "/actuator/loggers").await.json()["loggers"]["ROOT"]["configuredLevel"],
        "INFO"
    );
    web.post_as("admin", "/actuator/loggers/com.example", &json!({})).await.problem(404);
    web.post_as("admin", root, &json!({ "configuredLevel": "LOUD" })).await.problem(422);
    // None brings back what held at first.
    assert_eq!(put("admin", json!({ "level": null })).await.status, 200);
    assert_eq!(level().await, json!({ "level": "error" }));
    web.stop().await;
}
