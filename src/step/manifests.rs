//! Manifests that a step may apply: several documents in a file, of the kinds that the step is for.

use serde_json::Value;

use super::Name;
use crate::domain::catalog::Limits;
use crate::domain::names::Namespace;
use crate::domain::yaml;
use crate::ports::ObjectKind;

/// Documents in one file at most.
const MOST: usize = 200;

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> ObjectKind {
    ObjectKind { group, version, kind, plural }
}

pub(super) const EVENT_BUS: ObjectKind = kind("argoproj.io", "v1alpha1", "EventBus", "eventbus");
pub(super) const EVENT_SOURCE: ObjectKind = kind("argoproj.io", "v1alpha1", "EventSource", "eventsources");
pub(super) const SENSOR: ObjectKind = kind("argoproj.io", "v1alpha1", "Sensor", "sensors");
pub(super) const STATEFUL_SET: ObjectKind = kind("apps", "v1", "StatefulSet", "statefulsets");

const ACCOUNT: ObjectKind = kind("", "v1", "ServiceAccount", "serviceaccounts");
const CONFIG_MAP: ObjectKind = kind("", "v1", "ConfigMap", "configmaps");
const SERVICE: ObjectKind = kind("", "v1", "Service", "services");
const ROLE: ObjectKind = kind("rbac.authorization.k8s.io", "v1", "Role", "roles");
const ROLE_BINDING: ObjectKind = kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
const NETWORK_POLICY: ObjectKind = kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies");
const BUDGET: ObjectKind = kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets");

/// Kinds that a step may apply. No Secret, nothing outside of a namespace.
fn allowed(step: Name) -> &'static [ObjectKind] {
    match step {
        Name::SetupArgoEvents => &[
            EVENT_BUS,
            EVENT_SOURCE,
            SENSOR,
            ACCOUNT,
            ROLE,
            ROLE_BINDING,
            CONFIG_MAP,
            SERVICE,
            NETWORK_POLICY,
        ],
        Name::DeployOrchestrator => {
            &[STATEFUL_SET, ACCOUNT, ROLE, ROLE_BINDING, CONFIG_MAP, SERVICE, NETWORK_POLICY, BUDGET]
        }
        Name::ValidatePrerequisites
        | Name::ValidateHelmValues
        | Name::TriggerApplicationSet
        | Name::MonitorSyncWaves
        | Name::ValidateDeployment
        | Name::NotifyCompletion
        | Name::ResolveWaves
        | Name::ListCustomers
        | Name::WriteImageTag
        | Name::RollBack
        | Name::Abort => &[],
    }
}

/// One object to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its kind.
    pub kind: ObjectKind,
    /// Where it belongs.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
    /// All of it.
    pub object: Value,
}

/// Why a file cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct ManifestError {
    file: String,
    fault: String,
}

/// The objects of a file, in its order. What names no namespace belongs to the given one.
///
/// # Errors
/// When it is not YAML, or has an object in it that the step may not apply.
pub fn manifests(
    step: Name,
    file: &str,
    text: &str,
    namespace: &Namespace,
) -> Result<Vec<Manifest>, ManifestError> {
    let mut found = Vec::new();
    for (line, document) in documents(text) {
        let wrong =
            |fault: String| ManifestError { file: format!("{file}, the document at line {line}"), fault };
        let empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if document.lines().all(empty) {
            continue;
        }
        if found.len() == MOST {
            return Err(wrong(format!("there are more than {MOST} documents: split the file")));
        }
        let (node, faults) = yaml::parse(file, &document, &Limits::default());
        if let Some(fault) = faults.iter().find(|fault| fault.is_error()) {
            return Err(wrong(fault.message.clone()));
        }
        let Some(node) = node else { continue };
        found.push(manifest(step, yaml::to_json(&node), namespace).map_err(wrong)?);
    }
    Ok(found)
}

