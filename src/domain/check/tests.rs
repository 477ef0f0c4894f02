//! Our own manifests are fine, and each thing that may be wrong with them is found where it stands.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::events::{self, ArgoEvents, Reached};
use super::permissions::{self, Answer, Scope, Wanted};
use super::server::{Me, Part, Server};
use super::workload::Workload;
use super::{
    Check, Finding, Level, Listed, Report, argo_cd, cluster, kinds, sensor, server, source, workload,
};

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

#[test]
fn clocks_differ_only_where_that_cannot_be_the_seconds_of_a_header() {
    let at = |millis: i64| Timestamp::from_millisecond(1_000_000_000_000 + millis).unwrap();
    for (theirs, asked, answered, expected) in [
        (0, 100, 200, 0),
        (0, 999, 1_001, 0),
        (0, 0, 0, 0),
        // Half a minute for an answer proves little.
        (10_000, 0, 30_000, 0),
        (5_000, 0, 100, 4_900),
        (-5_000, 0, 100, -4_000),
        (3_600_000, 0, 0, 3_600_000),
    ] {
        let time = cluster::Time { theirs: at(theirs), asked: at(asked), answered: at(answered) };
        assert_eq!(time.ahead(), SignedDuration::from_millis(expected), "{theirs} {asked} {answered}");
        let found = cluster::clock(Check::CLOCK, "the API server", &time);
        let level = match expected.abs() {
            0..=2_000 => Level::Fine,
            2_001..=10_000 => Level::Warning,
            _ => Level::Wrong,
        };
        assert_eq!(found.level, level, "{found:?}");
    }
}

#[test]
fn an_old_kubernetes_is_wrong_and_an_odd_version_only_noted() {
    for (version, level) in [
        ("v1.34.3", Level::Fine),
        ("v1.25.0", Level::Fine),
        ("v1.27.3-gke.100", Level::Fine),
        ("v1.30+", Level::Fine),
        ("v2.0.0", Level::Fine),
        ("v1.24.9", Level::Wrong),
        ("", Level::Note),
        ("main", Level::Note),
    ] {
        let facts = cluster::ApiServer { address: "https://a".into(), version: version.into(), time: None };
        let found = cluster::findings(&facts);
        let found = found.iter().find(|finding| finding.check == Check::API_SERVER_VERSION).unwrap();
        assert_eq!(found.level, level, "{version}");
    }
}

#[test]
fn kinds_that_nothing_works_without_are_wrong_and_others_are_warnings() {
    let all = [
        "applications",
        "applicationsets",
        "appprojects",
        "rollouts",
        "analysistemplates",
        "eventbus",
        "eventsources",
        "sensors",
        "workflows",
        "workflowtemplates",
        "cronworkflows",
    ];
    let without = |missing: &[&str]| {
        let resources = all.iter().filter(|one| !missing.contains(*one)).map(|one| (*one).to_owned());
        let facts = kinds::Kinds { versions: vec!["v1alpha1".into()], resources: resources.collect() };
        told(&kinds::findings(&facts)).into_iter().map(|(id, level, _)| (id, level)).collect::<Vec<_>>()
    };
    assert_eq!(without(&[]), []);
    assert_eq!(without(&["sensors"]), [("argo-events-kinds", Level::Wrong)]);
    assert_eq!(without(&["appprojects"]), [("argo-cd-kinds", Level::Wrong)]);
    assert_eq!(without(&["rollouts"]), [("argo-rollouts-kinds", Level::Warning)]);
    assert_eq!(without(&["cronworkflows"]), [("argo-workflows-kinds", Level::Warning)]);
    let other = kinds::Kinds { versions: vec!["v1".into()], resources: BTreeSet::new() };
    let found = kinds::findings(&other);
    assert!(found.iter().all(|finding| finding.text.contains("served of argoproj.io: v1")), "{found:?}");
}

fn everything() -> Wanted {
    Wanted {
        argo_cd: "argocd".into(),
        writes: true,
        provisions: true,
        application_sets: true,
        prunes: true,
        per_customer: true,
        health_checks: true,
        rollouts: true,
    }
}

