//! One service: what both formats say of it in the same words.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value as Json;

use crate::domain::catalog::{
    Dependency, HealthCheck, PrometheusCheck, Reference, RollbackPolicy, Service, Strategy, VolumeClaim,
};
use crate::domain::diagnostic::{Code, Diagnostic, Place, quoted};
use crate::domain::names::{ServiceName, Wave};
use crate::domain::yaml::{Node, Value, to_json};

use super::kinds::{ACCESS_MODE, ENDPOINT, METHOD, MOUNT_PATH, OBJECT_NAME, QUANTITY, QUERY, VOLUME_NAME};
use super::reading::{Fields, Reader};
use super::shared;

/// Keys of a service that the chart reads and we do not.
const CHART_KEYS: &[&str] = &[
    "port",
    "env",
    "command",
    "args",
    "prune",
    "configData",
    "startupSeconds",
    "progressDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "serviceAccountName",
    "automountServiceAccountToken",
    "podSecurityContext",
    "securityContext",
    "annotations",
    "labels",
    "canary",
    "blueGreen",
    "overrides",
    "render",
    "imagePrefix",
    "version",
    "nodeSelector",
    "tolerations",
    "affinity",
];

/// What a service gets from its format.
pub(super) struct Given {
    pub(super) group: Option<String>,
    pub(super) wave: Option<Wave>,
    /// The image and whether it follows `global.imageTag`; none after a fault.
    pub(super) image: Option<(String, bool)>,
}

/// The services so far.
#[derive(Default)]
pub(super) struct Services {
    pub(super) read: Vec<Service>,
    first: HashMap<ServiceName, Place>,
    seen: u32,
    dependencies: usize,
    full: bool,
}

impl Services {
    /// Whether one more may be read; reports the first that may not.
    pub(super) fn room(&mut self, reader: &mut Reader<'_>, node: &Node) -> bool {
        let most = reader.limits.max_services;
        if self.seen >= most && !self.full {
            self.full = true;
            reader.too_many(node, "services", most, "max-services");
        }
        self.seen = self.seen.saturating_add(1);
        !self.full
    }

    /// Adds a service, unless there is one of that name.
    pub(super) fn add(&mut self, reader: &mut Reader<'_>, node: &Node, service: Service) {
        if let Some(first) = self.first.get(&service.name) {
            let message = format!("the service `{}` stands twice; first at {first}", service.name);
            reader.error(Code::DuplicateService, node, message, "remove one, or rename it");
            return;
        }
        let most = reader.limits.max_dependencies as usize;
        let before = self.dependencies;
        self.dependencies += service.dependencies.len();
        if self.dependencies > most && before <= most {
            reader.too_many(node, "dependencies in all", most, "max-dependencies");
        }
        self.first.insert(service.name.clone(), service.place.clone());
        self.read.push(service);
    }
}

