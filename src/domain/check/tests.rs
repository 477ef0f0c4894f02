//! Our own manifests are fine, and each thing that may be wrong with them is found where it stands.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::events::{self, ArgoEvents, Reached};
use super::{Finding, Level, Listed, Report, sensor, source};

mod others;

const PUSH: &str = "orchestrator-push";
/// The name and the namespace of our Service.
const OURS: &str = "argocd-orchestrator";
const REQUESTS: &str = "orchestrator-requests";

/// The documents of a file.
fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n").filter(|part| part.contains("kind:"));
    parts.map(|part| serde_saphyr::from_str(part).unwrap()).collect()
}

fn listed(objects: Vec<Value>) -> Listed {
    Listed::Objects { objects, more: false }
}

/// `argo-events/` as it is, with tokens, as its controllers accepted it.
fn ours() -> ArgoEvents {
    let texts = [
        include_str!("../../../argo-events/eventbus.yaml"),
        include_str!("../../../argo-events/eventsource.yaml"),
        include_str!("../../../argo-events/sensor.yaml"),
        include_str!("../../../argo-events/trigger.yaml"),
    ];
    let (mut buses, mut sources, mut sensors) = (Vec::new(), Vec::new(), Vec::new());
    for text in texts {
        for mut object in documents(&text.replace("set-by-an-overlay", "a-token")) {
            object["metadata"]["namespace"] = json!("argo-events");
            object["status"] = json!({ "conditions": [{ "type": "Deployed", "status": "True" }] });
            match object["kind"].as_str().unwrap() {
                "EventBus" => buses.push(object),
                "EventSource" => sources.push(object),
                "Sensor" => sensors.push(object),
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!((buses.len(), sources.len(), sensors.len()), (1, 3, 2));
    ArgoEvents {
        namespace: "argo-events".into(),
        buses: listed(buses),
        sources: listed(sources),
        sensors: listed(sensors),
        targets: BTreeMap::new(),
    }
}

/// What is not fine, by id, level and field.
fn told(findings: &[Finding]) -> Vec<(&'static str, Level, String)> {
    let told = findings.iter().filter(|finding| finding.level != Level::Fine);
    told.map(|finding| {
        let field = finding.place.as_ref().map_or_else(String::new, |place| place.field.clone());
        (finding.check.id, finding.level, field)
    })
    .collect()
}

/// The object of this name.
fn object<'a>(facts: &'a mut ArgoEvents, kind: &str, name: &str) -> &'a mut Value {
    let listed = match kind {
        "EventBus" => &mut facts.buses,
        "EventSource" => &mut facts.sources,
        _ => &mut facts.sensors,
    };
    let Listed::Objects { objects, .. } = listed else { panic!("{kind}") };
    objects.iter_mut().find(|object| object["metadata"]["name"] == name).unwrap()
}

/// Our own manifests with one field as given, or without it (null), give this and nothing else.
#[track_caller]
fn check(kind: &str, name: &str, pointer: &str, value: Value, expected: &[(&str, Level, &str)]) {
    let mut facts = ours();
    let object = object(&mut facts, kind, name);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match (parent, value) {
        (Value::Object(parent), Value::Null) => {
            assert!(parent.remove(key).is_some(), "{pointer} is not there");
        }
        (parent, value) => parent[key] = value,
    }
    let found = events::findings(&facts);
    let expected: Vec<_> =
        expected.iter().map(|(id, level, field)| (*id, *level, (*field).to_owned())).collect();
    assert_eq!(told(&found), expected, "{kind} {name} {pointer}: {found:#?}");
    for finding in found.iter().filter(|finding| finding.level > Level::Note) {
        assert!(finding.remedy.is_some(), "{finding:?}");
    }
}

#[test]
fn our_own_manifests_have_no_fault() {
    let found = events::findings(&ours());
    assert_eq!(told(&found), [], "{found:#?}");
    assert!(found.len() >= 6, "{found:#?}");
}

#[test]
fn what_loses_events_in_a_sensor_is_found_where_it_stands() {
    use Level::{Warning, Wrong};
    let at = "/spec/triggers/0/";
    let custom = "/spec/triggers/0/template/custom/";
    for (pointer, value, expected) in [
        ("atLeastOnce", json!(null), ("sensor-at-least-once", Wrong, "atLeastOnce")),
        ("atLeastOnce", json!(false), ("sensor-at-least-once", Wrong, "atLeastOnce")),
        ("retryStrategy", json!(null), ("sensor-retry", Wrong, "retryStrategy")),
        ("retryStrategy/steps", json!(null), ("sensor-retry", Wrong, "retryStrategy.steps")),
        ("retryStrategy/steps", json!(0), ("sensor-retry", Wrong, "retryStrategy.steps")),
        ("retryStrategy/steps", json!(100), ("sensor-retry", Warning, "retryStrategy")),
        ("retryStrategy/duration", json!(null), ("sensor-retry", Warning, "retryStrategy")),
        ("retryStrategy/duration", json!("soon"), ("sensor-retry", Wrong, "retryStrategy.duration")),
        ("retryStrategy/duration", json!(1_000_000), ("sensor-retry", Warning, "retryStrategy")),
        ("retryStrategy/factor", json!("1"), ("sensor-retry", Wrong, "retryStrategy.factor")),
        ("retryStrategy/factor", json!(0.5), ("sensor-retry", Warning, "retryStrategy")),
        ("retryStrategy/jitter", json!("0.2"), ("sensor-retry", Wrong, "retryStrategy.jitter")),
        ("dlqTrigger", json!(null), ("sensor-dead-letters", Warning, "dlqTrigger")),
        ("dlqTrigger/policy", json!(null), ("sensor-dead-letters", Wrong, "dlqTrigger.policy.status.allow")),
        ("dlqTrigger/atLeastOnce", json!(false), ("sensor-dead-letters", Wrong, "dlqTrigger.atLeastOnce")),
        (
            "dlqTrigger/retryStrategy",
            json!(null),
            ("sensor-dead-letters", Warning, "dlqTrigger.retryStrategy.steps"),
        ),
        (
            "template/conditions",
            json!("push && other"),
            ("sensor-conditions", Warning, "template.conditions"),
        ),
    ] {
        let (id, level, field) = expected;
        let field = format!("spec.triggers[0].{field}");
        check("Sensor", PUSH, &format!("{at}{pointer}"), value, &[(id, level, &field)]);
    }
    for (pointer, value, expected) in [
        ("serverURL", json!("https://a:50051"), ("sensor-connection", Wrong, "serverURL")),
        ("secure", json!(null), ("sensor-tls", Warning, "secure")),
        ("certSecret/key", json!(null), ("sensor-tls", Wrong, "certSecret.key")),
        ("spec/token", json!(null), ("sensor-token", Warning, "spec.token")),
        ("spec/token", json!("set-by-an-overlay"), ("sensor-token", Wrong, "spec.token")),
        ("payload/1/src/value", json!(null), ("sensor-values", Wrong, "payload[1].src.value")),
    ] {
        let (id, level, field) = expected;
        let field = format!("spec.triggers[0].template.custom.{field}");
        check("Sensor", PUSH, &format!("{custom}{pointer}"), value, &[(id, level, &field)]);
    }
    let path = "/spec/dependencies/0/filters/data/0/path";
    let field = "spec.dependencies[0].filters.data[0].path";
    check("Sensor", PUSH, path, json!("body.head_commit.id"), &[("sensor-filter", Warning, field)]);
    let name = "/spec/triggers/1/template/name";
    let field = "spec.triggers[1].template.name";
    check("Sensor", REQUESTS, name, json!("request"), &[("sensor-connection", Wrong, field)]);
    let parameter = "/spec/triggers/0/template/custom/parameters/2/src/value";
    let field = "spec.triggers[0].template.custom.parameters[2].src.value";
    check("Sensor", REQUESTS, parameter, json!(null), &[("sensor-values", Wrong, field)]);
    let letter = "/spec/triggers/0/dlqTrigger/template/http/payload/0/src/value";
    let field = "spec.triggers[0].dlqTrigger.template.http.payload[0].src.value";
    check("Sensor", REQUESTS, letter, json!(null), &[("sensor-values", Warning, field)]);
}

#[test]
fn with_either_of_two_events_even_what_each_has_needs_a_value() {
    let mut facts = ours();
    let requests = object(&mut facts, "Sensor", REQUESTS);
    requests["spec"]["triggers"][0]["template"]["conditions"] = json!("request || sns");
    assert_eq!(told(&sensor::settings(requests)), []);
    let entry = &mut requests["spec"]["triggers"][0]["template"]["custom"]["payload"][0]["src"];
    entry.as_object_mut().unwrap().remove("value");
    let found = sensor::settings(requests);
    let field = "spec.triggers[0].template.custom.payload[0].src.value".to_owned();
    assert_eq!(told(&found), [("sensor-values", Level::Wrong, field)]);
    assert!(found[0].text.contains("ends the sensor's process"), "{found:?}");
}

#[test]
fn what_loses_events_in_sources_and_bus_is_found_where_it_stands() {
    use Level::{Warning, Wrong};
    let github = "/spec/github/push/";
    let size = "spec.github.push.webhook.maxPayloadSize";
    let check_source = |name, pointer: &str, value, expected: (&str, Level, &str)| {
        check("EventSource", name, pointer, value, &[expected]);
    };
    for value in [json!(null), json!(1_048_576)] {
        let pointer = format!("{github}webhook/maxPayloadSize");
        check_source("github", &pointer, value, ("event-source-size", Warning, size));
    }
    let secret = "event-source-secret";
    let pointer = format!("{github}webhookSecret");
    check_source("github", &pointer, json!(null), (secret, Warning, "spec.github.push.webhookSecret"));
    let pointer = "/spec/webhook/request/authSecret";
    check_source("requests", pointer, json!(null), (secret, Warning, "spec.webhook.request.authSecret"));
    let pointer = "/spec/sns/request/validateSignature";
    check_source("sns", pointer, json!(false), (secret, Warning, "spec.sns.request.validateSignature"));
    let pointer = format!("{github}webhook/maxPayloadSize");
    let room = ("event-bus-limits", Wrong, "spec.jetstream.maxPayload");
    check_source("github", &pointer, json!(2_097_152), room);

    let stream = "spec.jetstream.streamConfig";
    for (pointer, value, expected) in [
        ("maxPayload", json!(null), room),
        ("maxPayload", json!("1MB"), room),
        ("streamConfig", json!("replicas: 3\n"), ("event-bus-limits", Warning, stream)),
        ("streamConfig", json!("replicas: 3\nmaxMsgs: 1000"), ("event-bus-limits", Warning, stream)),
        ("streamConfig", json!("replicas: 1\nmaxMsgs: -1"), ("event-bus-copies", Warning, stream)),
        ("replicas", json!(1), ("event-bus-copies", Wrong, stream)),
    ] {
        check("EventBus", "default", &format!("/spec/jetstream/{pointer}"), value, &[expected]);
    }
    check("EventBus", "default", "/spec/jetstream", json!(null), &[("event-bus", Wrong, "spec")]);
    check("EventBus", "default", "/spec", json!({ "kafka": {} }), &[("event-bus", Level::Note, "")]);
    check("EventBus", "default", "/spec/nats", json!({ "native": {} }), &[("event-bus", Wrong, "spec.nats")]);
}

#[test]
fn an_event_bus_elsewhere_is_looked_at_as_far_as_it_tells() {
    let bus = |stream: &str| {
        let spec = json!({ "jetstream": null, "jetstreamExotic": { "url": "nats://a:4222", "streamConfig": stream } });
        json!({ "metadata": { "name": "default" }, "spec": spec })
    };
    assert_eq!(told(&source::bus(&bus("replicas: 3\nmaxMsgs: -1"), Some(1_900_000))), []);
    let field = || "spec.jetstreamExotic.streamConfig".to_owned();
    assert_eq!(
        told(&source::bus(&bus("replicas: 1\n"), None)),
        [("event-bus-copies", Level::Warning, field()), ("event-bus-limits", Level::Warning, field())]
    );
}

#[test]
fn what_is_missing_not_accepted_or_not_to_be_read_is_told() {
    let wrong = |id: &'static str, field: &str| (id, Level::Wrong, field.to_owned());
    let after = |change: fn(&mut ArgoEvents)| {
        let mut facts = ours();
        change(&mut facts);
        told(&events::findings(&facts))
    };
    assert_eq!(after(|facts| facts.buses = listed(Vec::new())), [wrong("event-bus", "")]);
    assert_eq!(after(|facts| facts.sensors = listed(Vec::new())), [wrong("sensor", "")]);
    assert_eq!(after(|facts| facts.sensors = Listed::NoSuchKind), [wrong("sensor", "")]);
    let refused = ArgoEvents { sensors: Listed::Refused("forbidden".into()), ..ours() };
    assert_eq!((ours().unread(), refused.unread()), (None, Some("forbidden")));
    assert_eq!(
        after(|facts| facts.sensors = Listed::Refused("forbidden".into())),
        [("sensor", Level::Warning, String::new())]
    );
    assert_eq!(
        after(|facts| object(facts, "EventSource", "github")["metadata"]["name"] = json!("git.hub")),
        [wrong("sensor-dependency", "spec.dependencies")]
    );
    assert_eq!(
        after(|facts| object(facts, "Sensor", PUSH)["spec"]["dependencies"][0]["eventName"] = json!("pull")),
        [wrong("sensor-dependency", "spec.dependencies")]
    );
    for (kind, name, id) in [
        ("EventBus", "default", "event-bus"),
        ("EventSource", "sns", "event-source"),
        ("Sensor", PUSH, "sensor"),
    ] {
        for status in [json!(null), json!({ "conditions": [{ "type": "Deployed", "status": "False" }] })] {
            let mut facts = ours();
            object(&mut facts, kind, name)["status"] = status;
            assert_eq!(told(&events::findings(&facts)), [wrong(id, "status.conditions")]);
        }
    }
    // What leads elsewhere is somebody else's.
    let mut facts = ours();
    let push = object(&mut facts, "Sensor", PUSH);
    push["spec"]["triggers"][0]["template"]["custom"]["serverURL"] = json!("other.example.com:9000");
    push["spec"]["triggers"][0]["atLeastOnce"] = json!(false);
    push["status"] = json!(null);
    assert_eq!(told(&events::findings(&facts)), []);
}

#[test]
fn where_sensors_lead_is_looked_up_where_it_is_a_service() {
    let found = |server: &str| {
        let trigger = json!({ "template": { "custom": { "serverURL": server } } });
        let sensor = json!({ "metadata": { "namespace": "argo-events" }, "spec": { "triggers": [trigger] } });
        sensor::targets(&sensor).first().map(|to| format!("{}/{}:{}", to.namespace, to.name, to.port))
    };
    for (server, expected) in [
        ("dns:///a.b.svc.cluster.local:50051", Some("b/a:50051")),
        ("a.b.svc:50051", Some("b/a:50051")),
        ("a:50051", Some("argo-events/a:50051")),
        ("argocd-orchestrator.example.com:443", None),
        ("10.0.0.1:50051", None),
        ("example.com:50051", None),
        ("other.b.svc:8080", None),
        (":50051:50051", None),
        ("a/../../b:50051", None),
        ("a.b?c.svc:50051", None),
    ] {
        assert_eq!(found(server).as_deref(), expected, "{server}");
    }
    let mut facts = ours();
    let target = events::targets(&facts.sensors).pop_first().unwrap();
    assert_eq!((target.namespace.as_str(), target.name.as_str(), target.port), (OURS, OURS, 50051));
    let service = |port, ready| Reached::Service { ports: vec![port], ready };
    for (reached, level) in [
        (service(50051, 1), Level::Fine),
        (service(50051, 0), Level::Wrong),
        (service(8080, 1), Level::Wrong),
        (Reached::Missing, Level::Wrong),
        (Reached::Unknown("forbidden".into()), Level::Note),
    ] {
        facts.targets = BTreeMap::from([(target.clone(), reached)]);
        let found = events::reachability(&facts);
        assert_eq!((found.len(), found[0].level), (1, level), "{found:?}");
    }
}

#[test]
fn objects_of_any_shape_are_looked_at() {
    let odd = [json!(null), json!(1), json!("a"), json!([]), json!([null]), json!({}), json!({ "a": [1] })];
    for (pointer, kind, name) in [
        ("/spec", "Sensor", PUSH),
        ("/spec/triggers", "Sensor", PUSH),
        ("/spec/triggers/0", "Sensor", PUSH),
        ("/spec/triggers/0/template", "Sensor", PUSH),
        ("/spec/triggers/0/template/custom/payload", "Sensor", PUSH),
        ("/spec/triggers/0/template/custom/payload/0/src", "Sensor", PUSH),
        ("/spec/triggers/0/retryStrategy", "Sensor", PUSH),
        ("/spec/triggers/0/dlqTrigger", "Sensor", PUSH),
        ("/spec/dependencies", "Sensor", PUSH),
        ("/status", "Sensor", PUSH),
        ("/metadata", "Sensor", PUSH),
        ("/spec", "EventSource", "github"),
        ("/spec/github", "EventSource", "github"),
        ("/spec/github/push", "EventSource", "github"),
        ("/metadata", "EventSource", "github"),
        ("/spec", "EventBus", "default"),
        ("/spec/jetstream", "EventBus", "default"),
        ("/spec/jetstream/streamConfig", "EventBus", "default"),
    ] {
        for value in &odd {
            let mut facts = ours();
            *object(&mut facts, kind, name).pointer_mut(pointer).unwrap() = value.clone();
            let found = events::findings(&facts);
            let doubted = found.iter().any(|finding| finding.level > Level::Fine);
            // A Sensor that does not lead here any more is somebody else's, and so is a source that nobody asks.
            assert!(doubted || kind == "Sensor", "{kind} {pointer} {value}: {found:#?}");
        }
    }
}

#[test]
fn names_with_dots_do_not_get_through_nats() {
    let source = json!({ "metadata": { "name": "git.hub" }, "spec": { "webhook": { "a.b": {
        "authSecret": { "name": "a", "key": "b" } } } } });
    let found = told(&source::settings(&source));
    let wrong = |field: &str| ("event-source-name", Level::Wrong, field.to_owned());
    assert_eq!(found, [wrong("metadata.name"), wrong("spec.webhook.a.b")]);
}

#[test]
fn lengths_of_time_are_read_as_go_writes_them() {
    for (text, expected) in [
        ("5s", Some(5_000)),
        ("1m30s", Some(90_000)),
        ("1.5h", Some(5_400_000)),
        ("250ms", Some(250)),
        ("0", Some(0)),
        ("", None),
        ("5", None),
        ("s", None),
        ("5 s", None),
        ("five seconds", None),
        ("-1s", None),
        ("1µ", None),
    ] {
        assert_eq!(sensor::go_duration(text), expected.map(SignedDuration::from_millis), "{text:?}");
    }
}

#[test]
fn a_token_is_never_told() {
    let mut facts = ours();
    for sensor in [PUSH, REQUESTS] {
        object(&mut facts, "Sensor", sensor)["spec"]["triggers"][0]["template"]["custom"]["secure"] =
            json!(false);
    }
    let report = serde_json::to_string(&Report::of(events::findings(&facts))).unwrap();
    assert!(report.contains("sensor-tls") && !report.contains("a-token"), "{report}");
}
