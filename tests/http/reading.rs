//! What is read: the seed's paths and ours, of two customers that were deployed.

use serde_json::{Value, json};

use crate::support::web::Web;
use crate::support::world::World;

/// The value at a JSON pointer of what a path answers.
async fn check(web: &Web, cases: &[(&str, &str, Value)]) {
    for (path, pointer, expected) in cases {
        let answer = web.json(path).await;
        let found = answer.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(found, expected, "{path} {pointer}: {answer:#}");
    }
}

#[tokio::test]
async fn everything_of_what_was_deployed_can_be_read() {
    let world = World::new(&["customer-a", "customer-b"]);
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    let head = world.repo.head();
    let deployments = running.deployments().await;
    let of_a = deployments.iter().find(|one| one.brief.plan.customer.as_str() == "customer-a").unwrap();
    let id = of_a.id();
    check(
        &web,
        &[
            ("/api/v1/deployments", "/items/1/state", json!("succeeded")),
            ("/api/v1/deployments", "/next", Value::Null),
            ("/api/v1/deployments?customer=customer-b", "/items/0/customer", json!("customer-b")),
            ("/api/v1/deployments?customer=customer-b", "/items/1", Value::Null),
            ("/api/v1/deployments?state=running", "/items", json!([])),
            ("/api/v1/deployments?environment=staging", "/items", json!([])),
            ("/api/v1/deployments?state=%27%20OR%201%3D1%20--%20", "/items", json!([])),
            ("/api/v1/deployments?state=%25", "/items", json!([])),
            (&format!("/api/v1/deployments/{id}"), "/revision", json!(head)),
            (&format!("/api/v1/deployments/{id}"), "/services/1/service", json!("postgres")),
            (&format!("/api/v1/deployments/{id}"), "/services/1/state", json!("healthy")),
            (&format!("/api/v1/deployments/{id}/plan"), "/customer", json!("customer-a")),
            (&format!("/api/v1/deployments/{id}/diff"), "/removed", json!([])),
            (&format!("/api/v1/deployments/{id}/diff"), "/added/0", json!("base")),
            (&format!("/api/v1/deployments/{id}/diff?against={id}"), "/added", json!([])),
            (&format!("/api/v1/deployments/{id}/why"), "", json!([])),
            (&format!("/api/v1/deployments/{id}/journal"), "/journal/0/seq", json!(1)),
            (&format!("/api/v1/deployments/{id}/journal"), "/review/waves/1/healthy", json!(1)),
            (&format!("/api/v1/deployments/{id}/graph"), "/picture/services/1/name", json!("postgres")),
            (&format!("/api/v1/deployments/{id}/graph"), "/picture/panels/0/wave", Value::Null),
            (&format!("/api/v1/deployments/{id}/graph"), "/picture/critical_path/0", json!("base")),
            (&format!("/api/v1/deployments/{id}/graph"), "/applications/1/link", Value::Null),
            (&format!("/api/v1/deployments/{id}/timeline"), "/services/1/spans/0/state", json!("waiting")),
            (&format!("/api/v1/deployments/{id}/timeline"), "/critical_path/0", json!("base")),
            (&format!("/api/v1/deployments/{id}/preview?command=retry"), "/anew", json!(true)),
            (&format!("/api/v1/deployments/{id}/preview?command=pause"), "/from", json!("succeeded")),
            ("/api/v1/customers/customer-a/services/web/history", "/items/0/state", json!("healthy")),
            ("/api/v1/customers/customer-a/services/nobody/history", "/items", json!([])),
            ("/api/v1/customers/customer-a/graph?environment=production", "/graph/cycles", json!([])),
            ("/api/v1/customers/customer-a/graph?environment=production", "/revision", json!(head)),
            ("/api/v1/customers", "/items/0/customer", json!("customer-a")),
            ("/api/v1/customers", "/items/1/latest/state", json!("succeeded")),
            ("/api/v1/customers", "/items/1/progress/passed", json!(5)),
            ("/api/v1/customers", "/items/1/blocked", Value::Null),
            ("/api/v1/customers", "/items/1/deployed/revision", json!(head)),
            ("/api/v1/customers?limit=1", "/next", json!("customer-a/production")),
            ("/api/v1/customers/customer-a/deployments", "/items/0/id", json!(id)),
            ("/api/v1/customers/customer-a/sync-waves", "/items/2/wave", json!(3)),
            ("/api/v1/customers/customer-a/sync-waves", "/items/2/status", json!("healthy")),
            ("/api/v1/sync-waves", "/items/5/customer", json!("customer-b")),
            ("/api/v1/sync-waves?customer=customer-b", "/items/3", Value::Null),
            ("/api/v1/sync-waves/2", "/items/0/details/0/state", json!("healthy")),
            ("/api/v1/sync-waves/2", "/items/0/services", json!(2)),
            ("/api/v1/sync-waves/9", "/items", json!([])),
            ("/api/v1/sync-waves/2/status", "/status", json!("healthy")),
            ("/api/v1/sync-waves/2/status", "/services", json!(4)),
            ("/api/v1/sync-waves/2/status?customer=customer-a", "/states/healthy", json!(2)),
            ("/api/v1/dependencies?customer=customer-a", "/items/1/service", json!("postgres")),
            ("/api/v1/dependencies/graph?customer=customer-a", "/items/0/services/1/name", json!("postgres")),
            ("/api/v1/dependencies/circular", "/items", json!([])),
            ("/api/v1/dependencies/health", "/items/0/healthy", json!(true)),
            ("/api/v1/health/services/web", "/items/1/shown/health", json!("Healthy")),
            ("/api/v1/health/services/web", "/items/1/shown/sync", json!("Synced")),
            ("/api/v1/health/services/web?customer=customer-a", "/items/0/shown/revision", json!(head)),
            ("/api/v1/health/services?customer=customer-a", "/items/4/customer", json!("customer-a")),
            ("/api/v1/rollback/history", "/items", json!([])),
            ("/api/v1/events", "/items/0/state", json!("planned")),
            ("/api/v1/events?state=ignored", "/items", json!([])),
            ("/api/v1/dead-letters", "/items", json!([])),
            ("/api/v1/orchestrator/status", "/finished/succeeded", json!(2)),
            ("/api/v1/orchestrator/status", "/writable", json!(true)),
            ("/api/v1/webhooks/health", "/status", json!("UP")),
            ("/api/v1/openapi.json", "/info/title", json!("argocd-orchestrator")),
        ],
    )
    .await;
    let graph = web.json("/api/v1/dependencies/graph?customer=customer-a").await;
    let edge = json!({"service": "web", "depends_on": "user-service"});
    assert!(graph["items"][0]["edges"].as_array().unwrap().contains(&edge), "{graph:#}");
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_that_meet_without_a_gap() {
    let names: Vec<String> = (0..7).map(|number| format!("customer-{number}")).collect();
    let customers: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::new(&customers);
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    for (path, key) in [
        ("/api/v1/deployments", "/customer"),
        ("/api/v1/customers", "/customer"),
        ("/api/v1/dependencies/graph", "/customer"),
        ("/api/v1/dependencies/health", "/customer"),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = web.json(&format!("{path}?limit=3{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 3);
            seen.extend(items.iter().map(|item| item.pointer(key).unwrap().as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        assert_eq!(seen, names, "{path}");
    }
    for wrong in
        ["limit=0", "limit=1001", "limit=x", "limit=-1", "nonsense=1", "customer=A%20B", "cursor=%20"]
    {
        web.get(&format!("/api/v1/deployments?{wrong}")).await.problem(400);
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn a_deployment_that_is_known_is_not_sent_again() {
    let world = World::new(&["customer-a"]);
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    let id = running.deployments().await[0].id().clone();
    let path = format!("/api/v1/deployments/{id}");
    let tag = web.get(&path).await.header("etag").unwrap().to_owned();
    for (given, status) in [(tag.as_str(), 304), (&*format!("\"x\", {tag}"), 304), ("\"x\"", 200)] {
        let answer = web.send("GET", &path, &[("if-none-match", given)], b"").await;
        assert_eq!((answer.status, answer.header("etag")), (status, Some(tag.as_str())), "{given}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new(&["customer-a"]);
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    for path in [
        "/api/v1/deployments/d-0",
        "/api/v1/deployments/d-0/plan",
        "/api/v1/events/e-0",
        "/api/v1/customers/customer-z/deployments",
        "/api/v1/customers/customer-z/sync-waves",
        "/api/v1/deployments?customer=customer-z",
        "/api/v1/sync-waves?customer=customer-z",
        "/api/v1/health/services/nothing",
    ] {
        web.get(path).await.problem(404);
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn a_ring_that_was_pushed_is_told_edge_by_edge() {
    let world = World::new(&["customer-a", "customer-b"]);
    let running = world.deployed().await;
    let file = crate::support::repo::values_file("customer-b");
    world.repo.replace(
        &file,
        "image: postgres:15-alpine\n        dependencies: []",
        "image: postgres:15-alpine\n        dependencies: [web]",
    );
    let deployments = running.deploy(&world.repo.commit()).await;
    assert_eq!(deployments[0].state().word(), "rejected");
    let web = Web::beside(running.app.clone()).await;
    let circular = web.json("/api/v1/dependencies/circular").await;
    let found = circular["items"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{circular:#}");
    assert_eq!(found[0]["customer"], "customer-b");
    assert_eq!(found[0]["diagnostics"][0]["code"], "dependency-cycle");
    // What runs is still what ran before.
    check(&web, &[("/api/v1/sync-waves/2/status", "/status", json!("healthy"))]).await;
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn posted_values_are_resolved_and_all_that_is_wrong_with_them_is_told() {
    let web = Web::start(World::new(&[])).await;
    let values = crate::support::repo::values("customer-a");
    let answer = web.post("/api/v1/dependencies/resolve", &json!({"values": values})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let resolved = answer.json();
    assert_eq!(resolved["critical_path"], json!(["postgres", "user-service", "web"]));
    assert_eq!(resolved["order"].as_array().unwrap().len(), 4);
    let ring = values.replace("dependencies: []\n  core", "dependencies: [web]\n  core");
    let problem = web.post("/api/v1/dependencies/resolve", &json!({"values": ring})).await.problem(422);
    let codes: Vec<_> =
        problem["diagnostics"].as_array().unwrap().iter().map(|fault| &fault["code"]).collect();
    assert!(codes.contains(&&json!("dependency-cycle")), "{problem:#}");
    assert_eq!(problem["diagnostics"][0]["file"], "values.yaml");
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]";
    for hostile in [laughs, &*"[".repeat(200_000), "a: 1\na: 2", "!!binary x", "\u{0}"] {
        web.post("/api/v1/dependencies/resolve", &json!({"values": hostile})).await.problem(422);
    }
    web.stop().await;
}
