//! What must hold, judged from the plan, the journal and the cluster's own log; it shares no code with the
//! state machine.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use argocd_orchestrator::adapters::simulated::log::{LogEntry, LogKind, violations_between};
use argocd_orchestrator::domain::application::Phase;
use argocd_orchestrator::domain::catalog::Order;
use argocd_orchestrator::domain::deployment::{
    Deployment, Effect, Ending, Input, Keep, Progress, Retreat, Run as Attempts, ServiceState, Skip, State,
    Step, Transition, replay, step,
};
use argocd_orchestrator::domain::names::{RequestId, Revision};
use argocd_orchestrator::domain::plan::{Action, Change, Purpose};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::driver::{Run, position, position_of};
use crate::scenario::{Scenario, interference, rank};

/// A promise that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Something started before what it depends on was healthy at the target.
    Order,
    /// A verdict without health behind it.
    Fooled,
    /// A request was made twice, or for two revisions.
    Repeated,
    /// Something was taken back before what depends on it.
    RollbackOrder,
    /// It does not end.
    Endless,
    /// It moved after its end.
    MovedAfterEnd,
    /// The journal leads somewhere else.
    Replay,
    /// The state changed without a transition, or an effect came of nothing.
    Silent,
    /// Not exactly one blocker for each unfinished service.
    Blockers,
    /// More under way than allowed.
    InFlight,
    /// Something was started that must not be: while paused, stopping, or after an abort.
    StartedAnyway,
    /// What failed is not quarantined, or something else is; or it was given up too early.
    Quarantine,
    /// The end does not say what is true of the services.
    End,
    /// An operation of ours runs on after an abort.
    RunsOn,
}

/// A promise was broken.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    text: String,
}

impl Fault {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

type Checked = Result<(), Fault>;

fn must(holds: bool, kind: Kind, text: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Fault::new(kind, text())) }
}

/// What is checked at each step.
#[derive(Debug)]
pub(crate) struct Watch {
    limit: usize,
}

impl Watch {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self { limit: scenario.brief.policy.max_in_flight as usize }
    }

    pub(crate) fn stepped(&self, before: &Progress, after: &Deployment, step: &Step) -> Checked {
        let now = &after.progress;
        if step.transitions.is_empty() {
            must(before == now, Kind::Silent, || format!("the state changed silently: {before:?} {now:?}"))?;
            return must(step.effects.is_empty(), Kind::Silent, || {
                format!("out of nothing: {:?}", step.effects)
            });
        }
        must(now.version == before.version + 1, Kind::Silent, || format!("version {}", now.version))?;
        let in_flight = now.services.iter().filter(|state| under_way(state)).count();
        must(in_flight <= self.limit, Kind::InFlight, || format!("{in_flight} are under way"))?;
        self.started(before, after, step)?;
        blockers(after)
    }

    /// Who starts nothing starts nothing, but for what another operation has pushed aside.
    fn started(&self, before: &Progress, after: &Deployment, step: &Step) -> Checked {
        let aborted = matches!(
            after.state(),
            State::Stopping { towards: Ending::Aborted { .. }, .. } | State::Aborted { .. }
        );
        let idle = |state: &State| {
            matches!(state, State::Paused { .. } | State::Stopping { .. }) || state.is_finished()
        };
        if !(idle(&before.state) && idle(after.state()) || aborted) {
            return Ok(());
        }
        for effect in &step.effects {
            if let Effect::Sync { change, request, .. } = effect {
                let again = !aborted && under_way(&before.services[*change as usize]);
                must(again, Kind::StartedAnyway, || format!("{request} while {}", after.state().word()))?;
            }
        }
        Ok(())
    }
}

fn under_way(state: &ServiceState) -> bool {
    match state {
        ServiceState::Advancing(run) | ServiceState::Retreating(Retreat::Running(run)) => match run {
            Attempts::Syncing { .. } | Attempts::Verifying { .. } => true,
            Attempts::Retrying { .. } => false,
        },
        ServiceState::Retreating(Retreat::Stopping { .. }) => true,
        ServiceState::Waiting { .. }
        | ServiceState::Checking(_)
        | ServiceState::Healthy { .. }
        | ServiceState::Unhealthy { .. }
        | ServiceState::Failed { .. }
        | ServiceState::Skipped { .. }
        | ServiceState::Retreating(Retreat::Waiting { .. })
        | ServiceState::RolledBack { .. }
        | ServiceState::RollbackFailed { .. }
        | ServiceState::Kept { .. } => false,
    }
}

