//! One Application and what Argo CD's controller and the cluster do to it, event by event.
//!
//! What is true (`world`) and what is shown (`shown`) are kept apart: nothing that the controller shows comes
//! from the world but through a comparison, which sees it as it was when it began, or through the watch on
//! health, which is silent from the end of a sync until a comparison that began after it. Every trap of the
//! real thing follows from that: the old health after a sync, a `reconciledAt` equal to `finishedAt` with the
//! verdict of before, a health that changes without `reconciledAt`.

use std::sync::Arc;

use jiff::Timestamp;

use super::agenda::{Agenda, Event};
use super::log::{LogEntry, LogKind};
use super::script::{Behaviour, How, Length, Range};
use crate::domain::application::{
    Application, ApplicationSpec, BLOCKED_BY_WINDOW, Comparison, Health, HealthStatus, Operation, Phase,
    Requested, SyncStatus,
};
use crate::domain::names::{AppName, RequestId, Revision};

/// An Application of the simulated cluster.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) spec: ApplicationSpec,
    pub(super) behaviour: Arc<Behaviour>,
    pub(super) shown: Application,
    pub(super) changed: bool,
    /// Its place among the Applications.
    place: usize,
    seed: u64,
    created: Timestamp,
    operation: Option<Running>,
    operations: u64,
    /// The first revision it was ever asked to sync.
    oldest: Option<Revision>,
    /// Operations so far, by revision.
    attempts: Vec<(Revision, u32)>,
    comparison: Option<Comparing>,
    comparisons: u64,
    /// Somebody wanted another comparison while one was running.
    again: bool,
    refreshes: u64,
    refresh_asked_at: Timestamp,
    /// Counts the changes of what `comparedTo` is compared with.
    specs: u64,
    /// What cannot be compared: the target of an operation that ended in an error.
    broken: Option<Revision>,
    world: World,
}

/// What really runs.
#[derive(Debug, Clone)]
struct World {
    revision: Option<Revision>,
    request: Option<RequestId>,
    health: HealthStatus,
    /// When it was last applied.
    applied_at: Timestamp,
    workload: u64,
    turn: u64,
    course: Course,
    /// The controller has not looked since it was applied.
    unseen: bool,
}

/// What the health of the service does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
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

#[derive(Debug, Clone)]
struct Running {
    number: u64,
    request: Option<RequestId>,
    revision: Revision,
    stage: Stage,
    /// Attempts made in vain so far.
    retried: u32,
    how: Option<How>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Requested,
    Blocked,
    Applying,
    Waiting,
    Stopping,
}

/// What a running comparison saw when it began.
#[derive(Debug, Clone)]
struct Comparing {
    began: Timestamp,
    spec: u64,
    pinned: Option<Revision>,
    status: SyncStatus,
    condition: Option<String>,
    health: HealthStatus,
}

/// Streams of chance, so that one kind of draw never shifts another.
#[derive(Debug, Clone, Copy)]
enum Chance {
    Pickup = 1,
    Sync,
    Healthy,
    Stale,
    Early,
    Retry,
    Stop,
    Refresh,
    AutoRefresh,
    Lag,
}

impl App {
    pub(super) fn new(
        place: usize,
        spec: ApplicationSpec,
        behaviour: Arc<Behaviour>,
        seed: u64,
        now: Timestamp,
        agenda: &mut Agenda,
    ) -> Self {
        let mut app = Self {
            shown: Application {
                name: spec.name.clone(),
                resource_version: 0,
                pinned: None,
                requested: None,
                operation: None,
                sync: Comparison { status: SyncStatus::OutOfSync, revision: None, current: false },
                health: health(HealthStatus::Missing),
                reconciled_at: None,
                refresh_pending: false,
                condition: None,
            },
            changed: false,
            place,
            seed: seed_of(seed, &spec.name),
            created: now,
            operation: None,
            operations: 0,
            oldest: None,
            attempts: Vec::new(),
            comparison: None,
            comparisons: 0,
            again: false,
            refreshes: 0,
            refresh_asked_at: Timestamp::MIN,
            specs: 0,
            broken: None,
            world: World {
                revision: None,
                request: None,
                health: HealthStatus::Missing,
                applied_at: now,
                workload: 0,
                turn: 0,
                course: Course::Rests,
                unseen: false,
            },
            spec,
            behaviour,
        };
        for (index, external) in app.behaviour.external_syncs.iter().enumerate() {
            agenda.put(place, agenda.later(now, external.after), Event::ExternalSync { index });
        }
        app.want_comparison(now, agenda);
        app.write(agenda);
        app
    }

    /// From now on it behaves like this.
    pub(super) fn follow(&mut self, behaviour: Arc<Behaviour>, seed: u64) {
        self.behaviour = behaviour;
        self.seed = seed_of(seed, &self.spec.name);
    }

    /// Its specification is replaced.
    pub(super) fn respecify(&mut self, spec: ApplicationSpec, now: Timestamp, agenda: &mut Agenda) {
        self.spec = spec;
        self.move_spec(now, agenda);
        self.write(agenda);
    }