#[test]
fn what_is_asked_for_is_what_the_manifests_grant() {
    type Right = (String, String, String, String);
    let mut granted: BTreeSet<Right> = BTreeSet::new();
    for (file, text) in [
        ("driver.yaml", include_str!("../../../k8s/rbac/driver.yaml")),
        ("provisioner.yaml", include_str!("../../../k8s/rbac/provisioner.yaml")),
        ("application-sets.yaml", include_str!("../../../k8s/rbac/application-sets.yaml")),
        ("pruner.yaml", include_str!("../../../k8s/rbac/pruner.yaml")),
        ("per-customer.yaml", include_str!("../../../k8s/rbac/per-customer.yaml")),
    ] {
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        for role in documents(text).iter().filter(|one| one["rules"].is_array()) {
            for rule in role["rules"].as_array().unwrap() {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        for verb in texts(&rule["verbs"]) {
                            granted.insert((file.into(), group.clone(), resource.clone(), verb));
                        }
                    }
                }
            }
        }
    }
    let needs = permissions::needs(&everything());
    let asked: BTreeSet<Right> = needs
        .iter()
        .flat_map(|need| {
            let of = |verb: &&str| {
                let file = need.file.unwrap().to_owned();
                (file, need.group.to_owned(), need.resource.to_owned(), (*verb).to_owned())
            };
            need.verbs.iter().map(of)
        })
        .collect();
    assert_eq!(asked, granted);
}

#[test]
fn only_what_is_configured_is_asked_for() {
    let least = Wanted {
        writes: false,
        provisions: false,
        application_sets: false,
        prunes: false,
        per_customer: false,
        health_checks: false,
        rollouts: false,
        ..everything()
    };
    let needs = permissions::needs(&least);
    assert_eq!(needs.len(), 1);
    assert_eq!((needs[0].resource, &needs[0].verbs[..]), ("applications", &["get", "list", "watch"][..]));
}

#[test]
fn what_may_not_be_done_is_told_with_verb_resource_and_place() {
    let need = |resource: &str, scope| {
        let mut all = permissions::needs(&everything()).into_iter();
        all.find(|need| need.resource == resource && need.scope == scope).unwrap()
    };
    let answer = |verb, denied: &[&str]| Answer {
        verb,
        denied: denied.iter().map(|name| (*name).to_owned()).collect(),
    };
    for (need, answers, level, text) in [
        (
            need("applications", Scope::ArgoCd),
            vec![answer("get", &[]), answer("list", &[])],
            Level::Fine,
            "you may get, list, watch, create, patch applications.argoproj.io in argocd",
        ),
        (
            need("applications", Scope::ArgoCd),
            vec![answer("get", &[]), answer("patch", &[""])],
            Level::Wrong,
            "you may not patch applications.argoproj.io in argocd",
        ),
        (
            need("rollouts/status", Scope::Customers),
            vec![answer("patch", &["customer-b"])],
            Level::Wrong,
            "you may not patch rollouts.argoproj.io/status in customer-b",
        ),
        (
            need("services", Scope::Customers),
            vec![answer("get", &[""])],
            Level::Wrong,
            "you may not get services in the customers' namespaces",
        ),
        (
            need("namespaces", Scope::Cluster),
            vec![answer("create", &[""])],
            Level::Wrong,
            "you may not create namespaces",
        ),
    ] {
        let found = permissions::finding("you", "argocd", &need, &answers);
        assert_eq!((found.level, found.text.as_str()), (level, text));
        assert_eq!(found.remedy.is_some(), level == Level::Wrong, "{found:?}");
    }
}

#[test]
fn the_version_of_argo_cd_is_told_by_its_image() {
    for (image, level) in [
        ("quay.io/argoproj/argocd:v3.2.1", Level::Fine),
        ("registry:5000/argocd:v3.2.1@sha256:0123", Level::Fine),
        ("quay.io/argoproj/argocd:v2.14.0", Level::Warning),
        ("quay.io/argoproj/argocd:latest", Level::Note),
        ("registry:5000/argocd", Level::Note),
        ("argocd@sha256:0123", Level::Note),
    ] {
        assert_eq!(argo_cd::version(&[image.to_owned()]).level, level, "{image}");
    }
    assert_eq!(argo_cd::version(&[]).level, Level::Note);
}

