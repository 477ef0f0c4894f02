//! What a request is answered that is not fulfilled: problem details (RFC 9457), with our diagnostics in them.
//!
//! A problem travels as an extension of its response; [`frame`](super::frame) writes it, with the request's id, and
//! makes one of whatever else went wrong on the way.

use std::any::Any;

use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::CommandError;
use crate::app::later::Later;
use crate::domain::diagnostic::Diagnostic;
use crate::ports::SourceError;
use crate::store::StoreError;

/// The media type of a problem.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not fulfilled.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    pub(super) status: u16,
    /// What is wrong, in one sentence.
    detail: String,
    /// All that is wrong with the input, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    diagnostics: Vec<Diagnostic>,
    /// The id of the request, for whoever looks into the logs.
    request_id: String,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            diagnostics: Vec::new(),
            request_id: String::new(),
            retry_after: None,
        }
    }

    /// Input that can be read and is wrong.
    pub(super) fn input(detail: impl Into<String>, diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is no such thing, or the caller is not to know of it: the same words for both.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// It may work later: in so many seconds.
    pub(super) fn later(detail: impl Into<String>, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Too often; not before so many seconds.
    pub(super) fn too_many(detail: impl Into<String>, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// What a repository, the cluster or the database could not give.
    pub(super) fn unread(error: &Later) -> Self {
        if let Later::Source(SourceError::MissingRevision { .. }) = error {
            return Self::not_found("commit");
        }
        if !error.may_pass() {
            return Self::input(error.to_string(), Vec::new());
        }
        tracing::warn!(%error, "what is asked for cannot be read now");
        let whose = match error {
            Later::Source(_) => "the repository",
            Later::Cluster(_) => "the cluster",
            Later::Store(_) => "the database",
        };
        Self::later(format!("{whose} does not answer"), 5)
    }

    /// The answer, with the request's id in it.
    pub(super) fn write(mut self, request_id: &str) -> Response {
        request_id.clone_into(&mut self.request_id);
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Texts and numbers always become JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// A problem of a response that somebody else made: the words of axum where they explain, else the status'.
    pub(super) fn of_status(status: StatusCode, said: &str) -> Self {
        let detail = if said.is_empty() || status.is_server_error() {
            status.canonical_reason().unwrap_or("it failed").to_lowercase()
        } else {
            said.chars().take(500).collect()
        };
        Self::new(status, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The one place where the store's errors become answers. What went wrong inside is logged, not sent.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::not_found("thing"),
            StoreError::Finished(_) => Self::conflict("the deployment is over"),
            StoreError::Busy { .. } => Self::later("too much waits to be stored; try again", 1),
            StoreError::Full
            | StoreError::Locked
            | StoreError::ReadOnly(_)
            | StoreError::Corrupt(_)
            | StoreError::Disk(_)
            | StoreError::NewerSchema { .. }
            | StoreError::Conflict { .. }
            | StoreError::Fenced { .. }
            | StoreError::WorkerRunning { .. }
            | StoreError::Data { .. }
            | StoreError::Unavailable(_) => {
                tracing::error!(%error, "the store does not answer a request");
                Self::later("the store does not answer now; try again", 5)
            }
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Unknown(_) => Self::not_found("deployment"),
            CommandError::Refused(reason) => Self::conflict(reason),
            CommandError::Store(error) => error.into(),
        }
    }
}

pub(super) async fn no_such_path(_: Request) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "nothing is served at this path; see /api/v1/openapi.json")
}

pub(super) async fn wrong_method(request: Request) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} cannot be done here", request.method()))
}

/// A panic is a fault of ours: it is logged in full and told as no more than that.
pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
    tracing::error!(panic = said, "a request panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the server").into_response()
}

/// What axum itself says of methods that would be right.
pub(super) fn keep_allow(from: &Response, to: &mut Response) {
    if let Some(allow) = from.headers().get(ALLOW) {
        to.headers_mut().insert(ALLOW, allow.clone());
    }
}
