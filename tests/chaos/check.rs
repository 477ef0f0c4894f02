//! The judge: reads the cluster's own record and the store after the server has stopped, and believes neither
//! the server's log nor anything that was seen while it ran, but for what sensors were answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail};
use argocd_orchestrator::adapters::simulated::Simulated;
use argocd_orchestrator::adapters::simulated::log::LogEntry;
use argocd_orchestrator::domain::deployment::{Deployment, JournalEntry};
use argocd_orchestrator::store::{DeploymentFilter, EventFilter, EventState, Settings, Store};

use crate::sensor::Sensors;
use crate::world::World;

mod cluster;
mod end;
mod journals;

/// Kills in unfinished deployments of which some must have been followed by one that was taken up again.
const FEW: u32 = 10;

/// What was done to the server, and what its log told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) kills: u32,
    pub(crate) kills_unfinished: u32,
    pub(crate) kills_starting: u32,
    pub(crate) kills_executing: u32,
    pub(crate) kills_answered: u32,
    pub(crate) kills_running: u32,
    pub(crate) kills_deciding: u32,
    /// While effects were decided on and not known to be performed.
    pub(crate) kills_with_effects: u32,
    /// Times that the server stayed away for longer than a service may take.
    pub(crate) outages: u32,
    pub(crate) resumed: usize,
    pub(crate) pushes: u32,
}

/// One deployment with all that is known of it.
struct Told {
    deployment: Deployment,
    journal: Vec<JournalEntry>,
}

/// All that is judged.
struct Evidence<'a> {
    world: &'a World,
    store: Store,
    cluster: Simulated,
    log: Vec<LogEntry>,
    /// The oldest first.
    told: Vec<Told>,
    faults: Vec<String>,
    /// What is shown in the end: names and numbers.
    numbers: Vec<(String, usize)>,
}

impl Evidence<'_> {
    fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    fn number(&mut self, name: impl Into<String>, number: usize) {
        self.numbers.push((name.into(), number));
    }
}

/// Judges, and shows what was seen.
pub(crate) async fn check(
    world: &World,
    sensors: &Sensors,
    seen: Seen,
    took: Duration,
) -> anyhow::Result<()> {
    let store = Store::open(Settings::at(world.database())).await?;
    let cluster = Simulated::open(world.script(false), Some(&world.cluster()))?;
    let log = cluster.log();
    let told = told(&store).await?;
    let mut evidence = Evidence { world, store, cluster, log, told, faults: Vec::new(), numbers: Vec::new() };
    numbers(&mut evidence, &seen, sensors);
    if seen.kills_unfinished > FEW && seen.resumed == 0 {
        evidence.fault("the log told of no deployment that was taken up again: the kills met nothing");
    }
    events(&mut evidence, sensors).await?;
    deployments(&mut evidence);
    let decided = journals::check(&mut evidence);
    cluster::check(&mut evidence, &decided);
    end::check(&mut evidence).await?;
    let Evidence { store, faults, numbers, .. } = evidence;
    store.close().await;
    println!();
    for (name, number) in numbers {
        println!("{name:<44} {number:>7}");
    }
    println!("{:<44} {:>7}", "faults", faults.len());
    println!("{:<44} {:>6}s", "took", took.as_secs());
    if faults.is_empty() {
        println!("\nevery promise was kept");
        return Ok(());
    }
    for fault in faults.iter().take(50) {
        println!("FAULT  {fault}");
    }
    bail!("{} promises were broken", faults.len())
}

async fn told(store: &Store) -> anyhow::Result<Vec<Told>> {
    let found = store.deployments(&DeploymentFilter::default(), u32::MAX).await?;
    anyhow::ensure!(found.broken.is_empty(), "stored deployments cannot be read: {:?}", found.broken);
    let mut told = Vec::with_capacity(found.value.len());
    for summary in found.value.iter().rev() {
        let deployment = store.deployment(&summary.id).await?;
        let deployment = deployment.with_context(|| format!("deployment {} is listed only", summary.id))?;
        let journal = store.journal(&summary.id).await?;
        anyhow::ensure!(journal.broken.is_empty(), "{}: {:?}", summary.id, journal.broken);
        told.push(Told { deployment, journal: journal.value });
    }
    Ok(told)
}

fn numbers(evidence: &mut Evidence<'_>, seen: &Seen, sensors: &Sensors) {
    let ledger = sensors.ledger();
    for (name, number) in [
        ("kills", seen.kills),
        ("  while a deployment was not over", seen.kills_unfinished),
        ("  some time into a running deployment", seen.kills_running),
        ("  right after a sync was decided on", seen.kills_deciding),
        ("  in the middle of Execute", seen.kills_executing),
        ("  right after Execute's OK", seen.kills_answered),
        ("  while starting", seen.kills_starting),
        ("  between a decision and its record as done", seen.kills_with_effects),
        ("long outages", seen.outages),
        ("pushes", seen.pushes),
    ] {
        evidence.number(name, number as usize);
    }
    evidence.number("deliveries", ledger.answers.len());
    evidence.number("  answered OK", ledger.taken);
    evidence.number("  of them duplicates", ledger.duplicates);
    evidence.number("  attempts without OK, repeated", ledger.failed);
    evidence.number("deployments resumed after a restart", seen.resumed);
}

/// What was answered OK is there, once, and settled.
async fn events(evidence: &mut Evidence<'_>, sensors: &Sensors) -> anyhow::Result<()> {
    let found = evidence.store.events(&EventFilter::default(), u32::MAX).await?;
    for broken in &found.broken {
        evidence.fault(format!("event {} cannot be read: {}", broken.id, broken.fault));
    }
    let mut outcomes: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut stored = BTreeSet::new();
    for event in &found.value {
        stored.insert(event.id.to_string());
        match &event.state {
            EventState::Settled { outcome, .. } => *outcomes.entry(outcome.word()).or_default() += 1,
            EventState::Accepted { reason, .. } => {
                evidence.fault(format!("event {} is not settled: {reason:?}", event.id));
            }
        }
    }
    evidence.number("events stored", found.value.len());
    for (word, number) in outcomes {
        evidence.number(format!("  {word}"), number);
    }
    let ledger = sensors.ledger();
    for fault in &ledger.faults {
        evidence.fault(fault);
    }
    for (delivery, answers) in &ledger.answers {
        let ids: BTreeSet<&String> = answers.iter().collect();
        if ids.len() > 1 {
            evidence.fault(format!("delivery {delivery} was answered different events: {ids:?}"));
        }
        for id in ids.into_iter().filter(|id| !stored.contains(*id)) {
            evidence.fault(format!("event {id} was answered OK and is lost"));
        }
    }
    Ok(())
}

/// Each is over, and there is one at most for an event, customer and environment.
fn deployments(evidence: &mut Evidence<'_>) {
    let mut states: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut made = BTreeSet::new();
    let mut faults = Vec::new();
    for Told { deployment, .. } in &evidence.told {
        let (id, brief, state) = (deployment.id(), &deployment.brief, deployment.state());
        *states.entry(state.word()).or_default() += 1;
        if !state.is_finished() {
            faults.push(format!("deployment {id} is not over: {}", state.word()));
        }
        if !made.insert((&brief.event, &brief.plan.customer, &brief.plan.environment)) {
            faults.push(format!("event {} has two deployments of {}", brief.event, brief.plan.customer));
        }
    }
    evidence.faults.extend(faults);
    evidence.number("deployments", evidence.told.len());
    for (word, number) in states {
        evidence.number(format!("  {word}"), number);
    }
}