#[test]
fn what_moves_applications_is_told_with_the_names_of_some() {
    let conflict = |sort, set: Option<&str>| argo_cd::Conflict {
        sort,
        set: set.map(str::to_owned),
        applications: (1..=7).map(|number| format!("c-{number}")).collect(),
        text: "it moves".into(),
        remedy: "stop it".into(),
    };
    let facts = argo_cd::ArgoCd {
        namespace: "argocd".into(),
        conflicts: vec![
            conflict(argo_cd::Sort::AutoSync, None),
            conflict(argo_cd::Sort::AutoSyncUntilFirst, None),
            conflict(argo_cd::Sort::RollingSync, Some("all")),
            conflict(argo_cd::Sort::PinUndone, Some("all")),
        ],
        ..argo_cd::ArgoCd::default()
    };
    let found = argo_cd::findings(&facts);
    let expected = [
        ("argo-cd-version", Level::Note, ""),
        ("auto-sync", Level::Wrong, "spec.syncPolicy.automated"),
        ("auto-sync", Level::Warning, "spec.syncPolicy.automated"),
        ("rolling-sync", Level::Wrong, "spec.strategy"),
        ("pin-undone", Level::Wrong, "spec.ignoreApplicationDifferences"),
    ];
    assert_eq!(told(&found), expected.map(|(id, level, field)| (id, level, field.to_owned())));
    let place = found[3].place.as_ref().unwrap();
    assert_eq!(place.object, "ApplicationSet argocd/all");
    assert_eq!(place.value.as_deref(), Some("c-1, c-2, c-3, c-4, c-5 and 2 more"));
}

#[test]
fn a_server_that_is_down_old_or_does_not_know_us_is_told() {
    let part = |name: &str, up| Part { name: name.into(), up };
    let facts = |health, version, me| Server { address: "https://a".into(), health, time: None, version, me };
    let me = |roles: &[&str]| {
        Ok(Me { name: "anna".into(), roles: roles.iter().map(|role| (*role).to_owned()).collect() })
    };
    let up = || Ok(vec![part("reads", true), part("writes", true)]);
    let levels = |facts: &Server| {
        let found = server::findings(facts, "0.1.0");
        told(&found).into_iter().map(|(id, level, _)| (id, level)).collect::<Vec<_>>()
    };
    assert_eq!(levels(&facts(up(), Some(Ok("0.1.0".into())), me(&["admin"]))), []);
    assert_eq!(
        levels(&facts(Ok(vec![part("writes", false)]), Some(Ok("0.2.0".into())), me(&[]))),
        [
            ("server-health", Level::Wrong),
            ("server-token", Level::Warning),
            ("server-version", Level::Warning)
        ]
    );
    assert_eq!(
        levels(&facts(Err("not JSON".into()), None, Err("unauthorized".into()))),
        [("server-health", Level::Wrong), ("server-token", Level::Wrong)]
    );
}

#[test]
fn a_stateful_set_is_ready_when_all_of_its_newest_pods_are() {
    let ready = Workload {
        name: "a/b".into(),
        wanted: 1,
        ready: 1,
        updated: 1,
        observed: true,
        images: vec!["a:1".into()],
    };
    for (workload, level) in [
        (ready.clone(), Level::Fine),
        (Workload { ready: 0, ..ready.clone() }, Level::Wrong),
        (Workload { updated: 0, ..ready.clone() }, Level::Wrong),
        (Workload { observed: false, ..ready.clone() }, Level::Wrong),
        (Workload { wanted: 0, ..ready }, Level::Wrong),
    ] {
        assert_eq!(workload::findings(Ok(Some(&workload)), "a/b").level, level, "{workload:?}");
    }
    assert_eq!(workload::findings(Ok(None), "a/b").level, Level::Note);
    assert_eq!(workload::findings(Err("forbidden"), "a/b").level, Level::Note);
}

#[test]
fn each_check_has_an_id_of_its_own_and_a_line_in_the_documentation() {
    let text = include_str!("../../../docs/check.md");
    let mut seen = BTreeSet::new();
    for check in Check::ALL {
        assert!(seen.insert(check.id), "{} twice", check.id);
        assert!(text.contains(&format!("| `{}` |", check.id)), "docs/check.md has no {}", check.id);
    }
    let rows = text.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Check::ALL.len(), "docs/check.md tells of checks that there are not");
}
