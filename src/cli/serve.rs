//! `serve`: the custom trigger, the HTTP interface and the worker, until somebody stops them.

use std::net::SocketAddr;

use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Common, Exit, Failure, parts};
use crate::app::{App, notify, traces};
use crate::config::Http;
use crate::{grpc, http, worker};

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Options {
    /// Address of the custom trigger; wins over the configuration
    #[arg(long, env = "ORCHESTRATOR_GRPC_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Address of the HTTP interface; wins over the configuration, and serves it also where that has no `http`
    #[arg(long, env = "ORCHESTRATOR_HTTP_LISTEN", value_name = "ADDRESS:PORT")]
    listen_http: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT. Deployments under way go on at the next start.
pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let mut config = parts::config(common)?;
    if let Some(listen) = options.listen {
        config.grpc.listen = listen;
        config
            .grpc
            .check_listener()
            .map_err(|reason| Failure::new(Exit::InvalidInput, format!("--listen {reason}")))?;
    }
    if let Some(listen) = options.listen_http {
        let http = config.http.get_or_insert_default();
        http.listen = listen;
        http.check_listener()
            .map_err(|reason| Failure::new(Exit::InvalidInput, format!("--listen-http {reason}")))?;
    }
    if config.sources.is_empty() {
        tracing::warn!("no `sources` are configured: no push deploys anything");
    }
    let (app, lease) = parts::app(config).await?;
    let listener = bind(app.config.grpc.listen).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = app.config.grpc.tls.is_some(), "the custom trigger is served");
    let http = match &app.config.http {
        Some(settings) => Some((settings.clone(), bind(settings.listen).await?)),
        None => None,
    };
    if let Some((settings, listener)) = &http {
        let address = listener.local_addr()?;
        tracing::info!(%address, login = settings.has_login(), tls = settings.tls.is_some(), "the HTTP interface is served");
    }

    let stop = CancellationToken::new();
    let epoch = lease.epoch();
    let worker = tokio::spawn(worker::run(app.clone(), lease, stop.clone()));
    let trigger = tokio::spawn(grpc::serve(app.clone(), listener, stop.clone()));
    let web = tokio::spawn(web(app.clone(), http, epoch, stop.clone()));
    if let Some(collector) = parts::collector(&app.config)? {
        let ratio = app.config.tracing.sample_ratio;
        tokio::spawn(traces::tell(app.store.clone(), collector, ratio, stop.clone()));
    }
    let (targets, link) = (parts::targets(&app.config)?, app.config.notifications.link.clone());
    let notifying = tokio::spawn(notify::run(app.store.clone(), targets, link, stop.clone()));
    tokio::pin!(worker, trigger, web);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        ended = &mut worker => Err(describe(ended.map(|result| result.map_err(|error| error.to_string())))),
        ended = &mut trigger => Err(describe(ended.map(|result| result.map_err(|error| error.to_string())))),
        ended = &mut web => Err(describe(ended.map(|result| result.map_err(|error| error.to_string())))),
    };
    tracing::info!("stopping");
    stop.cancel();
    match ended {
        Ok(()) => {
            let finish = async { (worker.await, trigger.await, web.await, notifying.await) };
            if tokio::time::timeout(GRACE, finish).await.is_err() {
                tracing::warn!("some calls did not end in time");
            }
            app.store.close().await;
            Ok(Exit::Success)
        }
        Err(reason) => Err(Failure::new(Exit::Unavailable, reason)),
    }
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    let refused = |error| Failure::new(Exit::Unavailable, format!("cannot listen on {listen}: {error}"));
    TcpListener::bind(listen).await.map_err(refused)
}

/// Serves HTTP, where it is configured; where not, it is there until the end all the same.
async fn web(
    app: App,
    http: Option<(Http, TcpListener)>,
    epoch: u64,
    stop: CancellationToken,
) -> Result<(), http::ServeError> {
    match http {
        Some((settings, listener)) => http::serve(app, settings, epoch, listener, stop).await,
        None => {
            stop.cancelled().await;
            Ok(())
        }
    }
}

/// How long what is under way may take after a request to stop.
const GRACE: std::time::Duration = std::time::Duration::from_secs(8);

fn describe(ended: Result<Result<(), String>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "a part ended by itself".into(),
        Ok(Err(error)) => error,
        Err(error) => error.to_string(),
    }
}
