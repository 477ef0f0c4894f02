//! How long the same 55 services take, side by side on the same cluster: this orchestrator in both orders, an
//! ApplicationSet that rolls one step for each wave (RollingSync), and one Application with sync waves.
//!
//! Each system deploys the same customer from nothing, in turn, several times. A run begins when it is asked for, and
//! ends when the last pod is ready by its own record (whole seconds).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{ARGO_CD, Rights, kubectl, list, until};
use crate::records::{CUSTOMER, Edges, pods};
use crate::repository::{CHARTS, OVERLAY, Repository};
use crate::watcher::{Seen, Watcher};
use crate::world::{FAST, World, clean, fresh};

const NAME: &str = "customer-a";
const NAMESPACE: &str = "customer-a-production";
/// How often each system deploys.
const ROUNDS: usize = 3;

const PER_SERVICE: &str = "application-per-service";
const PER_CUSTOMER: &str = "application-per-customer";
/// How this orchestrator deploys: what that is called, the layout, the order.
const OURS: [(&str, &str, &str); 4] = [
    ("ours, waves", PER_SERVICE, "waves"),
    ("ours, dependencies", PER_SERVICE, "dependencies"),
    ("ours, waves, one Application", PER_CUSTOMER, "waves"),
    ("ours, dependencies, one Application", PER_CUSTOMER, "dependencies"),
];

pub(crate) fn side_by_side(world: &mut World) -> anyhow::Result<()> {
    let _rights = Rights::grant("per-customer.yaml")?;
    fresh(&[NAME])?;
    let repository = Repository::examples(&world.place(), &[NAME], FAST)?;
    world.set("/sync-wave/health-check-timeout", json!("300s"))?;
    let commit = repository.commit("measured")?;
    let mut took: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for round in 1..=ROUNDS {
        for (name, layout, order) in OURS {
            let seconds = ours(world, &repository, layout, order)?;
            took.entry(name).or_default().push(seconds);
            println!("     round {round}: {name}: {seconds} s");
        }
        let seconds = rolling(world, &repository, &commit)?;
        took.entry("ApplicationSet RollingSync").or_default().push(seconds);
        println!("     round {round}: ApplicationSet RollingSync: {seconds} s");
        let seconds = one_application(world, &repository, &commit)?;
        took.entry("one Application, sync waves").or_default().push(seconds);
        println!("     round {round}: one Application with sync waves: {seconds} s");
    }
    println!("\n     makespan of 55 services, median of {ROUNDS} (all)");
    for (system, mut seconds) in took {
        let all = format!("{seconds:?}");
        seconds.sort_unstable();
        println!("     {system:36} {:>4} s  {all}", seconds[seconds.len() / 2]);
    }
    Ok(())
}

/// From a moment to the last pod's readiness.
fn makespan(begun: Timestamp) -> anyhow::Result<i64> {
    let pods = until("all pods are ready", Duration::from_secs(300), || {
        let pods = pods(NAME, NAMESPACE)?;
        Ok((pods.len() == 55 && pods.values().all(|pod| pod.ready.is_some())).then_some(pods))
    })?;
    let last = pods.values().filter_map(|pod| pod.ready).max().context("no pods")?;
    let seconds = last.duration_since(begun).as_secs();
    ensure!(
        seconds > 0,
        "the pods were ready before anything was asked for: they were left by somebody else"
    );
    Ok(seconds)
}

fn ours(world: &mut World, repository: &Repository, layout: &str, order: &str) -> anyhow::Result<i64> {
    world.forget()?;
    world.set("/cluster/argo-cd/layout", json!(layout))?;
    world.set("/sync-wave/enabled", json!(order == "waves"))?;
    world.start(repository)?;
    let (edges, _) = world.graph(repository, NAME)?;
    let watcher = Watcher::start(&format!("{CUSTOMER}={NAME}"))?;
    let asked = requests();
    let begun = Timestamp::now();
    let ended = world.deployed(NAME, "succeeded", &[])?;
    let seconds = makespan(begun)?;
    let counted = requests();
    if order == "dependencies" && layout == PER_SERVICE {
        lag(&watcher.stop()?, &edges);
    }
    if let (Ok(before), Ok(after)) = (asked, counted) {
        let of: BTreeMap<&String, u64> =
            after.iter().map(|(verb, count)| (verb, count - before.get(verb).unwrap_or(&0))).collect();
        println!("     requests to the Kubernetes API: {} in all, {of:?}", of.values().sum::<u64>());
    }
    ensure!(ended["state"] == "succeeded", "not deployed");
    world.kill()?;
    clean()?;
    Ok(seconds)
}

