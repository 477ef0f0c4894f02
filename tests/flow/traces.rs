//! One trace from the push to the last healthy service, as a collector gets it.

use std::sync::{Arc, Mutex};

use argocd_orchestrator::adapters::otlp::Otlp;
use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::app::traces;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{self, HeaderMap};
use axum::routing::post;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::world::World;

/// What came, and how many answers are still to be failures.
#[derive(Default)]
struct Received {
    messages: Vec<(HeaderMap, ExportTraceServiceRequest)>,
    failures: u32,
}

type Shared = Arc<Mutex<Received>>;

/// A receiver of OTLP over HTTP with Protobuf.
async fn receiver(failures: u32) -> (String, Shared) {
    let received: Shared = Arc::new(Mutex::new(Received { failures, ..Received::default() }));
    let take = async |State(received): State<Shared>, headers: HeaderMap, body: Bytes| {
        let mut received = received.lock().unwrap();
        if received.failures > 0 {
            received.failures -= 1;
            return http::StatusCode::SERVICE_UNAVAILABLE;
        }
        assert_eq!(headers["content-type"], "application/x-protobuf");
        received.messages.push((headers, ExportTraceServiceRequest::decode(body).unwrap()));
        http::StatusCode::OK
    };
    let router = axum::Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, received)
}

/// The spans of all messages, once there are so many messages.
async fn spans(received: &Shared, messages: usize) -> Vec<Span> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        {
            let received = received.lock().unwrap();
            if received.messages.len() >= messages {
                let all = received.messages.iter().flat_map(|(_, message)| &message.resource_spans);
                let all = all.flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans);
                return all.cloned().collect();
            }
        }
        assert!(Instant::now() < patience, "no trace came");
        sleep(Duration::from_millis(20)).await;
    }
}

fn nanoseconds(at: Timestamp) -> u64 {
    at.as_nanosecond().try_into().unwrap()
}

/// An id as people write it.
fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
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

    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}"));
    assert!(spans.iter().all(|span| hex(&span.trace_id) == trace), "{spans:#?}");
    let whole = named("deployment");
    assert_eq!(hex(&whole.parent_span_id), parent);
    for name in ["intake", "queued", "service web", "service user-service", "service postgres"] {
        assert_eq!(named(name).parent_span_id, whole.span_id, "{name}");
    }
    let web = named("service web");
    let below: Vec<&str> = spans
        .iter()
        .filter(|span| span.parent_span_id == web.span_id)
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(below, ["syncing", "verifying"]);
    for span in &spans {
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(nanoseconds(before) / 1000 <= start / 1000 && start <= end, "{span:#?}");
        assert!(end <= nanoseconds(after), "{span:#?}");
    }
    // What web needs was healthy before it was synced.
    let needed = named("service user-service").end_time_unix_nano;
    assert!(needed <= web.start_time_unix_nano, "{spans:#?}");
    let last = spans.iter().filter(|span| span.name != "deployment");
    let last = last.map(|span| span.end_time_unix_nano).max().unwrap();
    assert_eq!(whole.end_time_unix_nano, last, "it ends with the last healthy service");

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
    assert_eq!(hex(&spans[0].parent_span_id), "", "its sender said nothing: the trace begins here");
    stop.cancel();
    telling.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_service_that_failed_and_was_taken_back_is_an_error_and_one_that_was_taken_along_is_none() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) });
    let running = world.deployed().await;
    let (endpoint, received) = receiver(0).await;
    let collector = Arc::new(Otlp::new(&endpoint, &[]).unwrap());
    let stop = CancellationToken::new();
    running.app.store.tell("traces", 0).await.unwrap();
    let telling = tokio::spawn(traces::tell(running.app.store.clone(), collector, 1.0, stop.clone()));
    let failed = running.deploy_one(&world.repo.new_tag("customer-a", "v2")).await;
    assert_eq!(failed.state().word(), "failed");

    let spans = spans(&received, 2).await;
    let errors = |name: &str| -> Vec<bool> {
        let named = spans.iter().filter(|span| span.name == name);
        named
            .map(|span| span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error))
            .collect()
    };
    assert_eq!(errors("deployment"), [false, true]);
    assert_eq!(errors("service web"), [false, true], "{:#?}", failed.state());
    assert_eq!(errors("service user-service"), [false, false], "it was fine, and taken back with web");
    stop.cancel();
    telling.await.unwrap();
    running.stop().await;
}
