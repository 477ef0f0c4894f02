//! One customer and environment: its deployments, one at a time.
//!
//! The loop is always the same: perform what was decided; wait for a change, a moment or a command; look;
//! let the state machine decide; save. Nothing is performed that was not saved before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::effects::{Effects, specs};
use super::prober::Prober;
use super::{Key, positive};
use crate::app::{App, draft};
use crate::domain::deployment::{Deployment, Effect, Input, JournalEntry, State, step};
use crate::domain::names::AppName;
use crate::domain::plan::Purpose;
use crate::ports::ClusterError;
use crate::store::{Mark, Save, StoreError};

/// Applications that are read at once.
const READS_AT_ONCE: usize = 16;

/// How often a cluster that does not answer is asked again.
const OUTAGE_PAUSE: Duration = Duration::from_secs(1);

/// The pause before a write that the store could not take is tried again.
const STORE_PAUSE: Duration = Duration::from_millis(50);

/// One customer and environment.
pub(super) struct Lane {
    pub(super) app: App,
    pub(super) key: Key,
    pub(super) epoch: u64,
    pub(super) stop: CancellationToken,
    pub(super) wake: Arc<Notify>,
}

impl Lane {
    /// Drives its deployments until none is unfinished.
    pub(super) async fn run(self) -> Result<(), StoreError> {
        loop {
            let open = self.open().await?;
            let active = open.iter().position(|deployment| deployment.state() != &State::Queued);
            let Some(next) = open.into_iter().nth(active.unwrap_or(0)) else { return Ok(()) };
            let mut drive = Drive::load(&self, next).await?;
            let trace = self.app.store.trace(&drive.deployment.brief.event).await?;
            let span = tracing::info_span!(
                "deployment",
                deployment = %drive.deployment.id(),
                customer = %self.key.0,
                environment = %self.key.1,
                trace_id = trace.trace_id,
            );
            drive.run().instrument(span).await?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Its unfinished deployments, oldest first.
    async fn open(&self) -> Result<Vec<Deployment>, StoreError> {
        let found = self.app.store.unfinished_of(&self.key.0, &self.key.1).await?;
        super::report_broken("deployments", &found.broken);
        Ok(found.value)
    }
}

/// One deployment under way.
struct Drive<'a> {
    lane: &'a Lane,
    deployment: Deployment,
    saved: u64,
    effects: Effects,
    settled: Vec<i64>,
    positions: HashMap<AppName, u32>,
    /// The newest version of each Application that was looked at: what is older proves nothing.
    newest: HashMap<AppName, u64>,
    prober: Prober,
}

impl<'a> Drive<'a> {
    async fn load(lane: &'a Lane, deployment: Deployment) -> Result<Self, StoreError> {
        let pending = lane.app.store.pending_effects(deployment.id()).await?;
        super::report_broken("effects", &pending.broken);
        let timeout = positive(lane.app.config.microservices.health_check.timeout);
        Ok(Self {
            lane,
            saved: deployment.progress.version,
            effects: Effects::new(pending.value, timeout, lane.epoch),
            settled: Vec::new(),
            positions: deployment.apps().cloned().zip(0..).collect(),
            newest: HashMap::new(),
            prober: Prober::new(&lane.app),
            deployment,
        })
    }

    async fn run(&mut self) -> Result<(), StoreError> {
        let cluster = Arc::clone(&self.lane.app.cluster);
        let mut changes = cluster.changes();
        cluster.prepare(specs(&self.deployment.brief)).await;
        if self.deployment.state() != &State::Queued {
            tracing::info!(deployment = %self.deployment.id(), state = self.deployment.state().word(), "resumed");
            self.apply(vec![(None, Input::Resumed)]).await?;
            self.look().await?;
        }
        self.take_inbox().await?;
        if self.deployment.state() == &State::Queued {
            self.plan_for_its_turn().await?;
            self.apply(vec![(None, Input::Start)]).await?;
            self.look().await?;
        }
        let interval = positive(self.lane.app.config.microservices.health_check.interval);
        let mut full_look = Instant::now() + interval;
        loop {
            let performed = self.effects.perform(&self.lane.app, &self.deployment).await;
            self.settled.extend(performed.settled);
            if !performed.inputs.is_empty() {
                let refused = performed.inputs.into_iter().map(|input| (None, input)).collect();
                self.apply(refused).await?;
                continue;
            }
            if self.deployment.state().is_finished() && self.effects.is_empty() {
                return self.finish().await;
            }
            let now = Instant::now();
            if self.effects.next().is_some_and(|due| due <= now) {
                continue;
            }
            let wake = self.wake_at(now, full_look);
            tokio::select! {
                () = self.lane.stop.cancelled() => return self.finish().await,
                () = self.lane.wake.notified() => self.take_inbox().await?,
                () = tokio::time::sleep_until(wake) => {}
                change = self.prober.changed() => {
                    self.look_at(HashSet::from([change])).await?;
                    continue;
                }
                changed = changes.recv() => {
                    let changed = self.gather(changed, &mut changes);
                    self.look_at(changed).await?;
                    continue;
                }
            }
            if Instant::now() >= full_look {
                self.look().await?;
                // Who waits for the cluster to come back looks often.
                let away = self.deployment.progress.outage.is_some();
                full_look = Instant::now() + if away { interval.min(OUTAGE_PAUSE) } else { interval };
            } else {
                self.apply(vec![(None, Input::Timer)]).await?;
            }
        }
    }

