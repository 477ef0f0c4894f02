//! What Argo CD and the pods recorded, and what that proves about the order.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::cluster::{ARGO_CD, list};

/// The label with the customer.
pub(crate) const CUSTOMER: &str = "orchestrator.rtte.com/customer";
/// The label with the service.
const SERVICE: &str = "orchestrator.rtte.com/service";

/// An Application, by what Argo CD wrote about it.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) pinned: String,
    pub(crate) phase: String,
    pub(crate) synced: String,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) sync: String,
    pub(crate) health: String,
    /// How many full syncs succeeded, and to which commits.
    pub(crate) history: Vec<String>,
    pub(crate) automated: Value,
}

/// The Applications of a customer, by service.
pub(crate) fn applications(customer: &str) -> anyhow::Result<BTreeMap<String, Application>> {
    let mut found = BTreeMap::new();
    for item in list("applications", ARGO_CD, &format!("{CUSTOMER}={customer}"))? {
        let service = item["metadata"]["labels"][SERVICE].as_str().context("no service label")?.to_owned();
        found.insert(service, application(&item));
    }
    Ok(found)
}

/// The one Application of a customer that has no other.
pub(crate) fn whole(customer: &str) -> anyhow::Result<Application> {
    let found = list("applications", ARGO_CD, &format!("{CUSTOMER}={customer}"))?;
    let names: Vec<&str> = found.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect();
    ensure!(names == [format!("{customer}-applications")], "its Applications are {names:?}");
    Ok(application(&found[0]))
}

fn application(item: &Value) -> Application {
    let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |path: &str| item.pointer(path).and_then(Value::as_str).and_then(|text| text.parse().ok());
    let history = item.pointer("/status/history").and_then(Value::as_array).cloned().unwrap_or_default();
    Application {
        pinned: text("/spec/source/targetRevision"),
        phase: text("/status/operationState/phase"),
        synced: text("/status/operationState/syncResult/revision"),
        started: time("/status/operationState/startedAt"),
        finished: time("/status/operationState/finishedAt"),
        sync: text("/status/sync/status"),
        health: text("/status/health/status"),
        history: history.iter().filter_map(|entry| entry["revision"].as_str().map(str::to_owned)).collect(),
        automated: item["spec"]["syncPolicy"]["automated"].clone(),
    }
}

/// When the pods of each service that are there now were made, and when the last of them became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pods {
    pub(crate) made: Timestamp,
    /// None while one is not ready.
    pub(crate) ready: Option<Timestamp>,
}

/// The pods of a customer, by service. Those that are going are not counted.
pub(crate) fn pods(customer: &str, namespace: &str) -> anyhow::Result<BTreeMap<String, Pods>> {
    let mut found: BTreeMap<String, Pods> = BTreeMap::new();
    for pod in list("pods", namespace, &format!("{CUSTOMER}={customer}"))? {
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let service =
            pod["metadata"]["labels"][SERVICE].as_str().context("a pod without service")?.to_owned();
        let made: Timestamp =
            pod["metadata"]["creationTimestamp"].as_str().context("a pod without time")?.parse()?;
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions
            .iter()
            .find(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            .and_then(|condition| condition["lastTransitionTime"].as_str()?.parse().ok());
        let both = found.entry(service).or_insert(Pods { made, ready });
        both.made = both.made.min(made);
        both.ready = both.ready.zip(ready).map(|(one, other)| one.max(other));
    }
    Ok(found)
}

/// That no service's first pod was made before the pods of all that it needs were ready: where Argo CD keeps no
/// record of a service's own sync.
pub(crate) fn check_pods(
    edges: &Edges,
    waves: &[Vec<String>],
    pods: &BTreeMap<String, Pods>,
) -> anyhow::Result<usize> {
    let of = |service: &str| pods.get(service).with_context(|| format!("{service} has no pods"));
    let ready = |service: &str| of(service)?.ready.with_context(|| format!("{service} is not ready"));
    let mut checked = 0;
    let mut broken = Vec::new();
    let mut check = |later: &str, earlier: &str| -> anyhow::Result<()> {
        let (made, ready) = (of(later)?.made, ready(earlier)?);
        checked += 1;
        if made < ready {
            broken.push(format!("{later} was made at {made}, {earlier} was ready at {ready}"));
        }
        Ok(())
    };
    for (service, needs) in edges {
        for needed in needs {
            check(service, needed)?;
        }
    }
    for pair in waves.windows(2) {
        for (later, earlier) in
            pair[1].iter().flat_map(|later| pair[0].iter().map(move |earlier| (later, earlier)))
        {
            check(later, earlier)?;
        }
    }
    ensure!(broken.is_empty(), "{} of {checked} pairs are broken: {}", broken.len(), broken.join("; "));
    Ok(checked)
}

/// What has to come before what: service to the services that it needs.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

/// That no service's sync began before the pods of all that it needs were ready, by Argo CD's and the kubelet's
/// clocks. Both have whole seconds, so within one second the order is not known, and counts as kept.
pub(crate) fn check_edges(
    edges: &Edges,
    applications: &BTreeMap<String, Application>,
    pods: &BTreeMap<String, Pods>,
) -> anyhow::Result<usize> {
    let mut checked = 0;
    let mut broken = Vec::new();
    for (service, needs) in edges {
        let app = applications.get(service).with_context(|| format!("no Application for {service}"))?;
        let started = app.started.with_context(|| format!("{service} was never synced"))?;
        for needed in needs {
            let pods = pods.get(needed).with_context(|| format!("{needed} has no pods"))?;
            let ready = pods.ready.with_context(|| format!("{needed} has a pod that is not ready"))?;
            if started < ready {
                broken.push(format!("{service} began at {started}, {needed} was ready at {ready}"));
            }
            checked += 1;
        }
    }
    ensure!(broken.is_empty(), "{} of {checked} edges are broken: {}", broken.len(), broken.join("; "));
    Ok(checked)
}

/// That no wave began before all pods of the waves before it were ready.
pub(crate) fn check_waves(
    waves: &[Vec<String>],
    applications: &BTreeMap<String, Application>,
    pods: &BTreeMap<String, Pods>,
) -> anyhow::Result<()> {
    let mut latest: Option<(Timestamp, &str)> = None;
    for (number, wave) in waves.iter().enumerate() {
        let mut readiest = latest;
        for service in wave {
            let started = applications.get(service).and_then(|app| app.started);
            let started = started.with_context(|| format!("{service} was never synced"))?;
            if let Some((ready, earlier)) = latest
                && started < ready
            {
                bail!("wave {number}: {service} began at {started}, {earlier} was ready at {ready}");
            }
            let ready = pods.get(service).and_then(|pods| pods.ready);
            let ready = ready.with_context(|| format!("{service} has no ready pod"))?;
            if readiest.is_none_or(|(moment, _)| moment < ready) {
                readiest = Some((ready, service));
            }
        }
        latest = readiest;
    }
    Ok(())
}

/// That every Application is pinned to, was synced to, and is healthy at the commit.
pub(crate) fn check_healthy_at(
    revision: &str,
    applications: &BTreeMap<String, Application>,
    services: impl IntoIterator<Item = impl AsRef<str>>,
) -> anyhow::Result<()> {
    for service in services {
        let service = service.as_ref();
        let app = applications.get(service).with_context(|| format!("no Application for {service}"))?;
        let fine = app.pinned == revision
            && app.synced == revision
            && app.phase == "Succeeded"
            && app.sync == "Synced"
            && app.health == "Healthy";
        ensure!(fine, "{service} is not healthy at {revision}: {app:?}");
    }
    Ok(())
}
