//! `demo`: the main job on this machine, with nothing but this program and git.
//!
//! A repository is made from the examples and gets two pushes: all services from nothing, then a new image
//! tag. Each push is sent as a sensor sends it, through a real gRPC client, to the same server and worker that
//! `serve` runs, and the page shows it live. Only the cluster is simulated, and behaves as Argo CD does, its traps included.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use console::Style;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::system::System;
use super::{Common, Exit, Failure, OrderOption, output, parts, timeline};
use crate::adapters::simulated::Simulated;
use crate::adapters::simulated::script::{At, Exception, Fail, How, Script, Speed};
use crate::app::App;
use crate::config::{Config, Http, Source, SyncWave, Target};
use crate::domain::catalog::Order;
use crate::domain::names::{DeploymentId, EventId, ServiceName};
use crate::store::{EventState, Outcome};
use crate::{grpc, http, worker};

mod report;
mod repository;
mod sensor;

use report::Report;
use repository::Repository;

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Options {
    /// How many customers, of 55 services each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=200))]
    customers: u32,
    /// How much faster than a real cluster the simulated one is
    #[arg(long, default_value_t = 40.0)]
    speed: f64,
    #[command(flatten)]
    order: OrderOption,
    /// A service that becomes Degraded in the second push: shows retry and rollback
    #[arg(long, value_name = "SERVICE")]
    fail: Option<ServiceName>,
    /// Chance of the simulated cluster: the same seed behaves the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the page is served meanwhile; a free port of this machine where it is not given
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_http: Option<SocketAddr>,
    /// Go on serving the page until Ctrl-C, keep the folder (repository, database, cluster) and say where it is
    #[arg(long)]
    keep: bool,
}

/// The name of the configured repository, here and in the sensor's `spec`.
const SOURCE: &str = "examples";

/// `owner/name` in the pushes.
const REPOSITORY: &str = "rtte/argocd-orchestrator";

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new().prefix("argocd-orchestrator-demo-").tempdir()?;
    let (data, kept) = match (&common.data_dir, options.keep) {
        (Some(data), _) => (data.clone(), true),
        (None, true) => (folder.keep(), true),
        (None, false) => (folder.path().to_owned(), false),
    };
    std::fs::create_dir_all(&data)?;
    let repository = Repository::create(&data.join("repository"), options.customers)?;
    if let Some(service) = &options.fail
        && !repository.has_service(service)
    {
        let message = format!("--fail {service}: the examples have no such service");
        return Err(Failure::new(Exit::NotFound, message));
    }
    let script = script(options)?;
    let config = config(options, data.clone(), &repository)?;
    let (app, cluster, lease) = parts::demo(config, script).await?;
    let listener = TcpListener::bind(HERE).await?;
    let address = listener.local_addr()?;
    let http = settings(options)?;
    let page = bind(http.listen).await?;
    eprintln!(
        "the page is at {}",
        output::paint(&Style::new().bold(), &format!("http://{}/", page.local_addr()?))
    );
    let stop = CancellationToken::new();
    let epoch = lease.epoch();
    let serving = [
        tokio::spawn({
            let (app, stop) = (app.clone(), stop.clone());
            async move { worker::run(app, lease, stop).await.map_err(anyhow::Error::from) }
        }),
        tokio::spawn({
            let (app, stop) = (app.clone(), stop.clone());
            async move { grpc::serve(app, listener, stop).await.map_err(anyhow::Error::from) }
        }),
        tokio::spawn({
            let (app, stop) = (app.clone(), stop.clone());
            async move { http::serve(app, http, epoch, page, stop).await.map_err(anyhow::Error::from) }
        }),
    ];
    let mut outcome = pushes(&app, &cluster, &repository, address, options).await;
    if let Ok((report, _, false)) = &mut outcome {
        output::print(common.output, report, || report.summary())?;
        if options.keep {
            eprintln!("the page is served until Ctrl-C");
            tokio::signal::ctrl_c().await?;
        }
    }
    stop.cancel();
    for part in serving {
        part.await.context("a part of the server crashed")??;
    }
    app.store.close().await;
    let (report, deployments, interrupted) = outcome?;
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    if kept {
        let folder = data.display();
        let hint = deployments
            .last()
            .map(|id| format!("; try `argocd-orchestrator --data-dir {folder} history {id}`"));
        eprintln!("kept in {folder}{}", hint.unwrap_or_default());
    }
    Ok(if report.is_as_expected(options.fail.as_ref()) { Exit::Success } else { Exit::DeploymentFailed })
}

/// A free port of this machine.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How the page is served.
fn settings(options: &Options) -> Result<Http, Failure> {
    let listen = options.listen_http.unwrap_or(HERE);
    if !listen.ip().is_loopback() {
        let message = format!(
            "--listen-http {listen} is not a loopback address, and the demo has no login: use 127.0.0.1 or [::1]"
        );
        return Err(Failure::new(Exit::InvalidInput, message));
    }
    Ok(Http { listen, ..Http::default() })
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    let refused = |error| Failure::new(Exit::Unavailable, format!("cannot listen on {listen}: {error}"));
    TcpListener::bind(listen).await.map_err(refused)
}

