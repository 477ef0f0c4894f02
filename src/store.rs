//! All that must survive a crash: events, deployments, effects, inputs, history.
//!
//! One task owns the one connection that writes and commits what is queued together (`writer`); a small pool
//! reads. A write is answered after its commit, with fsync, and never before. SQL text stands below this module
//! and nowhere else, in the dialect that SQLite and PostgreSQL share; what only SQLite has is in `connect`.
//!
//! The store decides nothing about deployments: it keeps what [`crate::domain`] decided, refuses what would
//! break a promise (the same event twice, an outdated version, a fenced worker), and says so by name.
//!
//! Stored JSON that does not parse is reported beside the rows that do ([`Found`]): one poisoned record must not
//! keep a server from starting.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod answers;
mod audit;
mod connect;
mod dead_letters;
mod deployments;
mod error;
mod events;
mod heads;
mod history;
mod inbox;
mod lanes;
mod latency;
mod measure;
mod notifications;
mod outbox;
mod places;
mod save;
mod sessions;
mod settle;
mod stream;
mod traces;
mod worker;
mod writer;

pub use answers::{Claim, GivenAnswer};
pub use audit::{AuditFilter, Deed};
pub use dead_letters::{DeadLetter, StoredLetter};
pub use deployments::{DeploymentFilter, Summary};
pub use error::StoreError;
pub use events::{Accepted, EventFilter, EventState, NewEvent, Outcome, StoredEvent};
pub use history::{Mark, Quarantined, ServiceRevision};
pub use measure::{Ended, Waiting};
pub use notifications::{Notified, PendingNotice};
pub use places::{Count, OverviewFilter, PlaceFilter, Standing};
pub use save::Save;
pub use sessions::Session;
pub use settle::Settlement;
pub use stream::{Happening, HappeningKind, Kept};
pub use worker::WorkerLease;

use crate::domain::spread::{Durations, Spread};

/// Where the database is, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file. It and its folder are made where they are missing, readable by their owner alone.
    pub path: PathBuf,
    /// How many writes may wait; further ones are refused as [`StoreError::Busy`].
    pub queue: usize,
    /// How many writes one commit takes at most.
    pub batch: usize,
    /// How long a commit is held back for writes that are likely on their way. A lone write never waits.
    pub gather: Duration,
    /// How long to wait for another process that writes.
    pub busy_timeout: Duration,
    /// How many connections read.
    pub readers: u32,
    /// How many dead letters are kept; the oldest go first.
    pub dead_letters: u32,
}

impl Settings {
    /// The defaults, for a database in this file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            queue: 1024,
            batch: 64,
            gather: Duration::from_millis(1),
            busy_timeout: Duration::from_secs(5),
            readers: 4,
            dead_letters: 10_000,
        }
    }
}

/// The store. Cheap to clone; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    queue: mpsc::Sender<Box<dyn writer::Job>>,
    pulse: Arc<writer::Pulse>,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: AnyPool,
    reading: Durations,
    observer: Mutex<Observer>,
}

/// The connection that notices what others write, and the last version it saw.
#[derive(Debug)]
struct Observer {
    connection: Option<AnyConnection>,
    seen: i64,
}

/// What was read, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found<T> {
    /// What was understood.
    pub value: T,
    /// The rows that were not.
    pub broken: Vec<Broken>,
}

/// A stored row that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its id, as it is stored.
    pub id: String,
    /// Why.
    pub fault: String,
}