    fn wake_at(&self, now: Instant, full_look: Instant) -> Instant {
        let clock = Timestamp::now();
        let timer =
            self.deployment.next_wake(clock).map(|moment| now + positive(moment.duration_since(clock)));
        [timer, self.effects.next()].into_iter().flatten().fold(full_look, Instant::min)
    }

    /// All Applications that changed, ours alone. Who lags looks at everything.
    fn gather(
        &mut self,
        first: Result<AppName, RecvError>,
        changes: &mut broadcast::Receiver<AppName>,
    ) -> HashSet<u32> {
        let mut found = HashSet::new();
        let mut next = first.map_err(|error| match error {
            RecvError::Lagged(count) => TryRecvError::Lagged(count),
            RecvError::Closed => TryRecvError::Closed,
        });
        loop {
            match next {
                Ok(app) => {
                    self.effects.nudge(&app);
                    found.extend(self.positions.get(&app));
                }
                Err(TryRecvError::Lagged(_)) => found.extend(self.observable()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
            next = changes.try_recv();
        }
        found.retain(|&change| self.is_observable(change));
        found
    }

    fn observable(&self) -> HashSet<u32> {
        (0..self.deployment.apps().count() as u32).filter(|&change| self.is_observable(change)).collect()
    }

    /// Whether facts about it can move anything now.
    fn is_observable(&self, change: u32) -> bool {
        self.deployment.is_watched(change)
    }

    /// Looks at all that can move anything.
    async fn look(&mut self) -> Result<(), StoreError> {
        let everything = self.observable();
        self.look_at(everything).await
    }

    /// Reads Applications and lets the state machine see them.
    async fn look_at(&mut self, changes: HashSet<u32>) -> Result<(), StoreError> {
        let cluster = &self.lane.app.cluster;
        let timeout = positive(self.lane.app.config.microservices.health_check.timeout);
        let apps: Vec<&AppName> = self.deployment.apps().collect();
        let reads = changes.into_iter().filter_map(|change| {
            let app = (*apps.get(change as usize)?).clone();
            Some(async move {
                let read = tokio::time::timeout(timeout, cluster.application(&app)).await;
                (change, app, read)
            })
        });
        let mut read: Vec<_> =
            futures_util::stream::iter(reads).buffer_unordered(READS_AT_ONCE).collect().await;
        read.sort_by_key(|(change, _, _)| *change);
        let mut inputs = Vec::with_capacity(read.len() + 1);
        let mut failure = None;
        for (change, app, read) in read {
            match read {
                Ok(Ok(mut application)) => {
                    if let Some(application) = &mut application {
                        let newest = self.newest.entry(app).or_default();
                        if application.resource_version < *newest {
                            continue;
                        }
                        *newest = application.resource_version;
                        application.check = self.prober.verdict(&self.deployment, change);
                    }
                    inputs.push((None, Input::Observed { change, application: application.map(Box::new) }));
                }
                // What cannot be read now is read at the next change or the next full look.
                Ok(Err(error)) => {
                    tracing::debug!(%app, %error, "an Application cannot be read");
                    failure = Some(match error {
                        ClusterError::Unavailable(reason) => reason,
                        ClusterError::Busy(_) | ClusterError::Missing(_) | ClusterError::Refused(_) => {
                            error.to_string()
                        }
                    });
                }
                Err(_) => failure = Some(format!("no answer within {} s", timeout.as_secs())),
            }
        }
        if let (true, Some(reason)) = (inputs.is_empty(), failure) {
            inputs.push((None, Input::Unreachable { reason }));
        }
        inputs.push((None, Input::Timer));
        self.apply(inputs).await
    }

    /// Takes what people (and newer commits) want, of this deployment and of those that wait behind it.
    async fn take_inbox(&mut self) -> Result<(), StoreError> {
        let found = self.lane.app.store.inbox(self.deployment.id()).await?;
        super::report_broken("inputs", &found.broken);
        for (id, input) in found.value {
            self.apply(vec![(Some(id), input)]).await?;
        }
        for waiting in self.lane.open().await? {
            if waiting.id() != self.deployment.id() && waiting.state() == &State::Queued {
                let mut other = Drive::load(self.lane, waiting).await?;
                for (id, input) in self.lane.app.store.inbox(other.deployment.id()).await?.value {
                    other.apply(vec![(Some(id), input)]).await?;
                }
            }
        }
        Ok(())
    }

    /// What went before may have changed what there is to do.
    async fn plan_for_its_turn(&mut self) -> Result<(), StoreError> {
        let store = &self.lane.app.store;
        let Some(event) = store.event(&self.deployment.brief.event).await? else { return Ok(()) };
        let planned = draft::plan_again(&self.lane.app, &self.deployment.brief, &event.request).await;
        match planned {
            Ok(Some(plan)) if plan.hash != self.deployment.brief.plan.hash => {
                let mut brief = self.deployment.brief.clone();
                brief.plan = plan;
                let planned = Deployment::new(brief);
                store.replan(&planned, self.lane.epoch).await?;
                self.lane.app.cluster.prepare(specs(&planned.brief)).await;
                self.positions = planned.apps().cloned().zip(0..).collect();
                self.deployment = planned;
                tracing::info!(deployment = %self.deployment.id(), "planned again for its turn");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(deployment = %self.deployment.id(), %error, "not planned again; its first plan stands");
            }
        }
        Ok(())
    }

    /// Steps and saves: one transaction for all of the inputs. Those that move nothing leave no trace.
    async fn apply(&mut self, inputs: Vec<(Option<i64>, Input)>) -> Result<(), StoreError> {
        let mut entries = Vec::new();
        let mut effects: Vec<Effect> = Vec::new();
        let mut taken = None;
        for (id, input) in inputs {
            let at = Timestamp::now();
            let stepped = step(&mut self.deployment, input.clone(), at);
            if stepped.transitions.is_empty() {
                if let Some(id) = id {
                    self.lane.app.store.drop_input(self.deployment.id(), id).await?;
                }
                continue;
            }
            // A wait for another reason is a transition as well; it is for who looks closely.
            for moved in stepped.transitions.iter().filter(|moved| moved.from != moved.to) {
                tracing::info!(
                    deployment = %self.deployment.id(),
                    service = moved.service.as_deref().unwrap_or("-"),
                    from = moved.from,
                    to = moved.to,
                    cause = moved.cause,
                    "moved"
                );
            }
            taken = taken.or(id);
            effects.extend(stepped.effects);
            let seq = self.deployment.progress.version;
            entries.push(JournalEntry { seq, at, input, transitions: stepped.transitions });
        }
        self.prober.follow(&self.deployment);
        if entries.is_empty() { Ok(()) } else { self.save(&entries, &effects, taken).await }
    }

    async fn save(
        &mut self,
        entries: &[JournalEntry],
        effects: &[Effect],
        taken: Option<i64>,
    ) -> Result<(), StoreError> {
        let mark = self.mark();
        let ids = loop {
            let saved = self
                .lane
                .app
                .store
                .save(Save {
                    deployment: &self.deployment,
                    expected_version: self.saved,
                    entries,
                    effects,
                    settled: &self.settled,
                    taken,
                    mark: mark.clone(),
                    epoch: self.lane.epoch,
                })
                .await;
            match saved {
                Ok(ids) => break ids,
                Err(StoreError::Busy { .. } | StoreError::Locked) => tokio::time::sleep(STORE_PAUSE).await,
                Err(error) => return Err(error),
            }
        };
        self.saved = self.deployment.progress.version;
        self.settled.clear();
        let outward = effects.iter().filter(|effect| effect.is_outward()).cloned();
        self.effects.add(ids.into_iter().zip(outward));
        Ok(())
    }

    /// What the customer was brought to, once it was.
    fn mark(&self) -> Option<Mark> {
        let brief = &self.deployment.brief;
        match self.deployment.state() {
            State::Succeeded { at } if brief.whole && brief.plan.purpose == Purpose::Deploy => Some(Mark {
                customer: brief.plan.customer.clone(),
                environment: brief.plan.environment.clone(),
                source: brief.plan.source.clone(),
                revision: brief.plan.revision.clone(),
                digest: brief.digest.to_string(),
                updated_at: *at,
            }),
            State::Succeeded { .. }
            | State::Queued
            | State::AwaitingApproval { .. }
            | State::Running
            | State::Paused { .. }
            | State::Stopping { .. }
            | State::RollingBack { .. }
            | State::Failed { .. }
            | State::Rejected { .. }
            | State::Aborted { .. }
            | State::Superseded { .. } => None,
        }
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        if !self.settled.is_empty() {
            self.lane.app.store.settle_effects(self.deployment.id(), &self.settled).await?;
            self.settled.clear();
        }
        if self.deployment.state().is_finished() {
            let reason = self.deployment.state().reason().unwrap_or_default();
            let state = self.deployment.state().word();
            tracing::info!(deployment = %self.deployment.id(), state, reason, "deployment ended");
        }
        Ok(())
    }
}
