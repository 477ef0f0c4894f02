//! The settings of EventSources and of the EventBus on the way to the orchestrator.
//!
//! Source: Argo Events' `pkg/eventsources`, `pkg/eventbus/jetstream` and the default configuration of its controller.

use serde_json::Value;

use super::sensor::Dependency;
use super::{Check, Finding, named};

/// The largest body that an EventSource takes, and the largest message of a NATS, where nothing else is said.
const DEFAULT_SIZE: u64 = 1 << 20;

/// How many messages a stream keeps where nothing else is said.
const DEFAULT_MESSAGES: i64 = 50_000;

/// The copies of each event where nothing else is said.
const DEFAULT_COPIES: i64 = 3;

/// Kinds of sources that bring pushes, which can be large.
const GIT: [&str; 6] = ["github", "gitlab", "bitbucket", "bitbucketserver", "gitea", "azureDevops"];

/// Keys of `spec` that hold no events.
const NO_EVENTS: [&str; 4] = ["eventBusName", "replicas", "service", "template"];

/// Whether the event that a Sensor waits for can come at all.
pub(super) fn offers(sources: &[Value], sensor: &str, dependency: &Dependency<'_>) -> Option<Finding> {
    let Dependency { source, event } = *dependency;
    let found = sources.iter().find(|one| text(one, "/metadata/name") == Some(source));
    let (what, remedy) = match found {
        None => (
            format!("there is no EventSource {source}: its events never come"),
            "kubectl apply -k k8s/argo-events, or take the dependency out",
        ),
        Some(found) if events(found).all(|(_, name, _)| name != event) => (
            format!("the EventSource {source} has no event {event}"),
            "name the event as it is under its kind in the EventSource",
        ),
        Some(_) => return None,
    };
    let finding = Finding::wrong(Check::SENSOR_DEPENDENCY, what, remedy);
    Some(finding.at(sensor, "spec.dependencies", Some(format!("{source}/{event}"))))
}

/// What of an EventSource's settings loses events, or takes them from anybody.
pub(super) fn settings(source: &Value) -> Vec<Finding> {
    let object = named("EventSource", source);
    let mut found = Vec::new();
    if let Some(name) = text(source, "/metadata/name").filter(|name| name.contains('.')) {
        found.push(dotted(&object, "metadata.name", name));
    }
    for (kind, name, event) in events(source) {
        let path = format!("spec.{kind}.{name}");
        if name.contains('.') {
            found.push(dotted(&object, &path, name));
        }
        let unguarded = match kind {
            "github" if is_missing(event, "/webhookSecret/name") => Some((
                "webhookSecret",
                "anybody who reaches the port can push: GitHub's signature is checked here, or nowhere",
                "set `webhookSecret: {name: argocd-orchestrator-github, key: secret}`",
            )),
            "webhook" if is_missing(event, "/authSecret/name") => Some((
                "authSecret",
                "anybody who reaches the port may deploy",
                "set `authSecret: {name: argocd-orchestrator-requests, key: token}`",
            )),
            "sns" if event.get("validateSignature") != Some(&Value::Bool(true)) => Some((
                "validateSignature",
                "anybody who reaches the port may deploy",
                "set `validateSignature: true`",
            )),
            _ => None,
        };
        if let Some((field, what, remedy)) = unguarded {
            // Something in front of it may check that.
            let finding = Finding::warning(Check::EVENT_SOURCE_SECRET, what, remedy);
            found.push(finding.at(&object, format!("{path}.{field}"), None));
        }
        if GIT.contains(&kind) && size(event).is_none_or(|size| size <= DEFAULT_SIZE) {
            let what = "pushes above 1 MB are refused with 400, and are not sent again";
            let remedy = "set `maxPayloadSize: 1900000`, and the EventBus's maxPayload above it";
            let value = size(event).map(|size| size.to_string());
            found.push(Finding::warning(Check::EVENT_SOURCE_SIZE, what, remedy).at(
                &object,
                format!("{path}.webhook.maxPayloadSize"),
                value,
            ));
        }
    }
    found
}

/// The largest body that one of its events may have; none where it takes none.
pub(super) fn largest(source: &Value) -> Option<u64> {
    let webhooks =
        events(source).filter(|(kind, _, event)| *kind == "webhook" || event.get("webhook").is_some());
    webhooks.map(|(_, _, event)| size(event).unwrap_or(DEFAULT_SIZE)).max()
}