/// How the writer has been doing, since the store was opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// Writes that were committed, refused ones among them.
    pub writes: u64,
    /// Commits.
    pub commits: u64,
    /// Writes that wait now.
    pub queued: usize,
    /// How long transactions of the writer took, their fsync included.
    pub committing: Spread,
    /// How long reads took, the wait for a free connection included.
    pub reading: Spread,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::Full`], [`StoreError::Locked`], [`StoreError::Corrupt`] by what is
    /// wrong with the file; [`StoreError::NewerSchema`] before anything was written.
    pub async fn open(settings: Settings) -> Result<Self, StoreError> {
        let place = connect::Place::prepare(&settings)?;
        let write = connect::writer(&place).await?;
        let readers = connect::readers(&place, settings.readers).await?;
        let mut observer = connect::reader(&place).await?;
        let seen = connect::data_version(&mut observer).await?;

        let (queue, waiting) = mpsc::channel(settings.queue.max(1));
        let pulse = Arc::new(writer::Pulse::default());
        let stop = CancellationToken::new();
        let limits = writer::Limits { batch: settings.batch.max(1), gather: settings.gather };
        let task = tokio::spawn(writer::run(write, waiting, limits, Arc::clone(&pulse), stop.clone()));
        let inner = Inner {
            settings: Settings { path: place.file, ..settings },
            queue,
            pulse,
            stop,
            writer: Mutex::new(Some(task)),
            readers,
            reading: latency::durations(),
            observer: Mutex::new(Observer { connection: Some(observer), seen }),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Commits what waits, refuses what comes later, and closes all connections. Returns once that is done.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        if let Some(task) = self.inner.writer.lock().await.take() {
            // The task ends by itself; a panic in it was answered to each caller already.
            let _ = task.await;
        }
        self.inner.readers.close().await;
        if let Some(connection) = self.inner.observer.lock().await.connection.take() {
            connect::close(connection).await;
        }
    }

    /// A receiver that wakes after each commit of this process, and after [`Store::poll`] noticed one of another.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.pulse.changed.subscribe()
    }

    /// Looks whether anything was committed since the last look, by another process too; wakes those who wait
    /// for [`Store::changed`] if so. Costs one read of a counter in memory.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn poll(&self) -> Result<bool, StoreError> {
        let mut observer = self.inner.observer.lock().await;
        let Some(connection) = observer.connection.as_mut() else {
            return Err(StoreError::Unavailable("it is closed".into()));
        };
        let version = connect::data_version(connection).await?;
        let moved = version != observer.seen;
        observer.seen = version;
        if moved {
            self.inner.pulse.changed.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(moved)
    }

    /// Whether writes are taken: an error once the disk has failed, or after [`Store::close`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], with the reason.
    pub fn writable(&self) -> Result<(), StoreError> {
        match self.inner.pulse.failed.get() {
            Some(reason) => Err(StoreError::Unavailable(reason.clone())),
            None if self.inner.stop.is_cancelled() => Err(StoreError::Unavailable("it is closed".into())),
            None => Ok(()),
        }
    }

    /// How the writer has been doing.
    pub fn stats(&self) -> Stats {
        Stats {
            writes: self.inner.pulse.writes.load(Ordering::Relaxed),
            commits: self.inner.pulse.commits.load(Ordering::Relaxed),
            queued: self.inner.queue.max_capacity() - self.inner.queue.capacity(),
            committing: self.inner.pulse.committing.spread(),
            reading: self.inner.reading.spread(),
        }
    }

    /// Queues a write and waits until it is committed. The write is queued before the first wait, so whoever
    /// stops waiting for the answer finds it stored as a whole, or (never polled) not at all.
    async fn write<W: writer::Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        self.writable()?;
        let (job, answer) = writer::job(write);
        self.inner.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                StoreError::Busy { queued: self.inner.queue.max_capacity() }
            }
            mpsc::error::TrySendError::Closed(_) => StoreError::Unavailable("it is closed".into()),
        })?;
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Unavailable("its writer has stopped".into())),
        }
    }

    fn readers(&self) -> latency::Readers<'_> {
        latency::Readers { pool: &self.inner.readers, took: &self.inner.reading }
    }
}

impl<T> Found<Vec<T>> {
    /// Reads each row, and keeps those that cannot be read apart, under their column `id`.
    fn collect(rows: &[AnyRow], id: &str, mut read: impl FnMut(&AnyRow) -> Result<T, StoreError>) -> Self {
        let mut found = Self { value: Vec::with_capacity(rows.len()), broken: Vec::new() };
        for row in rows {
            match read(row) {
                Ok(value) => found.value.push(value),
                Err(fault) => found.broken.push(Broken { id: broken_id(row, id), fault: fault.to_string() }),
            }
        }
        found
    }
}

fn broken_id(row: &AnyRow, column: &str) -> String {
    row.try_get::<String, _>(column)
        .or_else(|_| row.try_get::<i64, _>(column).map(|id| id.to_string()))
        .unwrap_or_else(|_| "?".into())
}

/// Microseconds since 1970, for columns.
fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn timestamp(row: &AnyRow, column: &str) -> Result<Timestamp, StoreError> {
    let at: i64 = row.try_get(column)?;
    Timestamp::from_microsecond(at).map_err(|error| StoreError::data(column, error))
}

fn timestamp_if_any(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = row.try_get(column)?;
    at.map(Timestamp::from_microsecond).transpose().map_err(|error| StoreError::data(column, error))
}

fn text(row: &AnyRow, column: &str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

/// A name from a column, checked as always.
fn name<T>(row: &AnyRow, column: &str) -> Result<T, StoreError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text(row, column)?.parse().map_err(|error: T::Err| StoreError::data(column, error))
}

fn from_json<T: DeserializeOwned>(text: &str, what: impl std::fmt::Display) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::data(what, error))
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::data("a value to be stored", error))
}

/// A number of ours (a version, an epoch, a limit) for a BIGINT column.
fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of ours from a BIGINT column.
fn number(row: &AnyRow, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|error| StoreError::data(column, error))
}

#[cfg(test)]
mod tests;
