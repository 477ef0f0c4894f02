//! The one that does the work: events become deployments, and each customer's deployments run one at a time.
//!
//! Only one worker runs on a store. Everything it knows is in the store before it acts on it, so that it can
//! be killed at any moment: the next one reads what was saved, looks at the cluster again, and goes on.
//!
//! Each customer and environment has a lane of its own, so that a slow, failing or even crashing one
//! holds nobody else up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::app::later::Later;
use crate::app::{App, intake};
use crate::domain::names::{CustomerId, Environment, SourceName};
use crate::ports::SourceError;
use crate::store::{EventState, StoreError, StoredEvent, WorkerLease};

mod effects;
mod lane;
mod prober;
mod refs;

/// How often the store is asked whether another process has written.
const POLL: Duration = Duration::from_millis(200);

/// How often what is too old is forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// Events that are looked at in one go.
const EVENTS_AT_ONCE: u32 = 256;

/// How often an event is put off before it is given up.
const MAX_ATTEMPTS: u64 = 8;

/// How often a lane may crash before it is left alone until the next start.
const MAX_CRASHES: u32 = 3;

/// One customer and environment.
type Key = (CustomerId, Environment);

/// Works until `stop` is cancelled. Whatever is under way then goes on at the next start.
///
/// # Errors
/// When the store fails for good, or another worker took over.
pub async fn run(app: App, lease: WorkerLease, stop: CancellationToken) -> Result<(), StoreError> {
    let epoch = lease.epoch();
    tracing::info!(epoch, "worker started");
    let mut changed = app.store.changed();
    let wake = Arc::new(Notify::new());
    let mut desk = Desk {
        app: app.clone(),
        epoch,
        stop: stop.clone(),
        wake: Arc::clone(&wake),
        lanes: HashMap::new(),
        crashes: HashMap::new(),
        tasks: JoinSet::new(),
        busy: HashSet::new(),
        intakes: JoinSet::new(),
    };
    let mut looks = refs::watch(&app, epoch, &stop);
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut tidy = tokio::time::interval(TIDY);
    let outcome = loop {
        if let Err(error) = desk.look().await {
            if matches!(error, StoreError::Fenced { .. }) {
                break Err(error);
            }
            tracing::error!(%error, "the store does not answer; trying again");
            tokio::time::sleep(POLL).await;
        }
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            _ = changed.changed() => {}
            () = wake.notified() => {}
            _ = poll.tick() => {
                if let Err(error) = app.store.poll().await {
                    tracing::warn!(%error, "cannot see what others write");
                }
            }
            _ = tidy.tick() => {
                let before = Timestamp::now().checked_sub(app.config.audit.keep).unwrap_or(Timestamp::MIN);
                if let Err(error) = app.store.forget_audit(before).await {
                    tracing::warn!(%error, "old audit records could not be forgotten");
                }
            }
            Some(ended) = desk.tasks.join_next() => {
                if let Err(error) = desk.lane_ended(ended) {
                    break Err(error);
                }
            }
            Some(ended) = desk.intakes.join_next() => desk.intake_ended(ended),
        }
    };
    stop.cancel();
    while desk.tasks.join_next().await.is_some() {}
    desk.intakes.shutdown().await;
    looks.shutdown().await;
    tracing::info!("worker stopped");
    outcome
}

/// What runs now, and what has to be woken.
struct Desk {
    app: App,
    epoch: u64,
    stop: CancellationToken,
    wake: Arc<Notify>,
    lanes: HashMap<Key, Arc<Notify>>,
    crashes: HashMap<Key, u32>,
    tasks: JoinSet<(Key, Result<(), StoreError>)>,
    busy: HashSet<SourceName>,
    intakes: JoinSet<SourceName>,
}