/// What of the bus's settings loses events. `largest` is the largest body that its EventSources take.
pub(super) fn bus(bus: &Value, largest: Option<u64>) -> Vec<Finding> {
    let object = named("EventBus", bus);
    let spec = |key: &str| bus.pointer(&format!("/spec/{key}")).filter(|value| !value.is_null());
    let mut found = Vec::new();
    if spec("nats").is_some() {
        let what = "NATS Streaming knows no atLeastOnce: what a sensor fails to deliver is lost";
        let finding = Finding::wrong(Check::EVENT_BUS, what, "use `jetstream` or `jetstreamExotic`");
        found.push(finding.at(&object, "spec.nats", None));
        return found;
    }
    let (kind, jetstream) = match (spec("jetstream"), spec("jetstreamExotic")) {
        (Some(jetstream), _) => ("jetstream", jetstream),
        (None, Some(exotic)) => ("jetstreamExotic", exotic),
        (None, None) if spec("kafka").is_some() => {
            let text = format!(
                "{object} is Kafka: how many copies it has, and what it throws away, is not seen here"
            );
            found.push(Finding::note(Check::EVENT_BUS, text));
            return found;
        }
        (None, None) => {
            let what = "it says of no bus what it is like";
            let finding = Finding::wrong(Check::EVENT_BUS, what, "use `jetstream` or `jetstreamExotic`");
            found.push(finding.at(&object, "spec", None));
            return found;
        }
    };
    let stream = jetstream.get("streamConfig").and_then(Value::as_str).unwrap_or_default();
    let field = format!("spec.{kind}.streamConfig");
    let copies = number(stream, "replicas");
    if kind == "jetstream" {
        let servers = jetstream.get("replicas").and_then(Value::as_i64).unwrap_or(DEFAULT_COPIES);
        let wanted = copies.unwrap_or(DEFAULT_COPIES);
        if wanted > servers {
            let what = format!(
                "the stream is to have {wanted} copies on {servers} servers: it is never made, and nothing is delivered"
            );
            let remedy = "set `replicas` of the streamConfig to no more than spec.jetstream.replicas";
            let finding = Finding::wrong(Check::EVENT_BUS_COPIES, what, remedy);
            found.push(finding.at(
                &object,
                field.as_str(),
                copies.map(|copies| format!("replicas: {copies}")),
            ));
        } else if wanted < DEFAULT_COPIES {
            found.push(few_copies(&object, &field, wanted));
        }
        let largest = largest.unwrap_or_default();
        let payload = jetstream.get("maxPayload").and_then(Value::as_str);
        let room = payload.and_then(bytes).unwrap_or(DEFAULT_SIZE);
        // A body as large as that does not fit any more, with its headers and the envelope.
        if largest > DEFAULT_SIZE && room <= largest {
            let what = format!("an EventSource takes bodies of up to {largest} bytes, which the bus refuses");
            let finding = Finding::wrong(
                Check::EVENT_BUS_LIMITS,
                what,
                "set `maxPayload` above maxPayloadSize, such as 2MB",
            );
            found.push(finding.at(&object, "spec.jetstream.maxPayload", payload.map(str::to_owned)));
        }
    } else if let Some(copies) = copies.filter(|copies| *copies < DEFAULT_COPIES) {
        found.push(few_copies(&object, &field, copies));
    }
    match number(stream, "maxMsgs") {
        Some(most) if !(0..=DEFAULT_MESSAGES).contains(&most) => {}
        most => {
            let kept = most.unwrap_or(DEFAULT_MESSAGES);
            let what = format!("when there are more than {kept} events, the oldest go, read or not");
            let remedy = "set `maxMsgs: -1` with a maxBytes of the volume's size; an existing stream has to be changed itself";
            let finding = Finding::warning(Check::EVENT_BUS_LIMITS, what, remedy);
            found.push(finding.at(&object, field, most.map(|most| format!("maxMsgs: {most}"))));
        }
    }
    found
}

fn few_copies(object: &str, field: &str, copies: i64) -> Finding {
    let what = format!("events have {copies} of 3 copies: with its server, an event is lost");
    let remedy = "let the stream have three replicas, on three servers";
    let finding = Finding::warning(Check::EVENT_BUS_COPIES, what, remedy);
    finding.at(object, field, Some(format!("replicas: {copies}")))
}

fn dotted(object: &str, field: &str, name: &str) -> Finding {
    let what = "a name with dots divides the subject that Sensors read: no event gets through";
    Finding::wrong(Check::EVENT_SOURCE_NAME, what, "take a name without dots").at(
        object,
        field,
        Some(name.to_owned()),
    )
}

/// Kind, name and settings of each event.
fn events(source: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let kinds = source.get("spec").and_then(Value::as_object).into_iter().flatten();
    kinds.filter(|(kind, _)| !NO_EVENTS.contains(&kind.as_str())).flat_map(|(kind, events)| {
        let events = events.as_object().into_iter().flatten();
        events.map(move |(name, event)| (kind.as_str(), name.as_str(), event))
    })
}

fn size(event: &Value) -> Option<u64> {
    [event.pointer("/webhook/maxPayloadSize"), event.get("maxPayloadSize")]
        .into_iter()
        .flatten()
        .find_map(Value::as_u64)
}

fn is_missing(event: &Value, pointer: &str) -> bool {
    text(event, pointer).is_none_or(str::is_empty)
}

/// A number of `streamConfig`, which is a YAML text of lines `key: value`.
fn number(stream: &str, key: &str) -> Option<i64> {
    let lines = stream.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim());
    values.next()?.trim_matches('"').parse().ok()
}

/// A size as NATS takes it: `2MB` is 2 MiB, `2M` two million. Source: nats-server's `conf/lex.go`.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim().to_ascii_uppercase().as_str() {
        "" => 1,
        "K" => 1_000,
        "KB" | "KI" | "KIB" => 1 << 10,
        "M" => 1_000_000,
        "MB" | "MI" | "MIB" => 1 << 20,
        "G" => 1_000_000_000,
        "GB" | "GI" | "GIB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
