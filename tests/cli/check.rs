//! `check`, against an API server that answers what it is told to: what Kubernetes itself would say of the same is
//! tested by the scenarios on a real cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::{check, program, stderr, stdout};

const ARGO: &str = "/apis/argoproj.io";
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const SETS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets";
const SENSORS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argo-events/sensors";

/// What is answered.
#[derive(Default)]
struct World {
    /// To a GET, by path.
    answers: BTreeMap<String, Value>,
    /// Paths that nobody may read.
    forbidden: Vec<&'static str>,
    /// `verb resource` that nobody may do.
    denied: Vec<&'static str>,
    /// How often the Sensors are not deployed yet.
    patience: AtomicUsize,
    /// Who was asked about.
    users: Mutex<Vec<String>>,
}

/// The documents of a file, deployed in `argo-events`.
fn deployed(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n").filter(|part| part.contains("kind:"));
    parts
        .map(|part| {
            let mut object: Value = serde_saphyr::from_str(part).unwrap();
            object["metadata"]["namespace"] = json!("argo-events");
            object["status"] = json!({ "conditions": [{ "type": "Deployed", "status": "True" }] });
            object
        })
        .collect()
}

fn list(objects: impl Into<Vec<Value>>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects.into() })
}

fn application(name: &str, set: Option<&str>) -> Value {
    let owners: Vec<Value> = set
        .iter()
        .map(|set| json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": set, "uid": "1" }))
        .collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": { "orchestrator.rtte.com/customer": "customer-a" },
            "ownerReferences": owners,
        },
        "spec": {
            "source": { "repoURL": "https://git.example.com/a.git", "path": name, "targetRevision": "main" },
            "destination": { "namespace": "customer-a" },
        },
    })
}

impl World {
    /// A cluster as it should be.
    fn fine() -> Self {
        let mut world = Self::default();
        let mut answer = |path: &str, value: Value| world.answers.insert(path.to_owned(), value);
        let version = json!({
            "major": "1", "minor": "34", "gitVersion": "v1.34.3", "gitCommit": "", "gitTreeState": "", "buildDate": "",
            "goVersion": "", "compiler": "", "platform": "",
        });
        answer("/version", version);
        let group = json!({ "groupVersion": "argoproj.io/v1alpha1", "version": "v1alpha1" });
        answer(ARGO, json!({ "name": "argoproj.io", "versions": [group] }));
        let resources: Vec<Value> = [
            "applications",
            "applicationsets",
            "appprojects",
            "rollouts",
            "rollouts/status",
            "analysistemplates",
            "eventbus",
            "eventsources",
            "sensors",
            "workflows",
            "workflowtemplates",
            "cronworkflows",
        ]
        .map(|name| json!({ "name": name, "singularName": "", "namespaced": true, "kind": "A", "verbs": ["get"] }))
        .into();
        answer(
            "/apis/argoproj.io/v1alpha1",
            json!({ "groupVersion": "argoproj.io/v1alpha1", "resources": resources }),
        );
        answer(APPLICATIONS, list([application("customer-a-web", None)]));
        answer(&format!("{APPLICATIONS}?next"), list([application("customer-a-redis", None)]));
        let image = "quay.io/argoproj/argocd:v3.2.1";
        let pod = json!({ "containers": [{ "name": "argocd-application-controller", "image": image }] });
        let spec = json!({ "selector": {}, "serviceName": "a", "template": { "spec": pod } });
        answer(
            "/apis/apps/v1/namespaces/argocd/statefulsets",
            list([json!({ "metadata": {}, "spec": spec })]),
        );
        let events = "/apis/argoproj.io/v1alpha1/namespaces/argo-events";
        answer(
            &format!("{events}/eventbus"),
            list(deployed(include_str!("../../argo-events/eventbus.yaml"))),
        );
        answer(
            &format!("{events}/eventsources"),
            list(deployed(include_str!("../../argo-events/eventsource.yaml"))),
        );
        let text = [
            include_str!("../../argo-events/sensor.yaml"),
            "\n---\n",
            include_str!("../../argo-events/trigger.yaml"),
        ];
        answer(SENSORS, list(deployed(&text.concat().replace("set-by-an-overlay", "token-of-the-sensor"))));
        let ours = "namespaces/argocd-orchestrator";
        let ports = json!([{ "port": 50051 }, { "port": 8443 }]);
        answer(
            &format!("/api/v1/{ours}/services/argocd-orchestrator"),
            json!({ "metadata": { "name": "argocd-orchestrator" }, "spec": { "ports": ports } }),
        );
        let endpoints = json!([{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }]);
        answer(
            &format!("/apis/discovery.k8s.io/v1/{ours}/endpointslices"),
            list([json!({ "metadata": {}, "addressType": "IPv4", "endpoints": endpoints, "ports": [] })]),
        );
        let pod = json!({ "containers": [{ "name": "a", "image": "argocd-orchestrator:0.1.0" }] });
        answer(
            "/apis/apps/v1/namespaces/argocd-orchestrator/statefulsets/argocd-orchestrator",
            json!({
                "metadata": { "name": "argocd-orchestrator", "namespace": "argocd-orchestrator", "generation": 2 },
                "spec": { "replicas": 1, "selector": {}, "serviceName": "a", "template": { "spec": pod } },
                "status": { "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 2 },
            }),
        );
        world
    }

    /// Serves it, for as long as the test runs; a kubeconfig for it is put into the folder.
    fn serve(self, folder: &Path) -> Arc<Self> {
        let world = Arc::new(self);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        kubeconfig(folder, listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&world));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.unwrap().block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
            });
        });
        world
    }
}

