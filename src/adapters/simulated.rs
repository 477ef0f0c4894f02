//! A simulated Argo CD with a cluster behind it: what `demo` and `simulate` deploy to, and what most tests do.
//!
//! [`model`] is the whole of its behaviour, pure and in virtual time; [`script`] says how it is to behave;
//! [`log`] is the record of what really happened. [`Simulated`] runs the model on the real clock and remembers
//! in a file what it was asked.

mod agenda;
mod controller;
mod journal;
pub mod log;
pub mod model;
pub mod script;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;

use self::journal::{Command, Journal};
use self::log::LogEntry;
use self::model::Model;
use self::script::Script;
use crate::domain::application::{Application, ApplicationSpec};
use crate::domain::names::{AppName, RequestId, Revision};
use crate::domain::removal::Removal;
use crate::ports::{Cluster, ClusterError, SyncRequest};

pub use self::journal::JournalError;

/// How many changed names wait for a slow receiver before it is told that it lags.
const CHANGES: usize = 4_096;

/// The simulated cluster on the real clock.
#[derive(Debug)]
pub struct Simulated {
    shared: Arc<Shared>,
    ticking: JoinHandle<()>,
}

impl Simulated {
    /// A cluster that forgets everything when it is dropped.
    ///
    /// Must be called within a tokio runtime: a task there follows the clock.
    pub fn in_memory(script: Script) -> Self {
        Self::running(Model::new(script), None)
    }

    /// A cluster that remembers in a file, or starts empty where there is none. A script other than the last
    /// one holds from now on. One process at a time can have the file.
    ///
    /// Must be called within a tokio runtime: a task there follows the clock.
    ///
    /// # Errors
    /// When the file cannot be used or is not ours.
    pub fn open(script: Script, path: Option<&Path>) -> Result<Self, JournalError> {
        match path {
            Some(path) => {
                let (journal, model) = Journal::open(path, script)?;
                Ok(Self::running(model, Some(journal)))
            }
            None => Ok(Self::in_memory(script)),
        }
    }

    /// What really happened so far, with exact times.
    pub fn log(&self) -> Vec<LogEntry> {
        let mut inner = self.shared.lock();
        inner.model.advance(Timestamp::now());
        inner.model.log().to_vec()
    }

    /// Somebody else starts a sync.
    ///
    /// # Errors
    /// When there is no such Application, or another operation is pending or running on it.
    pub fn external_sync(&self, app: &AppName, revision: &Revision) -> Result<(), ClusterError> {
        self.shared
            .command(|_, _| Ok(Some(Command::External { app: app.clone(), revision: revision.clone() })))
    }

    fn running(model: Model, journal: Option<Journal>) -> Self {
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner { model, journal }),
            woken: Notify::new(),
            changes: broadcast::Sender::new(CHANGES),
        });
        let ticking = tokio::spawn(tick(Arc::clone(&shared)));
        Self { shared, ticking }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

#[async_trait]
impl Cluster for Simulated {
    async fn application(&self, name: &AppName) -> Result<Option<Application>, ClusterError> {
        Ok(self.shared.lock().model.application(name, Timestamp::now()))
    }

    async fn sync(&self, application: &ApplicationSpec, request: &SyncRequest) -> Result<(), ClusterError> {
        let applications = std::slice::from_ref(application);
        self.shared.command(|model, _| {
            Ok(model.would_ensure(applications).then(|| Command::Ensure(applications.to_vec())))
        })?;
        self.shared.command(|model, now| Ok(model.would_sync(request, now)?.then(|| Command::sync(request))))
    }

    async fn refresh(&self, name: &AppName) -> Result<(), ClusterError> {
        self.shared.command(|model, _| match model.shown(name) {
            Some(_) => Ok(Some(Command::Refresh { app: name.clone() })),
            None => Err(ClusterError::Missing(name.clone())),
        })
    }

    async fn terminate(&self, name: &AppName, request: &RequestId) -> Result<(), ClusterError> {
        self.shared.command(|model, now| {
            let stops = model.would_terminate(name, request, now)?;
            Ok(stops.then(|| Command::Terminate { app: name.clone(), request: request.clone() }))
        })
    }

    async fn automate(&self, _: &AppName) -> Result<(), ClusterError> {
        // Nobody changes anything by hand here, so there is nothing to keep.
        Ok(())
    }

    async fn promote(&self, _: &ApplicationSpec) -> Result<(), ClusterError> {
        // No Rollout here ever pauses.
        Ok(())
    }

    async fn abort_rollout(&self, _: &ApplicationSpec) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn delete(&self, removal: &Removal) -> Result<(), ClusterError> {
        let app = &removal.app;
        self.shared
            .command(|model, _| Ok(model.shown(app).is_some().then(|| Command::Delete { app: app.clone() })))
    }