    /// An operation is requested; the pin moves with it where the request says so. Not called while busy.
    pub(super) fn request(&mut self, asked: Asked<'_>, now: Timestamp, agenda: &mut Agenda) {
        let revision = asked.revision.clone();
        self.operations += 1;
        let oldest = self.oldest.get_or_insert_with(|| revision.clone()).clone();
        let attempt = self.count(&revision);
        let how = self.behaviour.fail.as_ref().and_then(|fail| fail.of(&revision, &oldest, attempt));
        if asked.epoch.is_some() && self.shown.pinned.as_ref() != Some(&revision) {
            self.shown.pinned = Some(revision.clone());
            self.move_spec(now, agenda);
        }
        self.shown.requested =
            Some(Requested { request: asked.request.cloned(), revision: Some(revision.clone()) });
        self.shown.operation = None;
        self.write(agenda);
        let operation = self.operations;
        self.operation = Some(Running {
            number: operation,
            request: asked.request.cloned(),
            revision: revision.clone(),
            stage: Stage::Requested,
            retried: 0,
            how,
        });
        agenda.note(self.entry(
            now,
            LogKind::Requested { epoch: asked.epoch },
            asked.request,
            Some(&revision),
        ));
        let at = self.drawn(now, self.behaviour.pickup, Chance::Pickup, operation, agenda);
        agenda.put(self.place, at, Event::PicksUp { operation });
    }

    /// A fresh comparison is asked for.
    pub(super) fn refresh(&mut self, now: Timestamp, agenda: &mut Agenda) {
        self.refresh_asked_at = now;
        if !self.shown.refresh_pending {
            self.shown.refresh_pending = true;
            self.write(agenda);
        }
        self.want_comparison(now, agenda);
    }

    /// Whether this request's operation runs and is not being stopped already.
    pub(super) fn can_stop(&self, request: &RequestId) -> bool {
        self.operation.as_ref().is_some_and(|operation| {
            operation.request.as_ref() == Some(request)
                && match operation.stage {
                    Stage::Blocked | Stage::Applying | Stage::Waiting => true,
                    Stage::Requested | Stage::Stopping => false,
                }
        })
    }

    /// The running operation is stopped. Called where [`App::can_stop`].
    pub(super) fn stop(&mut self, now: Timestamp, agenda: &mut Agenda) {
        let Some(running) = &mut self.operation else { return };
        running.stage = Stage::Stopping;
        let number = running.number;
        if let Some(operation) = &mut self.shown.operation {
            operation.phase = Phase::Terminating;
            operation.message = "operation is terminating".to_owned();
        }
        self.write(agenda);
        let at = self.drawn(now, self.behaviour.pickup, Chance::Stop, number, agenda);
        agenda.put(self.place, at, Event::Stops { operation: number });
    }

    /// Whether the event still means something.
    pub(super) fn expects(&self, event: Event) -> bool {
        let at = |number: u64, stage: Stage| {
            self.operation.as_ref().is_some_and(|running| running.number == number && running.stage == stage)
        };
        match event {
            Event::PicksUp { operation } => at(operation, Stage::Requested),
            Event::WindowOpens { operation } => at(operation, Stage::Blocked),
            Event::AttemptEnds { operation } => at(operation, Stage::Applying),
            Event::Retries { operation } => at(operation, Stage::Waiting),
            Event::Stops { operation } => at(operation, Stage::Stopping),
            Event::ComparisonBegins | Event::ComparisonEnds | Event::ExternalSync { .. } => true,
            Event::AutoRefresh { comparison } => self.comparisons == comparison,
            Event::Turns { workload } => self.world.workload == workload,
            Event::Shows { turn } => self.world.turn == turn && !self.world.unseen,
        }
    }

    /// The event happens. Called where [`App::expects`] it.
    pub(super) fn happen(&mut self, event: Event, at: Timestamp, agenda: &mut Agenda) {
        match event {
            Event::PicksUp { .. } => self.pick_up(at, agenda),
            Event::WindowOpens { .. } => self.start(at, agenda),
            Event::AttemptEnds { .. } => self.end_attempt(at, agenda),
            Event::Retries { .. } => self.retry(at, agenda),
            Event::Stops { .. } => self.finish(Phase::Failed, "Operation terminated".to_owned(), at, agenda),
            Event::ComparisonBegins | Event::AutoRefresh { .. } => self.compare(at, agenda),
            Event::ComparisonEnds => self.end_comparison(at, agenda),
            Event::Turns { .. } => self.turn(at, agenda),
            Event::Shows { .. } => self.show_health(self.world.health, agenda),
            Event::ExternalSync { index } => self.sync_externally(index, at, agenda),
        }
    }

    fn sync_externally(&mut self, index: usize, at: Timestamp, agenda: &mut Agenda) {
        let behaviour = Arc::clone(&self.behaviour);
        let pinned = self.shown.pinned.clone();
        let revision =
            behaviour.external_syncs.get(index).and_then(|sync| sync.revision.as_ref().or(pinned.as_ref()));
        if let Some(revision) = revision
            && !self.shown.is_busy()
        {
            self.request(Asked { request: None, revision, epoch: None }, at, agenda);
        }
    }