fn kubeconfig(folder: &Path, address: SocketAddr) {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "a", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "a", "user": {} }],
        "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        "current-context": "a",
    });
    std::fs::write(folder.join("kubeconfig"), text.to_string()).unwrap();
}

async fn answer(State(world): State<Arc<World>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    if request.method() == Method::POST {
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let mut review: Value = serde_json::from_slice(&body).unwrap();
        let attributes = &review["spec"]["resourceAttributes"];
        let text = |key: &str| attributes[key].as_str().unwrap_or_default().to_owned();
        let asked = format!("{} {}", text("verb"), text("resource"));
        if let Some(user) = review["spec"]["user"].as_str() {
            assert!(path.ends_with("/subjectaccessreviews"), "{path}");
            world.users.lock().unwrap().push(user.to_owned());
        }
        review["status"] = json!({ "allowed": !world.denied.contains(&asked.as_str()) });
        return (StatusCode::CREATED, Json(review)).into_response();
    }
    if world.forbidden.contains(&path.as_str()) {
        let status = json!({ "kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": "you cannot list that" });
        return (StatusCode::FORBIDDEN, Json(status)).into_response();
    }
    let known = if query.contains("continue=next") { format!("{path}?next") } else { path.clone() };
    let Some(mut found) = world.answers.get(&known).cloned() else {
        let status = json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": path });
        return (StatusCode::NOT_FOUND, Json(status)).into_response();
    };
    if path == APPLICATIONS && path == known && world.answers.contains_key(&format!("{path}?next")) {
        found["metadata"]["continue"] = json!("next");
    }
    if path == SENSORS && world.patience.load(Ordering::SeqCst) > 0 {
        world.patience.fetch_sub(1, Ordering::SeqCst);
        found["items"][0]["status"] = json!({});
    }
    Json(found).into_response()
}

/// Runs it with the folder's kubeconfig.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    program().env("KUBECONFIG", folder.join("kubeconfig")).arg("check").args(arguments).output().unwrap()
}

