//! The configuration: one YAML file, every setting with a default, unknown keys refused.
//!
//! Reading is pure; where the text and the environment come from is the caller's business.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytesize::ByteSize;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;

use crate::adapters::simulated::script::Script;
use crate::domain::catalog::{Limits, Order};
use crate::domain::deployment::{OnFailure, Policy, Upkeep};
use crate::domain::event::KnownSource;
use crate::domain::manifest::bundle::Layout;
use crate::domain::names::{Environment, SourceName};
use crate::domain::removal::RemovedServices;

pub mod argo_cd;
pub mod grpc;
pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod notifications;
pub mod oidc;
pub mod rollouts;
mod source;
pub mod tls;
pub mod tracing;

pub use grpc::{Grpc, SenderCertificate, Token};
pub use health::Microservices;
pub use http::Http;
pub use logging::Logging;
pub use notifications::{NotificationTarget, Notifications};
pub use source::{Source, Target};
pub use tls::Tls;
pub use tracing::Tracing;

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where the database, the git caches and the simulated cluster live. Default `orchestrator-data`.
    pub data_dir: PathBuf,
    /// The server of the custom trigger.
    pub grpc: Grpc,
    /// The HTTP interface; none where it is not served.
    pub http: Option<Http>,
    /// What is logged.
    pub logging: Logging,
    /// Where traces are told.
    pub tracing: Tracing,
    /// Who is told what happened to deployments.
    pub notifications: Notifications,
    /// The repositories, and what their refs deploy.
    pub sources: Vec<Source>,
    /// How git is run.
    pub git: GitSettings,
    /// Where charts are found, for targets that do not say so themselves.
    pub helm: Helm,
    /// Order, gate, retry and rollback.
    pub sync_wave: SyncWave,
    /// What is expected of a customer's services.
    pub microservices: Microservices,
    /// Which deployments need an approval.
    pub approval: Approval,
    /// What is kept of who asked for what.
    pub audit: Audit,
    /// How large inputs may be.
    pub limits: Limits,
    /// Argo Rollouts.
    pub rollouts: rollouts::Rollouts,
    /// The cluster.
    pub cluster: Cluster,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "orchestrator-data".into(),
            grpc: Grpc::default(),
            http: None,
            logging: Logging::default(),
            tracing: Tracing::default(),
            notifications: Notifications::default(),
            sources: Vec::new(),
            git: GitSettings::default(),
            helm: Helm::default(),
            sync_wave: SyncWave::default(),
            microservices: Microservices::default(),
            approval: Approval::default(),
            audit: Audit::default(),
            limits: Limits::default(),
            rollouts: rollouts::Rollouts::default(),
            cluster: Cluster::default(),
        }
    }
}

/// How git is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GitSettings {
    /// How long one command may take. Default 60 s.
    pub timeout: SignedDuration,
    /// How much one command may print. Default 64 MiB.
    pub max_output: ByteSize,
}

impl Default for GitSettings {
    fn default() -> Self {
        Self { timeout: SignedDuration::from_secs(60), max_output: ByteSize::mib(64) }
    }
}

/// Where charts are found.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Helm {
    /// The folder with a chart for each customer. Default `examples/helm-charts/customers`.
    pub charts_path: String,
    /// The chart that they share. Default `examples/helm-charts/base`.
    pub base_chart: String,
}

impl Default for Helm {
    fn default() -> Self {
        Self {
            charts_path: "examples/helm-charts/customers".into(),
            base_chart: "examples/helm-charts/base".into(),
        }
    }
}

/// Order, gate, retry and rollback.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SyncWave {
    /// Whether waves order services; false leaves only their dependencies. Default true.
    pub enabled: bool,
    /// How many waves there may be. Default 10.
    pub max_waves: u32,
    /// From the request for a sync until an attempt without a verdict counts as failed. Default 300 s.
    pub health_check_timeout: SignedDuration,
    /// Failed attempts of one service until it counts as failed. Default 3; its own values win.
    pub rollback_threshold: u32,
    /// What a failed service means for the rest. Default `rollback`.
    pub on_failure: OnFailure,
    /// What happens to services that are not in the values any more: `keep` (default), or `prune`: at the end of a push
    /// that succeeded their Applications are deleted with all of their objects, those that needed others first.
    pub removed_services: RemovedServices,
    /// Services under way at once. Default 20.
    pub max_in_flight: u32,
    /// How long Healthy must hold until it counts. Default 0 s.
    pub stabilisation: SignedDuration,
    /// How long Degraded must last until an attempt counts as failed. Default 30 s.
    pub degraded_grace: SignedDuration,
    /// From the end of a sync until a fresh comparison is asked for. Default 1 s, because Argo CD's clock has
    /// whole seconds.
    pub refresh_pause: SignedDuration,
    /// Retries.
    pub dependency_resolution: DependencyResolution,
}

