//! What really runs, and how its health goes on.

use jiff::Timestamp;

use super::App;
use super::chance::Chance;
use crate::adapters::simulated::agenda::{Agenda, Event};
use crate::adapters::simulated::log::LogKind;
use crate::adapters::simulated::script::{How, Length};
use crate::domain::application::HealthStatus;
use crate::domain::names::{RequestId, Revision};

/// What really runs.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) revision: Option<Revision>,
    pub(super) request: Option<RequestId>,
    pub(super) health: HealthStatus,
    /// When it was last applied.
    pub(super) applied_at: Timestamp,
    pub(super) workload: u64,
    pub(super) turn: u64,
    pub(super) course: Course,
    /// The controller has not looked since it was applied.
    pub(super) unseen: bool,
}

/// What the health of the service does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Rests,
    /// Becomes healthy, for good.
    Heals,
    /// Becomes degraded where it would have become healthy.
    Fails,
    /// Becomes healthy and then degrades.
    HealsFirst,
    /// Degrades.
    Wanes,
    Flaps,
}

impl App {
    pub(super) fn apply(
        &mut self,
        (revision, request, how): (Revision, Option<RequestId>, Option<How>),
        at: Timestamp,
        agenda: &mut Agenda,
    ) {
        let healthy = self.world.health == HealthStatus::Healthy;
        if how.is_none() && healthy && self.world.revision.as_ref() == Some(&revision) {
            return;
        }
        if healthy {
            agenda.note(self.world_entry(at, LogKind::BecameUnhealthy));
        }
        self.world.workload += 1;
        self.world.turn += 1;
        self.world.revision = Some(revision);
        self.world.request = request;
        self.world.health = HealthStatus::Progressing;
        self.world.applied_at = at;
        self.world.unseen = true;
        self.world.course = match how {
            None | Some(How::SyncFailed | How::Error) => Course::Heals,
            Some(How::Degraded) => Course::Fails,
            Some(How::NeverHealthy) => Course::Rests,
            Some(How::Flapping) => Course::Flaps,
            Some(How::DegradesLater) => Course::HealsFirst,
        };
        if self.world.course != Course::Rests {
            let workload = self.world.workload;
            let turns = self.drawn(at, self.behaviour.healthy, Chance::Healthy, self.operations, agenda);
            agenda.put(self.place, turns, Event::Turns { workload });
        }
    }

    pub(super) fn turn(&mut self, at: Timestamp, agenda: &mut Agenda) {
        let was_healthy = self.world.health == HealthStatus::Healthy;
        let (health, course, after) = match self.world.course {
            Course::Rests => return,
            Course::Heals => (HealthStatus::Healthy, Course::Rests, None),
            Course::Fails => (HealthStatus::Degraded, Course::Rests, None),
            Course::HealsFirst => (HealthStatus::Healthy, Course::Wanes, Some(self.behaviour.degrades_after)),
            Course::Wanes => (HealthStatus::Degraded, Course::Heals, self.behaviour.recovers_after),
            Course::Flaps if was_healthy => {
                (HealthStatus::Degraded, Course::Flaps, Some(self.behaviour.flapping_period))
            }
            Course::Flaps => (HealthStatus::Healthy, Course::Flaps, Some(self.behaviour.flapping_period)),
        };
        self.world.health = health;
        self.world.course = course;
        self.world.turn += 1;
        let (workload, turn) = (self.world.workload, self.world.turn);
        if let Some(after) = after {
            // A period of nothing would never let time go on.
            let after = after.max(Length::from_millis(1));
            agenda.put(self.place, agenda.later(at, after), Event::Turns { workload });
        }
        match (was_healthy, health == HealthStatus::Healthy) {
            (false, true) => agenda.note(self.world_entry(at, LogKind::BecameHealthy)),
            (true, false) => agenda.note(self.world_entry(at, LogKind::BecameUnhealthy)),
            (true, true) | (false, false) => {}
        }
        let shows = self.drawn(at, self.behaviour.health_lag, Chance::Lag, turn, agenda);
        agenda.put(self.place, shows, Event::Shows { turn });
    }
}
