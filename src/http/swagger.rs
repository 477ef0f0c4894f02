//! Swagger UI, for trying the interface out. Its files are part of the program; it styles itself inline, so its policy
//! is its own.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use super::Server;
use super::problem::Problem;

/// What it may do: it speaks to this server alone, and its scripts are files of its own.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
);

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/api/v1/openapi.json").validator_url("none")));

/// Pages for people: no part of the OpenAPI document.
pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/swagger-ui.html", get(|| async { Redirect::permanent("/swagger-ui/index.html") }))
        .route("/swagger-ui", get(|| async { Redirect::permanent("/swagger-ui/index.html") }))
        .route("/swagger-ui/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    let found = match utoipa_swagger_ui::serve(&name, Arc::clone(&CONFIG)) {
        Ok(Some(found)) => found,
        Ok(None) => return Problem::not_found("file").into_response(),
        Err(error) => {
            tracing::error!(%error, name, "a file of Swagger UI cannot be served");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = found.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if found.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
