//! What the journals tell: they lead to what is stored, deployments of one customer never overlap, and nobody
//! was blamed for the time in which the server was dead.

use std::collections::BTreeMap;

use argocd_orchestrator::domain::deployment::{
    Attempt, Deployment, Retreat, ServiceState, State, replay, step,
};
use argocd_orchestrator::domain::names::{AppName, RequestId, Revision};

use super::{Evidence, Told};

/// A sync that a deployment decided on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sync {
    pub(super) app: AppName,
    pub(super) revision: Revision,
    pub(super) deployment: usize,
    pub(super) back: bool,
    pub(super) attempt: u32,
}

/// Every sync that was decided on, by its request's id. `deployment` is a position in the evidence.
pub(super) type Decided = BTreeMap<RequestId, Sync>;

pub(super) fn check(evidence: &mut Evidence<'_>) -> Decided {
    let mut decided = Decided::new();
    let mut faults = Vec::new();
    let (mut rollbacks, mut entries) = (0, 0);
    for (position, told) in evidence.told.iter().enumerate() {
        entries += told.journal.len();
        rollbacks += usize::from(told.journal.iter().any(|entry| {
            entry.transitions.iter().any(|moved| moved.service.is_none() && moved.to == "rolling-back")
        }));
        retrace(position, told, &mut decided, &mut faults);
    }
    overlaps(&evidence.told, &mut faults);
    evidence.faults.extend(faults);
    evidence.number("  of them rolled back", rollbacks);
    evidence.number("journal entries replayed", entries);
    evidence.number("syncs decided on", decided.len());
    evidence.number("  on the way back", decided.values().filter(|sync| sync.back).count());
    evidence
        .number("  second and further attempts", decided.values().filter(|sync| sync.attempt > 1).count());
    decided
}

/// Goes through a journal again, and notes each sync.
fn retrace(position: usize, told: &Told, decided: &mut Decided, faults: &mut Vec<String>) {
    let Told { deployment, journal } = told;
    let (id, progress) = (deployment.id(), &deployment.progress);
    if matches!(progress.state, State::Rejected { .. }) && journal.is_empty() {
        return; // It ended before it began.
    }
    let gapless = journal.iter().zip(1..).all(|(entry, seq)| entry.seq == seq);
    if !gapless || journal.len() as u64 != progress.version {
        faults.push(format!("the journal of {id} has gaps"));
    }
    if replay(deployment.brief.clone(), journal) != *deployment {
        faults.push(format!("the journal of {id} does not lead to what is stored"));
    }
    let mut again = Deployment::new(deployment.brief.clone());
    for entry in journal {
        let stepped = step(&mut again, entry.input.clone(), entry.at);
        if stepped.transitions != entry.transitions {
            faults.push(format!(
                "entry {} of the journal of {id} moves something else when replayed",
                entry.seq
            ));
        }
        // Nothing here takes as long as it may.
        for moved in entry.transitions.iter().filter(|moved| moved.cause.contains(" in time")) {
            let (service, cause) = (moved.service.as_deref().unwrap_or("-"), &moved.cause);
            faults.push(format!("{id}: {service} went from {} to {}: {cause}", moved.from, moved.to));
        }
        for (change, state) in again.services() {
            let Some((attempt, back)) = attempt(state) else { continue };
            let sync = Sync {
                app: change.app.clone(),
                revision: attempt.revision.clone(),
                deployment: position,
                back,
                attempt: attempt.number,
            };
            match decided.get(&attempt.request) {
                None => {
                    decided.insert(attempt.request.clone(), sync);
                }
                Some(known) if *known != sync => {
                    faults.push(format!("request {} stands for two syncs", attempt.request));
                }
                Some(_) => {}
            }
        }
    }
}

fn attempt(state: &ServiceState) -> Option<(&Attempt, bool)> {
    match state {
        ServiceState::Advancing(run) => run.attempt().map(|attempt| (attempt, false)),
        ServiceState::Retreating(Retreat::Running(run)) => run.attempt().map(|attempt| (attempt, true)),
        ServiceState::Waiting { .. }
        | ServiceState::Checking(_)
        | ServiceState::Healthy { .. }
        | ServiceState::Unhealthy { .. }
        | ServiceState::Failed { .. }
        | ServiceState::Skipped { .. }
        | ServiceState::Retreating(_)
        | ServiceState::RolledBack { .. }
        | ServiceState::RollbackFailed { .. }
        | ServiceState::Kept { .. } => None,
    }
}

/// At most one deployment of a customer and environment was active at any time.
fn overlaps(told: &[Told], faults: &mut Vec<String>) {
    let mut lanes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Told { deployment, .. } in told {
        let plan = &deployment.brief.plan;
        let ended = deployment.state().ended_at();
        if let (Some(started), Some(ended)) = (deployment.progress.started_at, ended) {
            let lane = lanes.entry((&plan.customer, &plan.environment)).or_default();
            lane.push((started, ended, deployment.id()));
        }
    }
    for (_, mut lane) in lanes {
        lane.sort();
        for pair in lane.windows(2) {
            if let [(_, ended, first), (started, _, second)] = pair
                && started < ended
            {
                faults.push(format!("{second} started before {first} was over"));
            }
        }
    }
}
