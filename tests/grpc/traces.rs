//! One trace from the sender on: from the metadata of a call, or from the payload, which is all that a sensor fills.

use argocd_orchestrator::domain::trace::TraceContext;
use argocd_orchestrator::grpc::Receipt;
use argocd_orchestrator::grpc::generated::ExecuteRequest;
use serde_json::{Value, json};
use tonic::Request;

use crate::support::server::Server;
use crate::support::world::World;
use crate::support::{MAIN, push};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";

/// A push with this in its payload and with that metadata is accepted as part of this trace; of one that it begins
/// itself where none is expected.
async fn check(cases: &[(Value, Option<&str>, Option<&str>)]) {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    for (number, (extra, metadata, expected)) in cases.iter().enumerate() {
        let after = format!("{number:040x}").replace('0', "a").parse().unwrap();
        let mut payload = json!({"push": push(MAIN, None, Some(&after)), "delivery": format!("d-{number}")});
        payload.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let message = ExecuteRequest { resource: Vec::new(), payload: payload.to_string().into_bytes() };
        let mut request = Request::new(message);
        if let Some(said) = metadata {
            request.metadata_mut().insert("traceparent", said.parse().unwrap());
        }
        let answer = client.0.execute(request).await.unwrap().into_inner();
        let receipt: Receipt = serde_json::from_slice(&answer.response).unwrap();
        assert!(receipt.faults.is_empty() && !receipt.duplicate, "{extra} {metadata:?}");
        let event = receipt.event.parse().unwrap();
        let found = server.app.store.trace(&event).await.unwrap();
        match expected {
            Some(expected) => assert_eq!(found.to_string(), *expected, "{extra} {metadata:?}"),
            None => assert_eq!(found, TraceContext::begun_by(&event), "{extra} {metadata:?}"),
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_goes_on_the_trace_of_its_metadata_and_ignores_what_is_none() {
    check(&[
        (json!({}), Some(TRACE), Some(TRACE)),
        (json!({}), Some(OTHER), Some(OTHER)),
        (json!({}), None, None),
        (json!({}), Some("nonsense"), None),
        (json!({}), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"), None),
    ])
    .await;
}

#[tokio::test]
async fn a_call_goes_on_the_trace_of_its_payload_and_ignores_what_is_none() {
    let headers = |said: &str| json!({"headers": {"Traceparent": [said], "X-Github-Event": ["push"]}});
    check(&[
        (headers(TRACE), None, Some(TRACE)),
        // As a sensor sends it without `useRawData`.
        (json!({"headers": headers(TRACE)["headers"].to_string()}), None, Some(TRACE)),
        (json!({"traceparent": TRACE}), None, Some(TRACE)),
        (headers(TRACE), Some(OTHER), Some(TRACE)),
        (headers("nonsense"), Some(OTHER), Some(OTHER)),
        (headers("<no value>"), None, None),
        (headers("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), None, None),
        (json!({"headers": 7, "traceparent": [[]]}), None, None),
    ])
    .await;
}
