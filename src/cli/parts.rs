//! The real parts, built from the configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use super::{Command, Common, Exit, Failure, output};
use crate::adapters::argocd::{self, ArgoCd, Hold, PerCustomer};
use crate::adapters::git::{Git, GitSettings, Repository};
use crate::adapters::notify::Hook;
use crate::adapters::otlp::Otlp;
use crate::adapters::probe::{self, HttpProbe};
use crate::adapters::simulated::Simulated;
use crate::adapters::simulated::script::Script;
use crate::app::{App, notify};
use crate::config::argo_cd::{ArgoCd as ArgoCdSettings, AutoSync};
use crate::config::{Cluster, Config, NotificationTarget};
use crate::domain::manifest::Rules;
use crate::domain::manifest::bundle::Layout;
use crate::logging;
use crate::ports::{Collector, Probe};
use crate::store::{Settings, Store, WorkerLease};

/// The configuration of this run.
pub(super) fn config(common: &Common) -> Result<Config, Failure> {
    read_config(common, &|name| std::env::var(name).ok())
}

/// The configuration of a run that needs no secret: variables for them need not be set.
pub(super) fn config_without_secrets(common: &Common) -> Result<Config, Failure> {
    // A text that may stand in for any of them, an address among them.
    read_config(common, &|_| Some("https://not-needed.invalid/".to_owned()))
}

fn read_config(common: &Common, variable: &dyn Fn(&str) -> Option<String>) -> Result<Config, Failure> {
    let mut config = match &common.config {
        None => Config::default(),
        Some(file) => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::new(Exit::InvalidInput, format!("{name}: {error}")))?;
            Config::parse(&name, &text, variable)?
        }
    };
    if let Some(folder) = &common.data_dir {
        config.data_dir.clone_from(folder);
    }
    Ok(config)
}

/// The database of a configuration.
pub(super) async fn store(config: &Config) -> Result<Store, Failure> {
    Ok(Store::open(Settings::at(database(config))).await?)
}

