//! JSON Schemas of what people write: for editors, and for checks before a commit.
//!
//! Generated from the types below, which describe the input as it may be written (every default left out), where
//! [`crate::domain::catalog`] describes what was understood. Each key may be in camelCase or kebab-case. Unknown
//! keys are allowed, as the reader only warns of them. A schema cannot say all that the reader checks: a file that
//! fits may still have faults, but a file without faults fits.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// The schemas there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole values file of either format.
    Values,
    /// One service (or application).
    Microservice,
    /// One entry of `dependencies`.
    Dependency,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Values, Self::Microservice, Self::Dependency];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Values => "values",
            Self::Microservice => "microservice",
            Self::Dependency => "dependency",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is not a schema: use `values`, `microservice` or `dependency`"))
    }
}

/// A JSON Schema (draft 2020-12).
pub fn schema(kind: Kind) -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(both_spellings))
        .for_deserialize()
        .into_generator();
    let mut schema = match kind {
        Kind::Values => generator.into_root_schema_for::<ValuesFile>(),
        Kind::Microservice => generator.into_root_schema_for::<Microservice>(),
        Kind::Dependency => generator.into_root_schema_for::<Dependency>(),
    };
    schema.insert(
        "$id".into(),
        json!(format!("https://github.com/rtte/argocd-orchestrator/schemas/{kind}.json")),
    );
    schema.to_value()
}

/// A customer's values in one environment.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described, never built")]
enum ValuesFile {
    Helm(Box<HelmValues>),
    Cac(Box<CacValues>),
}

/// The values of a Helm chart.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct HelmValues {
    global: Global,
    /// The shared configMaps.
    config_maps: Option<NamedObjects>,
    /// Services by group; each group may have a wave of its own.
    microservices: BTreeMap<String, Group>,
}

/// Whose values these are and where they go.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct Global {
    /// The customer.
    customer_id: Label,
    /// The environment.
    environment: Label,
    /// The tag of all images that use `{{ .Values.global.imageTag }}`. Quote it.
    image_tag: Option<Tag>,
    /// The namespace of everything. Default `<customer>-<environment>`.
    namespace: Option<Label>,
}

/// Services that belong together.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct Group {
    /// The wave of those services that give none.
    sync_wave: Option<u32>,
    /// The services.
    services: Option<Vec<HelmService>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct HelmService {
    /// Image with its tag; `{{ .Values.global.imageTag }}` and other paths of the file are resolved.
    #[schemars(length(min = 1))]
    image: String,
    #[schemars(flatten)]
    rest: Microservice,
}

/// Config as Code.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct CacValues {
    /// The customer; here or under `global`.
    customer_id: Option<Label>,
    /// The environment; here or under `global`.
    environment: Option<Label>,
    /// The namespace of everything. Default `<customer>-<environment>`.
    namespace: Option<Label>,
    /// Images are `<image-prefix>/<name>:<version>`.
    image_prefix: Option<String>,
    /// The version of applications that give none. Quote it.
    image_tag: Option<Tag>,
    /// The head, where it does not stand at the top.
    global: Option<CacGlobal>,
    /// The shared configMaps.
    config_maps: Option<NamedObjects>,
    /// Named waves and who is in them.
    sync_waves: Option<Vec<SyncWave>>,
    /// The services.
    applications: Vec<Microservice>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct CacGlobal {
    customer_id: Option<Label>,
    environment: Option<Label>,
    namespace: Option<Label>,
    image_prefix: Option<String>,
    image_tag: Option<Tag>,
}

/// A wave with a name.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct SyncWave {
    /// Its number; lower ones come first.
    wave: u32,
    /// Its name.
    name: Option<String>,
    /// The services in it.
    services: Option<Vec<Label>>,
}

/// One service.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct Microservice {
    /// Its name, unique in the file; not `base`.
    name: Label,
    /// Whether it is deployed. Default true.
    enabled: Option<bool>,
    /// Image with its tag.
    image: Option<String>,
    /// The tag of its image, where `image` is not given. Quote it.
    version: Option<Tag>,
    /// Its wave, where it differs from its group's.
    sync_wave: Option<u32>,
    /// What must be healthy before it.
    dependencies: Option<Vec<Dependency>>,
    /// The HTTP check of its pods.
    health_check: Option<HealthCheck>,
    /// How its pods are replaced. Default `ROLLING_UPDATE`.
    deployment_strategy: Option<Strategy>,
    /// How many pods. Default 1.
    #[schemars(range(min = 0, max = 10_000))]
    replicas: Option<u32>,
    /// Port of its container.
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// Whether its objects may be pruned.
    prune: Option<bool>,
    /// What its container asks for and may take.
    resources: Option<Resources>,
    /// ConfigMaps that it reads.
    config_maps: Option<NamedObjects>,
    /// Secrets that it refers to.
    secrets: Option<NamedObjects>,
    /// Volumes that it claims.
    volume_claims: Option<VolumeClaims>,
    /// When and how far it is rolled back.
    rollback: Option<Rollback>,
}

