//! What is read and written, on Applications as Argo CD 3.2 writes them.

use serde_json::{Value, json};

use super::facts::facts;
use super::resource::{Application, Automated};
use super::services;
use super::write::{self, Hold, Manner, Write};
use crate::domain::application::{ApplicationSpec, HealthStatus, Phase, SyncStatus};
use crate::domain::manifest::bundle::Maker;
use crate::domain::manifest::{self, Rules, Tenant};
use crate::domain::names::{AppName, Revision};
use crate::ports::{ClusterError, SyncRequest};

mod others;

/// What it is about, a change of the live Application, and what follows.
type Case<T> = (&'static str, fn(&mut Value), T);

const PIN: Manner = Manner { hold: Hold::Pin, prune: true, makes: Maker::Directly };

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn app() -> AppName {
    "c-web".parse().unwrap()
}

fn rules() -> Rules {
    Rules {
        argo_cd: "argocd".parse().unwrap(),
        server: "https://kubernetes.default.svc".into(),
        value_files: vec!["../../overlays/local.yaml".into()],
        sync_options: vec!["ServerSideApply=true".into()],
        allowed_kinds: vec![(String::new(), "ConfigMap".into()), ("apps".into(), "Deployment".into())],
        quota: Some(json!({ "pods": "60" })),
        limits: None,
        isolate: true,
    }
}

fn spec() -> ApplicationSpec {
    ApplicationSpec {
        name: app(),
        customer: "c".parse().unwrap(),
        environment: "production".parse().unwrap(),
        service: Some("web".parse().unwrap()),
        namespace: "c-production".parse().unwrap(),
        source: "values".parse().unwrap(),
        path: "charts/c".into(),
        values: None,
    }
}

fn request(id: &str, epoch: u64) -> SyncRequest {
    SyncRequest {
        app: app(),
        request: id.parse().unwrap(),
        revision: revision('b'),
        reason: "test".into(),
        epoch,
    }
}

fn desired() -> Value {
    manifest::application(&spec(), "https://example.com/r.git", None, &rules())
}

/// One that we made, healthy at commit a.
fn live() -> Value {
    let mut live = desired();
    live["spec"]["source"]["targetRevision"] = json!(revision('a'));
    live["metadata"]["resourceVersion"] = json!("41");
    let source = live["spec"]["source"].clone();
    let destination = live["spec"]["destination"].clone();
    live["status"] = json!({
        "health": { "status": "Healthy", "lastTransitionTime": "2026-11-01T10:00:03Z" },
        "reconciledAt": "2026-11-01T10:00:04Z",
        "sync": {
            "status": "Synced",
            "revision": revision('a'),
            "comparedTo": { "source": source, "destination": destination },
        },
        "operationState": {
            "phase": "Succeeded",
            "message": "successfully synced (all tasks run)",
            "startedAt": "2026-11-01T10:00:00Z",
            "finishedAt": "2026-11-01T10:00:02Z",
            "operation": {
                "info": [
                    { "name": "orchestrator.rtte.com/request-id", "value": "d-1.web.1" },
                    { "name": "orchestrator.rtte.com/epoch", "value": "3" },
                ],
                "sync": { "revision": revision('a') },
            },
            "syncResult": { "revision": revision('a'), "resources": [{ "kind": "Deployment" }] },
        },
    });
    live
}

fn read(value: &Value) -> Application {
    serde_json::from_value(value.clone()).unwrap()
}

/// The live Application after a change of it.
fn changed(change: impl FnOnce(&mut Value)) -> Application {
    let mut value = live();
    change(&mut value);
    read(&value)
}

fn patch(live: &Application, request: &SyncRequest) -> Value {
    match write::sync(live, &desired(), request, PIN) {
        Ok(Write::Patch(patch)) => patch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_argo_cd_writes_is_understood() {
    let facts = facts(&app(), &read(&live()));
    assert_eq!((facts.resource_version, facts.pinned.clone()), (41, Some(revision('a'))));
    let operation = facts.operation.as_ref().unwrap();
    assert_eq!(operation.request.as_ref().unwrap().as_str(), "d-1.web.1");
    assert_eq!((operation.phase, operation.revision.clone()), (Phase::Succeeded, Some(revision('a'))));
    assert_eq!((facts.sync.status, facts.sync.current), (SyncStatus::Synced, true));
    assert_eq!(facts.health.status, HealthStatus::Healthy);
    assert!(!facts.is_busy() && !facts.refresh_pending);
}

#[test]
fn words_of_a_newer_argo_cd_count_as_the_worst_and_end_nothing() {
    let odd = changed(|live| {
        live["status"]["health"]["status"] = json!("Hibernating");
        live["status"]["sync"]["status"] = json!("Drifting");
        live["status"]["operationState"]["phase"] = json!("Queued");
        live["spec"]["somethingNew"] = json!({ "deep": [1, 2] });
    });
    let facts = facts(&app(), &odd);
    assert_eq!(facts.health.status, HealthStatus::Unknown);
    assert_eq!(facts.sync.status, SyncStatus::Unknown);
    assert_eq!(facts.operation.unwrap().phase, Phase::Running);
    let bare: Application = serde_json::from_value(json!({ "metadata": { "name": "c-web" } })).unwrap();
    assert_eq!(super::facts::facts(&app(), &bare).health.status, HealthStatus::Unknown);
}

#[test]
fn a_comparison_with_another_spec_is_not_current() {
    let cases: &[Case<bool>] = &[
        ("as it is", |_| {}, true),
        ("the pin moved", |live| live["spec"]["source"]["targetRevision"] = json!(revision('b')), false),
        ("another namespace", |live| live["spec"]["destination"]["namespace"] = json!("other"), false),
        (
            "differences to ignore",
            |live| live["spec"]["ignoreDifferences"] = json!([{ "kind": "Secret" }]),
            false,
        ),
        ("nothing to ignore", |live| live["spec"]["ignoreDifferences"] = json!([]), true),
        ("an empty setting", |live| live["spec"]["source"]["helm"]["releaseName"] = json!(""), true),
        ("never compared", |live| live["status"]["sync"]["comparedTo"] = Value::Null, false),
    ];
    for (what, change, current) in cases {
        assert_eq!(facts(&app(), &changed(change)).sync.current, *current, "{what}");
    }
}

#[test]
fn a_sync_pins_and_requests_in_one_write_under_a_precondition() {
    let patch = patch(&read(&live()), &request("d-2.web.1", 4));
    assert_eq!(patch["metadata"]["resourceVersion"], "41");
    assert_eq!(patch["spec"]["source"]["targetRevision"], json!(revision('b')));
    assert_eq!(patch["status"], json!({ "operationState": null }));
    let operation = &patch["operation"];
    assert_eq!(operation["sync"]["revision"], json!(revision('b')));
    assert_eq!(operation["sync"]["syncOptions"], json!(["ServerSideApply=true"]));
    assert_eq!(operation["initiatedBy"], json!({ "username": "argocd-orchestrator", "automated": false }));
    assert_eq!(
        operation["info"][0],
        json!({ "name": "orchestrator.rtte.com/request-id", "value": "d-2.web.1" })
    );
    assert_eq!(operation["info"][1], json!({ "name": "orchestrator.rtte.com/epoch", "value": "4" }));
    // What Argo CD has never looked at has no status, and none is made.
    let mut young = live();
    young.as_object_mut().unwrap().remove("status");
    assert!(super::tests::patch(&read(&young), &request("d-2.web.1", 4)).get("status").is_none());
}

#[test]
fn what_is_in_the_way_of_a_sync_is_told() {
    let busy = "another operation is running on c-web";
    let cases: &[Case<&str>] = &[
        ("requested by somebody", |live| live["operation"] = json!({ "sync": {} }), busy),
        ("running", |live| live["status"]["operationState"]["phase"] = json!("Running"), busy),
        ("being deleted", |live| live["metadata"]["deletionTimestamp"] = json!("2026-11-01T10:00:00Z"), busy),
        (
            "a newer worker",
            |live| live["status"]["operationState"]["operation"]["info"][1]["value"] = json!("9"),
            "the cluster cannot be reached: a newer worker than this one (epoch 4) drives c-web",
        ),
        (
            "another environment's",
            |live| live["metadata"]["labels"]["orchestrator.rtte.com/environment"] = json!("staging"),
            "c-web is that of environment staging, not production: one Argo CD namespace has room for one environment of \
             a customer",
        ),
        (
            "several sources",
            |live| live["spec"]["sources"] = json!([{ "repoURL": "x" }]),
            "c-web has several sources: only one can be pinned to the commit",
        ),
        (
            "somebody else's of the same name",
            |live| {
                live["metadata"]["labels"] = json!({});
                live["spec"]["source"]["path"] = json!("elsewhere");
            },
            "c-web was made by somebody else and deploys elsewhere, not charts/c: rename one of them, or delete it",
        ),
    ];
    for (what, change, told) in cases {
        let error = write::sync(&changed(change), &desired(), &request("d-2.web.1", 4), PIN).unwrap_err();
        assert_eq!(&error.to_string(), told, "{what}");
    }
}

#[test]
fn a_request_that_is_there_already_is_not_made_again() {
    let asked = |live: &mut Value| {
        live["operation"] =
            json!({ "info": [{ "name": "orchestrator.rtte.com/request-id", "value": "d-2.web.1" }] });
    };
    let cases: [Application; 2] = [changed(asked), read(&live())];
    for (live, id) in cases.iter().zip(["d-2.web.1", "d-1.web.1"]) {
        assert_eq!(write::sync(live, &desired(), &request(id, 4), PIN), Ok(Write::Nothing));
    }
}

#[test]
fn only_the_operation_with_our_id_is_stopped_and_only_while_it_runs() {
    let running = |live: &mut Value| {
        live["operation"] = live["status"]["operationState"]["operation"].clone();
        live["status"]["operationState"]["phase"] = json!("Running");
    };
    let ours = "d-1.web.1".parse().unwrap();
    let stop = json!({
        "metadata": { "resourceVersion": "41" },
        "status": { "operationState": { "phase": "Terminating" } },
    });
    assert_eq!(write::terminate(&changed(running), &ours), Write::Patch(stop));
    assert_eq!(write::terminate(&changed(running), &"d-9.web.1".parse().unwrap()), Write::Nothing);
    assert_eq!(write::terminate(&read(&live()), &ours), Write::Nothing);
}

#[test]
fn automated_sync_is_switched_on_once() {
    let wanted = Automated { enabled: Some(true), prune: false, self_heal: true };
    let Write::Patch(patch) = write::automate(&read(&live()), wanted, Hold::Pin) else {
        panic!("nothing is written")
    };
    let on = json!({ "enabled": true, "prune": false, "selfHeal": true });
    assert_eq!(patch, json!({ "spec": { "syncPolicy": { "automated": on } } }));
    let already = changed(|live| live["spec"]["syncPolicy"]["automated"] = on);
    assert_eq!(write::automate(&already, wanted, Hold::Pin), Write::Nothing);
}

#[test]
fn a_new_application_is_made_pinned_and_synced_with_automated_sync_off() {
    let made = write::create(&desired(), &request("d-2.web.1", 4), PIN);
    assert_eq!(made["spec"]["source"]["targetRevision"], json!(revision('b')));
    assert_eq!(made["operation"]["sync"]["revision"], json!(revision('b')));
    assert!(made["spec"]["syncPolicy"].get("automated").is_none());
    assert!(made.get("status").is_none());
}

#[test]
fn a_customer_has_a_place_of_its_own() {
    let tenant = Tenant {
        customer: "c".parse().unwrap(),
        environment: "production".parse().unwrap(),
        namespace: "c-production".parse().unwrap(),
        repository: "https://example.com/r.git".into(),
    };
    let project = manifest::project(&tenant, &rules());
    assert_eq!(project["spec"]["sourceRepos"], json!(["https://example.com/r.git"]));
    assert_eq!(
        project["spec"]["destinations"],
        json!([{ "server": "https://kubernetes.default.svc", "namespace": "c-production" }])
    );
    assert_eq!(project["spec"]["clusterResourceWhitelist"], json!([]));
    let kinds: Vec<Value> =
        manifest::namespace(&tenant, &rules()).into_iter().map(|object| object["kind"].clone()).collect();
    assert_eq!(kinds, ["Namespace", "ResourceQuota", "NetworkPolicy"]);
}

#[test]
fn an_error_of_a_write_that_can_never_succeed_is_told_from_one_that_may() {
    let of = |code: u16, reason: &str| {
        let status = kube::core::Status::failure("no", reason).with_code(code);
        super::failure(&app(), kube::Error::Api(Box::new(status)))
    };
    assert_eq!(of(404, "NotFound"), ClusterError::Missing(app()));
    assert_eq!(of(403, "Forbidden"), ClusterError::Refused("c-web: no".into()));
    assert_eq!(of(429, "TooManyRequests"), ClusterError::Unavailable("c-web: no".into()));
    assert_eq!(of(500, "InternalError"), ClusterError::Unavailable("c-web: no".into()));
}

#[test]
fn values_that_stand_in_an_application_are_replaced_and_not_mixed() {
    let with = |values: Value| {
        let spec = ApplicationSpec { values: Some(values), ..spec() };
        manifest::application(&spec, "https://example.com/r.git", None, &rules())
    };
    let before = json!({ "global": { "imageTag": "v1", "old": 1 }, "configMaps": { "a": "b" } });
    let live = changed(|live| live["spec"]["source"]["helm"]["valuesObject"] = before);
    let patch = |manifest: &Value| match write::sync(&live, manifest, &request("d-2.web.1", 4), PIN) {
        Ok(Write::Patch(patch)) => patch["spec"]["source"]["helm"]["valuesObject"].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        patch(&with(json!({ "global": { "imageTag": "v2" } }))),
        json!({ "global": { "imageTag": "v2", "old": null }, "configMaps": null })
    );
    // A customer that has a chart of its own now.
    assert_eq!(patch(&desired()), Value::Null);
}

#[test]
fn a_service_says_where_it_leads() {
    let check = |spec: Value, expected: &str| {
        let service =
            serde_json::from_value(json!({ "metadata": { "name": "c-web" }, "spec": spec })).unwrap();
        let found = services::facts(service);
        let ports: Vec<_> = found.ports.iter().map(|port| (port.port, port.target)).collect();
        let ip = found.cluster_ip.as_deref().unwrap_or("-");
        assert_eq!(format!("{} {ip} {} {ports:?}", found.kind, found.selects), expected);
    };
    let udp = json!({ "port": 53, "protocol": "UDP" });
    check(
        json!({
            "type": "ClusterIP", "clusterIP": "10.96.7.1", "selector": { "app": "web" },
            "ports": [udp, { "port": 80, "targetPort": "main" }, { "port": 81, "targetPort": 8081 }, { "port": 82 }],
        }),
        "ClusterIP 10.96.7.1 true [(80, None), (81, Some(8081)), (82, Some(82))]",
    );
    check(json!({ "clusterIP": "None", "selector": {} }), "ClusterIP None false []");
    check(json!({ "type": "ExternalName", "externalName": "evil.example" }), "ExternalName - false []");
}