fn settled(state: &ServiceState) -> bool {
    match state {
        ServiceState::Healthy { .. }
        | ServiceState::Failed { .. }
        | ServiceState::Skipped { .. }
        | ServiceState::RolledBack { .. }
        | ServiceState::RollbackFailed { .. }
        | ServiceState::Kept { .. } => true,
        ServiceState::Waiting { .. }
        | ServiceState::Checking(_)
        | ServiceState::Advancing(_)
        | ServiceState::Unhealthy { .. }
        | ServiceState::Retreating(_) => false,
    }
}

/// Exactly one for each unfinished service, in the order of the plan.
fn blockers(deployment: &Deployment) -> Checked {
    let named = deployment.blockers();
    let over = deployment.state().is_finished();
    let mut expected = deployment.services().filter(|(change, state)| {
        let left = matches!(state, ServiceState::Waiting { .. }) && change.action == Action::Leave;
        !over && !settled(state) && !left
    });
    for (name, blocker) in &named {
        let wanted = expected.next().map(|(change, _)| change.name());
        must(wanted == Some(*name), Kind::Blockers, || {
            format!("{name} has {blocker}, expected of {wanted:?}")
        })?;
    }
    must(expected.next().is_none(), Kind::Blockers, || format!("somebody waits for nothing: {named:?}"))
}

/// All that can only be judged from the whole.
pub(crate) fn judge(scenario: &Scenario, run: &Run) -> Checked {
    let deployment = Deployment { brief: run.brief.clone(), progress: run.stored.progress.clone() };
    never_moves_again(scenario, &deployment)?;
    replays(run, &deployment)?;
    let story = Story::new(scenario, run);
    story.requests_once()?;
    story.verdicts()?;
    story.forward_order()?;
    story.backward_order()?;
    story.quarantine()?;
    story.end(&deployment)
}

fn never_moves_again(scenario: &Scenario, deployment: &Deployment) -> Checked {
    must(deployment.state().is_finished(), Kind::Endless, || "it is not over".into())?;
    must(deployment.next_wake(run_out()).is_none(), Kind::MovedAfterEnd, || "it wants to be woken".into())?;
    let mut rng = Rng::with_seed(scenario.seed);
    let mut moved = deployment.clone();
    for _ in 0..6 {
        let change = rng.u32(0..scenario.specs.len() as u32);
        let input = match rng.u32(0..5) {
            0 => Input::Timer,
            3 => Input::Resumed,
            1 => Input::Start,
            2 => Input::Observed { change, application: None },
            _ => interference(&mut rng, &scenario.brief.plan),
        };
        let stepped = step(&mut moved, input.clone(), run_out());
        let still = stepped == Step::default() && moved.progress == deployment.progress;
        must(still, Kind::MovedAfterEnd, || format!("{input:?} leads to {stepped:?}"))?;
    }
    Ok(())
}

fn run_out() -> Timestamp {
    Timestamp::from_second(4_000_000_000).unwrap()
}

fn replays(run: &Run, deployment: &Deployment) -> Checked {
    let journal = &run.stored.journal;
    let gapless = journal.iter().zip(1..).all(|(entry, seq)| entry.seq == seq);
    must(gapless, Kind::Replay, || "the journal has gaps".into())?;
    let replayed = replay(run.brief.clone(), journal);
    must(&replayed == deployment, Kind::Replay, || {
        format!("replayed {:?}, saved {:?}", replayed.progress, deployment.progress)
    })
}

/// The same through JSON, which is how it is stored.
pub(crate) fn survives_json(run: &Run) -> Checked {
    let saved = Deployment { brief: run.brief.clone(), progress: run.stored.progress.clone() };
    let text = serde_json::to_string(&saved).unwrap();
    let read: Deployment = serde_json::from_str(&text).unwrap();
    must(read == saved, Kind::Replay, || format!("read {read:?} of {text}"))?;
    let journal = serde_json::to_string(&run.stored.journal).unwrap();
    let replayed = replay(read.brief, &serde_json::from_str::<Vec<_>>(&journal).unwrap());
    let again = serde_json::to_string(&replayed).unwrap();
    must(again == text, Kind::Replay, || format!("replayed {again} saved {text}"))
}