/// Reads what the formats have in common. None where the service has no usable name; its other faults are
/// reported all the same.
pub(super) fn read<'a>(reader: &mut Reader<'a>, mut fields: Fields<'a>, given: Given) -> Option<Service> {
    let place = fields.node.place(reader.file);
    let name = fields.require(reader, "name", "write `name: ...`");
    let name: Option<ServiceName> = name.and_then(|node| reader.name(node, "name"));
    let mut extra = BTreeMap::new();
    let enabled = fields.take(reader, "enabled").and_then(|node| reader.flag(node, "enabled"));
    let dependencies =
        fields.take(reader, "dependencies").map(|node| dependencies(reader, node, name.as_ref()));
    let health_check =
        fields.take(reader, "healthCheck").and_then(|node| health_check(reader, node, &mut extra));
    let strategy = fields.take(reader, "deploymentStrategy").and_then(|node| strategy(reader, node));
    let replicas =
        fields.take(reader, "replicas").and_then(|node| reader.whole(node, "replicas", 0..=10_000));
    let resources = fields.take(reader, "resources").and_then(|node| resources(reader, node));
    let config_maps = fields.take(reader, "configMaps").map(|node| references(reader, node, "configMaps"));
    let secrets = fields.take(reader, "secrets").map(|node| references(reader, node, "secrets"));
    let volume_claims = fields.take(reader, "volumeClaims").map(|node| volume_claims(reader, node));
    let rollback = fields.take(reader, "rollback").and_then(|node| rollback(reader, node, &mut extra));
    for (key, kept) in [("port", fields.take(reader, "port")), ("prune", fields.take(reader, "prune"))] {
        let Some(node) = kept else { continue };
        let fine = match key {
            "port" => reader.whole(node, key, 1..=65_535).is_some(),
            _ => reader.flag(node, key).is_some(),
        };
        if fine {
            extra.insert(key.to_owned(), to_json(node));
        }
    }
    extra.extend(fields.rest(reader, CHART_KEYS));
    let (image, follows_image_tag) = given.image.unwrap_or_default();
    Some(Service {
        name: name?,
        group: given.group,
        wave: given.wave,
        enabled: enabled.unwrap_or(true),
        image,
        follows_image_tag,
        dependencies: dependencies.unwrap_or_default(),
        health_check,
        strategy: strategy.unwrap_or_default(),
        replicas: replicas.unwrap_or(1),
        resources,
        config_maps: config_maps.unwrap_or_default(),
        secrets: secrets.unwrap_or_default(),
        volume_claims: volume_claims.unwrap_or_default(),
        rollback: rollback.unwrap_or_default(),
        extra,
        place,
    })
}

/// An image as it stands, its templates resolved.
pub(super) fn image<'a>(reader: &mut Reader<'a>, node: &'a Node) -> Option<(String, bool)> {
    let text = reader.literal(node, "image")?;
    let expanded = reader.expand(text, node)?;
    reader.image_is_fine(node, &expanded.text).then_some((expanded.text, expanded.follows_image_tag))
}

/// A wave within the configured number of waves.
pub(super) fn wave(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<Wave> {
    let highest = reader.limits.max_waves.saturating_sub(1);
    reader.bounded(node, key, Code::WaveOutOfRange, 0..=highest).map(Wave)
}

fn dependencies<'a>(reader: &mut Reader<'a>, node: &'a Node, own: Option<&ServiceName>) -> Vec<Dependency> {
    let mut on = Vec::new();
    let mut seen = HashSet::new();
    for item in reader.list(node, "dependencies") {
        let Some(name) = reader.name::<ServiceName>(item, "dependencies") else { continue };
        if own == Some(&name) {
            let message = format!("`{name}` depends on itself");
            reader.error(Code::SelfDependency, item, message, "remove it");
        } else if seen.insert(name.clone()) {
            on.push(Dependency { on: name, place: item.place(reader.file) });
        } else {
            let message = format!("the dependency on `{name}` stands twice");
            reader.error(Code::DuplicateDependency, item, message, "remove one of them");
        }
    }
    on
}

fn health_check<'a>(
    reader: &mut Reader<'a>,
    node: &'a Node,
    extra: &mut BTreeMap<String, Json>,
) -> Option<HealthCheck> {
    let mut fields = reader.fields(node, "healthCheck")?;
    let endpoint = fields.require(reader, "endpoint", "write `endpoint: /health`");
    let endpoint = endpoint.and_then(|node| reader.checked(node, "endpoint", &ENDPOINT));
    let method = fields.take(reader, "method").and_then(|node| reader.checked(node, "method", &METHOD));
    let port = fields.take(reader, "port").and_then(|node| reader.whole(node, "port", 1..=65_535));
    let status = fields.take(reader, "expectedStatus");
    let status = status.and_then(|node| reader.whole(node, "expectedStatus", 100..=599));
    let timeout = fields.take(reader, "timeoutSeconds");
    let timeout = timeout.and_then(|node| reader.whole(node, "timeoutSeconds", 1..=86_400));
    let interval = fields.take(reader, "intervalSeconds");
    let interval = interval.and_then(|node| reader.whole(node, "intervalSeconds", 1..=86_400));
    let failures = fields.take(reader, "failureThreshold");
    let failures = failures.and_then(|node| reader.whole(node, "failureThreshold", 1..=100));
    let successes = fields.take(reader, "successThreshold");
    let successes = successes.and_then(|node| reader.whole(node, "successThreshold", 1..=100));
    let prometheus = fields.take(reader, "prometheus").and_then(|node| prometheus_check(reader, node));
    shared::keep(extra, "healthCheck", fields.rest(reader, &[]));
    Some(HealthCheck {
        endpoint: endpoint?.parse().ok()?,
        method: method.unwrap_or_else(|| "GET".into()).to_ascii_uppercase(),
        port: port.and_then(|port| u16::try_from(port).ok()),
        expected_status: status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
        timeout_seconds: timeout.unwrap_or(10),
        interval_seconds: interval.unwrap_or(30),
        failure_threshold: failures.unwrap_or(3),
        success_threshold: successes.unwrap_or(1),
        prometheus,
    })
}

