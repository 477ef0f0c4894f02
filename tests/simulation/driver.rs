//! The shell around the state machine, in virtual time: step, save, perform, look, and crash anywhere.
//!
//! What is stored survives a crash, and nothing else does. Every place between two things that happen one after
//! the other is a boundary at which a schedule may crash.

use argocd_orchestrator::adapters::simulated::model::Model;
use argocd_orchestrator::domain::application::{Application, SyncStatus};
use argocd_orchestrator::domain::catalog::Order;
use argocd_orchestrator::domain::deployment::{
    Brief, Command, Deployment, Effect, Input, JournalEntry, Progress, State, step,
};
use argocd_orchestrator::domain::names::RequestId;
use argocd_orchestrator::domain::plan::{Action, Purpose};
use argocd_orchestrator::ports::{ClusterError, SyncRequest};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::oracle::{Fault, Kind, Watch};
use crate::scenario::{Scenario, millis, revision};

/// A way in which the shell or the facts are broken, to see that the oracle notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Comparisons claim to be fresh, and the health of before comes with them.
    LyingReconciledAt,
    /// The plan has lost its dependencies.
    LostDependencies,
    /// Waves are taken for a view where they are the order.
    WavesForAView,
    /// More is started at once than allowed.
    NoLimit,
    /// An entry of the journal is not written.
    TornJournal,
    /// After a crash the state is one older than what was saved.
    OldState,
    /// What was performed is performed again later, wanted or not.
    RepeatedEffects,
    /// Time stands still for the deployment.
    StoppedClock,
    /// Operations cannot be seen.
    InvisibleOperations,
    /// Something changes behind the state machine's back.
    SilentChange,
    /// Requests are not remembered before they are performed, and get an id of their own each time.
    FreshIds,
    /// A person's threshold is not asked for.
    Hasty,
}

/// What a store keeps.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) progress: Progress,
    pub(crate) journal: Vec<JournalEntry>,
    /// All effects that were ever saved, with the time.
    pub(crate) effects: Vec<(Timestamp, Effect)>,
    outbox: Vec<(u64, Effect)>,
    inbox: Vec<(u64, Input)>,
    ids: u64,
    older: Option<Progress>,
}

#[derive(Debug)]
struct Pending {
    id: u64,
    effect: Effect,
    due: Timestamp,
}

/// Why a life of the process ended.
enum End {
    Crash,
    Fault(Box<Fault>),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// What a schedule led to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) brief: Brief,
    pub(crate) stored: Stored,
    pub(crate) model: Model,
    pub(crate) ended_at: Timestamp,
    pub(crate) crashes: u32,
    /// Effects that were performed although they had been before.
    pub(crate) repeated: u32,
    /// What happened, where it was asked for.
    pub(crate) story: Vec<(Timestamp, String)>,
}

/// How one schedule is to be run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Crash exactly there, instead of by chance.
    pub(crate) crash_at: Option<u64>,
    pub(crate) mutation: Option<Mutation>,
    /// Tell the story.
    pub(crate) tell: bool,
}

/// Runs a schedule to the end of its deployment.
///
/// # Errors
/// The first promise that was broken on the way, with what had happened by then.
pub(crate) fn run(scenario: &Scenario, options: Options) -> Result<Run, (Fault, Box<Run>)> {
    let mut driver = Driver::new(scenario, options);
    let fault = loop {
        match driver.live() {
            Ok(()) => break None,
            Err(End::Crash) => driver.crash(),
            Err(End::Fault(fault)) => break Some(*fault),
        }
    };
    let run = Run {
        brief: driver.deployment.brief,
        stored: driver.stored,
        model: driver.model,
        ended_at: driver.now,
        crashes: driver.crashes,
        repeated: driver.repeated,
        story: driver.story,
    };
    match fault {
        None => Ok(run),
        Some(fault) => Err((fault, Box::new(run))),
    }
}

/// At most so many crashes in one schedule, so that it ends.
const CRASHES: u32 = 12;

