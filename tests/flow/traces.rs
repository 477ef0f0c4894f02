//! One trace from the push to the last healthy service, as a collector gets it.

use std::sync::{Arc, Mutex};

use argocd_orchestrator::adapters::otlp::Otlp;
use argocd_orchestrator::app::traces;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::world::World;

/// What came, and how many answers are still to be failures.
#[derive(Default)]
struct Received {
    messages: Vec<(HeaderMap, Value)>,
    failures: u32,
}

type Shared = Arc<Mutex<Received>>;

/// A receiver of OTLP over HTTP with JSON.
async fn receiver(failures: u32) -> (String, Shared) {
    let received: Shared = Arc::new(Mutex::new(Received { failures, ..Received::default() }));
    let take = async |State(received): State<Shared>, headers: HeaderMap, Json(message): Json<Value>| {
        let mut received = received.lock().unwrap();
        if received.failures > 0 {
            received.failures -= 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        received.messages.push((headers, message));
        StatusCode::OK
    };
    let router = axum::Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, received)
}

/// The spans of all messages, once there are so many messages.
async fn spans(received: &Shared, messages: usize) -> Vec<Value> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        {
            let received = received.lock().unwrap();
            if received.messages.len() >= messages {
                let all = received.messages.iter().flat_map(|(_, message)| {
                    message["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
                });
                return all.collect();
            }
        }
        assert!(Instant::now() < patience, "no trace came");
        sleep(Duration::from_millis(20)).await;
    }
}

fn nanoseconds(span: &Value, key: &str) -> i128 {
    span[key].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_collector_gets_one_trace_that_goes_on_the_senders_though_it_was_away_at_first() {
    let world = World::new(&["customer-a"]);
    let running = world.start().await;
    let (endpoint, received) = receiver(1).await;
    let headers = [("x-api-key".to_owned(), "a secret".to_owned().into())];
    let collector = Arc::new(Otlp::new(&endpoint, &headers).unwrap());
    let stop = CancellationToken::new();
    // Where it begins is settled before anything happens.
    running.app.store.tell("traces", 0).await.unwrap();
    let telling = tokio::spawn(traces::tell(running.app.store.clone(), collector, 1.0, stop.clone()));

    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let before = Timestamp::now();
    traces::within(Some(&format!("00-{trace}-{parent}-01")), running.deploy(&world.repo.head())).await;
    let after = Timestamp::now();
    let spans = spans(&received, 1).await;
    assert_eq!(received.lock().unwrap().messages[0].0["x-api-key"], "a secret");

    let named =
        |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}"));
    assert!(spans.iter().all(|span| span["traceId"] == trace), "{spans:#?}");
    let whole = named("deployment");
    assert_eq!(whole["parentSpanId"], parent);
    for name in ["intake", "queued", "service web", "service user-service", "service postgres"] {
        assert_eq!(named(name)["parentSpanId"], whole["spanId"], "{name}");
    }
    let web = named("service web");
    let below: Vec<&str> = spans
        .iter()
        .filter(|span| span["parentSpanId"] == web["spanId"])
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(below, ["syncing", "verifying"]);
    for span in &spans {
        let (start, end) = (nanoseconds(span, "startTimeUnixNano"), nanoseconds(span, "endTimeUnixNano"));
        assert!(before.as_nanosecond() / 1000 <= start / 1000 && start <= end, "{span:#}");
        assert!(end <= after.as_nanosecond(), "{span:#}");
    }
    // What web needs was healthy before it was synced.
    let needed = nanoseconds(named("service user-service"), "endTimeUnixNano");
    assert!(needed <= nanoseconds(web, "startTimeUnixNano"), "{spans:#?}");
    let last = spans.iter().filter(|span| span["name"] != "deployment");
    let last = last.map(|span| nanoseconds(span, "endTimeUnixNano")).max().unwrap();
    assert_eq!(nanoseconds(whole, "endTimeUnixNano"), last, "it ends with the last healthy service");

    stop.cancel();
    telling.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_collector_that_is_not_there_delays_nothing() {
    let world = World::new(&["customer-a"]);
    let running = world.start().await;
    // A port that nobody listens on any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let collector = Arc::new(Otlp::new(&format!("http://{gone}"), &[]).unwrap());
    let stop = CancellationToken::new();
    running.app.store.tell("traces", 0).await.unwrap();
    let telling = tokio::spawn(traces::tell(running.app.store.clone(), collector, 1.0, stop.clone()));
    running.deploy(&world.repo.head()).await;
    // It is still to be told: whoever comes back gets it.
    assert_eq!(running.app.store.told("traces").await.unwrap(), Some(0));
    stop.cancel();
    telling.await.unwrap();

    let (endpoint, received) = receiver(0).await;
    let collector = Arc::new(Otlp::new(&endpoint, &[]).unwrap());
    let stop = CancellationToken::new();
    let telling = tokio::spawn(traces::tell(running.app.store.clone(), collector, 1.0, stop.clone()));
    let spans = spans(&received, 1).await;
    assert_eq!(spans[0]["parentSpanId"], "", "its sender said nothing: the trace begins here");
    stop.cancel();
    telling.await.unwrap();
    running.stop().await;
}