impl Default for SyncWave {
    fn default() -> Self {
        Self {
            enabled: true,
            max_waves: 10,
            health_check_timeout: SignedDuration::from_secs(300),
            rollback_threshold: 3,
            on_failure: OnFailure::Rollback,
            removed_services: RemovedServices::default(),
            max_in_flight: 20,
            stabilisation: SignedDuration::ZERO,
            degraded_grace: SignedDuration::from_secs(30),
            refresh_pause: SignedDuration::from_secs(1),
            dependency_resolution: DependencyResolution::default(),
        }
    }
}

/// Retries.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DependencyResolution {
    /// How the order is found; there is one way.
    pub algorithm: Algorithm,
    /// How often a failed attempt is repeated at most. Default 3.
    pub max_retries: u32,
    /// Pause before the next attempt. Default 30 s.
    pub retry_delay: SignedDuration,
}

impl Default for DependencyResolution {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::TopologicalSort,
            max_retries: 3,
            retry_delay: SignedDuration::from_secs(30),
        }
    }
}

/// How the order is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// By sorting the graph topologically.
    TopologicalSort,
}

/// Which deployments need an approval.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Approval {
    /// Environments in which each plan has to be approved.
    pub environments: Vec<Environment>,
    /// Whether who asked for a deployment may approve it. Default false.
    pub by_requester: bool,
}

/// What is kept of who asked for what.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Audit {
    /// How long a record is kept. Default 400 days.
    pub keep: SignedDuration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep: SignedDuration::from_hours(400 * 24) }
    }
}

/// The cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Cluster {
    /// The embedded one, which behaves as Argo CD does.
    Simulated(Box<Script>),
    /// A real one.
    ArgoCd(Box<argo_cd::ArgoCd>),
}