struct Driver<'a> {
    scenario: &'a Scenario,
    options: Options,
    rng: Rng,
    model: Model,
    now: Timestamp,
    stored: Stored,
    commands: usize,
    externals: usize,
    interfered_at: Timestamp,
    crashes: u32,
    boundaries: u64,
    repeated: u32,
    performed: Vec<u64>,
    story: Vec<(Timestamp, String)>,
    watch: Watch,
    // What a crash loses.
    deployment: Deployment,
    /// As it was before the step.
    before: Progress,
    pending: Vec<Pending>,
    settled: Vec<u64>,
    newest: Vec<u64>,
    delayed: Vec<(Timestamp, usize, Option<Application>)>,
    full_look: Timestamp,
}

impl<'a> Driver<'a> {
    fn new(scenario: &'a Scenario, options: Options) -> Self {
        let mut brief = scenario.brief.clone();
        mutate(&mut brief, options.mutation);
        let deployment = Deployment::new(brief);
        let stored = Stored {
            progress: deployment.progress.clone(),
            journal: Vec::new(),
            effects: Vec::new(),
            outbox: Vec::new(),
            inbox: Vec::new(),
            ids: 0,
            older: None,
        };
        let model = with_a_past(scenario);
        Self {
            scenario,
            options,
            rng: Rng::with_seed(scenario.seed ^ 0x5eed),
            now: model.now(),
            model,
            stored,
            commands: 0,
            externals: 0,
            interfered_at: scenario.start,
            crashes: 0,
            boundaries: 0,
            repeated: 0,
            performed: Vec::new(),
            story: Vec::new(),
            watch: Watch::new(scenario),
            before: deployment.progress.clone(),
            pending: Vec::new(),
            settled: Vec::new(),
            newest: vec![0; scenario.specs.len()],
            delayed: Vec::new(),
            full_look: scenario.start,
            deployment,
        }
    }

    /// One life of the process: from its start (or what is stored) to the end of the deployment, or a crash.
    fn live(&mut self) -> Result<(), End> {
        if self.crashes > 0 {
            self.apply(vec![(None, Input::Resumed)])?;
            self.look_at_everything()?;
        }
        loop {
            self.perform()?;
            if self.deployment.state().is_finished() && self.pending.is_empty() {
                return Ok(());
            }
            self.wait()?;
            self.interfere();
            self.model.advance(self.now);
            self.take_inbox()?;
            if self.now >= self.scenario.start && self.deployment.state() == &State::Queued {
                self.apply(vec![(None, Input::Start)])?;
                self.look_at_everything()?;
            }
            let mut inputs = self.news();
            if self.now >= self.full_look {
                self.full_look = self.now + self.scenario.look;
                self.look_at_everything()?;
            } else {
                inputs.push((None, Input::Timer));
                self.apply(inputs)?;
            }
        }
    }

    /// Goes to the next moment at which anything may happen.
    fn wait(&mut self) -> Result<(), End> {
        let settled = self.commands >= self.scenario.commands.len();
        let nudge = match self.deployment.state() {
            State::Paused { .. } | State::AwaitingApproval { .. }
                if settled && self.stored.inbox.is_empty() =>
            {
                Some((self.interfered_at + millis(2_000)).max(self.now))
            }
            _ => None,
        };
        let queued = self.deployment.state() == &State::Queued;
        let moments = [
            self.model.next_change(),
            self.deployment.next_wake(self.now),
            self.pending.iter().map(|pending| pending.due).min(),
            self.scenario.commands.get(self.commands).map(|(at, _)| *at),
            self.scenario.externals.get(self.externals).map(|(at, _, _)| *at),
            self.delayed.iter().map(|(at, _, _)| *at).min(),
            queued.then_some(self.scenario.start),
            Some(self.full_look),
            nudge,
        ];
        let next = moments.into_iter().flatten().min().unwrap_or(self.now).max(self.now);
        self.now = next;
        if nudge.is_some_and(|nudge| nudge <= next) {
            self.nudge();
        }
        let limit = self.interfered_at + self.scenario.patience();
        if next > limit {
            return Err(Fault::new(Kind::Endless, format!("not over by {limit}")).into());
        }
        Ok(())
    }

