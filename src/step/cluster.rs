//! Steps that look at a cluster: whether Argo Events is set up, and whether the orchestrator runs there. They apply
//! nothing but what they are given.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifests::{EVENT_BUS, EVENT_SOURCE, SENSOR, STATEFUL_SET};
use super::{Fault, Memory, Outcome, Request, Standing, StepExit, Turn};
use crate::client::Client;
use crate::domain::check::events::{self, ArgoEvents};
use crate::domain::check::{Level, Listed};
use crate::domain::names::Namespace;
use crate::ports::{ObjectError, Objects};

/// The name of the orchestrator's StatefulSet.
const ORCHESTRATOR: &str = "argocd-orchestrator";

/// The event bus of those that name none.
const DEFAULT_BUS: &str = "default";

impl From<ObjectError> for Fault {
    fn from(error: ObjectError) -> Self {
        let (exit, help) = match &error {
            ObjectError::Unavailable(_) => (StepExit::Transient, ""),
            ObjectError::Forbidden(_) => {
                (StepExit::Refused, "; the pod's ServiceAccount needs a Role for it")
            }
            ObjectError::NoSuchKind(_) => (StepExit::Refused, ""),
            ObjectError::Conflict(_) => (StepExit::Refused, "; --force-conflicts takes the fields over"),
            ObjectError::Invalid(_) => (StepExit::BadInput, ""),
        };
        Self::new(exit, format!("{error}{help}"))
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// All is well.
    Fine(String),
    /// Something is under way.
    NotYet(String),
    /// Something is not there, and will not come by itself.
    Missing(String),
    /// Something is there, and is wrong.
    Wrong(String),
}

impl Verdict {
    /// What it means to a step that has applied something, or has not.
    fn turn(self, memory: &Memory) -> Turn {
        match self {
            Self::Fine(said) => Turn::Over(Outcome::done(said)),
            Self::NotYet(said) => Turn::Waiting(Standing::waiting(said)),
            Self::Missing(said) if memory.applied.is_some() => Turn::Waiting(Standing::waiting(said)),
            Self::Wrong(said) => Turn::Over(Outcome::new(StepExit::Refused, said)),
            Self::Missing(said) => {
                Turn::Over(Outcome::new(StepExit::Refused, format!("{said}; --apply FILE applies manifests")))
            }
        }
    }
}

/// Sets Argo Events up where manifests are given, and looks whether it is.
pub(super) async fn argo_events(
    cluster: &dyn Objects,
    request: &Request,
    memory: &mut Memory,
) -> Result<Turn, Fault> {
    let namespace = namespace(request, "argo-events")?;
    apply(cluster, request, memory).await?;
    let (buses, sources, sensors) = (
        cluster.list(&EVENT_BUS, &namespace).await?,
        cluster.list(&EVENT_SOURCE, &namespace).await?,
        cluster.list(&SENSOR, &namespace).await?,
    );
    let verdict = match verify_argo_events(&namespace, &buses, &sources, &sensors) {
        Verdict::Fine(said) => {
            settings(&namespace, buses, sources, sensors).map_or(Verdict::Fine(said), Verdict::Wrong)
        }
        open @ (Verdict::NotYet(_) | Verdict::Missing(_) | Verdict::Wrong(_)) => open,
    };
    Ok(changed(verdict.turn(memory), memory))
}

/// Deploys the orchestrator where manifests are given, and looks whether it runs and answers.
pub(super) async fn orchestrator(
    cluster: &dyn Objects,
    client: Option<&Client>,
    request: &Request,
    memory: &mut Memory,
) -> Result<Turn, Fault> {
    let namespace = namespace(request, ORCHESTRATOR)?;
    apply(cluster, request, memory).await?;
    let set = cluster.read(&STATEFUL_SET, &namespace, ORCHESTRATOR).await?;
    let verdict = verify_orchestrator(&namespace, set.as_ref());
    let turn = match (verdict.turn(memory), client) {
        (Turn::Over(outcome), Some(client)) if outcome.exit == StepExit::Done => {
            client.ready().await?;
            let version = client.status().await?.version;
            let message = format!("{}, and {version} answers", outcome.message);
            Turn::Over(Outcome::done(message).with("version", version))
        }
        (Turn::Over(outcome), None) if outcome.exit == StepExit::Done => {
            Turn::Over(outcome.with("version", set.as_ref().map(image_tag).unwrap_or_default()))
        }
        (turn, _) => turn,
    };
    Ok(changed(turn, memory))
}

fn changed(turn: Turn, memory: &Memory) -> Turn {
    match turn {
        Turn::Over(outcome) => Turn::Over(outcome.with("changed", memory.applied == Some(true))),
        Turn::Waiting(standing) => Turn::Waiting(standing),
    }
}

fn namespace(request: &Request, default: &str) -> Result<Namespace, Fault> {
    match &request.namespace {
        Some(namespace) => Ok(namespace.clone()),
        None => default.parse().map_err(|error| Fault::new(StepExit::Failure, format!("{error}"))),
    }
}

/// Applies what is given, once.
async fn apply(cluster: &dyn Objects, request: &Request, memory: &mut Memory) -> Result<(), Fault> {
    if memory.applied.is_some() || request.manifests.is_empty() {
        return Ok(());
    }
    let mut changed = false;
    for one in &request.manifests {
        let force = request.force_conflicts;
        changed |= cluster.apply(&one.kind, &one.namespace, &one.name, &one.object, force).await?;
    }
    memory.applied = Some(changed);
    Ok(())
}

/// Whether there is an event bus, an event source and a sensor, each with the controller's conditions true.
fn verify_argo_events(
    namespace: &Namespace,
    buses: &[Value],
    sources: &[Value],
    sensors: &[Value],
) -> Verdict {
    for (kind, objects) in [("EventBus", buses), ("EventSource", sources), ("Sensor", sensors)] {
        if objects.is_empty() {
            return Verdict::Missing(format!("there is no {kind} in {namespace}"));
        }
    }
    for (kind, object) in
        sources.iter().map(|one| ("EventSource", one)).chain(sensors.iter().map(|one| ("Sensor", one)))
    {
        let bus = object["spec"]["eventBusName"].as_str().unwrap_or(DEFAULT_BUS);
        if !buses.iter().any(|other| name(other) == bus) {
            let message =
                format!("{kind} {} names the EventBus {bus}, which {namespace} does not have", name(object));
            return Verdict::Missing(message);
        }
    }
    let all = [("EventBus", buses), ("EventSource", sources), ("Sensor", sensors)];
    let mut open = all.iter().flat_map(|(kind, objects)| objects.iter().filter_map(|one| unready(kind, one)));
    match open.next() {
        Some(said) => Verdict::NotYet(said),
        None => Verdict::Fine(format!(
            "Argo Events is set up in {namespace}: {} EventBus, {} EventSource, {} Sensor",
            buses.len(),
            sources.len(),
            sensors.len()
        )),
    }
}

/// What `check` finds wrong first, with what to do: settings that lose events, a token that nobody has set.
fn settings(
    namespace: &Namespace,
    buses: Vec<Value>,
    sources: Vec<Value>,
    sensors: Vec<Value>,
) -> Option<String> {
    let listed = |objects| Listed::Objects { objects, more: false };
    let facts = ArgoEvents {
        namespace: namespace.to_string(),
        buses: listed(buses),
        sources: listed(sources),
        sensors: listed(sensors),
        // Before the orchestrator is deployed there is nothing to reach.
        targets: BTreeMap::new(),
    };
    let wrong = events::findings(&facts).into_iter().find(|finding| finding.level == Level::Wrong)?;
    let remedy = wrong.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Some(format!("{wrong}{remedy}"))
}

/// The first condition of an object that is not true; none where all are.
fn unready(kind: &str, object: &Value) -> Option<String> {
    let name = name(object);
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if conditions.is_empty() {
        return Some(format!("{kind} {name} has no conditions yet: its controller has not looked at it"));
    }
    let open = conditions.iter().find(|one| one["status"] != "True")?;
    let text = |key: &str| open[key].as_str().unwrap_or("?").to_owned();
    let why = open["message"].as_str().or(open["reason"].as_str()).unwrap_or("no reason is given");
    Some(format!("{kind} {name}: {} is {}: {why}", text("type"), text("status")))
}

/// Whether all pods of the orchestrator are ready, and of its newest definition.
fn verify_orchestrator(namespace: &Namespace, set: Option<&Value>) -> Verdict {
    let Some(set) = set else {
        return Verdict::Missing(format!("there is no StatefulSet {ORCHESTRATOR} in {namespace}"));
    };
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1);
    let status = &set["status"];
    if number(&status["observedGeneration"]) < number(&set["metadata"]["generation"]) {
        return Verdict::NotYet(format!(
            "StatefulSet {ORCHESTRATOR} was changed, and its controller has not looked at it"
        ));
    }
    if wanted == 0 {
        return Verdict::Missing(format!("StatefulSet {ORCHESTRATOR} has 0 replicas"));
    }
    let (ready, updated) = (number(&status["readyReplicas"]), number(&status["updatedReplicas"]));
    if ready < wanted || updated < wanted {
        return Verdict::NotYet(format!(
            "StatefulSet {ORCHESTRATOR}: {ready} of {wanted} pods are ready, {updated} of the newest definition"
        ));
    }
    Verdict::Fine(format!("{ORCHESTRATOR} runs in {namespace}: {ready} of {wanted} pods are ready"))
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("?")
}

