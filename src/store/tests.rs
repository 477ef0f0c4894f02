//! The store against a real SQLite file. What the tests share: a store in a folder of its own, and small values.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::{Accepted, NewEvent, Save, Settings, Settlement, Store, StoreError};
use super::{Outcome, WorkerLease};
use crate::domain::audit::Origin;
use crate::domain::catalog::Order;
use crate::domain::deployment::{
    Brief, Command, Deployment, Effect, Input, JournalEntry, OnFailure, Policy, Progress, State,
};
use crate::domain::event::{Kind, Push, Request, Trigger};
use crate::domain::names::{EventId, Revision};
use crate::domain::plan::{Baseline, Plan, Purpose, Rendering, fingerprint};

mod deployments;
mod events;
mod files;
mod history;
mod http;
mod writer;

/// A store in a folder that goes away with it.
struct Fixture {
    store: Store,
    folder: TempDir,
}

impl std::ops::Deref for Fixture {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(change(settings(folder.path()))).await.unwrap();
        Self { store, folder }
    }

    /// Another store on the same file, as another process would have.
    async fn beside(&self) -> Store {
        Store::open(settings(self.folder.path())).await.unwrap()
    }

    async fn worker(&self) -> WorkerLease {
        self.acquire_worker("test", at(0)).await.unwrap()
    }

    /// A planned deployment of customer-a, and the lease of the worker that planned it.
    async fn planned(&self, id: &str) -> (Deployment, WorkerLease) {
        let lease = self.worker().await;
        let deployment = deployment(id);
        let event = self.accept(push_event(id, 'a', 'b')).await.unwrap().event;
        self.settle_event(settlement(&event, vec![deployment.clone()], &lease)).await.unwrap();
        (deployment, lease)
    }
}

fn settings(folder: &Path) -> Settings {
    Settings { busy_timeout: Duration::from_millis(200), ..Settings::at(folder.join("state.db")) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The commit whose digits are all the same.
fn commit(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn request(trigger: Trigger) -> Request {
    Request {
        kind: Kind::Deployment,
        source: id("charts"),
        customer: None,
        environment: None,
        service: None,
        wave: None,
        order: None,
        scope: Vec::new(),
        requested_by: "jane".into(),
        trigger,
    }
}

fn push(before: char, after: char) -> Push {
    Push {
        repository: "rtte/charts".into(),
        reference: "refs/heads/main".into(),
        before: Some(commit(before)),
        after: Some(commit(after)),
        forced: false,
        delivery: None,
        event: None,
    }
}

/// A push between two commits, without a delivery id.
fn push_event(event: &str, before: char, after: char) -> NewEvent {
    NewEvent {
        id: id(event),
        request: request(Trigger::Push(push(before, after))),
        received_at: at(1),
        origin: Origin::cli("somebody"),
    }
}

fn settlement(event: &EventId, deployments: Vec<Deployment>, lease: &WorkerLease) -> Settlement {
    Settlement {
        event: event.clone(),
        outcome: Outcome::Planned,
        at: at(2),
        deployments,
        existing: Vec::new(),
        inputs: Vec::new(),
        epoch: lease.epoch(),
    }
}

fn deployment(name: &str) -> Deployment {
    let second = SignedDuration::from_secs(1);
    Deployment {
        brief: Brief {
            id: id(name),
            event: id(name),
            requested_by: "jane".into(),
            created_at: "2027-01-15T08:00:00.123456789Z".parse().unwrap(),
            whole: true,
            digest: fingerprint(&"files"),
            path: "charts/customer-a".into(),
            plan: Plan {
                customer: id("customer-a"),
                environment: id("production"),
                namespace: id("customer-a"),
                source: id("charts"),
                revision: commit('b'),
                purpose: Purpose::Deploy,
                order: Order::Waves,
                changes: Vec::new(),
                removed: Vec::new(),
                removals: Vec::new(),
                hash: fingerprint(&name),
            },
            policy: Policy {
                on_failure: OnFailure::Rollback,
                needs_approval: false,
                max_in_flight: 10,
                rollback_threshold: 3,
                max_retries: 3,
                retry_delay: second,
                health_timeout: second,
                degraded_grace: second,
                stabilisation: second,
                upkeep: crate::domain::deployment::Upkeep::Never,
                promotion: crate::domain::deployment::Promotion::default(),
                refresh_pause: second,
            },
        },
        progress: Progress {
            state: State::Queued,
            services: Vec::new(),
            requests: Vec::new(),
            removals: Vec::new(),
            version: 0,
            started_at: None,
            outage: None,
        },
    }
}

/// The deployment one version later.
fn moved(before: &Deployment, state: State) -> Deployment {
    let mut after = before.clone();
    after.progress.state = state;
    after.progress.version += 1;
    after
}

fn entry(deployment: &Deployment) -> JournalEntry {
    JournalEntry { seq: deployment.progress.version, at: at(3), input: Input::Start, transitions: Vec::new() }
}

fn save<'a>(
    deployment: &'a Deployment,
    entries: &'a [JournalEntry],
    effects: &'a [Effect],
    lease: &WorkerLease,
) -> Save<'a> {
    Save {
        deployment,
        expected_version: deployment.progress.version - 1,
        entries,
        effects,
        settled: &[],
        taken: None,
        mark: None,
        epoch: lease.epoch(),
    }
}

fn baseline(digit: char) -> Baseline {
    Baseline {
        revision: commit(digit),
        rendering: Rendering {
            image: format!("app:{digit}"),
            follows_image_tag: true,
            dependencies: fingerprint(&0),
            config: fingerprint(&1),
            chart: fingerprint(&2),
        },
        healthy_at: at(9),
        health_check: None,
    }
}

fn pause() -> Input {
    Input::Command { by: "jane".into(), command: Command::Pause }
}