    /// Nobody wants anything more: what waits for a person is told to go on.
    fn nudge(&mut self) {
        let command = match self.deployment.state() {
            State::Paused { .. } => Command::Resume,
            _ if self.scenario.seed.is_multiple_of(3) => Command::Reject { reason: "no".into() },
            _ => Command::Approve { plan: None },
        };
        self.put(Input::Command { by: "eve".into(), command });
    }

    fn put(&mut self, input: Input) {
        self.interfered_at = self.interfered_at.max(self.now);
        self.stored.ids += 1;
        self.stored.inbox.push((self.stored.ids, input));
    }

    fn interfere(&mut self) {
        while let Some((_, input)) =
            self.scenario.commands.get(self.commands).filter(|(at, _)| *at <= self.now)
        {
            self.commands += 1;
            self.put(input.clone());
        }
        while let Some((at, change, revision)) =
            self.scenario.externals.get(self.externals).filter(|(at, _, _)| *at <= self.now)
        {
            self.externals += 1;
            self.interfered_at = self.interfered_at.max(*at);
            let app = &self.scenario.specs[*change].name;
            // One that meets another operation is not made.
            let made = self.model.external_sync(app, revision, self.now);
            self.tell(|| format!("somebody syncs {app} to {}: {made:?}", revision.short()));
        }
    }

    fn take_inbox(&mut self) -> Result<(), End> {
        while let Some((id, input)) = self.stored.inbox.first().cloned() {
            self.apply(vec![(Some(id), input)])?;
            // One that moves nothing leaves no trace.
            self.stored.inbox.retain(|(other, _)| *other != id);
        }
        Ok(())
    }

    /// What is told of changes, which is not all of them, and what arrives late.
    fn news(&mut self) -> Vec<(Option<u64>, Input)> {
        let mut inputs = Vec::new();
        let (arrived, delayed) =
            std::mem::take(&mut self.delayed).into_iter().partition(|(at, _, _)| *at <= self.now);
        self.delayed = delayed;
        let arrived: Vec<(Timestamp, usize, Option<Application>)> = arrived;
        for (_, change, application) in arrived {
            self.observed(change, application, &mut inputs);
        }
        for name in self.model.take_changed() {
            let Some(change) = position(name.as_str()) else { continue };
            for pending in &mut self.pending {
                if app_of(&pending.effect) == Some(change) {
                    pending.due = pending.due.min(self.now);
                }
            }
            if !self.is_observable(change) {
                continue;
            }
            let chaos = &self.scenario.chaos;
            if self.rng.u32(0..100) < chaos.missed {
                continue;
            }
            let application = self.read(change);
            if self.rng.u32(0..100) < chaos.late {
                self.delayed.push((self.now + millis(self.rng.u64(5..3_000)), change, application));
                continue;
            }
            if self.rng.u32(0..100) < chaos.twice {
                self.observed(change, application.clone(), &mut inputs);
            }
            self.observed(change, application, &mut inputs);
        }
        inputs
    }

    /// Takes a fact in, unless a newer one was seen.
    fn observed(
        &mut self,
        change: usize,
        application: Option<Application>,
        inputs: &mut Vec<(Option<u64>, Input)>,
    ) {
        if let Some(application) = &application {
            if application.resource_version < self.newest[change] {
                return;
            }
            self.newest[change] = application.resource_version;
        }
        inputs
            .push((None, Input::Observed { change: change as u32, application: application.map(Box::new) }));
    }

    fn read(&self, change: usize) -> Option<Application> {
        let mut application = self.model.shown(&self.scenario.specs[change].name).cloned()?;
        if self.options.mutation == Some(Mutation::LyingReconciledAt) {
            application.reconciled_at = Some(self.now + SignedDuration::from_secs(10));
            application.sync.status = SyncStatus::Synced;
            application.sync.current = true;
            application.sync.revision = application.pinned.clone();
        }
        if self.options.mutation == Some(Mutation::InvisibleOperations) {
            (application.requested, application.operation) = (None, None);
        }
        Some(application)
    }

