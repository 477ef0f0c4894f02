//! What each input does, and the few ways in which the state may be changed at all.

use jiff::{SignedDuration, Timestamp};

use super::service::later;
use super::{
    Brief, Checking, Command, Effect, Ending, Input, Keep, Outage, Progress, Refresh, Retreat, Run,
    ServiceState, Skip, State, Step, Transition, Upkeep,
};
use crate::domain::gate::Doubt;
use crate::domain::plan::{Action, Change, Purpose};

/// One step in the making: the deployment, the time, and what has come of it so far.
pub(super) struct Stepper<'a> {
    pub(super) brief: &'a Brief,
    pub(super) progress: &'a mut Progress,
    pub(super) now: Timestamp,
    step: Step,
}

impl<'a> Stepper<'a> {
    pub(super) fn new(brief: &'a Brief, progress: &'a mut Progress, now: Timestamp) -> Self {
        Self { brief, progress, now, step: Step::default() }
    }

    /// Takes the input, then lets time and readiness do the rest. What was seen is only taken in.
    pub(super) fn run(mut self, input: Input) -> Step {
        if self.progress.state.is_finished() {
            return self.step;
        }
        let mut decides = true;
        match input {
            Input::Start => self.start(),
            Input::Observed { change, application } => {
                self.reached();
                match (change as usize).checked_sub(self.changes().len()) {
                    None => self.observe(change as usize, application.as_deref()),
                    Some(removal) => self.observe_removal(removal, application.is_some()),
                }
                decides = false;
            }
            Input::Unreachable { reason } => self.unreachable(reason),
            Input::Timer => {}
            Input::Resumed => {
                self.resumed();
                decides = false;
            }
            Input::Refused { change, request, reason } => self.refused(change as usize, &request, &reason),
            Input::NotRemoved { removal, reason } => self.leave(removal as usize, &reason),
            Input::Superseded { by } => self.superseded(by),
            Input::Command { by, command } => self.command(by, command),
        }
        if decides && self.progress.state.is_active() {
            self.expire();
            self.advance();
        }
        if !self.step.transitions.is_empty() {
            self.progress.version += 1;
        }
        self.step
    }

