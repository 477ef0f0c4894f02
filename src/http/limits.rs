//! Limits that hold before anything of a request is read: its size, how long it may take, how many there are.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Server;
use super::problem::Problem;

/// Keeps the limits. A body without a length is cut where it is read.
pub(super) async fn keep(State(server): State<Server>, request: Request, next: Next) -> Response {
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let max = server.settings.max_body;
    if length.is_some_and(|length| length > max.as_u64()) {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {max}")).into_response();
    }
    let Ok(_place) = server.places.try_acquire() else {
        return Problem::later("too many requests at once; try again", 1).into_response();
    };
    match tokio::time::timeout(server.timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::later("it took too long", 5).into_response(),
    }
}
