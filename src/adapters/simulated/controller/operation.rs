//! An operation from its request to its end.

use jiff::Timestamp;

use super::chance::{Chance, share};
use super::{App, CONDITION};
use crate::adapters::simulated::agenda::{Agenda, Event};
use crate::adapters::simulated::log::LogKind;
use crate::adapters::simulated::script::How;
use crate::domain::application::{BLOCKED_BY_WINDOW, Operation, Phase};
use crate::domain::names::{RequestId, Revision};

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) number: u64,
    pub(super) request: Option<RequestId>,
    pub(super) revision: Revision,
    pub(super) stage: Stage,
    /// Attempts made in vain so far.
    pub(super) retried: u32,
    pub(super) how: Option<How>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Requested,
    Blocked,
    Applying,
    Waiting,
    Stopping,
}

impl App {
    pub(super) fn pick_up(&mut self, at: Timestamp, agenda: &mut Agenda) {
        let Some(running) = &mut self.operation else { return };
        let opens = self.behaviour.window_closed_until.map(|until| agenda.later(self.created, until));
        let blocked = opens.filter(|opens| at < *opens);
        self.shown.operation = Some(Operation {
            request: running.request.clone(),
            phase: Phase::Running,
            message: blocked.map(|_| format!("Sync operation {BLOCKED_BY_WINDOW}")).unwrap_or_default(),
            started_at: agenda.whole(at),
            finished_at: None,
            revision: None,
        });
        match blocked {
            Some(opens) => {
                running.stage = Stage::Blocked;
                agenda.put(self.place, opens, Event::WindowOpens { operation: running.number });
                self.write(agenda);
            }
            None => self.start(at, agenda),
        }
    }

    pub(super) fn start(&mut self, at: Timestamp, agenda: &mut Agenda) {
        if let Some(operation) = &mut self.shown.operation {
            operation.message.clear();
        }
        self.write(agenda);
        if let Some(running) = &self.operation {
            if running.how == Some(How::Error) {
                self.broken = Some(running.revision.clone());
            }
            let entry = self.entry(at, LogKind::Started, running.request.as_ref(), Some(&running.revision));
            agenda.note(entry);
        }
        self.attempt(at, agenda);
    }

    pub(super) fn attempt(&mut self, at: Timestamp, agenda: &mut Agenda) {
        let Some(running) = &mut self.operation else { return };
        running.stage = Stage::Applying;
        let (number, last) = (running.number, running.retried >= self.behaviour.retries);
        let draw = number.wrapping_mul(1_000).wrapping_add(u64::from(running.retried));
        let end = self.drawn(at, self.behaviour.sync, Chance::Sync, draw, agenda);
        if last && share(self.seed, Chance::Early, number) * 100.0 < f64::from(self.behaviour.early_verdicts)
        {
            let half = agenda.later(at, self.behaviour.comparison).duration_since(at) / 2;
            let begins = end.checked_sub(half).unwrap_or(at).max(at);
            agenda.put(self.place, begins, Event::ComparisonBegins);
        }
        agenda.put(self.place, end, Event::AttemptEnds { operation: number });
    }

    pub(super) fn end_attempt(&mut self, at: Timestamp, agenda: &mut Agenda) {
        let Some(running) = &mut self.operation else { return };
        if running.retried < self.behaviour.retries {
            running.retried += 1;
            running.stage = Stage::Waiting;
            let (number, retried) = (running.number, running.retried);
            let draw = number.wrapping_mul(1_000).wrapping_add(u64::from(retried));
            let next = self.drawn(at, self.behaviour.retry_delay, Chance::Retry, draw, agenda);
            if let Some(operation) = &mut self.shown.operation {
                operation.finished_at = Some(agenda.whole(at));
                operation.message =
                    format!("one or more objects failed to apply. Retrying attempt #{retried} at {next}.");
            }
            self.write(agenda);
            agenda.put(self.place, next, Event::Retries { operation: number });
            return;
        }
        match running.how {
            Some(How::SyncFailed) => {
                let retried = match running.retried {
                    0 => String::new(),
                    times => format!(" (retried {times} times)"),
                };
                let message = format!("one or more objects failed to apply, reason: simulated{retried}");
                self.finish(Phase::Failed, message, at, agenda);
            }
            Some(How::Error) => self.finish(Phase::Error, CONDITION.to_owned(), at, agenda),
            None | Some(How::Degraded | How::NeverHealthy | How::Flapping | How::DegradesLater) => {
                let done = (running.revision.clone(), running.request.clone(), running.how);
                self.finish(Phase::Succeeded, "successfully synced (all tasks run)".to_owned(), at, agenda);
                self.apply(done, at, agenda);
            }
        }
    }

    pub(super) fn retry(&mut self, at: Timestamp, agenda: &mut Agenda) {
        if let Some(operation) = &mut self.shown.operation {
            operation.finished_at = None;
            operation.message.clear();
        }
        self.write(agenda);
        self.attempt(at, agenda);
    }

    pub(super) fn finish(&mut self, phase: Phase, message: String, at: Timestamp, agenda: &mut Agenda) {
        let Some(running) = self.operation.take() else { return };
        self.shown.requested = None;
        if let Some(operation) = &mut self.shown.operation {
            operation.phase = phase;
            operation.message = message;
            operation.finished_at = Some(agenda.whole(at));
            operation.revision = match phase {
                Phase::Succeeded => Some(running.revision.clone()),
                Phase::Failed if running.how == Some(How::SyncFailed) => Some(running.revision.clone()),
                Phase::Failed | Phase::Error | Phase::Running | Phase::Terminating => None,
            };
        }
        self.write(agenda);
        agenda.note(self.entry(
            at,
            LogKind::Finished(phase),
            running.request.as_ref(),
            Some(&running.revision),
        ));
        // The controller looks again by itself, but not at once: until then it shows the world of before.
        let looked = self.drawn(at, self.behaviour.stale, Chance::Stale, running.number, agenda);
        let takes = agenda.later(at, self.behaviour.comparison).duration_since(at);
        let begins = looked.checked_sub(takes).unwrap_or(at).max(at);
        agenda.put(self.place, begins, Event::ComparisonBegins);
    }
}