impl Cluster {
    /// How many Applications a customer has.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Simulated(_) => Layout::PerService,
            Self::ArgoCd(argo_cd) => argo_cd.layout,
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::Simulated(Box::default())
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not a configuration.
    #[error("{file}: {reason}")]
    Unreadable {
        /// Which file.
        file: String,
        /// What is wrong, with its place.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("{file}: {setting}: {reason}")]
    Unusable {
        /// Which file.
        file: String,
        /// Which setting.
        setting: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl Config {
    /// Reads a configuration. `variable` looks an environment variable up, for secrets given as `${NAME}`.
    ///
    /// # Errors
    /// When it cannot be understood, has an unknown key, or contradicts itself.
    pub fn parse(
        file: &str,
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        // Snippets are off: the text around a fault may be a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        let parsed = if text.trim().is_empty() {
            Ok(Self::default())
        } else {
            serde_saphyr::from_str_with_options::<Self>(text, options)
        };
        let mut config = parsed
            .map_err(|error| ConfigError::Unreadable { file: file.into(), reason: error.to_string() })?;
        config
            .look_up_secrets(variable)
            .and_then(|()| config.check())
            .map_err(|(setting, reason)| ConfigError::Unusable { file: file.into(), setting, reason })?;
        config.limits.max_waves = config.sync_wave.max_waves;
        Ok(config)
    }

    fn look_up_secrets(&mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), (String, String)> {
        use secrecy::ExposeSecret;
        let resolve = |setting: String, secret: &mut SecretString| {
            let text = secret.expose_secret();
            if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                let value = variable(name).filter(|value| !value.is_empty());
                let value = value.ok_or((setting.clone(), format!("the variable {name} is not set")))?;
                *secret = SecretString::from(value);
            }
            if secret.expose_secret().is_empty() {
                return Err((setting, "is empty".into()));
            }
            Ok(())
        };
        for token in &mut self.grpc.tokens {
            resolve(format!("grpc.tokens[{}].token", token.name), &mut token.token)?;
        }
        for header in &mut self.tracing.headers {
            resolve(format!("tracing.headers[{}]", header.name), &mut header.value)?;
        }
        for webhook in self.http.iter_mut().flat_map(|http| &mut http.webhooks.github) {
            for secret in &mut webhook.secrets {
                resolve(format!("http.webhooks.github[{}].secrets", webhook.source), secret)?;
            }
        }
        for target in &mut self.notifications.targets {
            let setting = |of: &str| format!("notifications.targets[{}].{of}", target.name);
            resolve(setting("url"), &mut target.url)?;
            if let Some(secret) = &mut target.secret {
                resolve(setting("secret"), secret)?;
            }
            for (name, value) in &mut target.headers {
                resolve(setting(&format!("headers[{name}]")), value)?;
            }
        }
        let oidc = self.http.as_mut().and_then(|http| http.oidc.as_mut());
        if let Some(secret) = oidc.and_then(|oidc| oidc.login.as_mut()?.client_secret.as_mut()) {
            resolve("http.oidc.login.client-secret".into(), secret)?;
        }
        for source in &mut self.sources {
            if let Some(token) = &mut source.token {
                resolve(format!("sources[{}].token", source.name), token)?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), (String, String)> {
        self.grpc.check()?;
        let mut names = BTreeMap::new();
        for source in &self.sources {
            if names.insert(&source.name, ()).is_some() {
                return Err((format!("sources[{}]", source.name), "is there twice".into()));
            }
            source.check()?;
        }
        if let Cluster::ArgoCd(argo_cd) = &self.cluster {
            argo_cd.check(self.sync_wave.removed_services)?;
        }
        self.microservices.health_check.check(&self.cluster)?;
        self.logging.check()?;
        self.tracing.check()?;
        self.notifications.check()?;
        if let Some(http) = &self.http {
            http.check(&self.sources)?;
        }
        for (setting, value) in [
            ("sync-wave.health-check-timeout", self.sync_wave.health_check_timeout),
            ("sync-wave.refresh-pause", self.sync_wave.refresh_pause),
            ("microservices.health-check.interval", self.microservices.health_check.interval),
            ("microservices.health-check.timeout", self.microservices.health_check.timeout),
            (
                "microservices.health-check.circuit-breaker.open",
                self.microservices.health_check.circuit_breaker.open,
            ),
            ("audit.keep", self.audit.keep),
            ("grpc.timeout", self.grpc.timeout),
            ("git.timeout", self.git.timeout),
        ] {
            if value <= SignedDuration::ZERO {
                return Err((setting.into(), "must be longer than nothing".into()));
            }
        }
        Ok(())
    }

    /// The repositories, as requests name them.
    pub fn known_sources(&self) -> Vec<KnownSource> {
        let known = |source: &Source| KnownSource {
            name: source.name.clone(),
            repository: source.repository.clone(),
        };
        self.sources.iter().map(known).collect()
    }

    /// The source of this name.
    pub fn source(&self, name: &SourceName) -> Option<&Source> {
        self.sources.iter().find(|source| &source.name == name)
    }

    /// What a source deploys to an environment.
    pub fn target(&self, source: &SourceName, environment: &Environment) -> Option<&Target> {
        self.source(source)?.targets.iter().find(|target| &target.environment == environment)
    }

    /// The order that the configuration asks for.
    pub fn order(&self) -> Order {
        if self.sync_wave.enabled { Order::Waves } else { Order::Dependencies }
    }

    /// The rules for deployments to an environment.
    pub fn policy(&self, environment: &Environment) -> Policy {
        let waves = &self.sync_wave;
        Policy {
            on_failure: waves.on_failure,
            needs_approval: self.approval.environments.contains(environment),
            max_in_flight: waves.max_in_flight,
            rollback_threshold: waves.rollback_threshold,
            max_retries: waves.dependency_resolution.max_retries,
            retry_delay: waves.dependency_resolution.retry_delay,
            health_timeout: waves.health_check_timeout,
            degraded_grace: waves.degraded_grace,
            stabilisation: waves.stabilisation,
            refresh_pause: waves.refresh_pause,
            promotion: self.rollouts.promotion(),
            upkeep: match &self.cluster {
                Cluster::Simulated(_) => Upkeep::Never,
                Cluster::ArgoCd(argo_cd) => argo_cd.upkeep(),
            },
        }
    }
}