    // The operation.

    fn pick_up(&mut self, at: Timestamp, agenda: &mut Agenda) {
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

    fn start(&mut self, at: Timestamp, agenda: &mut Agenda) {
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

    fn attempt(&mut self, at: Timestamp, agenda: &mut Agenda) {
        let Some(running) = &mut self.operation else { return };
        running.stage = Stage::Applying;
        let (number, last) = (running.number, running.retried >= self.behaviour.retries);
        let draw = number.wrapping_mul(1_000).wrapping_add(u64::from(running.retried));
        let end = self.drawn(at, self.behaviour.sync, Chance::Sync, draw, agenda);
        if last && self.share(Chance::Early, number) * 100.0 < f64::from(self.behaviour.early_verdicts) {
            let half = agenda.later(at, self.behaviour.comparison).duration_since(at) / 2;
            let begins = end.checked_sub(half).unwrap_or(at).max(at);
            agenda.put(self.place, begins, Event::ComparisonBegins);
        }
        agenda.put(self.place, end, Event::AttemptEnds { operation: number });
    }

    fn end_attempt(&mut self, at: Timestamp, agenda: &mut Agenda) {
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

    fn retry(&mut self, at: Timestamp, agenda: &mut Agenda) {
        if let Some(operation) = &mut self.shown.operation {
            operation.finished_at = None;
            operation.message.clear();
        }
        self.write(agenda);
        self.attempt(at, agenda);
    }

    fn finish(&mut self, phase: Phase, message: String, at: Timestamp, agenda: &mut Agenda) {
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

    // The world.

    fn apply(
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

    fn turn(&mut self, at: Timestamp, agenda: &mut Agenda) {
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

    // What the controller sees of it.

    fn move_spec(&mut self, now: Timestamp, agenda: &mut Agenda) {
        self.specs += 1;
        self.shown.sync.current = false;
        self.want_comparison(now, agenda);
    }

    fn want_comparison(&mut self, now: Timestamp, agenda: &mut Agenda) {
        self.refreshes += 1;
        let at = self.drawn(now, self.behaviour.refresh, Chance::Refresh, self.refreshes, agenda);
        agenda.put(self.place, at, Event::ComparisonBegins);
    }

    fn compare(&mut self, at: Timestamp, agenda: &mut Agenda) {
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

    fn end_comparison(&mut self, at: Timestamp, agenda: &mut Agenda) {
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

    fn show_health(&mut self, status: HealthStatus, agenda: &mut Agenda) {
        if self.shown.health.status != status {
            self.shown.health = health(status);
            self.write(agenda);
        }
    }

    fn write(&mut self, agenda: &mut Agenda) {
        self.shown.resource_version = agenda.next_version();
        if !self.changed {
            self.changed = true;
            agenda.changed.push(self.place);
        }
    }

    // Notes and chance.

    fn count(&mut self, revision: &Revision) -> u32 {
        if let Some((_, count)) = self.attempts.iter_mut().find(|(known, _)| known == revision) {
            *count += 1;
            return *count;
        }
        self.attempts.push((revision.clone(), 1));
        1
    }

    fn entry(
        &self,
        at: Timestamp,
        kind: LogKind,
        request: Option<&RequestId>,
        revision: Option<&Revision>,
    ) -> LogEntry {
        LogEntry {
            at,
            app: self.spec.name.clone(),
            kind,
            request: request.cloned(),
            revision: revision.cloned(),
        }
    }

    fn world_entry(&self, at: Timestamp, kind: LogKind) -> LogEntry {
        self.entry(at, kind, self.world.request.as_ref(), self.world.revision.as_ref())
    }

    fn drawn(&self, at: Timestamp, range: Range, chance: Chance, number: u64, agenda: &Agenda) -> Timestamp {
        agenda.later(at, range.at(self.share(chance, number)))
    }

    /// An even draw from `0.0..1.0`.
    fn share(&self, chance: Chance, number: u64) -> f64 {
        let drawn = mixed(mixed(self.seed ^ (chance as u64)).wrapping_add(number));
        (drawn >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Who asks for which sync.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// None when somebody else asks.
    pub(super) request: Option<&'a RequestId>,
    pub(super) revision: &'a Revision,
    /// None when somebody else asks; then the pin stays where it is.
    pub(super) epoch: Option<u64>,
}

const CONDITION: &str = "ComparisonError: failed to generate manifests: simulated";

fn health(status: HealthStatus) -> Health {
    let message = match status {
        HealthStatus::Degraded => "Deployment exceeded its progress deadline".to_owned(),
        HealthStatus::Healthy
        | HealthStatus::Suspended
        | HealthStatus::Progressing
        | HealthStatus::Missing
        | HealthStatus::Unknown => String::new(),
    };
    Health { status, message }
}

fn seed_of(seed: u64, name: &AppName) -> u64 {
    // FNV-1a over the name, so that each Application has its own chance.
    name.as_str().bytes().fold(mixed(seed) ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// SplitMix64: the same everywhere and for ever, which no library's generator promises.
fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
