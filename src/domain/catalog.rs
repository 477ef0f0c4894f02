//! What one customer wants in one environment: its services, as its values file gives them at one commit.
//!
//! A catalogue is what [`crate::domain::values`] understood of a file. It may still be wrong as a graph
//! (unknown dependencies, cycles); [`crate::domain::graph`] decides that.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diagnostic::Place;
use super::names::{CustomerId, Environment, Namespace, ServiceName, Wave};
use super::probe::endpoint::Endpoint;

/// The services of one customer and environment, at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Catalog {
    /// The file it was read from.
    pub file: String,
    /// Which of the two formats the file has.
    pub format: Format,
    /// Whose.
    pub customer: CustomerId,
    /// Where to.
    pub environment: Environment,
    /// `global.imageTag`; none in the format in which each service has its own version.
    pub image_tag: Option<String>,
    /// The namespace that everything of this customer and environment goes to.
    pub namespace: Namespace,
    /// The shared configMaps: key in the values to name in the cluster.
    pub config_maps: BTreeMap<String, String>,
    /// What else stands beside the known keys, kept because the chart or a template may use it; what else stands
    /// under `global` is in its key `global`.
    pub extra: BTreeMap<String, Value>,
    /// All services, in the order of the file, those switched off among them.
    pub services: Vec<Service>,
}

impl Catalog {
    /// The services that are switched on, in the order of the file.
    pub fn enabled(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.enabled)
    }

    /// The service of this name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.iter().find(|service| &service.name == name)
    }
}

/// The formats of values files that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `global`, `configMaps` and `microservices.<group>.services[]`: a Helm chart's values.
    Helm,
    /// `sync-waves[]` and `applications[]`: Config as Code.
    Cac,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name, unique in the catalogue.
    pub name: ServiceName,
    /// The group (or named wave) that it stands in.
    pub group: Option<String>,
    /// The wave that the file gives it or its group; none where it is to be taken from the graph.
    pub wave: Option<Wave>,
    /// Whether it is deployed at all. Default true.
    pub enabled: bool,
    /// Image with its tag, all templates resolved.
    pub image: String,
    /// Whether the image's text takes `global.imageTag` in.
    pub follows_image_tag: bool,
    /// What must be healthy before it, in the order of the file.
    pub dependencies: Vec<Dependency>,
    /// The HTTP check of its pods.
    pub health_check: Option<HealthCheck>,
    /// How its pods are replaced. Default rolling update.
    pub strategy: Strategy,
    /// How many pods. Default 1.
    pub replicas: u32,
    /// Requests and limits of its container, as the file gives them.
    pub resources: Option<Value>,
    /// Entries of configMaps that it mounts.
    pub config_maps: Vec<Reference>,
    /// Secrets that it refers to (names, never content).
    pub secrets: Vec<Reference>,
    /// Volumes that it claims.
    pub volume_claims: Vec<VolumeClaim>,
    /// When and how far it is rolled back.
    pub rollback: RollbackPolicy,
    /// Keys that nobody here reads, kept because the chart may.
    pub extra: BTreeMap<String, Value>,
    /// Where the service stands.
    #[serde(skip)]
    pub place: Place,
}

/// An edge as the file gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Dependency {
    /// What must be healthy first.
    pub on: ServiceName,
    /// Where the file says so.
    #[serde(skip)]
    pub place: Place,
}

/// The HTTP check of a service's pods, which the orchestrator makes too, through their Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Path on the service.
    pub endpoint: Endpoint,
    /// HTTP method. Default `GET`.
    pub method: String,
    /// Port of its container; none for the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Status that counts as healthy. Default 200.
    pub expected_status: u16,
    /// Seconds until one check is given up. Default 10.
    pub timeout_seconds: u32,
    /// Seconds between two checks. Default 30.
    pub interval_seconds: u32,
    /// Attempts in a row that fail until it counts as failing. Default 3.
    pub failure_threshold: u32,
    /// Attempts in a row that pass until it counts as passing. Default 1.
    pub success_threshold: u32,
    /// What Prometheus must say as well; none for nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prometheus: Option<PrometheusCheck>,
}

/// A question to the operator's Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusCheck {
    /// In PromQL: a vector that is not empty (or a scalar that is not 0) passes, no data is no verdict.
    pub query: String,
}

/// How the pods of a service are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Strategy {
    /// A Kubernetes Deployment's rolling update.
    #[default]
    RollingUpdate,
    /// An Argo Rollout with an active and a preview Service.
    BlueGreen,
    /// An Argo Rollout that shifts weight step by step.
    Canary,
}

/// A named thing and the entry of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reference {
    /// Name of the configMap or secret as the values know it.
    pub name: String,
    /// Entry (or name in the cluster).
    pub key: String,
}

/// A volume that a service claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaim {
    /// Name of the claim.
    pub name: String,
    /// Kubernetes quantity such as `5Gi`; none for the chart's default, or for that of an existing claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Storage class; none for the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// An existing claim that is used instead of a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Where it is mounted; none for the chart's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// Kubernetes access modes; empty for the chart's default.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub access_modes: Vec<String>,
}

/// When a service is rolled back, and how much of its history is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPolicy {
    /// Whether it may be taken back at all. Default true.
    pub enabled: bool,
    /// Healthy revisions that are remembered. Default 5.
    pub max_versions: u32,
    /// Whether its failure starts a rollback by itself. Default true.
    pub auto_rollback: bool,
    /// Failed attempts until it counts as failed; none for the configured `rollback-threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<u32>,
}

impl Default for RollbackPolicy {
    fn default() -> Self {
        Self { enabled: true, max_versions: 5, auto_rollback: true, failure_threshold: None }
    }
}

/// In which sense the order of a deployment is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A wave starts when all of the wave before it is healthy; dependencies order services inside a wave.
    #[default]
    Waves,
    /// A service starts as soon as its own dependencies are healthy; waves are only a view.
    Dependencies,
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Waves => "waves",
            Self::Dependencies => "dependencies",
        })
    }
}

impl std::str::FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "waves" => Ok(Self::Waves),
            "dependencies" => Ok(Self::Dependencies),
            other => Err(format!("{other:?} is not an order: use `waves` or `dependencies`")),
        }
    }
}

/// How large an input may be. All of them are settings; these are the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Bytes of one values file. Default 1 MiB.
    pub max_bytes: u64,
    /// How deep lists and mappings may nest. Default 32.
    pub max_depth: u32,
    /// Nodes of one file, aliases counted as what they expand to. Default 250,000.
    pub max_nodes: u32,
    /// Services of one customer. Default 2,000.
    pub max_services: u32,
    /// Dependencies of one customer, all together. Default 50,000.
    pub max_dependencies: u32,
    /// How many waves: the highest is one less. Default 10.
    pub max_waves: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 20,
            max_depth: 32,
            max_nodes: 250_000,
            max_services: 2_000,
            max_dependencies: 50_000,
            max_waves: 10,
        }
    }
}

/// How long one service is expected to take where nothing is known of it, for critical paths and predictions.
pub const ASSUMED_DURATION: SignedDuration = SignedDuration::from_secs(30);
