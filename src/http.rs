//! The HTTP interface: what people and programs read and ask for, webhooks, probes and metrics.
//!
//! Every answer is made from the store, which the worker keeps up to date; what a request changes is stored as an
//! event or as an input in a deployment's inbox, like those of the trigger and of the command line. Limits come
//! before anything is read, authentication before anything is parsed, and each failure is a problem (RFC 9457).
//!
//! The routes and the OpenAPI document come from the same definitions. The page is served beside them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::config::Http;
use crate::oidc::Provider;
use crate::tls::Certificates;

mod actuator;
mod asking;
mod audit;
mod body;
mod caller;
mod commands;
mod connection;
mod customers;
mod dependencies;
mod deployments;
mod etag;
mod events;
mod frame;
mod health;
mod idempotency;
mod limits;
mod local;
mod log_level;
mod login;
mod metrics;
mod openapi;
mod page;
mod picture;
mod plans;
mod preview;
mod problem;
mod rollback;
mod runs;
mod session;
mod signature;
mod status;
mod stream;
mod swagger;
mod timeline;
mod waves;
mod web;
mod webhooks;

pub use connection::ServeError;

/// What all requests share.
struct Shared {
    app: App,
    settings: Http,
    started_at: Timestamp,
    stop: CancellationToken,
    /// Places for requests that are worked on.
    places: Semaphore,
    /// Places for event streams.
    streams: Arc<Semaphore>,
    /// Places for requests of one address.
    rate: limits::Rate,
    meters: metrics::Meters,
    /// Who logs people in; none where nobody does.
    provider: Option<Provider>,
    /// Of the worker in this process; 0 where there is none.
    epoch: u64,
}

type Server = Arc<Shared>;

impl Shared {
    /// How long one request may take.
    fn timeout(&self) -> Duration {
        Duration::try_from(self.settings.timeout).unwrap_or(Duration::from_secs(10))
    }
}

/// Serves on a listener until `stop` is cancelled; requests under way are finished. `epoch` is that of the worker in
/// this process, 0 where there is none.
///
/// # Errors
/// When no more connections can be accepted, or a certificate or the login provider cannot be used.
pub async fn serve(
    app: App,
    settings: Http,
    epoch: u64,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let certificates =
        settings.tls.as_ref().map(|tls| Certificates::read(tls, &[b"http/1.1"])).transpose()?;
    let scrapers = match &settings.metrics {
        Some(settings) => Some(metrics::bind(settings).await?),
        None => None,
    };
    let provider = settings.oidc.clone().map(Provider::new).transpose()?;
    let server = Arc::new(Shared {
        provider,
        rate: limits::Rate::new(settings.rate_limit),
        started_at: Timestamp::now(),
        places: Semaphore::new(settings.max_concurrent.max(1)),
        streams: Arc::new(Semaphore::new(settings.max_streams)),
        meters: metrics::Meters::new(settings.metrics_customers),
        epoch,
        stop: stop.clone(),
        app,
        settings,
    });
    let (connections, head) = (server.settings.max_connections, server.timeout());
    let counting = tokio::spawn(metrics::follow(Arc::clone(&server)));
    let scraped = scrapers.map(|listener| metrics::serve(Arc::clone(&server), listener, stop.clone()));
    let scraped = async {
        match scraped {
            Some(scraped) => scraped.await,
            None => Ok(()),
        }
    };
    let served = connection::serve(router(server), certificates, listener, connections, head, stop);
    let served = tokio::try_join!(served, scraped).map(|((), ())| ());
    counting.abort();
    served
}

/// The document of everything that is served.
pub fn openapi() -> OpenApi {
    openapi::document(routes().into_openapi())
}

/// Everything that is served, with its documentation.
fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .merge(deployments::routes())
        .merge(commands::routes())
        .merge(preview::routes())
        .merge(timeline::routes())
        .merge(plans::routes())
        .merge(picture::routes())
        .merge(waves::routes())
        .merge(dependencies::routes())
        .merge(health::routes())
        .merge(rollback::routes())
        .merge(customers::routes())
        .merge(runs::routes())
        .merge(events::routes())
        .merge(audit::routes())
        .merge(stream::routes())
        .merge(webhooks::routes())
        .merge(login::routes())
        .merge(status::routes())
        .merge(log_level::routes())
        .merge(metrics::routes())
        .merge(actuator::routes())
        .merge(openapi::routes())
}

fn router(server: Server) -> Router {
    let (router, _) = routes().split_for_parts();
    let max_body = usize::try_from(server.settings.max_body.as_u64()).unwrap_or(usize::MAX);
    router
        .merge(web::routes())
        .merge(swagger::routes())
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&server), idempotency::once))
        .layer(DefaultBodyLimit::max(max_body))
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .layer(from_fn_with_state(Arc::clone(&server), limits::keep))
        .layer(from_fn_with_state(Arc::clone(&server), local::keep))
        .layer(from_fn_with_state(Arc::clone(&server), frame::around))
        .with_state(server)
}
