//! Around every request: its id, its line in the log, and what every answer carries.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use tracing::Instrument;

use super::Server;
use super::caller::RequestId;
use super::problem::{self, Problem};
use crate::app::traces;

const ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a sender says of its trace.
const TRACE: HeaderName = HeaderName::from_static("traceparent");

/// How long an id that a client brings may be.
const ID_LENGTH: usize = 128;

/// How much of another part's words about a failure is read.
const SAID_BYTES: usize = 4 * 1024;

/// The route of what is served nowhere.
const NOWHERE: &str = "none";

/// What every answer carries: nothing here is a page, and nothing is to be kept or embedded.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Gives a request its id, logs it, and makes a problem of every failure.
pub(super) async fn around(State(server): State<Server>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = id(request.headers());
    let method = request.method().clone();
    // The pattern, not the path: a path may be anything, and the log is to be searched by what it was for.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let said = request.headers().get(TRACE).and_then(|said| said.to_str().ok()).map(str::to_owned);
    let trace_id = said.as_deref().and_then(traces::id);
    let span = tracing::info_span!("http", request_id = %id, caller = tracing::field::Empty, trace_id);
    request.extensions_mut().insert(RequestId(id.clone()));
    let response = traces::within(said.as_deref(), next.run(request)).instrument(span.clone()).await;
    let mut response = as_problem(response, &id).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(ID, value);
    }
    server.meters.request(route.as_deref().unwrap_or(NOWHERE), response.status());
    let (status, took) = (response.status().as_u16(), began.elapsed().as_millis() as u64);
    span.in_scope(|| {
        tracing::info!(%method, route = route.as_deref().unwrap_or(NOWHERE), status, took_ms = took, "request");
    });
    response
}

/// The client's own id where it is a sane one, else a new one.
fn id(headers: &HeaderMap) -> String {
    let fine = |id: &&str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !id.is_empty() && id.len() <= ID_LENGTH && id.bytes().all(letter)
    };
    let mut given = headers.get_all(ID).iter();
    match (given.next().and_then(|id| id.to_str().ok()).filter(fine), given.next()) {
        (Some(id), None) => id.to_owned(),
        _ => uuid::Uuid::now_v7().simple().to_string(),
    }
}

async fn as_problem(mut response: Response, id: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let mut written = problem.write(id);
        problem::keep_allow(&response, &mut written);
        return written;
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let is_json = response
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json {
        // An answer that is no problem although its status tells of one, such as that of readiness.
        return response;
    }
    let body = std::mem::replace(response.body_mut(), Body::empty());
    let said = Limited::new(body, SAID_BYTES).collect().await;
    let said = said.map(|said| String::from_utf8_lossy(&said.to_bytes()).into_owned()).unwrap_or_default();
    let mut written = Problem::of_status(status, &said).write(id);
    problem::keep_allow(&response, &mut written);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_only_where_it_can_stand_in_a_log() {
        for (given, taken) in [
            ("abc-1.2_3", true),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("\"}{", false),
            (&*"x".repeat(128), true),
            (&*"x".repeat(129), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ID, HeaderValue::from_str(given).unwrap());
            assert_eq!(id(&headers) == given, taken, "{given:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append(ID, HeaderValue::from_static("a"));
        twice.append(ID, HeaderValue::from_static("b"));
        assert_eq!(id(&twice).len(), 32);
        assert_ne!(id(&HeaderMap::new()), id(&HeaderMap::new()));
    }
}
