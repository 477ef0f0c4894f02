//! Argo Events: whether its objects are there, accepted, and lose nothing on the way to the orchestrator.
//!
//! Looked at is what leads here: the Sensors with a trigger that calls the orchestrator, the EventSources that they
//! depend on, the EventBus between them. Sources of what is judged: Argo Events' controllers and listeners, as told in
//! `docs/argo-events.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::sensor::Target;
use super::{Check, Finding, Listed, named, sensor, source};

/// What brings it.
const APPLY: &str = "kubectl apply -k k8s/argo-events";

/// What is read of a namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct ArgoEvents {
    /// The namespace.
    pub namespace: String,
    /// Its EventBuses.
    pub buses: Listed,
    /// Its EventSources.
    pub sources: Listed,
    /// Its Sensors.
    pub sensors: Listed,
    /// The Services that its Sensors call the orchestrator by.
    pub targets: BTreeMap<Target, Reached>,
}

impl ArgoEvents {
    /// Why some of its objects could not be read, if so: then that nothing is found wrong proves nothing.
    pub fn unread(&self) -> Option<&str> {
        [&self.buses, &self.sources, &self.sensors].into_iter().find_map(|listed| match listed {
            Listed::Refused(reason) => Some(reason.as_str()),
            Listed::Objects { .. } | Listed::NoSuchKind => None,
        })
    }
}

/// What is known of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// There is one.
    Service {
        /// Its TCP ports.
        ports: Vec<i32>,
        /// How many of its endpoints are ready.
        ready: usize,
    },
    /// There is none.
    Missing,
    /// It cannot be told; in words.
    Unknown(String),
}

/// The Services that Sensors of this list call the orchestrator by.
pub fn targets(sensors: &Listed) -> BTreeSet<Target> {
    sensors.objects().iter().flat_map(sensor::targets).collect()
}

/// Whether the orchestrator is reached by its Sensors. It need not be before it is installed.
pub fn reachability(facts: &ArgoEvents) -> Vec<Finding> {
    facts.targets.iter().map(|(target, reached)| reachable(target, reached)).collect()
}

fn reachable(target: &Target, reached: &Reached) -> Finding {
    let check = Check::SENSOR_TARGET;
    let Target { namespace, name, port } = target;
    let object = format!("Service {namespace}/{name}");
    let apply = "apply the orchestrator's manifests there, or change serverURL of the Sensors";
    match reached {
        Reached::Unknown(why) => Finding::note(check, format!("where {object} leads is not known: {why}")),
        Reached::Missing => {
            let text = format!(
                "{object} is not there: the Sensors wait, and lose what they have waited for too long"
            );
            Finding::wrong(check, text, apply)
        }
        Reached::Service { ports, .. } if !ports.contains(&i32::from(*port)) => {
            let text = format!(
                "{object} has no port {port}: the Sensors wait, and lose what they have waited for too long"
            );
            Finding::wrong(check, text, apply).at(&object, "spec.ports", None)
        }
        Reached::Service { ready: 0, .. } => {
            let text = format!(
                "{object} leads to no pod that is ready: the Sensors wait, and lose what they have waited for too long"
            );
            Finding::wrong(check, text, "see why the orchestrator's pod is not ready").at(&object, "", None)
        }
        Reached::Service { ready, .. } => {
            let pods = if *ready == 1 { "pod" } else { "pods" };
            Finding::fine(check, format!("{object} has port {port}, and leads to {ready} ready {pods}"))
        }
    }
}