/// A service that must be healthy first, by its name.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only described, never built")]
struct Dependency(Label);

/// A DNS label.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only described, never built")]
struct Label(
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))] String,
);

/// An image tag.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only described, never built")]
struct Tag(#[schemars(length(min = 1, max = 128))] String);

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct HealthCheck {
    /// Path on the service.
    #[schemars(regex(pattern = r"^/"))]
    endpoint: String,
    /// HTTP method. Default `GET`.
    method: Option<String>,
    /// Port of its container, where it is not the service's own.
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// Status that counts as healthy. Default 200.
    #[schemars(range(min = 100, max = 599))]
    expected_status: Option<u16>,
    /// Seconds until one check is given up. Default 10.
    #[schemars(range(min = 1))]
    timeout_seconds: Option<u32>,
    /// Seconds between two checks. Default 30.
    #[schemars(range(min = 1))]
    interval_seconds: Option<u32>,
    /// Attempts in a row that fail until it counts as failing. Default 3.
    #[schemars(range(min = 1, max = 100))]
    failure_threshold: Option<u32>,
    /// Attempts in a row that pass until it counts as passing. Default 1.
    #[schemars(range(min = 1, max = 100))]
    success_threshold: Option<u32>,
    /// What the operator's Prometheus must say as well.
    prometheus: Option<PrometheusCheck>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct PrometheusCheck {
    /// In PromQL: a vector that is not empty (or a scalar that is not 0) passes, no data is no verdict.
    #[schemars(length(min = 1, max = 4096))]
    query: String,
}

/// In upper or lower case.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only described, never built")]
struct Strategy(
    #[schemars(regex(
        pattern = r"^([Rr][Oo][Ll][Ll][Ii][Nn][Gg][-_][Uu][Pp][Dd][Aa][Tt][Ee]|[Bb][Ll][Uu][Ee][-_][Gg][Rr][Ee][Ee][Nn]|[Cc][Aa][Nn][Aa][Rr][Yy])$"
    ))]
    String,
);

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct Resources {
    requests: Option<BTreeMap<String, Quantity>>,
    limits: Option<BTreeMap<String, Quantity>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described, never built")]
enum Quantity {
    Text(String),
    Number(f64),
}

/// `name: object`, or a list of `{name, key}`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described, never built")]
enum NamedObjects {
    Map(BTreeMap<String, Option<String>>),
    List(Vec<NamedObject>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described, never built")]
enum NamedObject {
    Name(String),
    Pair {
        /// Name as the values know it.
        name: String,
        /// Name of the object in the cluster.
        key: Option<String>,
    },
}

/// A list of claims, or `name: existing-claim`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described, never built")]
enum VolumeClaims {
    Map(BTreeMap<String, NamedClaim>),
    List(Vec<VolumeClaim>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described, never built")]
enum NamedClaim {
    Existing(String),
    New(Claim),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct VolumeClaim {
    /// Name of the volume.
    name: Label,
    #[schemars(flatten)]
    claim: Claim,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct Claim {
    /// Kubernetes quantity. Default `1Gi`.
    size: Option<Quantity>,
    /// Storage class. Default the cluster's.
    storage_class: Option<String>,
    /// An existing claim that is used instead of a new one.
    claim: Option<String>,
    /// Where it is mounted. Default `/data/<name>`.
    mount_path: Option<String>,
    /// Kubernetes access modes. Default `ReadWriteOnce`.
    access_modes: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct Rollback {
    /// Whether it may be taken back at all. Default true.
    enabled: Option<bool>,
    /// Healthy revisions that are remembered. Default 5.
    #[schemars(range(min = 1, max = 1_000))]
    max_versions: Option<u32>,
    /// Whether its failure starts a rollback by itself. Default true.
    auto_rollback: Option<bool>,
    /// Failed attempts until it counts as failed. Default the configured threshold.
    #[schemars(range(min = 1, max = 1_000))]
    failure_threshold: Option<u32>,
}

/// Gives each property of several words its kebab-case twin, and lets either be the required one.
fn both_spellings(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let twins: Vec<(String, String, Value)> = properties
        .iter()
        .map(|(camel, value)| (camel.clone(), kebab(camel), value.clone()))
        .filter(|(camel, kebab, _)| camel != kebab)
        .collect();
    for (_, kebab, value) in &twins {
        properties.insert(kebab.clone(), value.clone());
    }
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else { return };
    let either: Vec<Value> = twins
        .iter()
        .filter(|(camel, ..)| required.iter().any(|name| name == camel))
        .map(|(camel, kebab, _)| json!({"anyOf": [{"required": [camel]}, {"required": [kebab]}]}))
        .collect();
    required.retain(|name| !twins.iter().any(|(camel, ..)| name == camel));
    if !either.is_empty() {
        schema.insert("allOf".into(), Value::Array(either));
    }
}

fn kebab(camel: &str) -> String {
    camel
        .chars()
        .flat_map(|c| c.is_ascii_uppercase().then_some('-').into_iter().chain([c.to_ascii_lowercase()]))
        .collect()
}

#[cfg(test)]
mod tests;
