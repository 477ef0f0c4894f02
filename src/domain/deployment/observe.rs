//! What the facts about an Application, and the passing of time, do to one service.
//!
//! The way forward and the way back are the same run (request, operation, verdict); they differ only in where
//! a verdict or a last failure leads.

use jiff::Timestamp;

use super::service::later;
use super::{
    Attempt, Checking, Effect, Ending, Keep, Refresh, Retreat, Run, ServiceState, State, Stepper, Upkeep,
};
use crate::domain::application::{Application, HealthStatus};
use crate::domain::catalog::Strategy;
use crate::domain::gate::{self, Doubt, SyncSeen};
use crate::domain::names::{RequestId, Revision};
use crate::domain::plan::{Action, Baseline, Purpose};
use crate::domain::probe::Verdict;

/// Which way a run goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

impl Way {
    fn state(self, run: Run) -> ServiceState {
        match self {
            Self::Forward => ServiceState::Advancing(run),
            Self::Back => ServiceState::Retreating(Retreat::Running(run)),
        }
    }
}

impl Stepper<'_> {
    /// Takes in what was read of a change's Application.
    pub(super) fn observe(&mut self, change: usize, app: Option<&Application>) {
        let Some(state) = self.progress.services.get(change).cloned() else { return };
        if !self.progress.state.is_active() {
            return;
        }
        match state {
            ServiceState::Advancing(run) => self.observe_run(change, Way::Forward, run, app),
            ServiceState::Retreating(Retreat::Running(run)) => self.observe_run(change, Way::Back, run, app),
            ServiceState::Retreating(Retreat::Stopping { request, seen, deadline }) => {
                let progress =
                    app.map(|app| gate::progress(app, &request, &self.brief.plan.revision, seen.is_ours()));
                match progress {
                    Some(gate::Progress::Open(now)) if now.is_ours() => {
                        let cause = now.to_string();
                        self.stop_again(change, &request, &seen, &now);
                        let stopping = Retreat::Stopping { request, seen: now, deadline };
                        self.set(change, ServiceState::Retreating(stopping), cause);
                    }
                    Some(_) | None => self.retreat(change, "its sync has stopped"),
                }
            }
            ServiceState::Checking(checking) => self.observe_check(change, checking, app),
            ServiceState::Healthy { .. } | ServiceState::Unhealthy { .. } => self.observe_after(change, app),
            ServiceState::Waiting { .. }
            | ServiceState::Failed { .. }
            | ServiceState::Skipped { .. }
            | ServiceState::Retreating(Retreat::Waiting { .. })
            | ServiceState::RolledBack { .. }
            | ServiceState::RollbackFailed { .. }
            | ServiceState::Kept { .. } => {}
        }
    }

    fn observe_run(&mut self, change: usize, way: Way, run: Run, app: Option<&Application>) {
        let Some(app) = app else {
            // Whoever performs the request makes the Application first, and tells when that cannot be done.
            let is_new = matches!(&run, Run::Syncing { seen, .. } if !seen.is_ours())
                && !self.progress.state.is_aborting();
            if let Some(attempt) = run.attempt().filter(|_| !is_new) {
                self.attempt_failed(change, way, attempt.number, Doubt::Missing.to_string());
            }
            return;
        };
        match run {
            Run::Syncing { attempt, seen } => {
                let aborting = self.progress.state.is_aborting();
                match gate::progress(app, &attempt.request, &attempt.revision, seen.is_ours()) {
                    gate::Progress::Open(now) if !aborting || now.is_ours() => {
                        let cause = now.to_string();
                        let mut attempt = attempt;
                        if now == SyncSeen::WindowClosed {
                            // A closed window is no failure, however long it takes.
                            attempt.deadline = self.after(self.brief.policy.health_timeout);
                        }
                        if aborting {
                            self.stop_again(change, &attempt.request, &seen, &now);
                        }
                        self.set(change, way.state(Run::Syncing { attempt, seen: now }), cause);
                    }
                    // Nothing of ours is there (any more), and nothing more is to come.
                    gate::Progress::Open(_) | gate::Progress::Succeeded { .. } | gate::Progress::Lost
                        if aborting =>
                    {
                        let kept = ServiceState::Kept { at: self.now, reason: Keep::NoVerdict };
                        self.set(change, kept, "its sync has stopped");
                    }
                    gate::Progress::Open(_) => {}
                    gate::Progress::Succeeded { finished_at } => {
                        // Argo CD's clock may run ahead of ours; a refresh must come after both.
                        let from = self.now.max(finished_at);
                        let refresh = Refresh::after(from, self.brief.policy.refresh_pause);
                        let (healthy_since, degraded_since) = (None, None);
                        let doubt = Doubt::Unread;
                        let run = Run::Verifying {
                            attempt,
                            finished_at,
                            refresh,
                            healthy_since,
                            degraded_since,
                            doubt,
                        };
                        self.set(change, way.state(run.clone()), "its sync succeeded");
                        self.observe_run(change, way, run, Some(app));
                    }
                    gate::Progress::Failed { reason } => {
                        self.attempt_failed(change, way, attempt.number, reason);
                    }
                    gate::Progress::Lost => {
                        let cause = "its operation was overtaken by another one and is requested again";
                        let Attempt { number, revision, deadline, .. } = attempt;
                        self.request(change, way == Way::Back, number, revision, Some(deadline), cause);
                    }
                }
            }
            Run::Verifying {
                attempt,
                finished_at,
                refresh,
                healthy_since,
                degraded_since,
                doubt: before,
            } => {
                let verdict = gate::verdict(app, &attempt.revision, finished_at);
                let (healthy_since, degraded_since, doubt) = match verdict {
                    Ok(()) => (Some(healthy_since.unwrap_or(self.now)), None, Doubt::Stabilising),
                    Err(doubt @ Doubt::Health { status: HealthStatus::Degraded }) => {
                        (None, Some(degraded_since.unwrap_or(self.now)), doubt)
                    }
                    Err(doubt) => (None, None, doubt),
                };
                let mut refresh = refresh;
                if doubt.is_suspended() && !before.is_suspended() && self.promote(change) {
                    // Its controller may not have come to the pause yet; then it is asked again.
                    refresh = Refresh::after(self.now, self.brief.policy.refresh_pause);
                }
                let cause = doubt.to_string();
                let run =
                    Run::Verifying { attempt, finished_at, refresh, healthy_since, degraded_since, doubt };
                self.set(change, way.state(run), cause);
            }
            Run::Retrying { .. } => {}
        }
    }

    /// Ends the pause of a Rollout, where the policy says so. Whether it did.
    fn promote(&mut self, change: usize) -> bool {
        let planned = &self.changes()[change];
        let promotes = match planned.strategy {
            Strategy::RollingUpdate => false,
            Strategy::BlueGreen => self.brief.policy.promotion.blue_green,
            Strategy::Canary => self.brief.policy.promotion.canary,
        };
        if promotes {
            self.emit(Effect::Promote { change: change as u32, app: planned.app.clone() });
        }
        promotes
    }

    /// Argo CD cannot stop an operation before it has picked it up, so it is asked again as it moves on.
    fn stop_again(&mut self, change: usize, request: &RequestId, before: &SyncSeen, now: &SyncSeen) {
        if before != now && *now != SyncSeen::Terminating {
            self.terminate(change, request.clone());
        }
    }

    fn observe_check(&mut self, change: usize, checking: Checking, app: Option<&Application>) {
        let planned = &self.changes()[change];
        let expected = planned.previous.as_ref().map(|previous| &previous.revision);
        let verdict = match app {
            Some(app) => gate::untouched(app, expected, checking.asked_at),
            None => Err(Doubt::Missing),
        };
        match verdict {
            Ok(()) => {
                let healthy = ServiceState::Healthy { since: self.now };
                self.set(change, healthy, "unchanged and healthy");
            }
            Err(doubt) => {
                let cause = doubt.to_string();
                self.set(change, ServiceState::Checking(Checking { doubt, ..checking }), cause);
            }
        }
    }

    /// After the verdict only health counts: who syncs what is not this deployment's business any more.
    fn observe_after(&mut self, change: usize, app: Option<&Application>) {
        match self.progress.state {
            State::Running | State::Paused { .. } => {}
            State::Queued
            | State::AwaitingApproval { .. }
            | State::Stopping { .. }
            | State::RollingBack { .. }
            | State::Succeeded { .. }
            | State::Failed { .. }
            | State::Rejected { .. }
            | State::Aborted { .. }
            | State::Superseded { .. } => return,
        }
        let health = app.map_or(HealthStatus::Missing, |app| app.health.status);
        let said = app.and_then(|app| app.check.as_ref());
        // Its own check adds to what Argo CD finds wrong nothing that matters. No verdict of it is no loss; yet what
        // was lost to it comes back with a verdict only.
        let failing = match said {
            Some(Verdict::Failing { reason }) if health == HealthStatus::Healthy => Some(reason.clone()),
            Some(Verdict::Failing { .. } | Verdict::Passing | Verdict::Unknown { .. }) | None => None,
        };
        let unknown = matches!(said, Some(Verdict::Unknown { .. }));
        let fine = health == HealthStatus::Healthy && failing.is_none();
        let mut before = None;
        if let ServiceState::Unhealthy { since, deadline, check, .. } = &self.progress.services[change] {
            before = Some((*since, *deadline, check.is_some()));
        }
        match before {
            Some((_, _, true)) if fine && unknown => {}
            Some(_) if fine => {
                self.set(change, ServiceState::Healthy { since: self.now }, "healthy again");
            }
            Some((since, deadline, _)) => {
                let cause = match &failing {
                    Some(reason) => format!("its health check fails: {reason}"),
                    None => format!("it is {health}"),
                };
                let state = ServiceState::Unhealthy { since, deadline, health, check: failing };
                self.set(change, state, cause);
            }
            None if fine => {}
            None => {
                let cause = match &failing {
                    Some(reason) => format!("its health check fails after its verdict: {reason}"),
                    None => format!("it turned {health} after its verdict"),
                };
                let deadline = self.after(self.brief.policy.health_timeout);
                let state = ServiceState::Unhealthy { since: self.now, deadline, health, check: failing };
                self.set(change, state, cause);
            }
        }
    }

    /// What ran out while nobody looked gets its time again, and what was seen before says nothing about now: it
    /// may be well by now, or was never asked for.
    pub(super) fn resumed(&mut self) {
        let now = self.now;
        let again = self.after(self.brief.policy.health_timeout);
        self.resume_removals();
        for change in 0..self.progress.services.len() {
            let mut state = self.progress.services[change].clone();
            let deadline = match &mut state {
                ServiceState::Advancing(run) | ServiceState::Retreating(Retreat::Running(run)) => match run {
                    Run::Syncing { attempt, .. } => &mut attempt.deadline,
                    Run::Verifying { attempt, healthy_since, degraded_since, doubt, .. } => {
                        (*healthy_since, *degraded_since, *doubt) = (None, None, Doubt::Unread);
                        &mut attempt.deadline
                    }
                    Run::Retrying { .. } => continue,
                },
                ServiceState::Checking(Checking { deadline, .. })
                | ServiceState::Unhealthy { deadline, .. }
                | ServiceState::Retreating(Retreat::Stopping { deadline, .. }) => deadline,
                ServiceState::Waiting { .. }
                | ServiceState::Healthy { .. }
                | ServiceState::Failed { .. }
                | ServiceState::Skipped { .. }
                | ServiceState::Retreating(Retreat::Waiting { .. })
                | ServiceState::RolledBack { .. }
                | ServiceState::RollbackFailed { .. }
                | ServiceState::Kept { .. } => continue,
            };
            if *deadline <= now {
                *deadline = again;
            }
            self.set(change, state, "nobody looked for a while");
        }
    }

    /// Does what is due: verdicts that held, refreshes, timeouts.
    pub(super) fn expire(&mut self) {
        if self.progress.outage.is_some() {
            return; // What nobody can see cannot be late.
        }
        self.expire_removals();
        for change in 0..self.progress.services.len() {
            match self.progress.services[change].clone() {
                ServiceState::Advancing(run) => self.expire_run(change, Way::Forward, run),
                ServiceState::Retreating(Retreat::Running(run)) => self.expire_run(change, Way::Back, run),
                ServiceState::Retreating(Retreat::Stopping { deadline, .. }) if deadline <= self.now => {
                    self.retreat(change, "its sync did not stop in time");
                }
                ServiceState::Checking(checking) => self.expire_check(change, checking),
                // Where nothing waits for it any more, nobody looks whether it recovered either.
                ServiceState::Unhealthy { deadline, health, check, .. }
                    if deadline <= self.now
                        && matches!(self.progress.state, State::Running | State::Paused { .. }) =>
                {
                    let lost = "after its verdict and did not recover in time";
                    let reason = match check {
                        Some(reason) => format!("its health check failed {lost}: {reason}"),
                        None => format!("it turned {health} {lost}"),
                    };
                    self.fail(change, reason);
                }
                ServiceState::Waiting { .. }
                | ServiceState::Healthy { .. }
                | ServiceState::Unhealthy { .. }
                | ServiceState::Failed { .. }
                | ServiceState::Skipped { .. }
                | ServiceState::Retreating(_)
                | ServiceState::RolledBack { .. }
                | ServiceState::RollbackFailed { .. }
                | ServiceState::Kept { .. } => {}
            }
        }
    }

    fn expire_run(&mut self, change: usize, way: Way, run: Run) {
        let policy = &self.brief.policy;
        let now = self.now;
        match run {
            Run::Syncing { attempt, seen } if attempt.deadline <= now => {
                self.terminate(change, attempt.request);
                self.attempt_failed(change, way, attempt.number, format!("not synced in time: {seen}"));
            }
            Run::Verifying { healthy_since: Some(since), attempt, .. }
                if later(since, policy.stabilisation) <= now =>
            {
                self.healthy(change, way, attempt.revision);
            }
            Run::Verifying { degraded_since: Some(since), attempt, .. }
                if later(since, policy.degraded_grace) <= now =>
            {
                let reason = "it stayed Degraded after its sync".to_owned();
                self.attempt_failed(change, way, attempt.number, reason);
            }
            Run::Verifying { attempt, doubt, .. } if attempt.deadline <= now => {
                let reason = format!("not healthy in time: {doubt}");
                self.attempt_failed(change, way, attempt.number, reason);
            }
            Run::Verifying { attempt, finished_at, mut refresh, healthy_since, degraded_since, doubt }
                if refresh.due <= now && doubt.wants_refresh() =>
            {
                refresh.ask(now, policy.refresh_pause);
                let paused = doubt.is_suspended();
                let run =
                    Run::Verifying { attempt, finished_at, refresh, healthy_since, degraded_since, doubt };
                if paused && self.promote(change) {
                    self.set(change, way.state(run), "its pause is to end");
                } else {
                    self.set(change, way.state(run), "a fresh comparison is asked for");
                    self.refresh(change);
                }
            }
            Run::Syncing { .. } | Run::Verifying { .. } | Run::Retrying { .. } => {}
        }
    }

    fn expire_check(&mut self, change: usize, mut checking: Checking) {
        if checking.deadline <= self.now {
            self.fail(change, format!("not touched by this deployment, and not healthy: {}", checking.doubt));
        } else if checking.refresh.due <= self.now && checking.doubt.wants_refresh() {
            checking.refresh.ask(self.now, self.brief.policy.refresh_pause);
            self.set(change, ServiceState::Checking(checking), "a fresh comparison is asked for again");
            self.refresh(change);
        }
    }

    /// The cluster said that it never will.
    pub(super) fn refused(&mut self, change: usize, request: &RequestId, reason: &str) {
        let Some(state) = self.progress.services.get(change) else { return };
        let Some(run) = state.run() else { return };
        let way = if state.retreat().is_some() { Way::Back } else { Way::Forward };
        if let Some(attempt) = run.attempt().filter(|attempt| &attempt.request == request) {
            let number = attempt.number;
            self.attempt_failed(change, way, number, format!("refused: {reason}"));
        }
    }

    /// Requests a sync, as a new attempt or again for one that was overtaken.
    pub(super) fn request(
        &mut self,
        change: usize,
        back: bool,
        number: u32,
        revision: Revision,
        deadline: Option<Timestamp>,
        cause: &str,
    ) {
        let planned = &self.changes()[change];
        let way = if back { Way::Back } else { Way::Forward };
        let count = self.progress.requests[change].saturating_add(1);
        let request = match format!("{}.{}.{count}", self.brief.id, planned.name()).parse::<RequestId>() {
            Ok(request) => request,
            // Made of checked names; only a very long id of a deployment does not fit, and no attempt would.
            Err(error) => return self.attempt_failed(change, way, u32::MAX, error.to_string()),
        };
        self.progress.requests[change] = count;
        let deadline = deadline.unwrap_or_else(|| self.after(self.brief.policy.health_timeout));
        let attempt = Attempt {
            request: request.clone(),
            number,
            revision: revision.clone(),
            requested_at: self.now,
            deadline,
        };
        self.set(change, way.state(Run::Syncing { attempt, seen: SyncSeen::Nothing }), cause);
        let verb = if back { "rolled back" } else { "deployed" };
        let reason = format!("{verb} by {} for {}", self.brief.id, self.brief.requested_by);
        let app = planned.app.clone();
        self.emit(Effect::Sync { change: change as u32, app, request, revision, reason });
    }

    fn attempt_failed(&mut self, change: usize, way: Way, number: u32, reason: String) {
        let attempts = self.attempts(change);
        if let State::Stopping { towards, .. } = &self.progress.state {
            // No further attempt comes; what was not tried to its end proves nothing against it.
            if number < attempts || matches!(towards, Ending::Aborted { .. }) {
                self.set(change, ServiceState::Kept { at: self.now, reason: Keep::NoVerdict }, reason);
                return;
            }
        } else if number < attempts {
            let at = self.after(self.brief.policy.retry_delay);
            let run = Run::Retrying { failed: number, at, reason: reason.clone() };
            self.set(change, way.state(run), reason);
            return;
        }
        let reason = if number > 1 { format!("{reason} (attempt {number} of {number})") } else { reason };
        match way {
            Way::Forward => self.fail(change, reason),
            Way::Back => {
                let state = ServiceState::RollbackFailed { at: self.now, reason: reason.clone() };
                self.set(change, state, reason);
            }
        }
    }

    /// How often a service may be tried: until its threshold, its own values winning, and no more often than
    /// the configured retries allow.
    fn attempts(&self, change: usize) -> u32 {
        let policy = &self.brief.policy;
        let own = self.changes()[change].rollback.failure_threshold;
        own.unwrap_or(policy.rollback_threshold).min(policy.max_retries.saturating_add(1)).max(1)
    }

    fn fail(&mut self, change: usize, reason: String) {
        let planned = &self.changes()[change];
        self.set(change, ServiceState::Failed { at: self.now, reason: reason.clone() }, reason.clone());
        if planned.action == Action::Sync {
            let fingerprint = planned.rendering.fingerprint().to_string();
            self.emit(Effect::Quarantine { service: planned.name().into(), fingerprint, reason });
        }
    }

    fn healthy(&mut self, change: usize, way: Way, revision: Revision) {
        let planned = &self.changes()[change];
        let rendering = match (way, &planned.previous) {
            (Way::Back, Some(previous)) => previous.rendering.clone(),
            (Way::Back, None) | (Way::Forward, _) => planned.rendering.clone(),
        };
        let health_check = match way {
            Way::Forward => planned.health_check.clone(),
            Way::Back => planned.previous.as_ref().and_then(|previous| previous.health_check.clone()),
        };
        let baseline = Baseline { revision: revision.clone(), rendering, healthy_at: self.now, health_check };
        let (service, keep) = (planned.name().to_owned(), planned.rollback.max_versions);
        match way {
            Way::Forward => {
                self.set(change, ServiceState::Healthy { since: self.now }, "healthy at the target revision");
            }
            Way::Back => {
                let state = ServiceState::RolledBack { at: self.now, to: revision };
                self.set(change, state, "healthy at its earlier revision");
            }
        }
        self.emit(Effect::Remember { service: service.clone(), baseline, keep });
        let keeps = match self.brief.policy.upkeep {
            Upkeep::Never => false,
            Upkeep::Forward => way == Way::Forward,
            Upkeep::Always => true,
        };
        if keeps {
            self.emit(Effect::Automate { change: change as u32, app: planned.app.clone() });
        }
        if self.brief.plan.purpose == Purpose::Rollback {
            // What a person took back must not return with the next push that happens to pass by.
            let fingerprint = planned.rendering.fingerprint().to_string();
            let reason = format!("taken back by {}", self.brief.requested_by);
            self.emit(Effect::Quarantine { service, fingerprint, reason });
        }
    }
}
