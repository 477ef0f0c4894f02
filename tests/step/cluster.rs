//! Steps that look at a cluster and apply manifests, against a server that speaks as the Kubernetes API does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stage::{Ended, prepared};

/// Objects by their paths, and what was applied.
#[derive(Default)]
struct Cluster {
    objects: BTreeMap<String, Value>,
    applied: Vec<String>,
    /// What is answered to an apply of this path.
    refuses: BTreeMap<String, (u16, &'static str)>,
}

type Shared = Arc<Mutex<Cluster>>;

async fn answer(State(cluster): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let mut cluster = cluster.lock().unwrap();
    let path = uri.path().to_owned();
    let status = |code: u16, message: &str| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": message, "reason": reason(code), "metadata": {}});
        (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
    };
    if method == Method::PATCH {
        if let Some((code, message)) = cluster.refuses.get(&path) {
            return status(*code, message);
        }
        let mut object: Value = serde_json::from_slice(&body).unwrap();
        let query = uri.query().unwrap_or_default();
        cluster.applied.push(format!("{path}?{query}"));
        let before = cluster.objects.get(&path).cloned().unwrap_or_default();
        let same = before["spec"] == object["spec"] && !before.is_null();
        let version = before["metadata"]["resourceVersion"].as_str().unwrap_or("0").parse::<u32>().unwrap();
        object["metadata"]["resourceVersion"] = (version + u32::from(!same)).to_string().into();
        // Its controller is quick.
        object["status"] = json!({"conditions": [{"type": "Deployed", "status": "True"}]});
        cluster.objects.insert(path, object.clone());
        return axum::Json(object).into_response();
    }
    if let Some(object) = cluster.objects.get(&path) {
        return axum::Json(object.clone()).into_response();
    }
    let kinds = ["eventbus", "eventsources", "sensors"];
    if let Some(kind) = kinds.iter().find(|kind| path.ends_with(*kind)) {
        let below = format!("{path}/");
        let items: Vec<&Value> =
            cluster.objects.iter().filter(|(path, _)| path.starts_with(&below)).map(|(_, one)| one).collect();
        let list = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": format!("{kind}List"),
            "metadata": {"resourceVersion": "1"}, "items": items});
        return axum::Json(list).into_response();
    }
    status(404, "not found")
}

/// The word that Kubernetes has for a status.
fn reason(code: u16) -> &'static str {
    match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        _ => "ServiceUnavailable",
    }
}

struct Stage {
    cluster: Shared,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        let cluster = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&cluster));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": format!("http://{address}")}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "users": [{"name": "it", "user": {}}]});
        std::fs::write(folder.path().join("config"), config.to_string()).unwrap();
        Self { cluster, folder }
    }

    async fn step(&self, arguments: &[&str]) -> Ended {
        let mut step = prepared(arguments);
        step.command.env("KUBECONFIG", self.folder.path().join("config"));
        step.ended().await
    }

    fn file(&self, text: &str) -> String {
        let file = self.folder.path().join("objects.yaml");
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }
}

/// What is in argo-events/, with this token of the Sensor.
fn manifests(token: &str) -> String {
    let sensor = include_str!("../../argo-events/sensor.yaml").replace("set-by-an-overlay", token);
    [
        include_str!("../../argo-events/eventbus.yaml"),
        include_str!("../../argo-events/eventsource.yaml"),
        &sensor,
    ]
    .join("\n---\n")
}

#[tokio::test]
async fn argo_events_is_looked_at_and_set_up_only_where_that_is_asked_for() {
    let stage = Stage::start().await;
    let verify = ["setup-argo-events"];
    let missing = stage.step(&verify).await.check(17, "there is no EventBus in argo-events");
    assert_eq!(missing.text("changed"), "false");
    assert!(stage.cluster.lock().unwrap().applied.is_empty());

    // What is there and loses events, or has a token that nobody set, is not set up.
    let file = stage.file(&manifests("set-by-an-overlay"));
    stage.step(&["setup-argo-events", "--apply", &file]).await.check(17, "token");
    stage.cluster.lock().unwrap().applied.clear();

    let file = stage.file(&manifests("a-token"));
    let apply = [&verify[..], &["--apply", &file]].concat();
    let applied = stage.step(&apply).await.check(0, "Argo Events is set up in argo-events");
    assert_eq!(applied.text("changed"), "true");
    {
        let cluster = stage.cluster.lock().unwrap();
        assert_eq!(cluster.applied.len(), 5);
        let first = &cluster.applied[0];
        let path = "/apis/argoproj.io/v1alpha1/namespaces/argo-events/eventbus/default?";
        assert!(first.starts_with(path) && first.contains("fieldManager=argocd-orchestrator"), "{first}");
        assert!(!first.contains("force=true"), "{first}");
    }
    assert_eq!(stage.step(&apply).await.check(0, "set up").text("changed"), "false");
    stage.step(&verify).await.check(0, "1 EventBus, 3 EventSource, 1 Sensor");

    let path = "/apis/argoproj.io/v1alpha1/namespaces/argo-events/sensors/orchestrator-push".to_owned();
    for (code, message, exit, said) in [
        (409, "conflict with kubectl", 17, "--force-conflicts takes the fields over"),
        (403, "sensors is forbidden", 17, "ServiceAccount needs a Role"),
        (422, "spec.x is wrong", 12, "spec.x is wrong"),
        // The client waits and tries again by itself, for as long as it may.
        (503, "not now", 10, "given up after 3s"),
    ] {
        stage.cluster.lock().unwrap().refuses.insert(path.clone(), (code, message));
        let time = if code == 503 { "3s" } else { "1m" };
        stage.step(&[&apply[..], &["--timeout", time]].concat()).await.check(exit, said);
    }
    let secret = stage.file("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n");
    stage
        .step(&["setup-argo-events", "--apply", &secret])
        .await
        .check(12, "does not apply \"v1\" \"Secret\"");
}

#[tokio::test]
async fn the_orchestrator_is_waited_for_until_its_pod_is_ready() {
    let stage = Stage::start().await;
    let verify = ["deploy-orchestrator", "--timeout", "5s"];
    stage.step(&verify).await.check(17, "there is no StatefulSet argocd-orchestrator");
    let set = |ready: u32| {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "argocd-orchestrator", "generation": 1,
            "resourceVersion": "1"}, "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "a:0.1.0"}]}}},
            "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": 1}})
    };
    let path = "/apis/apps/v1/namespaces/argocd-orchestrator/statefulsets/argocd-orchestrator".to_owned();
    stage.cluster.lock().unwrap().objects.insert(path.clone(), set(0));
    stage.step(&verify).await.check(13, "0 of 1 pods are ready");
    stage.cluster.lock().unwrap().objects.insert(path, set(1));
    let ready = stage.step(&verify).await.check(0, "runs in argocd-orchestrator");
    assert_eq!((ready.text("version"), ready.text("changed")), ("0.1.0".into(), "false".into()));
}

#[tokio::test]
async fn without_a_cluster_a_step_that_needs_one_says_so() {
    let mut step = prepared(&["setup-argo-events"]);
    step.command.env("KUBECONFIG", Path::new("/nonexistent/config"));
    step.ended().await.check(17, "no cluster is configured");
}