fn prometheus_check<'a>(reader: &mut Reader<'a>, node: &'a Node) -> Option<PrometheusCheck> {
    let mut fields = reader.fields(node, "prometheus")?;
    let query = fields.require(reader, "query", "write `query: up{...} == 1`");
    let query = query.and_then(|node| reader.checked(node, "query", &QUERY));
    fields.rest(reader, &[]);
    Some(PrometheusCheck { query: query? })
}

fn strategy<'a>(reader: &mut Reader<'a>, node: &'a Node) -> Option<Strategy> {
    const STRATEGIES: [(&str, Strategy); 3] = [
        ("ROLLING_UPDATE", Strategy::RollingUpdate),
        ("BLUE_GREEN", Strategy::BlueGreen),
        ("CANARY", Strategy::Canary),
    ];
    let text = reader.text(node, "deploymentStrategy")?;
    let wanted = text.to_ascii_uppercase().replace('-', "_");
    let found = STRATEGIES.into_iter().find(|(name, _)| *name == wanted);
    if found.is_none() {
        let names = STRATEGIES.iter().map(|(name, _)| *name);
        let help = reader.did_you_mean(&wanted, names, "write ROLLING_UPDATE, BLUE_GREEN or CANARY");
        reader.error(Code::BadValue, node, format!("{} is not a deployment strategy", quoted(&text)), help);
    }
    found.map(|(_, strategy)| strategy)
}

/// Requests and limits: mappings of a resource to a quantity.
fn resources<'a>(reader: &mut Reader<'a>, node: &'a Node) -> Option<Json> {
    let mut fields = reader.fields(node, "resources")?;
    for key in ["requests", "limits"] {
        let Some(node) = fields.take(reader, key) else { continue };
        let Value::Map(entries) = &node.value else {
            reader.wrong_type(node, key, "a mapping", "write `cpu: ...` and `memory: ...` lines under it");
            continue;
        };
        for entry in entries.iter() {
            let Value::Scalar(scalar) = &entry.node.value else {
                reader.wrong_type(&entry.node, &entry.key, QUANTITY.what, QUANTITY.help);
                continue;
            };
            reader.fits(&entry.node, &entry.key, &scalar.text, &QUANTITY);
        }
    }
    fields.rest(reader, &["claims"]);
    Some(to_json(node))
}

/// The key is left empty where none is given: it depends on the customer.
fn references<'a>(reader: &mut Reader<'a>, node: &'a Node, key: &str) -> Vec<Reference> {
    let pairs = shared::named(reader, node, key);
    pairs.into_iter().map(|(name, key, _)| Reference { name, key }).collect()
}