/// An operation as the cluster's log knows it.
#[derive(Debug, Clone)]
struct Operation<'a> {
    revision: &'a Revision,
    started: Option<Timestamp>,
    finished: Option<(Timestamp, Phase)>,
}

/// What the log says of one Application.
#[derive(Debug, Default)]
struct Facts<'a> {
    operations: HashMap<&'a RequestId, Operation<'a>>,
    /// When it was healthy, and at which revision.
    healthy: Vec<(Timestamp, Timestamp, Option<&'a Revision>)>,
    well: bool,
}

impl Facts<'_> {
    /// Whether it was healthy at a revision (or any) at some moment between two.
    fn was_healthy(&self, revision: Option<&Revision>, from: Timestamp, until: Timestamp) -> bool {
        self.healthy.iter().any(|(began, ended, at)| {
            *began <= until && *ended >= from && (revision.is_none() || *at == revision)
        })
    }

    /// Whether an operation among these succeeded before a moment, and was healthy after it and before that.
    fn proved<'r>(&self, requests: impl IntoIterator<Item = &'r RequestId>, until: Timestamp) -> bool {
        requests.into_iter().filter_map(|request| self.operations.get(request)).any(|operation| {
            matches!(operation.finished, Some((at, Phase::Succeeded))
                if at <= until && self.was_healthy(Some(operation.revision), at, until))
        })
    }
}

