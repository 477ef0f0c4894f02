//! A JSON body. None at all is an empty object, for what needs no more.

use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Json, body::Bytes};
use serde::de::DeserializeOwned;

use super::Server;
use super::problem::Problem;

/// A JSON body, understood.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Server> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Server) -> Result<Self, Problem> {
        let (is_json, is_named) = (is_json(request.headers()), request.headers().contains_key(CONTENT_TYPE));
        let bytes = Bytes::from_request(request, server).await.map_err(unread)?;
        let is_missing = bytes.is_empty() && !is_named;
        if !is_json && !is_missing {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be `application/json`",
            ));
        }
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        Json::from_bytes(text).map(|Json(value)| Self(value)).map_err(|rejection: JsonRejection| {
            Problem::of_status(rejection.status(), &rejection.body_text())
        })
    }
}

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Why a body could not be read.
pub(super) fn unread(rejection: BytesRejection) -> Problem {
    let status = rejection.into_response().status();
    let detail =
        if status == StatusCode::PAYLOAD_TOO_LARGE { "the body is too large" } else { "the body broke off" };
    Problem::new(status, detail)
}
