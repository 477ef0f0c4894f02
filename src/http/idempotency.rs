//! `Idempotency-Key`: asking twice with the same key does it once, and answers the same.
//!
//! The key is the caller's own. An answer is kept for a day; one that is no success is not kept, so that the same key
//! may try again.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;

use super::body::unread;
use super::caller::Caller;
use super::problem::Problem;
use super::{Server, dependencies, plans, webhooks};
use crate::domain::plan::fingerprint;
use crate::store::{Claim, GivenAnswer};

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long a key may be.
const KEY_LENGTH: usize = 255;

/// What is posted to and changes nothing.
const LOOKS: [&str; 2] = [plans::PATH, dependencies::RESOLVE];

/// Answers a write that carries a key once.
pub(super) async fn once(State(server): State<Server>, request: Request, next: Next) -> Response {
    let applies = request.method() == Method::POST && applies(request.uri().path());
    if !applies || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    match attempt(server, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// Whether what is posted there changes something that a key can keep from being done twice. Webhooks have ids of
/// their own, and plans are only looked at.
pub(super) fn applies(path: &str) -> bool {
    !path.starts_with(webhooks::PATH) && !path.starts_with("/auth/") && !LOOKS.contains(&path)
}

async fn attempt(server: Server, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // Before anything is read or stored: who does not log in leaves nothing behind.
    let caller = Caller::from_request_parts(&mut parts, &server).await?;
    let key = key(&parts.headers)?;
    let path = parts.uri.to_string();
    let request = Request::from_parts(parts.clone(), body);
    let bytes = Bytes::from_request(request, &server).await.map_err(unread)?;
    let id = fingerprint(&(caller.key(), key));
    let asked = fingerprint(&(path, bytes.as_ref()));
    let (id, store) = (id.as_str(), &server.app.store);
    match store.claim(id, asked.as_str(), Timestamp::now()).await? {
        Claim::Mine => {}
        Claim::Underway => return Err(Problem::conflict("the same is being worked on")),
        Claim::Answered(given) => return Ok(replay(given)),
        Claim::Taken => {
            return Err(Problem::input("this `Idempotency-Key` was used for something else", Vec::new()));
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if !response.status().is_success() {
        store.answer(id, None).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // Answers to writes are small, and whole in memory already.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let given = GivenAnswer {
        status: parts.status.as_u16(),
        location: parts.headers.get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    store.answer(id, Some(given)).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let key = given
        .next()
        .and_then(|key| key.to_str().ok())
        .filter(|key| !key.is_empty() && key.len() <= KEY_LENGTH);
    match (key, given.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(Problem::bad_request(format!(
            "`Idempotency-Key` is one text of 1 to {KEY_LENGTH} characters"
        ))),
    }
}

fn replay(given: GivenAnswer) -> Response {
    let status = StatusCode::from_u16(given.status).unwrap_or(StatusCode::OK);
    let mut response = (status, given.body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(location) = given.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(LOCATION, location);
    }
    response
}
