//! Connections: accepted up to a number, with a time limit for what comes before the request, ended in order.
//!
//! HTTP/1.1 only: it is what probes, scrapers, webhooks and ingresses speak, and none of the ways to abuse streams
//! of HTTP/2 is there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::oidc::SetupError;
use crate::tls::{self, CertificateError, Certificates};

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
    /// The port for scrapers.
    #[error("http.metrics.listen: cannot listen on {listen}: {reason}")]
    Metrics {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// Certificate or key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The login provider.
    #[error(transparent)]
    Login(#[from] SetupError),
}

/// Whoever is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Its address; a proxy's, where one stands between.
    pub(super) address: IpAddr,
    /// The names of its certificate, where it brought one that is believed.
    pub(super) names: Arc<Vec<String>>,
}

/// What serves the requests of one connection.
struct Answering {
    router: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Answering {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.router.call(request)
    }
}

/// What all connections share.
struct Serving {
    router: Router,
    http: http1::Builder,
    certificates: Option<Certificates>,
    /// How long a handshake may take.
    patience: Duration,
}

/// Serves so many connections at once. `head` is how long the head of a request may take to arrive; a connection that
/// says nothing for so long is closed.
pub(super) async fn serve(
    router: Router,
    certificates: Option<Certificates>,
    listener: TcpListener,
    connections: usize,
    head: Duration,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let places = Arc::new(Semaphore::new(connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD_BYTES);
    let serving = Arc::new(Serving { router, http, certificates, patience: head });
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
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (serving, watcher) = (Arc::clone(&serving), graceful.watcher());
        tokio::spawn(async move {
            serving.connection(stream, address, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some HTTP requests did not end in time");
    }
    Ok(())
}

impl Serving {
    async fn connection(&self, stream: TcpStream, address: SocketAddr, watcher: Watcher) {
        let Some(certificates) = &self.certificates else {
            return self.requests(stream, address, Vec::new(), watcher).await;
        };
        let handshake = TlsAcceptor::from(certificates.current()).accept(stream);
        match tokio::time::timeout(self.patience, handshake).await {
            Ok(Ok(stream)) => {
                let names = tls::names(stream.get_ref().1.peer_certificates().unwrap_or_default());
                self.requests(stream, address, names, watcher).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %address, "no TLS connection came about"),
            Err(_) => tracing::debug!(%address, "a handshake did not end in time"),
        }
    }

    async fn requests<S>(&self, stream: S, address: SocketAddr, names: Vec<String>, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let peer = Peer { address: address.ip().to_canonical(), names: Arc::new(names) };
        let service = Answering { router: TowerToHyperService::new(self.router.clone()), peer };
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        // What a client breaks off is its own affair.
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection broke");
        }
    }
}
