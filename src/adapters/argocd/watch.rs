//! What Argo CD shows, kept up to date by one watch.
//!
//! The watch itself is `kube`'s: it lists once, follows with bookmarks, goes on from the last resource version after
//! a pause or an error, and lists again when that version is gone (410). Argo CD writes nothing where nothing changes,
//! so what was read before counts until something newer comes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use tokio::sync::broadcast;

use super::facts::{name, version};
use super::resource::Application;
use crate::domain::names::AppName;

/// How many changed names wait for a slow receiver before it is told that it lags.
const CHANGES: usize = 16_384;

/// Seconds after which the server ends a watch. The watch is begun again where nothing at all, not even a bookmark,
/// came for five seconds longer than this; bookmarks come about every minute.
pub(super) const WATCH_SECONDS: u32 = 85;

/// The pause before a watch that broke off is begun again; it doubles up to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Objects of one page of the first list.
const PAGE: u32 = 500;

/// The Applications as they were last seen.
#[derive(Debug)]
pub(super) struct Seen {
    apps: Mutex<HashMap<AppName, Arc<Application>>>,
    /// Whether what is not here does not exist: the list is complete, and the watch is heard.
    complete: AtomicBool,
    changes: broadcast::Sender<AppName>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            apps: Mutex::default(),
            complete: AtomicBool::new(false),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<AppName> {
        self.changes.subscribe()
    }

    /// Whether what is here is all there is, as far as anybody can know.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(super) fn get(&self, name: &AppName) -> Option<Arc<Application>> {
        self.lock().get(name).cloned()
    }

    /// The name of one that is as wanted.
    pub(super) fn find(&self, wanted: impl Fn(&Application) -> bool) -> Option<AppName> {
        let apps = self.lock();
        apps.iter().find(|(_, app)| wanted(app)).map(|(name, _)| name.clone())
    }

    /// Takes in what was read or written, unless something newer is known.
    pub(super) fn put(&self, mut app: Application) {
        let Some(name) = name(&app) else { return };
        // The largest part of an object, and nothing here needs it.
        app.metadata.managed_fields = None;
        let mut apps = self.lock();
        if apps
            .get(&name)
            .is_some_and(|known| known.metadata.uid == app.metadata.uid && version(known) >= version(&app))
        {
            return;
        }
        apps.insert(name.clone(), Arc::new(app));
        drop(apps);
        self.tell(name);
    }

    /// It was not found.
    pub(super) fn remove(&self, name: &AppName) {
        if self.lock().remove(name).is_some() {
            self.tell(name.clone());
        }
    }

    fn replace(&self, found: Vec<Application>) {
        let mut apps = self.lock();
        let mut listed: HashMap<AppName, Arc<Application>> = HashMap::with_capacity(found.len());
        for mut app in found {
            app.metadata.managed_fields = None;
            let Some(name) = name(&app) else { continue };
            // What was written or read while the list was on its way is newer than the list.
            let known = apps.get(&name).filter(|known| version(known) > version(&app));
            listed.insert(name, known.map_or_else(|| Arc::new(app), Arc::clone));
        }
        let before = std::mem::replace(&mut *apps, listed);
        let changed: Vec<AppName> = {
            let differs = |(name, app): &(&AppName, &Arc<Application>)| {
                before.get(*name).is_none_or(|known| version(known) != version(app))
            };
            let gone = before.keys().filter(|name| !apps.contains_key(*name));
            apps.iter().filter(differs).map(|(name, _)| name).chain(gone).cloned().collect()
        };
        drop(apps);
        for name in changed {
            self.tell(name);
        }
    }

    /// Lets whoever follows an Application look at it.
    pub(super) fn tell(&self, name: AppName) {
        // Nobody listening is fine.
        let _receivers = self.changes.send(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AppName, Arc<Application>>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait next.
pub(super) struct Pause(pub(super) Duration);

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        // Not all at the same moment: a share of the pause is left to chance.
        Some(pause.mul_f64(0.75 + fastrand::f64() / 2.0))
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }
}

/// Follows the Applications until it is dropped.
pub(super) async fn follow(seen: Arc<Seen>, api: Api<Application>) {
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    let mut events = watcher::watcher(api, config).backoff(Pause(FIRST_PAUSE)).boxed();
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Vec::new(),
            Ok(Event::InitApply(app)) => listed.push(app),
            Ok(Event::InitDone) => {
                tracing::info!(applications = listed.len(), "the Applications are listed and watched");
                seen.replace(std::mem::take(&mut listed));
                seen.complete.store(true, Ordering::Release);
            }
            Ok(Event::Apply(app)) => {
                seen.put(app);
                seen.complete.store(true, Ordering::Release);
            }
            Ok(Event::Delete(app)) => {
                if let Some(name) = name(&app) {
                    seen.remove(&name);
                }
                seen.complete.store(true, Ordering::Release);
            }
            Err(error) => {
                // Until it is heard again, whoever asks is answered by the server itself.
                if seen.complete.swap(false, Ordering::AcqRel) {
                    tracing::warn!(%error, "the watch on Applications broke off; it is tried again");
                } else {
                    tracing::debug!(%error, "the watch on Applications is not up");
                }
            }
        }
    }
}
