//! The workloads of customers' namespaces, with their health.
//!
//! A namespace is followed from the first question about it until nobody has asked for a while. What a watch brings may
//! be late, and old health must fool nobody: for each new comparison of the Application, the server itself is asked
//! once what there is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::SelectAll;
use jiff::Timestamp;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tokio::sync::{Mutex as AsyncMutex, broadcast};

use super::health::{Kind, health};
use super::innermost;
use super::watch::{FIRST_PAUSE, Pause, WATCH_SECONDS};
use crate::domain::application::HealthStatus;
use crate::domain::names::Namespace;
use crate::ports::ClusterError;

/// How long a namespace is followed after the last question about it.
const IDLE: Duration = Duration::from_secs(600);

/// How many changed namespaces wait for a slow receiver before it is told that it lags.
const CHANGES: usize = 1024;

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// The workloads of all namespaces that are asked about.
pub(super) struct Workloads {
    client: Client,
    shelves: Arc<Mutex<HashMap<Namespace, Arc<Shelf>>>>,
    changes: broadcast::Sender<Namespace>,
}

/// Those of one namespace.
#[derive(Debug)]
pub(super) struct Shelf {
    objects: Mutex<HashMap<(Kind, String), Seen>>,
    /// What it was last listed for.
    listed: AsyncMutex<Moment>,
    asked: Mutex<Instant>,
}

/// What workloads must not be older than, by Argo CD's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moment {
    /// When the last comparison began.
    pub(super) compared: Option<Timestamp>,
    /// When the last operation ended.
    pub(super) finished: Option<Timestamp>,
}

impl Moment {
    fn covers(self, other: Self) -> bool {
        self.compared >= other.compared && self.finished >= other.finished
    }

    fn join(self, other: Self) -> Self {
        Self { compared: self.compared.max(other.compared), finished: self.finished.max(other.finished) }
    }
}

/// One workload as it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    version: u64,
    health: HealthStatus,
}

impl Workloads {
    pub(super) fn new(client: Client) -> Self {
        Self { client, shelves: Arc::default(), changes: broadcast::Sender::new(CHANGES) }
    }

    /// Namespaces in which the health of something changed.
    pub(super) fn changes(&self) -> broadcast::Receiver<Namespace> {
        self.changes.subscribe()
    }

    /// Those of a namespace, not older than `moment`.
    pub(super) async fn of(&self, namespace: &Namespace, moment: Moment) -> Result<Arc<Shelf>, ClusterError> {
        let shelf = self.shelf(namespace);
        *lock(&shelf.asked) = Instant::now();
        // Who asks at the same time waits for the same list.
        let mut listed = shelf.listed.lock().await;
        if !listed.covers(moment) {
            try_join_all(Kind::ALL.map(|kind| self.list(namespace, kind, &shelf))).await?;
            *listed = listed.join(moment);
        }
        drop(listed);
        Ok(shelf)
    }

    fn shelf(&self, namespace: &Namespace) -> Arc<Shelf> {
        let mut shelves = lock(&self.shelves);
        if let Some(shelf) = shelves.get(namespace) {
            return Arc::clone(shelf);
        }
        let shelf = Arc::new(Shelf::new());
        shelves.insert(namespace.clone(), Arc::clone(&shelf));
        let (client, changes) = (self.client.clone(), self.changes.clone());
        let (namespace, all, followed) = (namespace.clone(), Arc::clone(&self.shelves), Arc::clone(&shelf));
        tokio::spawn(async move {
            follow(&client, &namespace, &followed, &changes).await;
            lock(&all).remove(&namespace);
        });
        shelf
    }

