//! Connections: accepted up to a number, with a time limit for what comes before the request, ended in order.
//!
//! HTTP/1.1 only: it is what probes, scrapers, webhooks and ingresses speak, and none of the ways to abuse streams
//! of HTTP/2 is there.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How much of a request's head is read.
const HEAD_BYTES: usize = 32 * 1024;

/// How long requests under way may take once the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Pause after a connection could not be accepted (too many open files): it would fail again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No more connections can be accepted.
    #[error("the HTTP server does not accept connections any more")]
    Closed,
}

/// Serves so many connections at once. `head` is how long the head of a request may take to arrive; a connection that
/// says nothing for so long is closed.
pub(super) async fn serve(
    router: Router,
    listener: TcpListener,
    connections: usize,
    head: Duration,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let places = Arc::new(Semaphore::new(connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD_BYTES);
    loop {
        // Who finds no place waits in the listener's own queue.
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.map_err(|_| ServeError::Closed)?,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What a client breaks off is its own affair.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some HTTP requests did not end in time");
    }
    Ok(())
}