struct Story<'a> {
    scenario: &'a Scenario,
    run: &'a Run,
    facts: Vec<Facts<'a>>,
    /// Requests that were decided on, in their order, by change and direction.
    forward: Vec<Vec<(Timestamp, &'a RequestId)>>,
    back: Vec<Vec<(Timestamp, &'a RequestId)>>,
    moves: Vec<Vec<(Timestamp, &'a Transition)>>,
}

impl<'a> Story<'a> {
    fn new(scenario: &'a Scenario, run: &'a Run) -> Self {
        let changes = &scenario.brief.plan.changes;
        let mut story = Self {
            scenario,
            run,
            facts: changes.iter().map(|_| Facts::default()).collect(),
            forward: vec![Vec::new(); changes.len()],
            back: vec![Vec::new(); changes.len()],
            moves: vec![Vec::new(); changes.len()],
        };
        for entry in run.model.log() {
            story.note(entry);
        }
        for (at, effect) in &run.stored.effects {
            if let Effect::Sync { change, request, reason, .. } = effect {
                let way =
                    if reason.starts_with("rolled back") { &mut story.back } else { &mut story.forward };
                way[*change as usize].push((*at, request));
            }
        }
        for entry in &run.stored.journal {
            for moved in &entry.transitions {
                if let Some(change) = moved.service.as_deref().and_then(position_of) {
                    story.moves[change].push((entry.at, moved));
                }
            }
        }
        story
    }

    fn note(&mut self, entry: &'a LogEntry) {
        let Some(facts) = position(entry.app.as_str()).and_then(|change| self.facts.get_mut(change)) else {
            return;
        };
        let operation = entry.request.as_ref();
        match entry.kind {
            LogKind::Requested { .. } => {
                if let (Some(request), Some(revision)) = (operation, &entry.revision) {
                    let operation = Operation { revision, started: None, finished: None };
                    facts.operations.insert(request, operation);
                }
            }
            LogKind::Started => {
                if let Some(operation) = operation.and_then(|request| facts.operations.get_mut(request)) {
                    operation.started = Some(entry.at);
                }
            }
            LogKind::Finished(phase) => {
                if let Some(operation) = operation.and_then(|request| facts.operations.get_mut(request)) {
                    operation.finished = Some((entry.at, phase));
                }
            }
            LogKind::BecameHealthy => {
                facts.healthy.push((entry.at, Timestamp::MAX, entry.revision.as_ref()));
                facts.well = true;
            }
            LogKind::BecameUnhealthy => {
                if let Some((_, until, _)) = facts.healthy.last_mut() {
                    *until = entry.at;
                }
                facts.well = false;
            }
        }
    }

    fn changes(&self) -> &'a [Change] {
        &self.scenario.brief.plan.changes
    }

    fn name(&self, change: usize) -> &'a str {
        self.changes()[change].name()
    }

    /// The first time that a change moved to a state, at or before a moment.
    fn became(&self, change: usize, words: &[&str], until: Timestamp) -> bool {
        self.moves[change].iter().any(|(at, moved)| *at <= until && words.contains(&moved.to.as_str()))
    }

    fn skipped_by_a_person(&self, change: usize, until: Timestamp) -> bool {
        self.moves[change].iter().any(|(at, moved)| *at <= until && moved.cause.starts_with("skipped by"))
    }

    /// No sync is repeated: each request reaches the cluster at most once, and for one revision. Where somebody
    /// else's operation has wiped ours off, the cluster cannot know it any more.
    fn requests_once(&self) -> Checked {
        let mut last: HashMap<&RequestId, usize> = HashMap::new();
        let ours = self.run.brief.id.as_str();
        let log = self.run.model.log();
        for (at, entry) in log.iter().enumerate() {
            let LogKind::Requested { .. } = entry.kind else { continue };
            let Some(request) = &entry.request else { continue };
            if !request.as_str().starts_with(ours) {
                continue;
            }
            if let Some(before) = last.insert(request, at) {
                let wiped = log[before..at].iter().any(|other| {
                    other.app == entry.app
                        && other.request.is_none()
                        && matches!(other.kind, LogKind::Requested { .. })
                });
                must(wiped, Kind::Repeated, || format!("{request} was requested again at {}", entry.at))?;
            }
        }
        let mut decided: BTreeMap<&RequestId, &Revision> = BTreeMap::new();
        for (_, effect) in &self.run.stored.effects {
            if let Effect::Sync { request, revision, .. } = effect {
                let known = decided.insert(request, revision);
                must(known.is_none(), Kind::Repeated, || format!("{request} was decided on twice"))?;
            }
        }
        for entry in log {
            if let (LogKind::Requested { .. }, Some(request)) = (entry.kind, &entry.request) {
                let known = !request.as_str().starts_with(ours)
                    || decided.get(request).copied() == entry.revision.as_ref();
                must(known, Kind::Repeated, || format!("nobody decided on {request} like that"))?;
            }
        }
        Ok(())
    }

    /// No verdict without health behind it: after the operation, at its revision, before the verdict.
    fn verdicts(&self) -> Checked {
        for change in 0..self.changes().len() {
            let mut asked_at = Timestamp::MIN;
            for (at, moved) in &self.moves[change] {
                let (at, from) = (*at, moved.from.as_str());
                if moved.to == "checking" && from != "checking" {
                    asked_at = at;
                }
                let facts = &self.facts[change];
                let proved = match (from, moved.to.as_str()) {
                    ("verifying", "healthy") => facts.proved(last(&self.forward[change], at), at),
                    ("rollback-verifying", "rolled-back") => facts.proved(last(&self.back[change], at), at),
                    ("checking", "healthy") => {
                        let previous = self.changes()[change].previous.as_ref();
                        facts.was_healthy(previous.map(|previous| &previous.revision), asked_at, at)
                    }
                    (_, "healthy") => from == "unhealthy",
                    (_, "rolled-back") => false,
                    _ => true,
                };
                must(proved, Kind::Fooled, || {
                    format!("{} went from {from} to {} at {at}, and was not", self.name(change), moved.to)
                })?;
            }
        }
        Ok(())
    }

    /// Nothing starts at the target before all that it depends on (and the waves before it, where they are the
    /// order) was healthy at the target in this deployment, or somebody did without it.
    fn forward_order(&self) -> Checked {
        let plan = &self.scenario.brief.plan;
        if plan.purpose != Purpose::Deploy {
            return must(self.forward.iter().all(Vec::is_empty), Kind::Order, || "a sync forward".into());
        }
        let mut exact: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (change, planned) in plan.changes.iter().enumerate() {
            let before: Vec<usize> = (0..change).filter(|&other| self.precedes(other, change)).collect();
            for (_, request) in &self.forward[change] {
                let Some(started) = self.facts[change].operations.get(request).and_then(|one| one.started)
                else {
                    continue;
                };
                must(planned.action == Action::Sync, Kind::Order, || {
                    format!("{request} is not to be synced")
                })?;
                for &other in &before {
                    must(self.let_through(other, started), Kind::Order, || {
                        format!("{request} started at {started}, before {} was healthy", self.name(other))
                    })?;
                }
            }
            exact.insert(
                planned.app.clone(),
                before.iter().map(|&one| plan.changes[one].app.clone()).collect(),
            );
        }
        let skipped = (0..plan.changes.len()).any(|change| self.skipped_by_a_person(change, Timestamp::MAX));
        if !self.scenario.calm || skipped || plan.revision == crate::scenario::revision('a') {
            return Ok(());
        }
        // Nothing loses its health here, so that each must be healthy at the very moment of the start.
        let turned = self.run.stored.journal.iter().find(|entry| {
            entry.transitions.iter().any(|moved| moved.service.is_none() && moved.to == "rolling-back")
        });
        let until = turned.map_or(Timestamp::MAX, |entry| entry.at);
        let found =
            violations_between(self.run.model.log(), &exact, &plan.revision, self.scenario.start, until);
        must(found.is_empty(), Kind::Order, || format!("{found:?}"))
    }

    fn precedes(&self, other: usize, change: usize) -> bool {
        let changes = self.changes();
        let needed = changes[change].requires.contains(&(other as u32));
        let earlier =
            self.scenario.brief.plan.order == Order::Waves && rank(&changes[other]) < rank(&changes[change]);
        (needed || earlier) && changes[other].action != Action::Leave
    }

    fn let_through(&self, other: usize, at: Timestamp) -> bool {
        let proved = match &self.changes()[other].action {
            Action::Sync => {
                self.facts[other].proved(self.forward[other].iter().map(|(_, request)| *request), at)
            }
            Action::Gate => self.facts[other].was_healthy(None, self.scenario.start, at),
            Action::Hold { .. } => {
                self.changes()[other].previous.is_some()
                    && self.facts[other].was_healthy(None, self.scenario.start, at)
            }
            Action::Leave => true,
        };
        proved || self.skipped_by_a_person(other, at)
    }

    /// What depends on something goes back before it, and is healthy there before it starts (or was given up).
    fn backward_order(&self) -> Checked {
        let changes = self.changes();
        let waves = self.scenario.brief.plan.order == Order::Waves;
        for lower in 0..changes.len() {
            let starts = self.back[lower].iter().filter_map(|(_, request)| {
                self.facts[lower].operations.get(request).and_then(|one| one.started)
            });
            let Some(started) = starts.min() else { continue };
            let mut above = vec![false; changes.len()];
            above[lower] = true;
            for upper in lower + 1..changes.len() {
                above[upper] = changes[upper].requires.iter().any(|&required| above[required as usize]);
                let higher = waves && rank(&changes[upper]) > rank(&changes[lower]);
                if (above[upper] || higher) && self.is_taken_back(upper) {
                    let requests = self.back[upper].iter().map(|(_, request)| *request);
                    let back = self.facts[upper].proved(requests, started)
                        || self.became(upper, &["rollback-failed", "kept"], started);
                    must(back, Kind::RollbackOrder, || {
                        format!("{} started back at {started}, before {}", self.name(lower), self.name(upper))
                    })?;
                }
            }
        }
        Ok(())
    }

    fn is_taken_back(&self, change: usize) -> bool {
        match self.scenario.brief.plan.purpose {
            Purpose::Rollback => self.changes()[change].action == Action::Sync,
            Purpose::Deploy | Purpose::Check => !self.forward[change].is_empty(),
        }
    }

    /// What failed is remembered as such, once for each time, and nothing else is; and nothing is given up
    /// before its attempts are used up.
    fn quarantine(&self) -> Checked {
        let mut remembered = vec![0; self.changes().len()];
        for (_, effect) in &self.run.stored.effects {
            if let Effect::Quarantine { service, .. } = effect {
                let change = position_of(service).unwrap();
                remembered[change] += 1;
            }
        }
        for (change, planned) in self.changes().iter().enumerate() {
            let (mut failed, mut attempts) = (0, 0);
            for (at, moved) in &self.moves[change] {
                match (moved.from.as_str(), moved.to.as_str()) {
                    (_, "waiting") => attempts = 0,
                    ("waiting" | "retrying", "syncing") => attempts += 1,
                    ("syncing" | "verifying", "failed") => {
                        failed += 1;
                        let allowed = self.scenario.attempts(change);
                        must(attempts == allowed, Kind::Quarantine, || {
                            format!("{} failed at {at} after {attempts} of {allowed}", planned.name())
                        })?;
                    }
                    ("unhealthy", "failed") => failed += usize::from(planned.action == Action::Sync),
                    (from, "failed") => {
                        let checked = from == "checking" && planned.action != Action::Sync;
                        must(checked, Kind::Quarantine, || format!("{} failed from {from}", planned.name()))?;
                    }
                    (_, "rolled-back") if self.scenario.brief.plan.purpose == Purpose::Rollback => {
                        failed += 1
                    }
                    _ => {}
                }
            }
            must(remembered[change] == failed, Kind::Quarantine, || {
                format!("{} failed {failed} times, quarantined {}", planned.name(), remembered[change])
            })?;
        }
        Ok(())
    }

    /// The end says what is true of the services.
    fn end(&self, deployment: &Deployment) -> Checked {
        for (change, state) in deployment.services() {
            let fine = settled(state)
                || matches!(state, ServiceState::Unhealthy { .. })
                || deployment.progress.started_at.is_none();
            must(fine, Kind::End, || format!("{} is still {}", change.name(), state.word()))?;
        }
        let took_back = self.run.stored.journal.iter().any(|entry| {
            entry.transitions.iter().any(|moved| moved.service.is_none() && moved.to == "rolling-back")
        });
        match deployment.state() {
            State::Succeeded { .. } => {
                for (change, (planned, state)) in deployment.services().enumerate() {
                    self.succeeded(change, planned, state)?;
                }
                Ok(())
            }
            State::Failed { .. } if took_back => {
                for (change, (planned, state)) in deployment.services().enumerate() {
                    let back = !self.is_taken_back(change)
                        || match state {
                            ServiceState::RolledBack { to, .. } => {
                                planned.previous.as_ref().is_some_and(|previous| previous.revision == *to)
                            }
                            ServiceState::RollbackFailed { .. } | ServiceState::Kept { .. } => true,
                            _ => false,
                        };
                    must(back, Kind::End, || format!("{} was not taken back: {state:?}", planned.name()))?;
                }
                Ok(())
            }
            State::Aborted { .. } => self.nothing_runs_on(),
            _ => Ok(()),
        }
    }

    fn succeeded(&self, change: usize, planned: &Change, state: &ServiceState) -> Checked {
        let fine = match (state, self.scenario.brief.plan.purpose) {
            (ServiceState::RolledBack { .. }, Purpose::Rollback) => true,
            (ServiceState::Kept { reason: Keep::RollbackDisabled, .. }, Purpose::Rollback) => true,
            (ServiceState::Healthy { .. }, Purpose::Deploy | Purpose::Check) => true,
            (ServiceState::Skipped { reason, .. }, _) => match reason {
                Skip::Person { .. } => true,
                Skip::Quarantined { .. } | Skip::Untouched | Skip::Ended => planned.action != Action::Sync,
                Skip::Blocked { .. } => false,
            },
            _ => false,
        };
        must(fine, Kind::End, || format!("it succeeded with {} {state:?}", planned.name()))?;
        if planned.action != Action::Sync
            || !self.scenario.calm
            || matches!(state, ServiceState::Skipped { .. })
        {
            return Ok(());
        }
        let target = match state {
            ServiceState::RolledBack { to, .. } => to,
            _ => &self.scenario.brief.plan.revision,
        };
        let now = self.run.ended_at;
        let true_of_it = self.facts[change].was_healthy(Some(target), now, now)
            || matches!(state, ServiceState::Kept { .. });
        must(true_of_it, Kind::End, || format!("{} is not healthy at the end", planned.name()))
    }

    /// After an abort nothing of ours is left pending or running, unless it would not stop in time.
    fn nothing_runs_on(&self) -> Checked {
        let patience = self.scenario.brief.policy.health_timeout;
        for (change, facts) in self.facts.iter().enumerate() {
            for (at, request) in self.forward[change].iter().chain(&self.back[change]) {
                let Some(operation) = facts.operations.get(request) else { continue };
                let recent = self.run.ended_at.duration_since(*at) < patience - SignedDuration::from_secs(1);
                let runs = operation.finished.is_none() && recent;
                must(!runs || self.skipped_by_a_person(change, Timestamp::MAX), Kind::RunsOn, || {
                    format!("{request} runs on after the abort")
                })?;
            }
        }
        Ok(())
    }
}

fn last<'a>(requests: &[(Timestamp, &'a RequestId)], until: Timestamp) -> Option<&'a RequestId> {
    requests.iter().rev().find(|(at, _)| *at <= until).map(|(_, request)| *request)
}