fn volume_claims<'a>(reader: &mut Reader<'a>, node: &'a Node) -> Vec<VolumeClaim> {
    let mut claims: Vec<VolumeClaim> = Vec::new();
    let mut names: HashSet<String> = HashSet::new();
    let mut add = |reader: &mut Reader<'a>, place: Place, claim: VolumeClaim| {
        if names.insert(claim.name.clone()) {
            claims.push(claim);
            return;
        }
        let message = format!("the volume claim `{}` stands twice", claim.name);
        let fault = Diagnostic::error(Code::DuplicateKey, place, message);
        reader.report(fault.with_help("remove one of them, or rename it"));
    };
    match &node.value {
        Value::List(items) => {
            for item in items.iter() {
                let Some(mut fields) = reader.fields(item, "volumeClaims") else { continue };
                let name = fields.require(reader, "name", "write `name: ...`");
                let name = name.and_then(|node| reader.checked(node, "name", &VOLUME_NAME));
                let claim = volume_claim(reader, fields);
                if let Some(name) = name {
                    add(reader, item.place(reader.file), VolumeClaim { name, ..claim });
                }
            }
        }
        // `name: existing-claim`, or `name: {size: ..}`.
        Value::Map(entries) => {
            for entry in entries.iter() {
                let claim = match &entry.node.value {
                    Value::Scalar(_) => match reader.checked(&entry.node, &entry.key, &OBJECT_NAME) {
                        Some(claim) => VolumeClaim { claim: Some(claim), ..no_claim() },
                        None => continue,
                    },
                    Value::List(_) | Value::Map(_) => match reader.fields(&entry.node, &entry.key) {
                        Some(fields) => volume_claim(reader, fields),
                        None => continue,
                    },
                };
                if reader.fits(&entry.node, "volumeClaims", &entry.key, &VOLUME_NAME) {
                    add(
                        reader,
                        entry.place(reader.file),
                        VolumeClaim { name: entry.key.to_string(), ..claim },
                    );
                }
            }
        }
        Value::Scalar(_) => {
            reader.wrong_type(
                node,
                "volumeClaims",
                "a list or a mapping",
                "write `- name: ...` lines under it",
            );
        }
    }
    claims
}

fn volume_claim<'a>(reader: &mut Reader<'a>, mut fields: Fields<'a>) -> VolumeClaim {
    let size = fields.take(reader, "size").and_then(|node| reader.checked(node, "size", &QUANTITY));
    let class = fields.take(reader, "storageClass");
    let storage_class = class.and_then(|node| reader.checked(node, "storageClass", &OBJECT_NAME));
    let existing = fields.take(reader, "claim");
    let claim = existing.and_then(|node| reader.checked(node, "claim", &OBJECT_NAME));
    if let (Some(_), Some(node)) = (&size, existing) {
        let message = "`size` and `claim` exclude each other";
        reader.error(Code::BadValue, node, message, "an existing claim has its size: remove `size`");
    }
    let mount = fields.take(reader, "mountPath");
    let mount_path = mount.and_then(|node| reader.checked(node, "mountPath", &MOUNT_PATH));
    let modes = fields.take(reader, "accessModes").map(|node| reader.list(node, "accessModes"));
    let mut access_modes = Vec::new();
    for node in modes.unwrap_or_default() {
        access_modes.extend(reader.checked(node, "accessModes", &ACCESS_MODE));
    }
    fields.rest(reader, &[]);
    VolumeClaim { size, storage_class, claim, mount_path, access_modes, ..no_claim() }
}

fn no_claim() -> VolumeClaim {
    VolumeClaim {
        name: String::new(),
        size: None,
        storage_class: None,
        claim: None,
        mount_path: None,
        access_modes: Vec::new(),
    }
}

fn rollback<'a>(
    reader: &mut Reader<'a>,
    node: &'a Node,
    extra: &mut BTreeMap<String, Json>,
) -> Option<RollbackPolicy> {
    let mut fields = reader.fields(node, "rollback")?;
    let default = RollbackPolicy::default();
    let enabled = fields.take(reader, "enabled").and_then(|node| reader.flag(node, "enabled"));
    let versions = fields.take(reader, "maxVersions");
    let versions = versions.and_then(|node| reader.whole(node, "maxVersions", 1..=1_000));
    let auto = fields.take(reader, "autoRollback").and_then(|node| reader.flag(node, "autoRollback"));
    let threshold = fields.take(reader, "failureThreshold");
    let threshold = threshold.and_then(|node| reader.whole(node, "failureThreshold", 1..=1_000));
    shared::keep(extra, "rollback", fields.rest(reader, &[]));
    Some(RollbackPolicy {
        enabled: enabled.unwrap_or(default.enabled),
        max_versions: versions.unwrap_or(default.max_versions),
        auto_rollback: auto.unwrap_or(default.auto_rollback),
        failure_threshold: threshold,
    })
}
