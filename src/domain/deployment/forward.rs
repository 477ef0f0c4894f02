//! Who may go next, and when a deployment is over.

use super::{Ending, OnFailure, ServiceState, Skip, State, Stepper};
use crate::domain::catalog::Order;
use crate::domain::names::Wave;
use crate::domain::plan::{Action, Change, Purpose};

/// The position of a change among the waves: the shared part comes before all of them.
pub(super) fn rank(change: &Change) -> u32 {
    change.wave.map_or(0, |Wave(wave)| wave.saturating_add(1))
}

impl Stepper<'_> {
    /// Starts what may start, and ends what is over.
    pub(super) fn advance(&mut self) {
        if self.progress.state == State::Running {
            self.answer_failure();
        }
        match self.progress.state.clone() {
            State::Running => {
                self.release_checks();
                self.block_behind_failures();
                self.start_ready();
                self.finish_if_done();
            }
            State::Stopping { towards, .. } => {
                if self.in_flight() == 0 {
                    self.wind_up(towards);
                }
            }
            State::RollingBack { cause, .. } => self.advance_rollback(&cause),
            State::Paused { .. } => {}
            State::Queued
            | State::AwaitingApproval { .. }
            | State::Succeeded { .. }
            | State::Failed { .. }
            | State::Rejected { .. }
            | State::Aborted { .. }
            | State::Superseded { .. } => {}
        }
    }

    /// Which untouched services can be checked at once: those before which nothing is synced. The others are
    /// checked when their turn comes, so that the verdict is not from before a change under them.
    pub(super) fn eager_checks(&self) -> Vec<bool> {
        let changes = self.changes();
        let first_synced = changes.iter().filter(|change| change.action == Action::Sync).map(rank).min();
        let barrier = self.brief.plan.order == Order::Waves;
        let mut tainted = vec![false; changes.len()];
        for (position, change) in changes.iter().enumerate() {
            tainted[position] = change.requires.iter().any(|&required| {
                let required = required as usize;
                changes[required].action == Action::Sync || tainted[required]
            }) || (barrier && first_synced.is_some_and(|first| first < rank(change)));
        }
        tainted.into_iter().map(|tainted| !tainted).collect()
    }

    /// Whether something that is held back has an earlier state that others wait for. What nobody waits for is
    /// nobody's hindrance, well or not.
    pub(super) fn is_to_be_seen(&self, held: usize) -> bool {
        let changes = self.changes();
        let barrier = self.brief.plan.order == Order::Waves;
        let waits = |other: &Change| {
            other.action != Action::Leave
                && (other.requires.contains(&(held as u32))
                    || (barrier && rank(&changes[held]) < rank(other)))
        };
        changes[held].previous.is_some() && changes.iter().any(waits)
    }

    fn answer_failure(&mut self) {
        let mut services = self.progress.services.iter().zip(self.changes());
        let failed = services.find_map(|(state, change)| state.failure().map(|reason| (change, reason)));
        let Some((change, reason)) = failed else { return };
        let reason = format!("{} failed: {reason}", change.name());
        if self.brief.plan.purpose == Purpose::Check {
            return; // There is nothing to take back, and the check of the others goes on.
        }
        match self.brief.policy.on_failure {
            OnFailure::Rollback if change.rollback.auto_rollback => self.begin_rollback(reason),
            OnFailure::Rollback | OnFailure::Stop => {
                let towards = Ending::Failed { reason: reason.clone() };
                self.turn(State::Stopping { since: self.now, towards }, reason);
            }
            OnFailure::Continue => {}
        }
    }

    /// The lowest rank in which something does not pass yet. Waves above it have to wait.
    pub(super) fn frontier(&self) -> u32 {
        let open = self.changes().iter().zip(&self.progress.services).filter(|(_, state)| !state.passes());
        open.map(|(change, _)| rank(change)).min().unwrap_or(u32::MAX)
    }

    /// Whether all that comes before a change lets it go on.
    fn is_ready(&self, change: &Change, frontier: u32) -> bool {
        let behind_wave = self.brief.plan.order == Order::Waves && frontier < rank(change);
        !behind_wave
            && change.requires.iter().all(|&required| self.progress.services[required as usize].passes())
    }

    fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        let states = self.progress.services.iter().enumerate();
        states
            .filter(|(_, state)| matches!(state, ServiceState::Waiting { .. }))
            .map(|(position, _)| position)
    }

    fn release_checks(&mut self) {
        let frontier = self.frontier();
        let changes = self.changes();
        let ready: Vec<usize> = self
            .waiting()
            .filter(|&change| {
                changes[change].action != Action::Sync && self.is_ready(&changes[change], frontier)
            })
            .collect();
        for change in ready {
            self.check(change);
        }
    }

    /// What waits for something that will never pass is not going to have its turn.
    fn block_behind_failures(&mut self) {
        let barrier = self.brief.plan.order == Order::Waves;
        let mut lowest: Option<(u32, usize)> = None;
        for (position, change) in self.changes().iter().enumerate() {
            let dead = |position: usize| {
                let state = &self.progress.services[position];
                state.is_settled() && !state.passes()
            };
            if dead(position) {
                if lowest.is_none_or(|(lowest, _)| rank(change) < lowest) {
                    lowest = Some((rank(change), position));
                }
                continue;
            }
            // Also what has failed attempts behind it: the next one would have to wait for ever.
            if self.progress.services[position].next_attempt().is_none() {
                continue;
            }
            let required = change.requires.iter().map(|&required| required as usize).find(|&r| dead(r));
            let wave =
                lowest.filter(|(lowest, _)| barrier && *lowest < rank(change)).map(|(_, position)| position);
            if let Some(cause) = required.or(wave) {
                let reason = Skip::Blocked { by: self.changes()[cause].name().to_owned() };
                let cause = reason.to_string();
                self.set(position, ServiceState::Skipped { at: self.now, reason }, cause);
            }
        }
    }

    fn start_ready(&mut self) {
        let changes = self.changes();
        let frontier = self.frontier();
        let mut slots = (self.brief.policy.max_in_flight.max(1) as usize).saturating_sub(self.in_flight());
        let mut ready: Vec<(usize, u32)> = self
            .progress
            .services
            .iter()
            .enumerate()
            .filter(|(change, _)| changes[*change].action == Action::Sync)
            .filter_map(|(change, state)| {
                let (attempt, at) = state.next_attempt()?;
                (at <= self.now).then_some((change, attempt))
            })
            .filter(|(change, _)| self.is_ready(&changes[*change], frontier))
            .collect();
        // The longest way to the end first; the plan's order among equals.
        ready.sort_by_key(|(change, _)| (std::cmp::Reverse(changes[*change].priority), *change));
        for (change, attempt) in ready {
            if slots == 0 {
                break;
            }
            slots -= 1;
            let revision = self.brief.plan.revision.clone();
            let cause = if attempt == 1 { "all it waits for is healthy" } else { "the next attempt is due" };
            self.request(change, false, attempt, revision, None, cause);
        }
    }

    fn finish_if_done(&mut self) {
        if !self.progress.services.iter().all(ServiceState::is_settled) {
            return;
        }
        let troubled: Vec<String> = self
            .changes()
            .iter()
            .zip(&self.progress.services)
            .filter_map(|(change, state)| {
                let name = change.name();
                match (state.failure(), state) {
                    (Some(reason), _) => Some(format!("{name} failed: {reason}")),
                    (None, ServiceState::Skipped { reason: reason @ Skip::Blocked { .. }, .. }) => {
                        Some(format!("{name} was not started: {reason}"))
                    }
                    (None, _) => None,
                }
            })
            .collect();
        let at = self.now;
        match troubled.split_first() {
            None if self.is_removing() => {}
            None => self.turn(State::Succeeded { at }, "all services are healthy"),
            Some((first, rest)) => {
                let more =
                    if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
                let reason = format!("{first}{more}");
                self.turn(State::Failed { at, reason: reason.clone() }, reason);
            }
        }
    }
}
