//! What is there in the end: every service of every customer healthy, at what the last deployment wanted.

use argocd_orchestrator::adapters::simulated::log::LogKind;
use argocd_orchestrator::domain::application::{HealthStatus, SyncStatus};
use argocd_orchestrator::domain::deployment::State;
use argocd_orchestrator::domain::names::{AppName, CustomerId, Revision};
use argocd_orchestrator::domain::plan::{Action, Baselines, Change};
use argocd_orchestrator::ports::Cluster;

use super::{Evidence, Told};
use crate::repository::CUSTOMERS;

pub(super) async fn check(evidence: &mut Evidence<'_>) -> anyhow::Result<()> {
    let environment = evidence.world.environment()?;
    let mut healthy = 0;
    for customer in CUSTOMERS {
        let customer: CustomerId = customer.parse()?;
        let Some(plan) = last(evidence, &customer) else { continue };
        let baselines = evidence.store.baselines(&customer, &environment).await?.value;
        let mark = evidence.store.customer_mark(&customer, &environment).await?;
        let head = evidence.world.repository.head();
        if mark.map(|mark| mark.revision).as_ref() != Some(head) {
            evidence.fault(format!("{customer} is not marked as brought to {}", head.short()));
        }
        for change in &plan {
            let faults = service(evidence, change, &baselines).await?;
            healthy += usize::from(faults.is_empty());
            evidence.faults.extend(faults);
        }
    }
    evidence.number("Applications healthy in the end", healthy);
    Ok(())
}

/// What the last deployment of a customer wanted. It has to be one of the last commit, and to have succeeded.
fn last(evidence: &mut Evidence<'_>, customer: &CustomerId) -> Option<Vec<Change>> {
    let found = evidence.told.iter().rfind(|told| &told.deployment.brief.plan.customer == customer);
    let Some(Told { deployment, .. }) = found else {
        evidence.fault(format!("{customer} was never deployed"));
        return None;
    };
    let plan = &deployment.brief.plan;
    let (id, changes) = (deployment.id(), plan.changes.clone());
    let mut faults = Vec::new();
    if !matches!(deployment.state(), State::Succeeded { .. }) {
        let (state, reason) = (deployment.state().word(), deployment.state().reason().unwrap_or_default());
        faults.push(format!("the last deployment of {customer} ({id}) is {state}: {reason}"));
    }
    if &plan.revision != evidence.world.repository.head() {
        faults.push(format!("the last deployment of {customer} ({id}) is not of the last commit"));
    }
    evidence.faults.extend(faults);
    Some(changes)
}

/// One service: the baseline is what was wanted, the Application shows it, and the record agrees.
async fn service(
    evidence: &Evidence<'_>,
    change: &Change,
    baselines: &Baselines,
) -> anyhow::Result<Vec<String>> {
    let (app, name) = (&change.app, change.name());
    let Some(baseline) = baselines.get(name) else { return Ok(vec![format!("{app} never ran healthily")]) };
    let mut faults = Vec::new();
    let wanted = match &change.action {
        Action::Sync => Some(&change.rendering),
        Action::Gate | Action::Leave | Action::Hold { .. } => {
            change.previous.as_ref().map(|previous| &previous.rendering)
        }
    };
    if Some(&baseline.rendering) != wanted {
        faults.push(format!("{app} ran something else last than what was wanted"));
    }
    if let Action::Hold { reason } = &change.action {
        faults.push(format!("{app} was held back in the last deployment: {reason}"));
    }
    let Some(shown) = evidence.cluster.application(app).await? else {
        return Ok(vec![format!("{app} does not exist")]);
    };
    if shown.pinned.as_ref() != Some(&baseline.revision) {
        faults.push(format!("{app} is pinned to {:?}, not to {}", shown.pinned, baseline.revision));
    }
    if shown.health.status != HealthStatus::Healthy || shown.sync.status != SyncStatus::Synced {
        faults.push(format!("{app} is {} and {:?}", shown.health.status, shown.sync.status));
    }
    if shown.is_busy() {
        faults.push(format!("{app} has an operation that nobody waits for"));
    }
    if really(evidence, app) != Some(&baseline.revision) {
        faults.push(format!("{app} does not really run {}", baseline.revision));
    }
    Ok(faults)
}

/// The revision that really runs healthily, by the cluster's own record.
fn really<'a>(evidence: &'a Evidence<'_>, app: &AppName) -> Option<&'a Revision> {
    let health = |kind: LogKind| match kind {
        LogKind::BecameHealthy => Some(true),
        LogKind::BecameUnhealthy => Some(false),
        LogKind::Requested { .. } | LogKind::Started | LogKind::Finished(_) => None,
    };
    let of_it = evidence.log.iter().filter(|entry| &entry.app == app);
    let last = of_it.filter_map(|entry| health(entry.kind).map(|healthy| (healthy, entry))).next_back();
    last.filter(|(healthy, _)| *healthy).and_then(|(_, entry)| entry.revision.as_ref())
}