/// What it prints, without the address.
fn printed(output: &Output) -> String {
    let words = stdout(output).split(' ').map(|word| {
        if word.starts_with("http://127.0.0.1:") { "https://kubernetes.example.com:6443" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Ids of what is not fine.
fn ids(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_str(stdout(output)).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let told = findings.filter(|one| one["level"] != "fine");
    told.map(|one| format!("{}: {}", one["level"].as_str().unwrap(), one["id"].as_str().unwrap())).collect()
}

#[test]
fn a_cluster_as_it_should_be_is_well() {
    let folder = tempfile::tempdir().unwrap();
    World::fine().serve(folder.path());
    let output = run(folder.path(), &[]);
    check(&output, 0, &[]);
    insta::assert_snapshot!("check-well", printed(&output));
    let output = run(folder.path(), &["--output", "json"]);
    check(&output, 0, &[]);
    assert_eq!(ids(&output), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::fine();
    world.denied = vec!["create appprojects", "patch rollouts"];
    let set = json!({
        "metadata": { "name": "all" },
        "spec": { "strategy": { "type": "RollingSync" } },
    });
    world.answers.insert(format!("{SETS}/all"), set);
    let pinless = json!({ "metadata": { "name": "others" }, "spec": {} });
    world.answers.insert(format!("{SETS}/others"), pinless);
    let mut moving = application("customer-a-moving", None);
    moving["spec"]["syncPolicy"] = json!({ "automated": {} });
    let applications = [
        application("customer-a-web", Some("all")),
        application("customer-a-redis", Some("all")),
        application("customer-a-api", Some("others")),
        moving,
    ];
    world.answers.insert(APPLICATIONS.into(), list(applications));
    world.answers.remove(&format!("{APPLICATIONS}?next"));
    let sensors = world.answers.get_mut(SENSORS).unwrap();
    let trigger = &mut sensors["items"][0]["spec"]["triggers"][0];
    trigger["retryStrategy"]["factor"] = json!("1");
    trigger.as_object_mut().unwrap().remove("atLeastOnce");
    sensors["items"][1]["spec"]["triggers"][0]["template"]["custom"]["secure"] = json!(false);
    world.serve(folder.path());
    let output = run(folder.path(), &[]);
    check(&output, 5, &[]);
    assert!(!stdout(&output).contains("token-of-the-sensor"), "{}", stdout(&output));
    insta::assert_snapshot!("check-wrong", printed(&output));
    let output = run(folder.path(), &["--output", "json"]);
    check(&output, 5, &[]);
    let expected = [
        "wrong: permissions",
        "wrong: permissions",
        "warning: auto-sync",
        "wrong: rolling-sync",
        "wrong: pin-undone",
        "wrong: sensor-at-least-once",
        "wrong: sensor-retry",
        "warning: sensor-tls",
    ];
    assert_eq!(ids(&output), expected);
}

#[test]
fn an_empty_cluster_lacks_what_has_to_be_installed() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::fine();
    world.answers.retain(|path, _| path == "/version");
    world.serve(folder.path());
    let output = run(folder.path(), &["--output", "json"]);
    check(&output, 5, &[]);
    let expected = [
        "wrong: argo-cd-kinds",
        "warning: argo-rollouts-kinds",
        "wrong: argo-events-kinds",
        "warning: argo-workflows-kinds",
        "note: argo-cd-version",
        "warning: applications",
        "wrong: event-bus",
        "wrong: event-source",
        "wrong: sensor",
        "note: stateful-set",
    ];
    assert_eq!(ids(&output), expected);
}

#[test]
fn what_may_not_be_read_is_no_fault_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::fine();
    world.forbidden = vec![SENSORS, APPLICATIONS];
    world.serve(folder.path());
    let output = run(folder.path(), &[]);
    check(&output, 0, &[]);
    assert!(stdout(&output).contains("the Sensors of argo-events cannot be read: you cannot list that"));
    assert!(stdout(&output).contains("the Applications of argocd cannot be read: you cannot list that"));
}

#[test]
fn before_the_installation_only_what_it_needs_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::fine();
    world.answers.remove(SENSORS);
    world.denied = vec!["create clusterroles"];
    world.serve(folder.path());
    let output = run(folder.path(), &["--pre"]);
    check(&output, 5, &[]);
    insta::assert_snapshot!("check-pre", printed(&output));
}

#[test]
fn the_rights_of_another_account_are_asked_for_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::fine().serve(folder.path());
    let output = run(folder.path(), &["--as-service-account", "tools/orchestrator"]);
    check(&output, 0, &[]);
    assert!(stdout(&output).contains("ServiceAccount tools/orchestrator may"), "{}", stdout(&output));
    let users = world.users.lock().unwrap();
    assert!(!users.is_empty() && users.iter().all(|user| user == "system:serviceaccount:tools:orchestrator"));
}

#[test]
fn it_waits_until_nothing_is_wrong_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::fine();
    world.patience.store(2, Ordering::SeqCst);
    let world = world.serve(folder.path());
    let output = run(folder.path(), &["--wait", "60s"]);
    check(&output, 0, &["waiting: ", "was not looked at by Argo Events yet"]);
    assert_eq!(stderr(&output).matches("waiting: ").count(), 1, "{}", stderr(&output));
    world.patience.store(1_000, Ordering::SeqCst);
    check(&run(folder.path(), &["--wait", "1ms"]), 5, &[]);
}

#[test]
fn a_cluster_that_does_not_answer_has_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    kubeconfig(folder.path(), listener.local_addr().unwrap());
    drop(listener);
    let output = run(folder.path(), &[]);
    check(&output, 7, &[]);
    assert!(stdout(&output).contains("× the API server does not answer"), "{}", stdout(&output));
    assert_eq!(stderr(&output), "");
    check(&run(folder.path(), &["--context", "b"]), 3, &["no cluster is configured"]);
    let nowhere = program().arg("check").env("KUBECONFIG", folder.path().join("none")).output().unwrap();
    check(&nowhere, 3, &["no cluster is configured"]);
}

#[test]
fn a_server_that_does_not_answer_is_wrong_and_the_cluster_is_looked_at_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    World::fine().serve(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = run(folder.path(), &["--server", &server, "--output", "json"]);
    check(&output, 5, &[]);
    assert_eq!(ids(&output), ["wrong: server"]);
}