    fn changes(&self) -> broadcast::Receiver<AppName> {
        self.shared.changes.subscribe()
    }
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    woken: Notify,
    changes: broadcast::Sender<AppName>,
}

#[derive(Debug)]
struct Inner {
    model: Model,
    journal: Option<Journal>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on a command, remembers it, and only then does it. The time is the model's, so that the file
    /// tells of times in their order even where the clock went back.
    fn command(
        &self,
        decide: impl FnOnce(&mut Model, Timestamp) -> Result<Option<Command>, ClusterError>,
    ) -> Result<(), ClusterError> {
        let mut inner = self.lock();
        inner.model.advance(Timestamp::now());
        let now = inner.model.now();
        let Some(command) = decide(&mut inner.model, now)? else { return Ok(()) };
        if let Some(journal) = &mut inner.journal {
            journal.append(now, &command).map_err(|error| ClusterError::Unavailable(error.to_string()))?;
        }
        command.apply(&mut inner.model, now)?;
        drop(inner);
        self.woken.notify_one();
        Ok(())
    }
}

/// Lets things happen as their time comes, and tells of what changed.
async fn tick(shared: Arc<Shared>) {
    loop {
        let (changed, next) = {
            let mut inner = shared.lock();
            inner.model.advance(Timestamp::now());
            (inner.model.take_changed(), inner.model.next_change())
        };
        for name in changed {
            // Nobody listening is fine.
            let _receivers = shared.changes.send(name);
        }
        let wait =
            next.map(|next| Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default());
        match wait {
            Some(wait) => {
                let _woken = tokio::time::timeout(wait, shared.woken.notified()).await;
            }
            None => shared.woken.notified().await,
        }
    }
}

#[cfg(test)]
mod real_time {
    use std::io::Write as _;

    use super::script::{Behaviour, Range, Speed};
    use super::tests::{app, revision, spec, sync};
    use super::*;
    use crate::domain::application::HealthStatus;

    fn fast() -> Script {
        let default =
            Behaviour { sync: Range::fixed(1_000), healthy: Range::fixed(2_000), ..Behaviour::default() };
        Script { default, speed: Speed::try_from(50.0).unwrap(), ..Script::default() }
    }

    async fn healthy(cluster: &Simulated) -> Application {
        let mut changes = cluster.changes();
        let name = app("c-web");
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let shown = cluster.application(&name).await.unwrap().unwrap();
                if shown.health.status == HealthStatus::Healthy {
                    return shown;
                }
                assert_eq!(changes.recv().await.unwrap(), name);
            }
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn changes_are_told_as_they_happen() {
        let cluster = Simulated::in_memory(fast());
        cluster.sync(&spec("web"), &sync("web", "one", 'a')).await.unwrap();
        assert_eq!(healthy(&cluster).await.pinned, Some(revision('a')));
        assert_eq!(cluster.application(&app("c-db")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_was_asked_survives_a_kill_and_a_torn_line_was_never_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.jsonl");
        let cluster = Simulated::open(fast(), Some(&path)).unwrap();
        cluster.sync(&spec("web"), &sync("web", "one", 'a')).await.unwrap();
        assert!(matches!(Simulated::open(fast(), Some(&path)), Err(JournalError::InUse)));
        let before = cluster.log();
        // As after `kill -9`: nothing is said goodbye to.
        release(cluster).await;
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":\"2026-").unwrap();

        let cluster = Simulated::open(fast(), Some(&path)).unwrap();
        assert!(cluster.log().starts_with(&before));
        cluster.sync(&spec("web"), &sync("web", "one", 'a')).await.unwrap();
        let shown = healthy(&cluster).await;
        cluster.refresh(&app("c-web")).await.unwrap();
        release(cluster).await;

        let cluster = Simulated::open(Script { seed: 9, ..fast() }, Some(&path)).unwrap();
        let again = cluster.application(&app("c-web")).await.unwrap().unwrap();
        assert_eq!((again.operation, again.pinned), (shown.operation, shown.pinned));
        let requested =
            cluster.log().iter().filter(|entry| matches!(entry.kind, log::LogKind::Requested { .. })).count();
        assert_eq!(requested, 1);
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 5, "script, ensure, sync, refresh, other script:\n{lines}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.jsonl");
        std::fs::write(&path, "kind: List\nitems: []\n").unwrap();
        assert!(matches!(Simulated::open(fast(), Some(&path)), Err(JournalError::Line { line: 1, .. })));
    }

    async fn release(cluster: Simulated) {
        let shared = Arc::downgrade(&cluster.shared);
        drop(cluster);
        while shared.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
