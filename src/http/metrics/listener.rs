//! The port for scrapers: `/metrics`, and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Text, text};
use crate::config::metrics::MetricsListener;
use crate::http::problem::{self, Problem};
use crate::http::{ServeError, Server, caller, connection, frame};

/// Connections that are open at once; more wait. Scrapers are few.
const CONNECTIONS: usize = 16;

/// Listens for scrapers.
pub(in crate::http) async fn bind(settings: &MetricsListener) -> Result<TcpListener, ServeError> {
    let listen = settings.listen;
    let listener = TcpListener::bind(listen).await;
    listener.map_err(|error| ServeError::Metrics { listen, reason: error.to_string() })
}

/// Serves scrapers until `stop` is cancelled.
pub(in crate::http) async fn serve(
    server: Server,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let head = server.timeout();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&server), frame::around))
        .with_state(server);
    connection::serve(router, None, listener, CONNECTIONS, head, stop).await
}

async fn metrics(State(server): State<Server>, headers: HeaderMap) -> Result<Text, Problem> {
    let settings = server.settings.metrics.as_ref();
    if let Some(digest) = settings.and_then(|settings| settings.token_sha256.as_ref()) {
        caller::find([(digest, &())].into_iter(), caller::bearer(&headers)?)?;
    }
    match tokio::time::timeout(server.timeout(), text(&server)).await {
        Ok(text) => text,
        Err(_) => Err(Problem::later("it took too long", 5)),
    }
}
