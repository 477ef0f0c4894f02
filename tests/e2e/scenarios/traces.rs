//! What a real Argo CD shows while it syncs, recorded: the fixtures that the simulated one is held against.
//!
//! `RECORD_TRACES=FOLDER` writes what was seen there, one file for each trace; without it the scenario only shows that
//! Argo CD still behaves so.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::cluster::{ARGO_CD, get, kubectl, until};
use crate::records::CUSTOMER;
use crate::repository::{CHARTS, Customer, OVERLAY, Repository};
use crate::watcher::{Seen, Watcher};
use crate::world::{FAST, World, fresh};

const TENANT: &str = "traces-e2e";
const MINUTE: Duration = Duration::from_secs(60);

/// Only what decides anything, so that a fixture can be read by people.
fn trimmed(mut app: Value) -> Value {
    let kept = |from: &mut Value, keys: &[&str]| {
        let entries = keys.iter().map(|key| ((*key).to_owned(), from[*key].take()));
        Value::Object(entries.filter(|(_, value)| !value.is_null()).collect())
    };
    let metadata = kept(&mut app["metadata"], &["name", "resourceVersion", "annotations"]);
    let mut operation = app["status"]["operationState"].take();
    if operation.is_object() {
        operation["syncResult"] = json!({ "revision": operation["syncResult"]["revision"] });
    }
    let mut status = kept(&mut app["status"], &["sync", "health", "reconciledAt", "conditions"]);
    if operation.is_object() {
        status["operationState"] = operation;
    }
    let mut trimmed = json!({ "metadata": metadata, "spec": app["spec"].take(), "status": status });
    if app["operation"].is_object() {
        trimmed["operation"] = app["operation"].take();
    }
    trimmed
}

/// An Application of one service, or of the whole customer.
fn application(repository: &Repository, name: &str, service: Option<&str>, revision: &str) -> Value {
    let parameters: Vec<Value> = service
        .map(|service| json!({ "name": "render.service", "value": service, "forceString": true }))
        .into_iter()
        .collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": ARGO_CD,
            "labels": { "app.kubernetes.io/managed-by": "argocd-orchestrator", CUSTOMER: TENANT },
        },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": repository.url(),
                "path": format!("{CHARTS}/customers/{TENANT}"),
                "targetRevision": revision,
                "helm": { "valueFiles": [OVERLAY], "parameters": parameters },
            },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": format!("{TENANT}-production") },
        },
    })
}

/// A request as the orchestrator writes it.
fn request(app: &str, revision: &str, id: Option<&str>, retry: Option<Value>) -> anyhow::Result<()> {
    let mut operation = json!({
        "initiatedBy": { "username": if id.is_some() { "argocd-orchestrator" } else { "somebody" } },
        "sync": { "revision": revision, "prune": true, "syncStrategy": { "hook": {} } },
    });
    if let Some(id) = id {
        operation["info"] = json!([{ "name": "orchestrator.rtte.com/request-id", "value": id }]);
    }
    if let Some(retry) = retry {
        operation["retry"] = retry;
    }
    let mut patch = json!({ "operation": operation, "status": { "operationState": null } });
    if id.is_some() {
        patch["spec"] = json!({ "source": { "targetRevision": revision } });
    }
    if get("applications", ARGO_CD, app)?.context("no Application")?["status"].is_null() {
        patch.as_object_mut().map(|patch| patch.remove("status"));
    }
    kubectl(&["-n", ARGO_CD, "patch", "application", app, "--type", "merge", "-p", &patch.to_string()])
        .map(drop)
}

fn refresh(app: &str) -> anyhow::Result<()> {
    let annotation = "argocd.argoproj.io/refresh=normal";
    kubectl(&["-n", ARGO_CD, "annotate", "application", app, annotation, "--overwrite"]).map(drop)
}

/// Waits until the Application is as told, by pointers and values.
fn is(app: &str, expected: &[(&str, &str)]) -> anyhow::Result<()> {
    until(&format!("{app} is {expected:?}"), MINUTE, || {
        let found = get("applications", ARGO_CD, app)?.context("no Application")?;
        let fits = |(pointer, value): &(&str, &str)| {
            found.pointer(pointer).and_then(Value::as_str).unwrap_or_default() == *value
        };
        Ok(expected.iter().all(fits).then_some(()))
    })
}

const PHASE: &str = "/status/operationState/phase";
const HEALTH: &str = "/status/health/status";
const SYNC: &str = "/status/sync/status";