    pub(super) fn changes(&self) -> &'a [Change] {
        &self.brief.plan.changes
    }

    pub(super) fn after(&self, pause: SignedDuration) -> Timestamp {
        later(self.now, pause)
    }

    /// The only way to change the deployment's state.
    pub(super) fn turn(&mut self, state: State, cause: impl Into<String>) {
        if self.progress.state == state {
            return;
        }
        self.step.transitions.push(Transition {
            service: None,
            from: self.progress.state.word().into(),
            to: state.word().into(),
            cause: cause.into(),
        });
        self.progress.state = state;
    }

    /// The only way to change a service's state.
    pub(super) fn set(&mut self, change: usize, state: ServiceState, cause: impl Into<String>) {
        if self.progress.services[change] == state {
            return;
        }
        self.step.transitions.push(Transition {
            service: Some(self.changes()[change].name().into()),
            from: self.progress.services[change].word().into(),
            to: state.word().into(),
            cause: cause.into(),
        });
        self.progress.services[change] = state;
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    pub(super) fn refresh(&mut self, change: usize) {
        let app = self.changes()[change].app.clone();
        self.emit(Effect::Refresh { change: change as u32, app });
    }

    pub(super) fn terminate(&mut self, change: usize, request: crate::domain::names::RequestId) {
        let app = self.changes()[change].app.clone();
        self.emit(Effect::Terminate { change: change as u32, app, request });
    }

    /// The cluster does not answer: what waits for it waits on.
    fn unreachable(&mut self, reason: String) {
        if self.progress.outage.is_none() && self.progress.state.is_active() {
            self.say(format!("the cluster does not answer: {reason}"));
            self.progress.outage = Some(Outage { since: self.now, reason });
        }
    }

    /// The cluster answers again: what ran out meanwhile gets its time again.
    fn reached(&mut self) {
        if self.progress.outage.take().is_some() {
            self.say("the cluster answers again".to_owned());
            self.resumed();
        }
    }

    /// Journals what moves outside of the plan's changes.
    pub(super) fn tell(&mut self, service: &str, from: &str, to: &str, cause: &str) {
        let [service, from, to, cause] = [service, from, to, cause].map(str::to_owned);
        self.step.transitions.push(Transition { service: Some(service), from, to, cause });
    }

    /// Journals something that moves neither the deployment nor a service.
    fn say(&mut self, cause: String) {
        let word = self.progress.state.word().to_owned();
        self.step.transitions.push(Transition { service: None, from: word.clone(), to: word, cause });
    }

    fn start(&mut self) {
        if self.progress.state != State::Queued {
            return;
        }
        if self.brief.policy.needs_approval {
            self.turn(State::AwaitingApproval { since: self.now }, "this environment wants an approval");
        } else {
            self.begin("its turn has come");
        }
    }

    fn begin(&mut self, cause: &str) {
        self.progress.started_at = Some(self.now);
        if self.brief.plan.purpose == Purpose::Rollback {
            self.begin_rollback(format!("asked for by {}", self.brief.requested_by));
            return;
        }
        self.turn(State::Running, cause);
        let eager = self.eager_checks();
        for (change, eager) in eager.into_iter().enumerate() {
            match &self.changes()[change].action {
                Action::Leave => {
                    let skipped = ServiceState::Skipped { at: self.now, reason: Skip::Untouched };
                    self.set(change, skipped, "nothing of it changed");
                }
                Action::Hold { reason } if !self.is_to_be_seen(change) => {
                    let why = Skip::Quarantined { reason: reason.clone() };
                    let cause = why.to_string();
                    self.set(change, ServiceState::Skipped { at: self.now, reason: why }, cause);
                }
                Action::Gate | Action::Hold { .. } if eager => self.check(change),
                Action::Sync | Action::Gate | Action::Hold { .. } => {
                    self.set(change, ServiceState::Waiting { since: self.now }, "its turn has not come");
                }
            }
        }
        self.take_over();
    }

    /// What follows a branch has seen the commit that is deployed, or will while it waits for its turn.
    fn take_over(&mut self) {
        if self.brief.policy.upkeep != Upkeep::Forward {
            return;
        }
        for (change, planned) in self.changes().iter().enumerate() {
            if planned.action == Action::Sync {
                self.emit(Effect::TakeOver { change: change as u32, app: planned.app.clone() });
            }
        }
    }

    /// Asks for a fresh comparison of a service that is not touched.
    pub(super) fn check(&mut self, change: usize) {
        let policy = &self.brief.policy;
        let checking = Checking {
            asked_at: self.now,
            deadline: self.after(policy.health_timeout),
            refresh: Refresh::after(self.now, policy.refresh_pause),
            doubt: Doubt::Unread,
        };
        self.set(change, ServiceState::Checking(checking), "others wait for it");
        self.refresh(change);
    }

    fn superseded(&mut self, by: crate::domain::names::DeploymentId) {
        let cause = "a newer commit has arrived";
        match self.progress.state {
            State::Queued | State::AwaitingApproval { .. } => {
                self.turn(State::Superseded { at: self.now, by }, cause);
            }
            State::Running | State::Paused { .. } => {
                let towards = Ending::Superseded { by };
                self.turn(State::Stopping { since: self.now, towards }, cause);
            }
            // A rollback finishes first, and what is stopping ends anyway.
            State::RollingBack { .. } | State::Stopping { .. } => {}
            State::Succeeded { .. }
            | State::Failed { .. }
            | State::Rejected { .. }
            | State::Aborted { .. }
            | State::Superseded { .. } => {}
        }
    }

    fn command(&mut self, by: String, command: Command) {
        if self.brief.accepts(self.progress, &command).is_err() {
            return;
        }
        match command {
            Command::Approve { .. } => self.begin(&format!("approved by {by}")),
            Command::Reject { reason } => {
                let cause = format!("refused by {by}: {reason}");
                let state = State::Rejected { at: self.now, reason: cause.clone(), diagnostics: Vec::new() };
                self.turn(state, cause);
            }
            Command::Pause => {
                let cause = format!("paused by {by}");
                self.turn(State::Paused { since: self.now, by }, cause);
            }
            Command::Resume => self.turn(State::Running, format!("resumed by {by}")),
            Command::Abort { reason } => self.abort(by, reason),
            Command::Retry { service } => self.retry(&by, service.as_deref()),
            Command::Skip { service } => self.skip(by, &service),
            Command::Rollback { reason } => self.begin_rollback(format!("asked for by {by}: {reason}")),
        }
    }

    fn abort(&mut self, by: String, reason: String) {
        let cause = format!("aborted by {by}: {reason}");
        if !self.progress.state.is_active() {
            self.turn(State::Aborted { at: self.now, by, reason }, cause);
            return;
        }
        for change in 0..self.changes().len() {
            let Some(run) = self.progress.services[change].run() else { continue };
            match run {
                // Its operation is stopped, and waited for: nothing of ours is to run on afterwards.
                Run::Syncing { attempt, .. } => {
                    let request = attempt.request.clone();
                    self.terminate(change, request);
                }
                Run::Verifying { .. } | Run::Retrying { .. } => {
                    let kept = ServiceState::Kept { at: self.now, reason: Keep::NoVerdict };
                    self.set(change, kept, cause.clone());
                }
            }
        }
        self.turn(State::Stopping { since: self.now, towards: Ending::Aborted { by, reason } }, cause);
    }

    fn retry(&mut self, by: &str, service: Option<&str>) {
        let cause = format!("tried again by {by}");
        for change in 0..self.changes().len() {
            let wanted = service.is_none_or(|name| name == self.changes()[change].name());
            if wanted && self.progress.services[change].can_be_retried() {
                self.set(change, ServiceState::Waiting { since: self.now }, cause.clone());
            }
        }
        self.unblock(&cause);
    }

    /// Whether what was blocked can go on now is decided again.
    fn unblock(&mut self, cause: &str) {
        for change in 0..self.changes().len() {
            if let ServiceState::Skipped { reason: Skip::Blocked { .. }, .. } = self.progress.services[change]
            {
                self.set(change, ServiceState::Waiting { since: self.now }, cause);
            }
        }
    }

    fn skip(&mut self, by: String, service: &str) {
        let position = self.changes().iter().position(|change| change.name() == service);
        let Some(change) = position else { return };
        if let ServiceState::Advancing(Run::Syncing { attempt, .. }) = &self.progress.services[change] {
            let request = attempt.request.clone();
            self.terminate(change, request);
        }
        let reason = Skip::Person { by };
        let cause = reason.to_string();
        self.set(change, ServiceState::Skipped { at: self.now, reason }, cause.clone());
        self.unblock(&cause);
    }

    /// Ends a deployment that is stopping: what has no verdict by now gets none.
    pub(super) fn wind_up(&mut self, towards: Ending) {
        for change in 0..self.changes().len() {
            let cause = "the deployment ended";
            match &self.progress.services[change] {
                ServiceState::Advancing(_) | ServiceState::Retreating(_) => {
                    self.set(change, ServiceState::Kept { at: self.now, reason: Keep::NoVerdict }, cause);
                }
                ServiceState::Waiting { .. } | ServiceState::Checking(_) => {
                    self.set(change, ServiceState::Skipped { at: self.now, reason: Skip::Ended }, cause);
                }
                ServiceState::Healthy { .. }
                | ServiceState::Unhealthy { .. }
                | ServiceState::Failed { .. }
                | ServiceState::Skipped { .. }
                | ServiceState::RolledBack { .. }
                | ServiceState::RollbackFailed { .. }
                | ServiceState::Kept { .. } => {}
            }
        }
        for removal in 0..self.progress.removals.len() {
            self.leave(removal, "the deployment ended before it was gone");
        }
        let (at, cause) = (self.now, towards.to_string());
        let state = match towards {
            Ending::Superseded { by } => State::Superseded { at, by },
            Ending::Aborted { by, reason } => State::Aborted { at, by, reason },
            Ending::Failed { reason } => State::Failed { at, reason },
        };
        self.turn(state, cause);
    }

    /// Whether anything of the given direction is on its way to a verdict.
    pub(super) fn in_flight(&self) -> usize {
        self.progress.services.iter().filter(|state| state.in_flight()).count()
    }

    /// The way back of a change that was advanced, or why it has none.
    pub(super) fn way_back(&self, change: usize) -> Result<Retreat, Keep> {
        let planned = &self.changes()[change];
        if !planned.rollback.enabled {
            Err(Keep::RollbackDisabled)
        } else if planned.previous.is_none() {
            Err(Keep::NoEarlierRevision)
        } else {
            Ok(Retreat::Waiting { since: self.now })
        }
    }
}