/// The tag of the first container's image.
fn image_tag(set: &Value) -> String {
    let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag.to_owned(),
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, bus: Option<&str>, status: Option<&str>) -> Value {
        let conditions =
            status.map(|status| json!([{"type": "Deployed", "status": status, "message": "why"}]));
        json!({"metadata": {"name": name}, "spec": {"eventBusName": bus}, "status": {"conditions": conditions}})
    }

    #[test]
    fn argo_events_is_set_up_when_all_is_there_and_its_controller_says_so() {
        use Verdict::{Fine, Missing, NotYet};
        let fine = |name| vec![object(name, None, Some("True"))];
        for (buses, sources, sensors, expected) in [
            (fine("default"), fine("github"), fine("push"), "fine: Argo Events is set up"),
            (vec![], fine("github"), fine("push"), "missing: there is no EventBus"),
            (fine("default"), vec![], fine("push"), "missing: there is no EventSource"),
            (fine("default"), fine("github"), vec![], "missing: there is no Sensor"),
            (
                fine("other"),
                fine("github"),
                fine("push"),
                "missing: EventSource github names the EventBus default",
            ),
            (
                fine("default"),
                fine("github"),
                vec![object("push", Some("big"), Some("True"))],
                "missing: Sensor push names the EventBus big",
            ),
            (
                fine("default"),
                vec![object("github", None, Some("False"))],
                fine("push"),
                "not yet: EventSource github: Deployed is False: why",
            ),
            (
                fine("default"),
                fine("github"),
                vec![object("push", None, None)],
                "not yet: Sensor push has no",
            ),
        ] {
            let found = match verify_argo_events(&"ns".parse().unwrap(), &buses, &sources, &sensors) {
                Fine(said) => format!("fine: {said}"),
                NotYet(said) => format!("not yet: {said}"),
                Missing(said) | Verdict::Wrong(said) => format!("missing: {said}"),
            };
            assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn a_sensor_that_loses_events_is_refused_with_what_to_do() {
        let read = |text: &str| -> Vec<Value> {
            let mut found: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
            for object in &mut found {
                object["status"] = json!({"conditions": [{"type": "Deployed", "status": "True"}]});
            }
            found
        };
        let buses = read(include_str!("../../argo-events/eventbus.yaml"));
        let sources = read(include_str!("../../argo-events/eventsource.yaml"));
        let sensors = include_str!("../../argo-events/sensor.yaml");
        let found = |sensors: &str| {
            settings(&"argo-events".parse().unwrap(), buses.clone(), sources.clone(), read(sensors))
        };
        // As it is in the repository it has no token yet.
        assert!(found(sensors).is_some_and(|said| said.contains("token")), "{:?}", found(sensors));
        let set = sensors.replace("set-by-an-overlay", "a-token");
        assert_eq!(found(&set), None);
        let loses = set.replacen("atLeastOnce: true", "atLeastOnce: false", 1);
        assert!(found(&loses).is_some_and(|said| said.contains("atLeastOnce: true")), "{:?}", found(&loses));
    }

    #[test]
    fn the_orchestrator_runs_when_all_pods_of_the_newest_definition_are_ready() {
        let set = |generation: i64, ready: i64, updated: i64| {
            json!({"metadata": {"generation": generation}, "spec": {"replicas": 1, "template": {"spec": {"containers":
                [{"image": "registry:5000/argocd-orchestrator:0.1.0@sha256:abc"}]}}},
                "status": {"observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": updated}})
        };
        let namespace = "ns".parse().unwrap();
        let verdict = |set: &Value| verify_orchestrator(&namespace, Some(set));
        assert!(matches!(verdict(&set(2, 1, 1)), Verdict::Fine(_)));
        assert!(matches!(verdict(&set(3, 1, 1)), Verdict::NotYet(_)));
        assert!(matches!(verdict(&set(2, 0, 1)), Verdict::NotYet(_)));
        assert!(matches!(verdict(&set(2, 1, 0)), Verdict::NotYet(_)));
        assert!(matches!(verify_orchestrator(&namespace, None), Verdict::Missing(_)));
        assert_eq!(image_tag(&set(2, 1, 1)), "0.1.0");
    }
}