pub(crate) fn record(world: &mut World) -> anyhow::Result<()> {
    fresh(&[TENANT])?;
    let small = Customer::new(TENANT, "db 0\n web 1 db");
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    let url = repository.url();
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": format!("{TENANT}-production"),
            "labels": { "app.kubernetes.io/managed-by": "argocd-orchestrator" },
        },
    });
    let place = world.place().with_file_name("object.json");
    let apply = |object: &Value| -> anyhow::Result<()> {
        std::fs::write(&place, object.to_string())?;
        kubectl(&["apply", "-f", &place.to_string_lossy()]).map(drop)
    };
    apply(&namespace)?;
    let one = repository.commit("one")?;
    let tagged = |repository: &mut Repository, tag: &str, more: &str| {
        repository.change(TENANT, |customer| {
            customer.service("web")?.tag = tag.into();
            customer.service("web")?.more = more.into();
            Ok(())
        })
    };
    let two = tagged(&mut repository, "v2", "")?;
    // Kubernetes refuses a port of this size, so the sync fails.
    let broken = tagged(&mut repository, "v3", "\n        port: 99999999")?;
    let four = tagged(&mut repository, "v4", "")?;
    let web = format!("{TENANT}-web");
    apply(&application(&repository, &web, Some("web"), &one))?;

    // From nothing to healthy, then an upgrade: what the gate is made for.
    let recorder = Watcher::of(&web)?;
    request(&web, &one, Some("d.web.1"), None)?;
    is(&web, &[(PHASE, "Succeeded"), (HEALTH, "Healthy"), (SYNC, "Synced")])?;
    keep(&url, "first-sync", recorder.stop()?)?;
    let recorder = Watcher::of(&web)?;
    request(&web, &two, Some("d.web.2"), None)?;
    is(&web, &[(PHASE, "Succeeded")])?;
    std::thread::sleep(Duration::from_secs(1));
    refresh(&web)?;
    is(&web, &[(HEALTH, "Healthy"), (SYNC, "Synced"), ("/status/sync/revision", &two)])?;
    std::thread::sleep(Duration::from_secs(3));
    keep(&url, "upgrade", recorder.stop()?)?;

    // A sync that fails, and one that Argo CD retries before it gives up.
    let recorder = Watcher::of(&web)?;
    request(&web, &broken, Some("d.web.3"), None)?;
    is(&web, &[(PHASE, "Failed")])?;
    keep(&url, "failing-sync", recorder.stop()?)?;
    let recorder = Watcher::of(&web)?;
    let retry = json!({ "limit": 1, "backoff": { "duration": "2s", "factor": 1, "maxDuration": "5s" } });
    request(&web, &broken, Some("d.web.4"), Some(retry))?;
    is(&web, &[(PHASE, "Failed")])?;
    keep(&url, "retried-sync", recorder.stop()?)?;

    // Somebody syncs to another commit after ours had succeeded.
    let recorder = Watcher::of(&web)?;
    request(&web, &four, Some("d.web.5"), None)?;
    is(&web, &[(PHASE, "Succeeded"), ("/status/operationState/syncResult/revision", &four)])?;
    request(&web, &two, None, None)?;
    is(&web, &[(PHASE, "Succeeded"), ("/status/operationState/syncResult/revision", &two)])?;
    std::thread::sleep(Duration::from_secs(3));
    keep(&url, "overtaken-sync", recorder.stop()?)?;

    // A sync that waits for a wave that never becomes healthy, and is stopped.
    let stuck = repository.change(TENANT, |customer| {
        customer.service("db")?.behaviour = "unready".into();
        Ok(())
    })?;
    let whole = format!("{TENANT}-all");
    apply(&application(&repository, &whole, None, &stuck))?;
    let recorder = Watcher::of(&whole)?;
    request(&whole, &stuck, Some("d.all.1"), None)?;
    is(&whole, &[(PHASE, "Running")])?;
    std::thread::sleep(Duration::from_secs(3));
    let stop = json!({ "status": { "operationState": { "phase": "Terminating" } } });
    kubectl(&["-n", ARGO_CD, "patch", "application", &whole, "--type", "merge", "-p", &stop.to_string()])?;
    is(&whole, &[(PHASE, "Failed")])?;
    keep(&url, "terminated-sync", recorder.stop()?)
}

fn keep(url: &str, name: &str, trace: Vec<Seen>) -> anyhow::Result<()> {
    ensure!(trace.len() > 2, "{name}: only {} versions were seen", trace.len());
    println!("     {name}: {} versions", trace.len());
    if let Ok(folder) = std::env::var("RECORD_TRACES") {
        // Where the repository is on this machine says nothing about Argo CD.
        let mut text = String::new();
        for version in trace {
            text.push_str(&trimmed(version.app).to_string());
            text.push('\n');
        }
        let text = text.replace(url, "https://example.com/customers.git");
        std::fs::write(Path::new(&folder).join(format!("{name}.jsonl")), text)?;
    }
    Ok(())
}
