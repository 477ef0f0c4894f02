//! Metrics: the promised names, counted over a deployment that went well and one that was taken back.

use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::config::Http;
use argocd_orchestrator::config::metrics::MetricsListener;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use crate::support::web::{Web, sha256};
use crate::support::world::World;

/// The value of a sample, by its name and labels.
fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// The metrics, once a sample has a value.
async fn until(web: &Web, sample: &str, expected: f64) -> String {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let text = web.get("/metrics").await.text();
        if value(&text, sample) == Some(expected) {
            return text;
        }
        assert!(Instant::now() < patience, "{sample} is never {expected}:\n{text}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_happens_is_counted_under_the_promised_names() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::SyncFailed) });
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    running.deploy(&world.repo.head()).await;
    let text = until(
        &web,
        "argocd_orchestrator_deployments_total{customer=\"customer-a\",state=\"succeeded\"}",
        1.0,
    )
    .await;
    for (sample, expected) in [
        ("argocd_orchestrator_sync_waves_total", 3.0),
        ("argocd_orchestrator_sync_waves_duration_seconds_count", 3.0),
        ("argocd_orchestrator_health_checks_total{result=\"healthy\"}", 5.0),
        ("argocd_orchestrator_microservices_healthy{customer=\"customer-a\"}", 5.0),
        ("argocd_orchestrator_cac_sync_duration_seconds_count", 1.0),
        ("argocd_orchestrator_rollbacks_total", 0.0),
        // This server is beside the worker, and does not know that it is one.
        ("argocd_orchestrator_leader_election_status", 0.0),
        ("argocd_orchestrator_push_to_first_sync_seconds_count", 1.0),
        ("argocd_orchestrator_push_to_healthy_seconds_count", 1.0),
        ("argocd_orchestrator_makespan_seconds_count", 1.0),
        ("argocd_orchestrator_critical_path_seconds_count", 1.0),
        ("argocd_orchestrator_dead_letters", 0.0),
        ("argocd_orchestrator_events_waiting", 0.0),
        ("argocd_orchestrator_events_oldest_seconds", 0.0),
        ("argocd_orchestrator_deployments_queued", 0.0),
        ("argocd_orchestrator_lead_time_seconds_count{customer=\"customer-a\"}", 1.0),
    ] {
        assert_eq!(value(&text, sample), Some(expected), "{sample}:\n{text}");
    }
    assert!(value(&text, "argocd_orchestrator_dependencies_resolved_total").unwrap() >= 2.0, "{text}");
    assert!(text.contains("# TYPE argocd_orchestrator_deployments_active gauge"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    for sample in [
        "argocd_orchestrator_store_commit_duration_seconds_count",
        "argocd_orchestrator_store_read_duration_seconds_count",
        "argocd_orchestrator_healthy_to_next_sync_seconds_count",
    ] {
        assert!(value(&text, sample).unwrap() >= 1.0, "{sample}:\n{text}");
    }
    let passed = text.lines().filter(|line| line.contains("gate_verdicts_total{verdict=\"passed\""));
    let passed: f64 = passed.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!((passed - 5.0).abs() < 0.1, "{text}");

    running.deploy(&world.repo.new_tag("customer-a", "v2")).await;
    let text =
        until(&web, "argocd_orchestrator_deployments_total{customer=\"customer-a\",state=\"failed\"}", 1.0)
            .await;
    assert_eq!(value(&text, "argocd_orchestrator_rollbacks_total"), Some(1.0), "{text}");
    assert!(value(&text, "argocd_orchestrator_retries_total").unwrap() >= 1.0, "{text}");
    assert_eq!(
        web.get("/actuator/metrics").await.header("content-type"),
        web.get("/metrics").await.header("content-type")
    );

    let history = web.json("/api/v1/rollback/history").await;
    let back = &history["items"][0];
    assert_eq!((&back["state"], &back["purpose"]), (&json!("failed"), &json!("deploy")), "{history:#}");
    let services = back["services"].as_array().unwrap();
    assert!(
        services.iter().any(|one| one["service"] == "user-service" && one["state"] == "rolled-back"),
        "{back:#}"
    );
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn what_services_wait_for_is_told_with_how_long() {
    let mut world = World::new(&["customer-a"]);
    world.slow("postgres", Duration::from_secs(30));
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    // user-service waits for postgres, and web for user-service.
    let text = until(&web, "argocd_orchestrator_blocked_services{blocker=\"dependency\"}", 2.0).await;
    assert_eq!(
        value(&text, "argocd_orchestrator_deployments_active{customer=\"customer-a\"}"),
        Some(1.0),
        "{text}"
    );
    let waited = value(&text, "argocd_orchestrator_blocked_seconds_total{blocker=\"dependency\"}").unwrap();
    sleep(Duration::from_millis(200)).await;
    let text = web.get("/metrics").await.text();
    let later = value(&text, "argocd_orchestrator_blocked_seconds_total{blocker=\"dependency\"}").unwrap();
    assert!(later >= waited + 2.0 * 0.2, "{waited} {later}");
    assert_eq!(web.post(&format!("/api/v1/deployments/{id}/abort"), &json!({})).await.status, 202);
    running.ended(&id).await;
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_deployed_is_still_counted_after_a_restart() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::SyncFailed) });
    let running = world.deployed().await;
    running.deploy(&world.repo.new_tag("customer-a", "v2")).await;
    let ended = |state: &str| {
        format!("argocd_orchestrator_deployments_total{{customer=\"customer-a\",state=\"{state}\"}}")
    };
    // Whoever begins to count now counts what the store tells of before.
    for _ in 0..2 {
        let web = Web::beside(running.app.clone()).await;
        let text = until(&web, &ended("failed"), 1.0).await;
        assert_eq!(value(&text, &ended("succeeded")), Some(1.0), "{text}");
        let lead = "argocd_orchestrator_lead_time_seconds_count{customer=\"customer-a\"}";
        assert_eq!(value(&text, lead), Some(1.0), "{text}");
        let restored = "argocd_orchestrator_time_to_restore_seconds_count{customer=\"customer-a\"}";
        assert_eq!(value(&text, restored), Some(0.0), "nothing was restored:\n{text}");
        web.halt().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn customers_are_told_apart_up_to_a_number() {
    let mut world = World::new(&["customer-a", "customer-b", "customer-c"]);
    world.config.http = Some(Http { metrics_customers: 1, ..Http::default() });
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    let text = web.get("/metrics").await.text();
    let named = ["customer-a", "customer-b", "customer-c"].iter().filter(|name| text.contains(*name)).count();
    assert_eq!(named, 1, "{text}");
    assert_eq!(
        value(&text, "argocd_orchestrator_microservices_healthy{customer=\"other\"}"),
        Some(10.0),
        "{text}"
    );
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn scrapers_have_a_port_of_their_own_with_a_token_and_nothing_else_on_it() {
    let mut world = World::new(&["customer-a"]);
    // A port that is free a moment before.
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = MetricsListener { listen, token_sha256: Some(sha256("scraper")), allow_plaintext: false };
    world.config.http = Some(Http { metrics: Some(metrics), ..Http::default() });
    let web = Web::start(world).await;
    // The main port answers once both are there.
    assert_eq!(web.get("/metrics").await.status, 200);
    let scrapers = web.at(listen);
    scrapers.get("/metrics").await.problem(401);
    scrapers.get_as("another", "/metrics").await.problem(401);
    let text = scrapers.get_as("scraper", "/metrics").await.text();
    assert!(text.contains("argocd_orchestrator_dead_letters 0"), "{text}");
    scrapers.get_as("scraper", "/api/v1/deployments").await.problem(404);
    assert_eq!(scrapers.post_as("scraper", "/metrics", &json!({})).await.status, 405);
    web.stop().await;
}