/// All that there is to say.
pub fn findings(facts: &ArgoEvents) -> Vec<Finding> {
    let mut found = Vec::new();
    let kinds = [
        (Check::EVENT_BUS, "EventBuses", &facts.buses),
        (Check::EVENT_SOURCE, "EventSources", &facts.sources),
        (Check::SENSOR, "Sensors", &facts.sensors),
    ];
    for (check, kind, listed) in kinds {
        found.extend(unread(check, kind, &facts.namespace, listed));
    }
    if !found.is_empty() {
        return found;
    }
    let sensors: Vec<&Value> = facts.sensors.objects().iter().filter(|one| sensor::is_ours(one)).collect();
    if sensors.is_empty() {
        let text = format!("no Sensor in {} has a trigger that calls the orchestrator", facts.namespace);
        found.push(Finding::wrong(Check::SENSOR, text, APPLY));
    }
    let sources = facts.sources.objects();
    let mut buses = BTreeSet::from(["default"]);
    let mut wanted = BTreeSet::new();
    for one in &sensors {
        buses.insert(bus_of(one));
        let object = named("Sensor", one);
        found.push(accepted(Check::SENSOR, &object, one));
        let settings = sensor::settings(one);
        if settings.is_empty() {
            found.push(Finding::fine(
                Check::SENSOR,
                format!("{object} delivers at least once, tries again long enough, and keeps dead letters"),
            ));
        }
        found.extend(settings);
        for dependency in sensor::dependencies(one) {
            wanted.insert(dependency.source);
            found.extend(source::offers(sources, &object, &dependency));
        }
    }
    for one in sources.iter().filter(|one| name(one).is_some_and(|name| wanted.contains(name))) {
        buses.insert(bus_of(one));
        let object = named("EventSource", one);
        found.push(accepted(Check::EVENT_SOURCE, &object, one));
        found.extend(source::settings(one));
    }
    let largest = sources.iter().filter_map(source::largest).max();
    for bus in buses {
        match facts.buses.objects().iter().find(|one| name(one) == Some(bus)) {
            Some(one) => {
                found.push(accepted(Check::EVENT_BUS, &named("EventBus", one), one));
                found.extend(source::bus(one, largest));
            }
            None => {
                let text = format!("there is no EventBus {}/{bus}: no event gets anywhere", facts.namespace);
                found.push(Finding::wrong(Check::EVENT_BUS, text, APPLY));
            }
        }
    }
    found
}

/// Why a kind's objects are not known, or not all.
fn unread(check: Check, kind: &str, namespace: &str, listed: &Listed) -> Option<Finding> {
    match listed {
        Listed::Objects { more: false, .. } => None,
        Listed::Objects { objects, .. } => Some(Finding::warning(
            check,
            format!("{namespace} has more than {} {kind}: nothing is said of them", objects.len()),
            "keep what calls the orchestrator in a namespace of its own (--argo-events-namespace)",
        )),
        Listed::NoSuchKind => Some(Finding::wrong(
            check,
            format!("the cluster knows no {kind}"),
            "install Argo Events 1.9 or newer",
        )),
        Listed::Refused(reason) => Some(Finding::warning(
            check,
            format!("the {kind} of {namespace} cannot be read: {reason}"),
            "check with an account that may list eventbus, eventsources and sensors",
        )),
    }
}

fn name(object: &Value) -> Option<&str> {
    object.pointer("/metadata/name").and_then(Value::as_str)
}

fn bus_of(object: &Value) -> &str {
    let name = object.pointer("/spec/eventBusName").and_then(Value::as_str);
    name.filter(|name| !name.is_empty()).unwrap_or("default")
}

/// Whether the controller of its kind accepted and deployed it. Source: all conditions of `status` are then True.
fn accepted(check: Check, object: &str, value: &Value) -> Finding {
    let conditions = value.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = conditions.map(Vec::as_slice).unwrap_or_default();
    if conditions.is_empty() {
        return Finding::wrong(
            check,
            format!("{object} was not looked at by Argo Events yet"),
            "see that the controller of Argo Events runs, and watches this namespace",
        )
        .at(object, "status.conditions", None);
    }
    let not_true = |condition: &&Value| condition["status"].as_str() != Some("True");
    let Some(wrong) = conditions.iter().find(not_true) else {
        return Finding::fine(check, format!("{object} is accepted and deployed")).at(object, "", None);
    };
    let text = |key: &str| wrong[key].as_str().unwrap_or_default();
    let why = [text("reason"), text("message")].into_iter().filter(|text| !text.is_empty());
    let why: Vec<&str> = why.collect();
    let why = if why.is_empty() { "no reason is given".to_owned() } else { why.join(": ") };
    Finding::wrong(
        check,
        format!("{object} is not well: {} is {}: {why}", text("type"), text("status")),
        "mend what its condition says; `kubectl describe` shows more",
    )
    .at(object, "status.conditions", None)
}
