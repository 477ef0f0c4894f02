//! The way back: what this deployment advanced is taken back, dependants first, each gated like the way there.

use super::forward::rank;
use super::service::later;
use super::{Effect, Retreat, Run, ServiceState, Skip, State, Stepper};
use crate::domain::catalog::{Order, Strategy};
use crate::domain::plan::{Action, Purpose};

impl Stepper<'_> {
    /// Turns around. Nothing that was not advanced is touched.
    pub(super) fn begin_rollback(&mut self, cause: String) {
        self.turn(State::RollingBack { since: self.now, cause: cause.clone() }, cause);
        for change in 0..self.changes().len() {
            if self.is_to_be_taken_back(change) {
                self.turn_back(change);
            } else if !self.progress.services[change].is_settled() {
                let untouched = self.changes()[change].action == Action::Leave;
                let reason = if untouched { Skip::Untouched } else { Skip::Ended };
                let cause = reason.to_string();
                self.set(change, ServiceState::Skipped { at: self.now, reason }, cause);
            }
        }
    }

    fn is_to_be_taken_back(&self, change: usize) -> bool {
        match self.brief.plan.purpose {
            Purpose::Rollback => self.changes()[change].action == Action::Sync,
            Purpose::Deploy | Purpose::Check => self.progress.requests[change] > 0,
        }
    }

    fn turn_back(&mut self, change: usize) {
        let under_way = match &self.progress.services[change] {
            ServiceState::Advancing(_) | ServiceState::Failed { .. } => true,
            ServiceState::Waiting { .. }
            | ServiceState::Checking(_)
            | ServiceState::Healthy { .. }
            | ServiceState::Unhealthy { .. }
            | ServiceState::Skipped { .. }
            | ServiceState::Retreating(_)
            | ServiceState::RolledBack { .. }
            | ServiceState::RollbackFailed { .. }
            | ServiceState::Kept { .. } => false,
        };
        // Its traffic goes back at once, before its turn to be synced back comes.
        let planned = &self.changes()[change];
        if under_way && planned.strategy != Strategy::RollingUpdate && self.way_back(change).is_ok() {
            self.emit(Effect::AbortRollout { change: change as u32, app: planned.app.clone() });
        }
        let running = match self.progress.services[change].run() {
            Some(Run::Syncing { attempt, seen }) => Some((attempt.request.clone(), seen.clone())),
            Some(Run::Verifying { .. } | Run::Retrying { .. }) | None => None,
        };
        match running {
            // Also where there is no way back: a sync that a window holds back would otherwise start when all
            // that it depends on is long gone.
            Some((request, seen)) => {
                let deadline = later(self.now, self.brief.policy.health_timeout);
                self.terminate(change, request.clone());
                let stopping = Retreat::Stopping { request, seen, deadline };
                self.set(change, ServiceState::Retreating(stopping), "its sync is stopped first");
            }
            None => self.retreat(change, "its dependants go back first"),
        }
    }

    /// Nothing of its way forward runs any more: it goes back as soon as its dependants are, or is kept.
    pub(super) fn retreat(&mut self, change: usize, cause: &str) {
        match self.way_back(change) {
            Ok(retreat) => self.set(change, ServiceState::Retreating(retreat), cause),
            Err(reason) => {
                let cause = reason.to_string();
                self.set(change, ServiceState::Kept { at: self.now, reason }, cause);
            }
        }
    }

    /// Starts the way back of those whose dependants are all back, and ends when nothing is left.
    pub(super) fn advance_rollback(&mut self, cause: &str) {
        let ready = self.ready_to_retreat();
        let mut slots = (self.brief.policy.max_in_flight.max(1) as usize).saturating_sub(self.in_flight());
        for (change, attempt) in ready {
            if slots == 0 {
                break;
            }
            let Some(previous) = &self.changes()[change].previous else { continue };
            slots -= 1;
            self.request(
                change,
                true,
                attempt,
                previous.revision.clone(),
                None,
                "all its dependants are back",
            );
        }
        let open = |state: &ServiceState| matches!(state, ServiceState::Retreating(_));
        if !self.progress.services.iter().any(open) {
            self.end_rollback(cause);
        }
    }

    /// Those whose turn it is, with the number of their attempt. One pass from the plan's end to its start: a
    /// change comes after all that it requires, so its dependants have been looked at before it.
    fn ready_to_retreat(&self) -> Vec<(usize, u32)> {
        let changes = self.changes();
        let mut held = vec![false; changes.len()];
        let highest = changes
            .iter()
            .zip(&self.progress.services)
            .filter(|(_, state)| matches!(state, ServiceState::Retreating(_)))
            .map(|(change, _)| rank(change))
            .max();
        let mut ready = Vec::new();
        for (position, change) in changes.iter().enumerate().rev() {
            let retreating = self.progress.services[position].retreat();
            let later_wave =
                self.brief.plan.order == Order::Waves && highest.is_some_and(|top| rank(change) < top);
            if let (Some(retreat), false, false) = (retreating, held[position], later_wave) {
                match retreat {
                    Retreat::Waiting { .. } => ready.push((position, 1)),
                    Retreat::Running(Run::Retrying { failed, at, .. }) if *at <= self.now => {
                        ready.push((position, failed + 1));
                    }
                    Retreat::Running(_) | Retreat::Stopping { .. } => {}
                }
            }
            if retreating.is_some() || held[position] {
                for &required in &change.requires {
                    held[required as usize] = true;
                }
            }
        }
        ready
    }

    fn end_rollback(&mut self, cause: &str) {
        let failed: Vec<&str> = self
            .changes()
            .iter()
            .zip(&self.progress.services)
            .filter(|(_, state)| matches!(state, ServiceState::RollbackFailed { .. }))
            .map(|(change, _)| change.name())
            .collect();
        let at = self.now;
        if failed.is_empty() && self.brief.plan.purpose == Purpose::Rollback {
            self.turn(State::Succeeded { at }, "all are back");
        } else if failed.is_empty() {
            self.turn(State::Failed { at, reason: cause.to_owned() }, "all that was advanced is back");
        } else {
            let reason = format!("{cause}; the rollback failed for {}", failed.join(", "));
            self.turn(State::Failed { at, reason: reason.clone() }, reason);
        }
    }
}
