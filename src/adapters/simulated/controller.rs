//! One Application and what Argo CD's controller and the cluster do to it, event by event.
//!
//! What is true (`world`) and what is shown (`shown`) are kept apart: nothing that the controller shows comes
//! from the world but through a comparison, which sees it as it was when it began, or through the watch on
//! health, which is silent from the end of a sync until a comparison that began after it. Every trap of the
//! real thing follows from that: the old health after a sync, a `reconciledAt` equal to `finishedAt` with the
//! verdict of before, a health that changes without `reconciledAt`.

mod chance;
mod comparison;
mod operation;
mod world;

use std::sync::Arc;

use jiff::Timestamp;

use self::chance::{Chance, share};
use self::comparison::Comparing;
use self::operation::{Running, Stage};
use self::world::{Course, World};
use super::agenda::{Agenda, Event};
use super::log::{LogEntry, LogKind};
use super::script::{Behaviour, Range};
use crate::domain::application::{
    Application, ApplicationSpec, Comparison, Health, HealthStatus, Phase, Requested, SyncStatus,
};
use crate::domain::names::{RequestId, Revision};

/// An Application of the simulated cluster.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) spec: ApplicationSpec,
    pub(super) behaviour: Arc<Behaviour>,
    pub(super) shown: Application,
    pub(super) changed: bool,
    /// Whether it was deleted: nothing happens to it any more.
    deleted: bool,
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
                check: None,
            },
            changed: false,
            deleted: false,
            place,
            seed: chance::seed_of(seed, &spec.name),
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
        self.seed = chance::seed_of(seed, &self.spec.name);
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

    /// It is deleted, with all of its objects.
    pub(super) fn delete(&mut self, agenda: &mut Agenda) {
        self.deleted = true;
        if !self.changed {
            self.changed = true;
            agenda.changed.push(self.place);
        }
    }

    /// Whether the event still means something.
    pub(super) fn expects(&self, event: Event) -> bool {
        let at = |number: u64, stage: Stage| {
            self.operation.as_ref().is_some_and(|running| running.number == number && running.stage == stage)
        };
        if self.deleted {
            return false;
        }
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

    fn write(&mut self, agenda: &mut Agenda) {
        self.shown.resource_version = agenda.next_version();
        if !self.changed {
            self.changed = true;
            agenda.changed.push(self.place);
        }
    }

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
        agenda.later(at, range.at(share(self.seed, chance, number)))
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