    fn look_at_everything(&mut self) -> Result<(), End> {
        if self.rng.u32(0..100) < self.scenario.chaos.outage && !self.deployment.state().is_finished() {
            // The next look is as soon as that of the worker.
            self.full_look = self.now + millis(1_000);
            return self
                .apply(vec![(None, Input::Unreachable { reason: "no route".into() }), (None, Input::Timer)]);
        }
        let mut inputs = Vec::new();
        for change in 0..self.scenario.specs.len() {
            if self.is_observable(change) {
                let application = self.read(change);
                self.observed(change, application, &mut inputs);
            }
        }
        inputs.push((None, Input::Timer));
        self.apply(inputs)
    }

    fn is_observable(&self, change: usize) -> bool {
        self.deployment.is_watched(change as u32)
    }

    /// Steps, and saves state and effects at once.
    fn apply(&mut self, inputs: Vec<(Option<u64>, Input)>) -> Result<(), End> {
        let mut entries = Vec::new();
        let mut effects = Vec::new();
        let mut taken = Vec::new();
        for (id, input) in inputs {
            let at = match self.options.mutation {
                Some(Mutation::StoppedClock) => self.scenario.start,
                _ => self.now,
            };
            let stepped = step(&mut self.deployment, input.clone(), at);
            if self.options.mutation == Some(Mutation::SilentChange) {
                self.deployment.progress.requests[0] += 1;
            }
            self.watch.stepped(&self.before, &self.deployment, &stepped)?;
            if stepped.transitions.is_empty() {
                continue;
            }
            self.before.clone_from(&self.deployment.progress);
            if self.options.tell {
                self.tell_step(&input, &stepped.transitions);
            }
            taken.extend(id);
            effects.extend(stepped.effects);
            let seq = self.deployment.progress.version;
            entries.push(JournalEntry { seq, at, input, transitions: stepped.transitions });
        }
        if entries.is_empty() { Ok(()) } else { self.save(entries, effects, &taken) }
    }

    fn save(
        &mut self,
        mut entries: Vec<JournalEntry>,
        effects: Vec<Effect>,
        taken: &[u64],
    ) -> Result<(), End> {
        self.boundary("before it is saved")?;
        let torn = self.options.mutation == Some(Mutation::TornJournal) && self.rng.u32(0..20) == 0;
        if torn {
            entries.pop();
        }
        let stored = &mut self.stored;
        stored.older = Some(std::mem::replace(&mut stored.progress, self.deployment.progress.clone()));
        stored.journal.append(&mut entries);
        stored.inbox.retain(|(id, _)| !taken.contains(id));
        stored.outbox.retain(|(id, _)| !self.settled.contains(id));
        self.settled.clear();
        for effect in effects {
            stored.effects.push((self.now, effect.clone()));
            if effect.is_outward() {
                stored.ids += 1;
                stored.outbox.push((stored.ids, effect.clone()));
                self.pending.push(Pending { id: stored.ids, effect, due: self.now });
            }
        }
        self.boundary("after it was saved")
    }