/// The database of this run, for commands that look at what was done; it must be there.
pub(super) async fn existing_store(common: &Common) -> Result<Store, Failure> {
    let config = config(common)?;
    let path = database(&config);
    if !path.exists() {
        let message =
            format!("{} is not there: nothing was deployed from here (see --data-dir)", path.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    store(&config).await
}

fn database(config: &Config) -> PathBuf {
    config.data_dir.join("orchestrator.db")
}

/// All parts, and the right to work with them.
///
/// Who works is settled before the cluster is touched, so that whoever finds the place taken is told by whom.
pub(super) async fn app(config: Config) -> Result<(App, WorkerLease), Failure> {
    let (store, lease) = place(&config).await?;
    let (cluster, probe): (Arc<dyn crate::ports::Cluster>, _) = match &config.cluster {
        Cluster::Simulated(script) => (Arc::new(simulated(script, &config)?), None),
        Cluster::ArgoCd(settings) => {
            let cluster = Arc::new(argo_cd(settings, &config).await?);
            let probe = probe(&cluster, &config)?;
            let cluster: Arc<dyn crate::ports::Cluster> = match settings.layout {
                Layout::PerService => cluster,
                Layout::PerCustomer => Arc::new(PerCustomer::new(cluster)),
            };
            (cluster, probe)
        }
    };
    Ok((wire(store, cluster, probe, config)?, lease))
}

/// The same on a simulated cluster, for those who want to look into it.
pub(super) async fn demo(
    config: Config,
    script: Script,
) -> Result<(App, Arc<Simulated>, WorkerLease), Failure> {
    let (store, lease) = place(&config).await?;
    let cluster = Arc::new(simulated(&script, &config)?);
    let app = wire(store, Arc::clone(&cluster) as Arc<dyn crate::ports::Cluster>, None, config)?;
    Ok((app, cluster, lease))
}

/// The data folder, its database, and the right to work on it.
async fn place(config: &Config) -> Result<(Store, WorkerLease), Failure> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make the folder {}", config.data_dir.display()))?;
    let store = store(config).await?;
    let lease = store.acquire_worker(holder(), Timestamp::now()).await?;
    Ok((store, lease))
}

/// Who asks the services of a real cluster whether they are well, where somebody is to.
fn probe(cluster: &Arc<ArgoCd>, config: &Config) -> Result<Option<Arc<dyn Probe>>, Failure> {
    let health_check = &config.microservices.health_check;
    if !health_check.is_made(&config.cluster) {
        return Ok(None);
    }
    let prometheus = health_check.prometheus_url.as_ref().map(|url| url.parse()).transpose();
    let settings = probe::Settings {
        allowed: health_check.allowed_networks.clone(),
        reserved: cluster.api_server().to_vec(),
        prometheus: prometheus.map_err(|error: probe::PrometheusError| {
            let setting = "microservices.health-check.prometheus-url";
            Failure::new(Exit::InvalidInput, format!("{setting}: {error}"))
        })?,
    };
    let services = Arc::clone(cluster) as Arc<dyn crate::ports::Services>;
    Ok(Some(Arc::new(HttpProbe::new(services, settings))))
}

fn wire(
    store: Store,
    cluster: Arc<dyn crate::ports::Cluster>,
    probe: Option<Arc<dyn Probe>>,
    config: Config,
) -> Result<App, Failure> {
    Ok(App { store, cluster, probe, values: Arc::new(git(&config)?), config: Arc::new(config) })
}

/// Who is told of traces, where somebody is.
pub(super) fn collector(config: &Config) -> Result<Option<Arc<dyn Collector>>, Failure> {
    let settings = &config.tracing;
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
    let headers: Vec<_> =
        settings.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    let collector = Otlp::new(endpoint, &headers)
        .map_err(|error| Failure::new(Exit::InvalidInput, format!("tracing.otlp-endpoint: {error}")))?;
    Ok(Some(Arc::new(collector)))
}

/// Who is told what happened to deployments.
pub(super) fn targets(config: &Config) -> Result<Vec<notify::Target>, Failure> {
    let target = |settings: &NotificationTarget| {
        let name = &settings.name;
        let hook = Hook::new(&settings.settings()).map_err(|error| {
            Failure::new(Exit::InvalidInput, format!("notifications.targets[{name}]: {error}"))
        })?;
        Ok(notify::Target {
            name: name.clone(),
            form: settings.form,
            interest: settings.interest(),
            template: settings.template.clone(),
            notifier: Arc::new(hook),
        })
    };
    config.notifications.targets.iter().map(target).collect()
}

/// The repositories of a configuration.
pub(super) fn git(config: &Config) -> Result<Git, Failure> {
    let repositories = config.sources.iter().map(|source| Repository {
        name: source.name.clone(),
        url: source.url.clone(),
        allow_file: source.allow_file,
        username: source.username.clone(),
        token: source.token.clone(),
        ssh_key: source.ssh_key.clone(),
        known_hosts: source.known_hosts.clone(),
    });
    // Git calls this program for ssh, and it calls ssh: see `main`.
    let ssh = std::env::current_exe()?.to_string_lossy().into_owned();
    let mut settings = GitSettings::new(config.data_dir.join("git"), ssh);
    settings.timeout = Duration::try_from(config.git.timeout).unwrap_or(settings.timeout);
    settings.max_output_bytes = config.git.max_output.as_u64();
    Git::new(settings, repositories).map_err(|error| Failure::new(Exit::InvalidInput, error))
}

fn simulated(script: &Script, config: &Config) -> Result<Simulated, Failure> {
    let file = config.data_dir.join("simulated-cluster.jsonl");
    Simulated::open(script.clone(), Some(&file)).map_err(|error| Failure::new(Exit::Unavailable, error))
}

async fn argo_cd(settings: &ArgoCdSettings, config: &Config) -> Result<ArgoCd, Failure> {
    let settings = argocd::Settings {
        kubeconfig: settings.kubeconfig.clone(),
        context: settings.context.clone(),
        rules: rules(settings)?,
        provision: settings.provision.enabled,
        makes: settings.provision.applications,
        prune: settings.prune,
        hold: hold(settings.auto_sync),
        automated: settings.automated.enabled.then_some(argocd::Upkeep {
            prune: settings.automated.prune,
            self_heal: settings.automated.self_heal,
        }),
        repositories: config
            .sources
            .iter()
            .map(|source| (source.name.clone(), source.seen_by_argo_cd().to_owned()))
            .collect(),
    };
    ArgoCd::connect(settings).await.map_err(|error| Failure::new(Exit::InvalidInput, error))
}

/// How Applications are held to a commit.
pub(super) fn hold(auto_sync: AutoSync) -> Hold {
    match auto_sync {
        AutoSync::Pin => Hold::Pin,
        AutoSync::Disable => Hold::Disable,
        AutoSync::Refuse => Hold::Refuse,
        AutoSync::Observe => Hold::Observe,
    }
}

/// What objects are made like.
pub(super) fn rules(settings: &ArgoCdSettings) -> Result<Rules, Failure> {
    let input = |(setting, reason): (String, String)| {
        Failure::new(Exit::InvalidInput, format!("{setting}: {reason}"))
    };
    settings.rules().map_err(input)
}

/// Who works here, for the one that finds the worker's place taken.
fn holder() -> String {
    format!("process {}", std::process::id())
}

/// `migrate`: opening the database brings it up to date.
pub(super) async fn migrate(common: &Common) -> Result<Exit, Failure> {
    let config = config(common)?;
    let store = store(&config).await?;
    store.close().await;
    output::write(&format!("{} is up to date", database(&config).display()))?;
    Ok(Exit::Success)
}

/// Logs go to standard error, and a server's to a file as well where that is configured; a server tells what it does,
/// other commands only what is wrong.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn start_logging(common: &Common, command: &Command) -> Result<(), Failure> {
    let serves = matches!(command, Command::Serve(_));
    let quiet = if serves {
        "info"
    } else if matches!(command, Command::Check(_)) {
        // That a cluster does not answer is what it finds, and tells.
        "error,kube_client=off"
    } else {
        "error"
    };
    // What is wrong with the configuration is said by who needs it.
    let configured = if serves { config(common).ok().map(|config| config.logging) } else { None };
    let configured = configured.unwrap_or_default();
    let wanted = common.log.as_deref().or(configured.level.as_deref()).unwrap_or(quiet);
    let filter = match logging::filter(wanted) {
        Ok(_) => wanted,
        Err(reason) => {
            eprintln!("warning: --log {reason}; using {quiet}");
            quiet
        }
    };
    let settings = logging::Settings {
        filter,
        json: common.log_json || configured.json,
        colours: console::Term::stderr().is_term(),
        file: configured.file.as_ref(),
    };
    logging::start(&settings).map_err(|reason| Failure::new(Exit::InvalidInput, reason))
}

/// Runs a future to its end on a runtime of its own.
pub(super) fn block_on<F: Future<Output = Result<Exit, Failure>>>(work: F) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = runtime.block_on(work);
    // What hangs in the background is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}
