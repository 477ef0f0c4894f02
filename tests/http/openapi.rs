//! The OpenAPI document and the server say the same: every route answers as documented, whatever it is sent.

use argocd_orchestrator::http;
use serde_json::{Value, json};

use crate::people::settings;
use crate::support::web::{Answer, Web};
use crate::support::world::World;

/// An operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    told: &'a Value,
}

fn document() -> Value {
    serde_json::to_value(http::openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, told)| Operation { path, method, told })
    });
    all.collect()
}

/// The answer's status and body are among what is documented.
fn check(document: &Value, operation: &Operation<'_>, answer: &Answer) {
    let Operation { path, method, told } = operation;
    let documented = &told["responses"][answer.status.to_string()];
    assert!(documented.is_object(), "{method} {path} answers {}: {}", answer.status, answer.text());
    let Some(content) = documented["content"].as_object() else {
        assert!(answer.body.is_empty(), "{method} {path}: {}", answer.text());
        return;
    };
    let kind = answer.header("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap();
    let media = content.get(essence).unwrap_or_else(|| panic!("{method} {path} answers {kind}"));
    if essence.ends_with("json") {
        // Its own schema, with those that it refers to at hand.
        let mut schema = media["schema"].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let body = answer.json();
        let faults: Vec<_> = validator.iter_errors(&body).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{method} {path} {}: {faults:#?}\n{body:#}", answer.status);
    }
}

#[test]
fn every_route_of_the_seed_and_of_ours_is_documented() {
    let document = document();
    let known: Vec<String> = operations(&document)
        .iter()
        .map(|one| format!("{} {}", one.method.to_uppercase(), one.path))
        .collect();
    for route in [
        "POST /api/v1/webhooks/cac",
        "POST /api/v1/webhooks/github",
        "POST /api/v1/webhooks/argo-events",
        "GET /api/v1/webhooks/health",
        "GET /actuator/health",
        "GET /actuator/health/liveness",
        "GET /actuator/health/readiness",
        "GET /actuator/health/startup",
        "GET /actuator/metrics",
        "GET /metrics",
        "GET /api/v1/sync-waves",
        "GET /api/v1/sync-waves/{wave}",
        "POST /api/v1/sync-waves/{wave}/trigger",
        "GET /api/v1/sync-waves/{wave}/status",
        "GET /api/v1/dependencies",
        "GET /api/v1/dependencies/graph",
        "POST /api/v1/dependencies/resolve",
        "GET /api/v1/dependencies/circular",
        "GET /api/v1/dependencies/health",
        "GET /api/v1/health/services",
        "GET /api/v1/health/services/{service}",
        "POST /api/v1/health/services/{service}/check",
        "GET /api/v1/rollback/history",
        "POST /api/v1/rollback/services/{service}",
        "POST /api/v1/rollback/wave/{wave}",
        "GET /api/v1/orchestrator/status",
        "GET /api/v1/customers/{customer}/deployments",
        "GET /api/v1/customers/{customer}/sync-waves",
        "GET /api/v1/events/stream",
        "GET /api/v1/openapi.json",
    ] {
        assert!(known.iter().any(|one| one == route), "{route} is not in {known:#?}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let document = document();
    let mut names = std::collections::BTreeSet::new();
    for Operation { path, method, told } in operations(&document) {
        let name = told["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(told["summary"].as_str().is_some_and(|text| text.len() > 10), "{method} {path}");
    }
}

#[tokio::test]
async fn every_route_answers_as_documented() {
    let world = World::new(&["customer-a"]);
    let running = world.deployed().await;
    let id = running.deployments().await[0].id().to_string();
    let event = running.deployments().await[0].brief.event.to_string();
    let web = Web::beside(running.app.clone()).await;
    let document = document();
    let ask = json!({"customer": "customer-a", "environment": "production"}).to_string();
    let values = json!({"values": crate::support::repo::values("customer-a")}).to_string();
    let json_type = ("content-type", "application/json");
    for operation in operations(&document) {
        if operation.path.ends_with("/stream") {
            continue;
        }
        let own = if operation.path.contains("/events/") { &event } else { &id };
        let right = [
            ("{id}", own.as_str()),
            ("{wave}", "2"),
            ("{service}", "web"),
            ("{customer}", "customer-a"),
            ("{source}", "shop"),
            ("{name}", "ROOT"),
        ];
        let missing = [
            ("{id}", "x-0"),
            ("{wave}", "99"),
            ("{service}", "nothing"),
            ("{customer}", "customer-z"),
            ("{source}", "none"),
            ("{name}", "nothing"),
        ];
        let wrong = [
            ("{id}", "%20"),
            ("{wave}", "-1"),
            ("{service}", "A%20B"),
            ("{customer}", "A%0AB"),
            ("{source}", "%00"),
            ("{name}", "%00"),
        ];
        for values_of_path in [right, missing, wrong] {
            let filled = values_of_path
                .iter()
                .fold(operation.path.to_owned(), |path, (name, value)| path.replace(name, value));
            if operation.method == "get" {
                for query in ["", "?limit=2", "?limit=x", "?customer=customer-z", "?nonsense=1"] {
                    let answer = web.get(&format!("{filled}{query}")).await;
                    if operation.told["parameters"]
                        .as_array()
                        .is_none_or(|all| all.iter().all(|one| one["in"] != "query"))
                    {
                        // What nobody reads changes nothing.
                        assert_ne!(answer.status, 500);
                    }
                    check(&document, &operation, &answer);
                }
                continue;
            }
            let method = operation.method.to_uppercase();
            for body in ["{}", &ask, &values, "[]", "{", "{\"reason\": 7}", "{\"service\": \"web\"}"] {
                let answer = web.send(&method, &filled, &[json_type], body.as_bytes()).await;
                check(&document, &operation, &answer);
            }
            check(&document, &operation, &web.send(&method, &filled, &[], b"x").await);
            check(
                &document,
                &operation,
                &web.send(&method, &filled, &[("content-type", "text/plain")], b"x").await,
            );
        }
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn what_needs_a_login_says_so() {
    let mut world = World::new(&[]);
    world.config.http = Some(settings());
    let web = Web::start(world).await;
    let document = document();
    for operation in operations(&document) {
        let path = ["{id}", "{service}", "{customer}", "{source}"]
            .iter()
            .fold(operation.path.to_owned(), |path, name| path.replace(name, "x-0"));
        let path = path.replace("{wave}", "1");
        let method = operation.method.to_uppercase();
        let answer = web.send(&method, &path, &[("content-type", "application/json")], b"{}").await;
        let open = operation.told["security"] == json!([{}]);
        assert_eq!(answer.status != 401, open, "{method} {path}: {}", answer.text());
        check(&document, &operation, &answer);
    }
    web.stop().await;
}