    async fn list(&self, namespace: &Namespace, kind: Kind, shelf: &Shelf) -> Result<(), ClusterError> {
        let api = api(&self.client, namespace, kind);
        let mut parameters = ListParams::default().limit(PAGE);
        let mut found = Vec::new();
        let version = loop {
            let page = match api.list(&parameters).await {
                Ok(page) => page,
                // There are no objects of a kind that the cluster does not know.
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    return Err(ClusterError::Unavailable(format!(
                        "{}: the layout application-per-customer needs the rights of k8s/rbac/per-customer.yaml",
                        status.message
                    )));
                }
                Err(error) => return Err(ClusterError::Unavailable(innermost(&error))),
            };
            found.extend(page.items);
            match page.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => parameters = parameters.continue_token(&more),
                None => break number(page.metadata.resource_version.as_deref()),
            }
        };
        shelf.replace(kind, &found, version);
        Ok(())
    }
}

impl Drop for Workloads {
    fn drop(&mut self) {
        // Whoever still follows finds that nobody asks any more.
        for shelf in lock(&self.shelves).values() {
            if let Some(long_ago) = Instant::now().checked_sub(IDLE) {
                *lock(&shelf.asked) = long_ago;
            }
        }
    }
}

impl Shelf {
    fn new() -> Self {
        Self { objects: Mutex::default(), listed: AsyncMutex::default(), asked: Mutex::new(Instant::now()) }
    }

    /// The health of a workload; none where it does not exist.
    pub(super) fn health(&self, kind: Kind, name: &str) -> Option<HealthStatus> {
        lock(&self.objects).get(&(kind, name.to_owned())).map(|seen| seen.health)
    }

    /// Takes in what was seen, unless something newer is known. Whether that changes its health.
    fn put(&self, kind: Kind, object: &DynamicObject) -> bool {
        let seen = Seen {
            version: number(object.metadata.resource_version.as_deref()),
            health: health(kind, object.metadata.generation.unwrap_or(0), &object.data),
        };
        let mut objects = lock(&self.objects);
        let key = (kind, object.name_any());
        match objects.get(&key).copied() {
            Some(known) if known.version >= seen.version => false,
            known => {
                objects.insert(key, seen);
                known.is_none_or(|known| known.health != seen.health)
            }
        }
    }

    fn remove(&self, kind: Kind, object: &DynamicObject) -> bool {
        let version = number(object.metadata.resource_version.as_deref());
        let mut objects = lock(&self.objects);
        let key = (kind, object.name_any());
        let goes = objects.get(&key).is_some_and(|known| known.version <= version);
        goes && objects.remove(&key).is_some()
    }

    /// A list is complete as of its version.
    fn replace(&self, kind: Kind, found: &[DynamicObject], version: u64) {
        for object in found {
            self.put(kind, object);
        }
        let names: std::collections::HashSet<String> = found.iter().map(ResourceExt::name_any).collect();
        lock(&self.objects)
            .retain(|(other, name), seen| *other != kind || names.contains(name) || seen.version > version);
    }
}

/// Follows a namespace until nobody has asked about it for a while.
async fn follow(
    client: &Client,
    namespace: &Namespace,
    shelf: &Shelf,
    changes: &broadcast::Sender<Namespace>,
) {
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    let mut events: SelectAll<_> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let events = watcher::watcher(api(client, namespace, kind), config.clone());
            events.backoff(Pause(FIRST_PAUSE)).map(move |event| (kind, event)).boxed()
        })
        .collect();
    loop {
        let idle = lock(&shelf.asked).elapsed();
        let Some(rest) = IDLE.checked_sub(idle).filter(|rest| !rest.is_zero()) else { return };
        let Ok(next) = tokio::time::timeout(rest, events.next()).await else { continue };
        let Some((kind, event)) = next else { return };
        let changed = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => shelf.put(kind, &object),
            Ok(Event::Delete(object)) => shelf.remove(kind, &object),
            Ok(Event::Init | Event::InitDone) => false,
            Err(error) => {
                tracing::debug!(%namespace, ?kind, %error, "workloads are not followed");
                false
            }
        };
        if changed {
            // Nobody listening is fine.
            let _receivers = changes.send(namespace.clone());
        }
    }
}

fn api(client: &Client, namespace: &Namespace, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace.as_str(), &kind.resource())
}

fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