/// From the moment at which the last of its dependencies could be known to be healthy until its own request, both as
/// another watcher received them.
fn lag(seen: &[Seen], edges: &Edges) {
    let mut healthy: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut proven: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut requested: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for seen in seen {
        let at = |pointer: &str| seen.app.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let time = |pointer: &str| at(pointer).parse::<Timestamp>().ok();
        if seen.app["operation"].is_object() {
            requested.entry(&seen.service).or_insert(seen.at);
        }
        let done = at("/status/operationState/phase") == "Succeeded"
            && at("/status/sync/status") == "Synced"
            && at("/status/health/status") == "Healthy";
        if done {
            healthy.entry(&seen.service).or_insert(seen.at);
            let (compared, finished) =
                (time("/status/reconciledAt"), time("/status/operationState/finishedAt"));
            if compared > finished {
                proven.entry(&seen.service).or_insert(seen.at);
            }
        }
    }
    for (what, known) in [("shown healthy", &healthy), ("proven healthy", &proven)] {
        let mut lags: Vec<i64> = edges
            .iter()
            .filter_map(|(service, needs)| {
                let all: Option<BTreeSet<Timestamp>> =
                    needs.iter().map(|needed| known.get(needed.as_str()).copied()).collect();
                let last = *all?.last()?;
                let asked = *requested.get(service.as_str())?;
                Some(i64::try_from(asked.duration_since(last).as_millis()).unwrap_or(i64::MAX))
            })
            .collect();
        lags.sort_unstable();
        let at = |share: usize| lags.get((lags.len() * share / 100).min(lags.len().saturating_sub(1)));
        println!(
            "     from the last dependency {what} to the next request, {} services: p50 {:?} ms, p99 {:?} ms",
            lags.len(),
            at(50),
            at(99)
        );
    }
}

/// Requests of the orchestrator's service account so far, by verb and kind, from the API server's audit log.
fn requests() -> anyhow::Result<BTreeMap<String, u64>> {
    let home = std::env::var("CLUSTER_RUN")?;
    let text = std::fs::read_to_string(std::path::Path::new(&home).join("log/audit.log"))?;
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let name = format!("{} {}", word(&entry["verb"]), word(&entry["objectRef"]["resource"]));
        // A watch is told of when it begins and when it ends.
        if entry["stage"] != "ResponseStarted" {
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

/// What each system's objects carry. The customer's label is what they are cleaned up by: a namespace without it keeps
/// the pods that an Application leaves behind for the next system.
fn labels() -> Value {
    json!({ "app.kubernetes.io/managed-by": "argocd-orchestrator", CUSTOMER: NAME })
}

fn namespace(world: &World) -> anyhow::Result<()> {
    apply(
        world,
        &json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": NAMESPACE, "labels": labels() },
        }),
    )
}

fn apply(world: &World, object: &Value) -> anyhow::Result<()> {
    let place = world.place().with_file_name("object.json");
    std::fs::write(&place, object.to_string())?;
    kubectl(&["apply", "-f", &place.to_string_lossy()]).map(drop)
}

fn source(repository: &Repository, commit: &str, service: Option<&str>) -> Value {
    let parameters: Vec<Value> = service
        .map(|service| json!({ "name": "render.service", "value": service, "forceString": true }))
        .into_iter()
        .collect();
    json!({
        "repoURL": repository.url(),
        "path": format!("{CHARTS}/customers/{NAME}"),
        "targetRevision": commit,
        "helm": { "valueFiles": [OVERLAY], "parameters": parameters },
    })
}

/// One step for each wave, as the documentation of progressive syncs has it.
fn rolling(world: &World, repository: &Repository, commit: &str) -> anyhow::Result<i64> {
    namespace(world)?;
    let (_, waves) = world.graph(repository, NAME)?;
    let mut elements = vec![json!({ "service": "base", "step": "base" })];
    let mut steps = vec!["base".to_owned()];
    for (wave, services) in waves.iter().enumerate() {
        steps.push(format!("wave-{wave}"));
        elements.extend(
            services.iter().map(|service| json!({ "service": service, "step": format!("wave-{wave}") })),
        );
    }
    let steps: Vec<Value> = steps
        .iter()
        .map(|step| json!({ "matchExpressions": [{ "key": "step", "operator": "In", "values": [step] }] }))
        .collect();
    let mut source = source(repository, commit, None);
    source["helm"]["parameters"] =
        json!([{ "name": "render.service", "value": "{{.service}}", "forceString": true }]);
    let labels =
        json!({ "app.kubernetes.io/managed-by": "argocd-orchestrator", CUSTOMER: NAME, "step": "{{.step}}" });
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {
            "name": NAME, "namespace": ARGO_CD,
            "labels": { "app.kubernetes.io/managed-by": "argocd-orchestrator" },
        },
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{ "list": { "elements": elements } }],
            "strategy": { "type": "RollingSync", "rollingSync": { "steps": steps } },
            "template": {
                "metadata": { "name": format!("{NAME}-{{{{.service}}}}"), "labels": labels },
                "spec": {
                    "project": "default",
                    "source": source,
                    "destination": { "server": "https://kubernetes.default.svc", "namespace": NAMESPACE },
                },
            },
        },
    });
    let begun = Timestamp::now();
    apply(world, &set)?;
    let seconds = makespan(begun)?;
    clean()?;
    Ok(seconds)
}

fn one_application(world: &World, repository: &Repository, commit: &str) -> anyhow::Result<i64> {
    namespace(world)?;
    let app = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": NAME, "namespace": ARGO_CD,
            "labels": labels(),
        },
        "spec": {
            "project": "default",
            "source": source(repository, commit, None),
            "destination": { "server": "https://kubernetes.default.svc", "namespace": NAMESPACE },
        },
        "operation": {
            "initiatedBy": { "username": "somebody" },
            "sync": { "revision": commit, "syncStrategy": { "hook": {} } },
        },
    });
    let begun = Timestamp::now();
    apply(world, &app)?;
    let seconds = makespan(begun)?;
    ensure!(!list("applications", ARGO_CD, &format!("{CUSTOMER}={NAME}"))?.is_empty(), "no Application");
    clean()?;
    Ok(seconds)
}
