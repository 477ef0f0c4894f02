//! What the cluster's own record tells: nothing twice, nothing undecided, nothing out of order.

use std::collections::{BTreeMap, BTreeSet};

use argocd_orchestrator::adapters::simulated::log::{LogKind, violations_between};
use argocd_orchestrator::domain::application::Phase;
use argocd_orchestrator::domain::names::RequestId;
use jiff::Timestamp;

use super::journals::{Decided, Sync};
use super::{Evidence, Told};

pub(super) fn check(evidence: &mut Evidence<'_>, decided: &Decided) {
    requests(evidence, decided);
    order(evidence);
}

/// Each sync was requested once, by a deployment that had decided on it and was active, with rising epochs.
fn requests(evidence: &mut Evidence<'_>, decided: &Decided) {
    let mut faults = Vec::new();
    let mut requested: BTreeSet<&RequestId> = BTreeSet::new();
    let mut syncs: BTreeMap<&Sync, &RequestId> = BTreeMap::new();
    let mut epochs: BTreeSet<u64> = BTreeSet::new();
    let (mut succeeded, mut failed) = (0, 0);
    for entry in &evidence.log {
        match entry.kind {
            LogKind::Requested { epoch } => {
                let Some(request) = &entry.request else {
                    faults.push(format!("{} was synced by somebody else", entry.app));
                    continue;
                };
                if !requested.insert(request) {
                    faults.push(format!("{request} was requested twice"));
                }
                match (epoch, epochs.last()) {
                    (None, _) => faults.push(format!("{request} has no epoch")),
                    (Some(epoch), Some(last)) if epoch < *last => {
                        faults.push(format!("{request} was requested in epoch {epoch}, after {last}"));
                    }
                    (Some(epoch), _) => {
                        epochs.insert(epoch);
                    }
                }
                let Some(sync) = decided.get(request) else {
                    faults.push(format!("{request} was requested, and no journal knows of it"));
                    continue;
                };
                if sync.app != entry.app || Some(&sync.revision) != entry.revision.as_ref() {
                    faults.push(format!("{request} was decided otherwise: {sync:?}"));
                }
                if let Some(other) = syncs.insert(sync, request) {
                    faults.push(format!("{request} is {other} once more: {sync:?}"));
                }
                let Told { deployment, .. } = &evidence.told[sync.deployment];
                let ended = deployment.state().ended_at().unwrap_or(Timestamp::MAX);
                let started = deployment.progress.started_at.unwrap_or(Timestamp::MAX);
                if entry.at < started || entry.at > ended {
                    faults.push(format!("{request} was requested while its deployment was not active"));
                }
            }
            LogKind::Finished(Phase::Succeeded) => succeeded += 1,
            LogKind::Finished(Phase::Failed | Phase::Error) => failed += 1,
            LogKind::Finished(Phase::Running | Phase::Terminating)
            | LogKind::Started
            | LogKind::BecameHealthy
            | LogKind::BecameUnhealthy => {}
        }
    }
    let (requested, epochs) = (requested.len(), epochs.len());
    evidence.faults.extend(faults);
    evidence.number("syncs that the cluster was asked for", requested);
    evidence.number("  succeeded", succeeded);
    evidence.number("  failed or stopped", failed);
    evidence.number("epochs that asked", epochs);
}

/// No sync of a deployment started before what it had to wait for was healthy.
fn order(evidence: &mut Evidence<'_>) {
    let mut faults = Vec::new();
    for Told { deployment, .. } in &evidence.told {
        let Some(started) = deployment.progress.started_at else { continue };
        let plan = &deployment.brief.plan;
        let ended = deployment.state().ended_at().unwrap_or(Timestamp::MAX);
        for found in violations_between(&evidence.log, &plan.requirements(), &plan.revision, started, ended) {
            faults.push(format!(
                "{}: {} started at {} before {} was ready: {:?}",
                deployment.id(),
                found.app,
                found.at,
                found.dependency,
                found.fault
            ));
        }
    }
    evidence.number("order violations", faults.len());
    evidence.faults.extend(faults);
}