/// Both pushes, each until all of its deployments are over.
async fn pushes(
    app: &App,
    cluster: &Arc<Simulated>,
    repository: &Repository,
    address: SocketAddr,
    options: &Options,
) -> Result<(Report, Vec<DeploymentId>, bool), Failure> {
    let mut sensor = sensor::Sensor::connect(address, SOURCE, options.order.order).await?;
    let mut report = Report::default();
    let mut all = Vec::new();
    let order = options.order.order.unwrap_or_default();
    let mut before = None;
    for (number, title) in [(1, "every service, from nothing"), (2, "a new image tag")] {
        let after =
            if number == 1 { repository.commit("Add the customers")? } else { repository.new_image_tag()? };
        let heading = output::paint(&Style::new().bold(), &format!("push {number}: {title}"));
        eprintln!("\n{heading} ({})", after.short());
        let pushed_at = Timestamp::now();
        let push = sensor::Push { repository: REPOSITORY, before: before.as_ref(), after: &after, number };
        let receipt = sensor.send(&push).await?;
        let acknowledged = Timestamp::now().duration_since(pushed_at);
        eprintln!("Execute answered {} after {}", receipt.event, output::length(acknowledged.as_secs_f64()));
        let event: EventId = receipt.event.parse().map_err(|error| Failure::new(Exit::Failure, error))?;
        let deployments = settled(app, &event).await?;
        if timeline::follow(&System::Here(app.store.clone()), &deployments).await? == Exit::Interrupted {
            return Ok((report, all, true));
        }
        for id in &deployments {
            report.add(app, cluster, id, order).await?;
        }
        all.extend(deployments);
        before = Some(after);
    }
    Ok((report, all, false))
}

/// The deployments that an event led to.
async fn settled(app: &App, event: &EventId) -> Result<Vec<DeploymentId>, Failure> {
    let system = System::Here(app.store.clone());
    let mut pulse = system.pulse();
    loop {
        if let Some(found) = app.store.event(event).await?
            && let EventState::Settled { outcome, .. } = found.state
        {
            return match outcome {
                Outcome::Planned => Ok(found.deployments),
                Outcome::Ignored { reason } | Outcome::Superseded { reason } => {
                    Err(Failure::new(Exit::Failure, format!("the push deploys nothing: {reason}")))
                }
                Outcome::Rejected { reason, diagnostics } => Err(Failure::input(reason, diagnostics)),
            };
        }
        pulse.next().await?;
    }
}

/// How the cluster behaves.
fn script(options: &Options) -> Result<Script, Failure> {
    let speed = Speed::try_from(options.speed)
        .map_err(|error| Failure::new(Exit::InvalidInput, format!("--speed: {error}")))?;
    let mut script = Script { seed: options.seed, speed, ..Script::default() };
    if let Some(service) = &options.fail {
        let fail = Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) };
        let exception = Exception { fail: Some(Some(fail)), ..Exception::default() };
        script.services.insert(service.to_string(), exception);
    }
    Ok(script)
}

fn config(options: &Options, data_dir: PathBuf, repository: &Repository) -> Result<Config, Failure> {
    let input = |error: &dyn std::fmt::Display| Failure::new(Exit::InvalidInput, error);
    let defaults = SyncWave::default();
    // Time runs faster here, and so do our own pauses: the proportions are those of a real cluster.
    let scaled = |duration: SignedDuration| {
        SignedDuration::try_from_secs_f64(duration.as_secs_f64() / options.speed).unwrap_or(duration)
    };
    let mut sync_wave = SyncWave {
        enabled: options.order.order != Some(Order::Dependencies),
        health_check_timeout: scaled(defaults.health_check_timeout),
        degraded_grace: scaled(defaults.degraded_grace),
        refresh_pause: scaled(defaults.refresh_pause),
        ..defaults
    };
    sync_wave.dependency_resolution.retry_delay = scaled(sync_wave.dependency_resolution.retry_delay);
    let target = Target {
        reference: "refs/heads/main".into(),
        environment: "production".parse().map_err(|error| input(&error))?,
        charts_path: None,
        base_chart: None,
        cac_path: None,
        namespace: None,
    };
    let source = Source {
        name: SOURCE.parse().map_err(|error| input(&error))?,
        url: repository.url(),
        argo_cd_url: None,
        repository: REPOSITORY.into(),
        allow_file: true,
        username: None,
        token: None,
        ssh_key: None,
        known_hosts: None,
        // Each push of a demo is told.
        poll: SignedDuration::ZERO,
        targets: vec![target],
    };
    Ok(Config { data_dir, sources: vec![source], sync_wave, ..Config::default() })
}