impl Desk {
    /// Looks at what is stored, and starts or wakes whoever it is for.
    async fn look(&mut self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut by_source: HashMap<SourceName, Vec<StoredEvent>> = HashMap::new();
        let pending = self.app.store.pending_events(now, EVENTS_AT_ONCE).await?;
        report_broken("events", &pending.broken);
        for event in pending.value {
            by_source.entry(event.request.source.clone()).or_default().push(event);
        }
        for (source, events) in by_source {
            if self.busy.insert(source.clone()) {
                let (app, epoch) = (self.app.clone(), self.epoch);
                self.intakes.spawn(async move {
                    take_in(&app, &source, events, epoch).await;
                    source
                });
            }
        }
        let inbox: HashSet<_> = self.app.store.any_inbox().await?.into_iter().collect();
        let unfinished = self.app.store.unfinished_keys().await?;
        for (id, customer, environment) in unfinished {
            let key = (customer, environment);
            if let Some(lane) = self.lanes.get(&key) {
                if inbox.contains(&id) {
                    lane.notify_one();
                }
                continue;
            }
            if self.crashes.get(&key).is_some_and(|crashes| *crashes >= MAX_CRASHES) {
                continue;
            }
            let notify = Arc::new(Notify::new());
            self.lanes.insert(key.clone(), Arc::clone(&notify));
            let lane = lane::Lane {
                app: self.app.clone(),
                key: key.clone(),
                epoch: self.epoch,
                stop: self.stop.clone(),
                wake: notify,
            };
            self.tasks.spawn(async move {
                // A task of its own, so that a panic ends this lane alone and its name is still known.
                let outcome = tokio::spawn(lane.run()).await;
                match outcome {
                    Ok(result) => (key, result),
                    Err(error) => (key, Err(StoreError::Unavailable(format!("its lane crashed: {error}")))),
                }
            });
        }
        Ok(())
    }

    fn lane_ended(
        &mut self,
        ended: Result<(Key, Result<(), StoreError>), tokio::task::JoinError>,
    ) -> Result<(), StoreError> {
        let Ok((key, result)) = ended else { return Ok(()) };
        self.lanes.remove(&key);
        let (customer, environment) = (&key.0, &key.1);
        match result {
            Ok(()) => {
                self.crashes.remove(&key);
            }
            Err(error @ StoreError::Fenced { .. }) => return Err(error),
            Err(error) => {
                let crashes = self.crashes.entry(key.clone()).or_default();
                *crashes += 1;
                if *crashes >= MAX_CRASHES {
                    tracing::error!(%customer, %environment, %error, "left alone until the next start");
                } else {
                    tracing::error!(%customer, %environment, %error, "stopped; starting again");
                }
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    fn intake_ended(&mut self, ended: Result<SourceName, tokio::task::JoinError>) {
        match ended {
            Ok(source) => {
                self.busy.remove(&source);
            }
            Err(error) => {
                // Whose it was is gone with the task: nobody is to stay marked as busy.
                tracing::error!(%error, "an intake crashed");
                self.busy.clear();
            }
        }
        self.wake.notify_one();
    }
}

/// Works on the events of one repository, in the order of their arrival. One fetch serves all of them.
async fn take_in(app: &App, source: &SourceName, events: Vec<StoredEvent>, epoch: u64) {
    let fetched = app.values.fetch(source).await;
    for event in events {
        let span = tracing::info_span!("event", event = %event.id, trace_id = tracing::field::Empty);
        let stored = async {
            let trace = app.store.trace(&event.id).await?;
            tracing::Span::current().record("trace_id", &trace.trace_id);
            settle(app, &event, &fetched, epoch).await
        };
        if let Err(error) = stored.instrument(span).await {
            tracing::error!(event = %event.id, %error, "what became of an event cannot be stored; trying again");
            tokio::time::sleep(POLL).await;
            return;
        }
    }
}

async fn settle(
    app: &App,
    event: &StoredEvent,
    fetched: &Result<(), SourceError>,
    epoch: u64,
) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let settled = match fetched {
        Ok(()) => intake::settle(app, event, epoch, now).await,
        Err(error) => Err(Later::Source(error.clone())),
    };
    match settled {
        Ok(settlement) => {
            tracing::info!(event = %event.id, outcome = settlement.outcome.word(), deployments = settlement.deployments.len(), "event settled");
            app.store.settle_event(settlement).await
        }
        Err(error) => put_off(app, event, &error, epoch, now).await,
    }
}

async fn put_off(
    app: &App,
    event: &StoredEvent,
    error: &Later,
    epoch: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let attempts = match &event.state {
        EventState::Accepted { attempts, .. } => *attempts,
        EventState::Settled { .. } => return Ok(()),
    };
    let reason = error.to_string();
    if attempts >= MAX_ATTEMPTS || !error.may_pass() {
        tracing::error!(event = %event.id, reason, "event given up");
        return app.store.settle_event(intake::give_up(app, event, &reason, epoch, now)).await;
    }
    let pause = SignedDuration::from_millis(250 << attempts.min(8));
    let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
    tracing::warn!(event = %event.id, attempts, reason, "event put off");
    app.store.postpone_event(&event.id, until, reason).await
}

fn report_broken(what: &str, broken: &[crate::store::Broken]) {
    for row in broken {
        tracing::error!(id = %row.id, fault = %row.fault, "a stored row of {what} cannot be read and is passed over");
    }
}

/// A duration that is not negative.
fn positive(duration: SignedDuration) -> Duration {
    duration.try_into().unwrap_or(Duration::ZERO)
}