fn manifest(step: Name, mut object: Value, namespace: &Namespace) -> Result<Manifest, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, word) = (text(&object["apiVersion"]), text(&object["kind"]));
    let of = |kind: &&ObjectKind| {
        let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
        kind.kind == word && version == format!("{group}{}", kind.version)
    };
    let Some(kind) = allowed(step).iter().find(of) else {
        let kinds: Vec<&str> = allowed(step).iter().map(|kind| kind.kind).collect();
        return Err(format!("{step} does not apply {version:?} {word:?}: it applies {}", kinds.join(", ")));
    };
    let name = text(&object["metadata"]["name"]);
    let fine =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':');
    if name.is_empty() || name.len() > 253 || !name.bytes().all(fine) {
        return Err(format!("{word} has no usable `metadata.name`: {name:?}"));
    }
    let namespace = match text(&object["metadata"]["namespace"]).as_str() {
        "" => namespace.clone(),
        own => own.parse().map_err(|error| format!("{word} {name}: {error}"))?,
    };
    object["metadata"]["namespace"] = namespace.as_str().into();
    Ok(Manifest { kind: *kind, namespace, name, object })
}

/// The documents of a text with the lines that they begin at. A line that begins with `---` begins one, wherever it
/// stands (YAML 1.2, 9.1.2).
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut documents = vec![(1, String::new())];
    for (number, line) in text.lines().enumerate() {
        let rest = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if let Some(rest) = rest {
            documents.push((number + 1, format!("{}\n", rest.trim_start())));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(step: Name, text: &str) -> Result<Vec<Manifest>, ManifestError> {
        manifests(step, "f.yaml", text, &"argo-events".parse().unwrap())
    }

    #[test]
    fn the_objects_of_a_file_are_read_in_its_order() {
        let text = "# a comment\n---\napiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {name: default}\n--- # next\n\
                    apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: other}\ndata: {k: |\n  \"x\"}\n---\n";
        let text = text.replace("{k: |\n  \"x\"}", "{k: \"on\"}");
        let found = read(Name::SetupArgoEvents, &text).unwrap();
        let places: Vec<_> =
            found.iter().map(|one| (one.kind.plural, one.namespace.as_str(), one.name.as_str())).collect();
        assert_eq!(places, [("eventbus", "argo-events", "default"), ("configmaps", "other", "a")]);
        assert_eq!(found[1].object["data"]["k"], "on");
        assert_eq!(found[0].object["metadata"]["namespace"], "argo-events");
    }

    #[test]
    fn what_a_step_is_not_for_is_refused() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
        let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\n";
        for (step, text, said) in [
            (Name::SetupArgoEvents, secret, "does not apply \"v1\" \"Secret\""),
            (Name::SetupArgoEvents, set, "it applies EventBus, EventSource, Sensor"),
            (
                Name::DeployOrchestrator,
                "apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: a}\n",
                "v1beta1",
            ),
            (
                Name::DeployOrchestrator,
                "apiVersion: apps/v1\nkind: StatefulSet\n",
                "no usable `metadata.name`",
            ),
            (Name::DeployOrchestrator, "kind: [", "the document at line 1"),
            (
                Name::DeployOrchestrator,
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: ../x}\n",
                "usable",
            ),
            (Name::RollBack, set, "does not apply"),
        ] {
            let error = read(step, text).unwrap_err().to_string();
            assert!(error.contains(said), "no {said:?} in {error}");
        }
        assert_eq!(read(Name::DeployOrchestrator, set).unwrap().len(), 1);
    }

    #[test]
    fn the_shipped_manifests_of_argo_events_may_be_applied() {
        for (file, text) in [
            ("eventbus.yaml", include_str!("../../argo-events/eventbus.yaml")),
            ("eventsource.yaml", include_str!("../../argo-events/eventsource.yaml")),
            ("sensor.yaml", include_str!("../../argo-events/sensor.yaml")),
            ("trigger.yaml", include_str!("../../argo-events/trigger.yaml")),
            ("rbac.yaml", include_str!("../../argo-events/rbac.yaml")),
        ] {
            let found = manifests(Name::SetupArgoEvents, file, text, &"argo-events".parse().unwrap());
            assert!(!found.unwrap().is_empty(), "{file}");
        }
    }
}