    /// Performs what is due.
    fn perform(&mut self) -> Result<(), End> {
        let mut refused = Vec::new();
        let mut at = 0;
        while at < self.pending.len() {
            if self.pending[at].due > self.now {
                at += 1;
                continue;
            }
            let repeats = self.options.mutation == Some(Mutation::RepeatedEffects);
            let Pending { id, effect, .. } = &self.pending[at];
            let (id, effect) = (*id, effect.clone());
            if !repeats && !self.deployment.wants(&effect) {
                self.tell(|| format!("not wanted any more: {}", line(&effect)));
                self.settled.push(id);
                self.pending.remove(at);
                continue;
            }
            self.boundary("before an effect")?;
            let chaos = &self.scenario.chaos;
            let outcome = if self.rng.u32(0..100) < chaos.unavailable {
                Err(ClusterError::Unavailable("simulated".into()))
            } else if matches!(effect, Effect::Sync { .. }) && self.rng.u32(0..100) < chaos.refused {
                Err(ClusterError::Refused("simulated".into()))
            } else {
                if self.performed.contains(&id) {
                    self.repeated += 1;
                }
                self.performed.push(id);
                self.reach_out(&effect)
            };
            let outcome = match outcome {
                Ok(()) if self.rng.u32(0..100) < chaos.unanswered => {
                    Err(ClusterError::Unavailable("it was done, and the answer is lost".into()))
                }
                outcome => outcome,
            };
            self.tell(|| format!("{}: {outcome:?}", line(&effect)));
            self.boundary("after an effect")?;
            match outcome {
                Ok(()) if repeats && self.rng.bool() => {
                    self.pending[at].due = self.now + millis(self.rng.u64(1_000..60_000));
                    at += 1;
                }
                Ok(()) => {
                    self.settled.push(id);
                    self.pending.remove(at);
                }
                Err(ClusterError::Busy(_) | ClusterError::Unavailable(_)) => {
                    self.pending[at].due = self.now + millis(self.rng.u64(100..5_000));
                    at += 1;
                }
                Err(error @ (ClusterError::Missing(_) | ClusterError::Refused(_))) => {
                    self.settled.push(id);
                    self.pending.remove(at);
                    if let Effect::Sync { change, request, .. } = effect {
                        refused.push((None, Input::Refused { change, request, reason: error.to_string() }));
                    }
                }
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        self.apply(refused)?;
        self.perform()
    }

    fn reach_out(&mut self, effect: &Effect) -> Result<(), ClusterError> {
        match effect {
            Effect::Sync { change, app, request, revision, reason } => {
                let request = match self.options.mutation {
                    Some(Mutation::FreshIds) => self.fresh(request),
                    _ => request.clone(),
                };
                self.model.ensure(std::slice::from_ref(&self.scenario.specs[*change as usize]), self.now);
                let (app, revision, reason) = (app.clone(), revision.clone(), reason.clone());
                self.model.sync(&SyncRequest { app, request, revision, reason, epoch: 1 }, self.now)
            }
            Effect::Refresh { app, .. } => self.model.refresh(app, self.now),
            Effect::Terminate { app, request, .. } => self.model.terminate(app, request, self.now),
            Effect::Promote { .. }
            | Effect::AbortRollout { .. }
            | Effect::TakeOver { .. }
            | Effect::Automate { .. }
            | Effect::Remember { .. }
            | Effect::Quarantine { .. }
            | Effect::Forget { .. } => Ok(()),
            Effect::Remove { app, .. } => {
                self.model.delete(app, self.now);
                Ok(())
            }
        }
    }

    fn fresh(&mut self, request: &RequestId) -> RequestId {
        self.stored.ids += 1;
        format!("{request}.{}", self.stored.ids).parse().unwrap()
    }

    fn boundary(&mut self, place: &str) -> Result<(), End> {
        self.boundaries += 1;
        let crashes = match self.options.crash_at {
            Some(at) => self.boundaries == at,
            None => {
                self.crashes < CRASHES
                    && self.scenario.chaos.crash > 0
                    && self.rng.u32(0..1_000) < self.scenario.chaos.crash
            }
        };
        if !crashes {
            return Ok(());
        }
        self.tell(|| format!("CRASH {place}"));
        Err(End::Crash)
    }

    /// Everything but what is stored is gone, and some time.
    fn crash(&mut self) {
        self.crashes += 1;
        let longest = if self.rng.u32(0..4) == 0 { 60_000 } else { 2_000 };
        self.now += millis(self.rng.u64(1..longest));
        self.interfered_at = self.interfered_at.max(self.now);
        self.model.advance(self.now);
        self.model.take_changed();
        self.deployment.progress = match (self.options.mutation, &self.stored.older) {
            (Some(Mutation::OldState), Some(older)) => older.clone(),
            _ => self.stored.progress.clone(),
        };
        self.before.clone_from(&self.deployment.progress);
        let now = self.now;
        let outbox = self.stored.outbox.iter().cloned();
        self.pending = outbox.map(|(id, effect)| Pending { id, effect, due: now }).collect();
        self.settled.clear();
        self.newest.fill(0);
        self.delayed.clear();
        self.full_look = self.now + self.scenario.look;
        self.tell(|| "it is back".into());
    }

    fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.options.tell {
            self.story.push((self.now, text()));
        }
    }

    fn tell_step(
        &mut self,
        input: &Input,
        transitions: &[argocd_orchestrator::domain::deployment::Transition],
    ) {
        let input = match input {
            Input::Observed { change, .. } => {
                format!("observed {}", self.scenario.specs[*change as usize].name)
            }
            other => format!("{other:?}"),
        };
        for moved in transitions {
            let who = moved.service.as_deref().unwrap_or("DEPLOYMENT");
            let text = format!("  {who}: {} -> {} ({}) [{input}]", moved.from, moved.to, moved.cause);
            self.story.push((self.now, text));
        }
    }
}

fn mutate(brief: &mut Brief, mutation: Option<Mutation>) {
    match mutation {
        Some(Mutation::LostDependencies) => {
            brief.plan.order = Order::Dependencies;
            for change in &mut brief.plan.changes {
                change.requires.clear();
            }
        }
        Some(Mutation::WavesForAView) => brief.plan.order = Order::Dependencies,
        Some(Mutation::NoLimit) => brief.policy.max_in_flight = u32::MAX,
        Some(Mutation::Hasty) => {
            brief.policy.max_retries = 0;
        }
        Some(
            Mutation::LyingReconciledAt
            | Mutation::TornJournal
            | Mutation::OldState
            | Mutation::RepeatedEffects
            | Mutation::StoppedClock
            | Mutation::InvisibleOperations
            | Mutation::SilentChange
            | Mutation::FreshIds,
        )
        | None => {}
    }
}

/// A cluster in which everything with a baseline was really deployed and became healthy.
fn with_a_past(scenario: &Scenario) -> Model {
    let mut model = Model::new(scenario.before.clone());
    let plan = &scenario.brief.plan;
    let start = crate::scenario::noon() - SignedDuration::from_secs(20);
    let past = if plan.purpose == Purpose::Rollback { &['a', 'b'][..] } else { &['a'][..] };
    for (at, digit) in past.iter().enumerate() {
        let now = start + SignedDuration::from_secs(8) * i32::try_from(at).unwrap();
        for (change, spec) in plan.changes.iter().zip(&scenario.specs) {
            if change.previous.is_none() || (*digit == 'b' && change.action != Action::Sync) {
                continue;
            }
            model.ensure(std::slice::from_ref(spec), now);
            let request = SyncRequest {
                app: spec.name.clone(),
                request: format!("past.{}.{digit}", change.name()).parse().unwrap(),
                revision: revision(*digit),
                reason: String::new(),
                epoch: 1,
            };
            model.sync(&request, now).unwrap();
        }
        model.advance(now + SignedDuration::from_secs(5));
    }
    model.follow(scenario.script.clone(), crate::scenario::noon());
    model.take_changed();
    model
}

/// Which change an Application belongs to: they are numbered.
pub(crate) fn position(app: &str) -> Option<usize> {
    position_of(app.strip_prefix("c-")?)
}

/// Which change a service belongs to.
pub(crate) fn position_of(service: &str) -> Option<usize> {
    match service {
        "base" => Some(0),
        service => service.strip_prefix('s')?.parse().ok(),
    }
}

fn app_of(effect: &Effect) -> Option<usize> {
    match effect {
        Effect::Sync { change, .. } | Effect::Refresh { change, .. } | Effect::Terminate { change, .. } => {
            Some(*change as usize)
        }
        Effect::Promote { .. }
        | Effect::AbortRollout { .. }
        | Effect::TakeOver { .. }
        | Effect::Automate { .. }
        | Effect::Remember { .. }
        | Effect::Quarantine { .. }
        | Effect::Remove { .. }
        | Effect::Forget { .. } => None,
    }
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Sync { request, revision, .. } => format!("sync {request} to {}", revision.short()),
        Effect::Refresh { app, .. } => format!("refresh {app}"),
        Effect::Terminate { request, .. } => format!("terminate {request}"),
        Effect::Promote { app, .. } => format!("promote {app}"),
        Effect::AbortRollout { app, .. } => format!("abort the Rollout of {app}"),
        Effect::TakeOver { app, .. } => format!("take over {app}"),
        Effect::Automate { app, .. } => format!("automate {app}"),
        Effect::Remember { service, .. } => format!("remember {service}"),
        Effect::Quarantine { service, .. } => format!("quarantine {service}"),
        Effect::Remove { app, .. } => format!("remove {app}"),
        Effect::Forget { service } => format!("forget {service}"),
    }
}
