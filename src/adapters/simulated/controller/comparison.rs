//! What the controller sees of the world, and when.

use jiff::Timestamp;

use super::chance::Chance;
use super::{App, CONDITION, health};
use crate::adapters::simulated::agenda::{Agenda, Event};
use crate::adapters::simulated::script::{Length, Range};
use crate::domain::application::{Comparison, HealthStatus, SyncStatus};
use crate::domain::names::Revision;

/// What a running comparison saw when it began.
#[derive(Debug, Clone)]
pub(super) struct Comparing {
    pub(super) began: Timestamp,
    pub(super) spec: u64,
    pub(super) pinned: Option<Revision>,
    pub(super) status: SyncStatus,
    pub(super) condition: Option<String>,
    pub(super) health: HealthStatus,
}

impl App {
    pub(super) fn move_spec(&mut self, now: Timestamp, agenda: &mut Agenda) {
        self.specs += 1;
        self.shown.sync.current = false;
        self.want_comparison(now, agenda);
    }

    pub(super) fn want_comparison(&mut self, now: Timestamp, agenda: &mut Agenda) {
        self.refreshes += 1;
        let at = self.drawn(now, self.behaviour.refresh, Chance::Refresh, self.refreshes, agenda);
        agenda.put(self.place, at, Event::ComparisonBegins);
    }

    pub(super) fn compare(&mut self, at: Timestamp, agenda: &mut Agenda) {
        if self.comparison.is_some() {
            self.again = true;
            return;
        }
        self.comparisons += 1;
        let broken = self.broken.is_some() && self.broken == self.shown.pinned;
        self.comparison = Some(Comparing {
            began: at,
            spec: self.specs,
            pinned: self.shown.pinned.clone(),
            status: if broken {
                SyncStatus::Unknown
            } else if self.world.revision.is_some() && self.world.revision == self.shown.pinned {
                SyncStatus::Synced
            } else {
                SyncStatus::OutOfSync
            },
            condition: broken.then(|| CONDITION.to_owned()),
            health: self.world.health,
        });
        agenda.put(self.place, agenda.later(at, self.behaviour.comparison), Event::ComparisonEnds);
        if self.behaviour.auto_refresh > Length::default() {
            let jitter = Range::from_zero(self.behaviour.auto_refresh_jitter);
            let period = self.behaviour.auto_refresh.max(Length::from_millis(1));
            let at = agenda.later(at, period);
            let at = self.drawn(at, jitter, Chance::AutoRefresh, self.comparisons, agenda);
            agenda.put(self.place, at, Event::AutoRefresh { comparison: self.comparisons });
        }
    }

    pub(super) fn end_comparison(&mut self, at: Timestamp, agenda: &mut Agenda) {
        let Some(seen) = self.comparison.take() else { return };
        // What was applied since it began, it has not seen; what merely got well since, the watch shows.
        let fresh = seen.began >= self.world.applied_at;
        if fresh {
            self.world.unseen = false;
        }
        self.shown.health = health(if fresh { self.world.health } else { seen.health });
        let current = seen.spec == self.specs;
        self.shown.sync = Comparison { status: seen.status, revision: seen.pinned, current };
        self.shown.condition = seen.condition;
        self.shown.reconciled_at = Some(agenda.whole(seen.began));
        if self.refresh_asked_at <= seen.began {
            self.shown.refresh_pending = false;
        }
        self.write(agenda);
        if std::mem::take(&mut self.again) {
            self.compare(at, agenda);
        }
    }

    pub(super) fn show_health(&mut self, status: HealthStatus, agenda: &mut Agenda) {
        if self.shown.health.status != status {
            self.shown.health = health(status);
            self.write(agenda);
        }
    }
}
