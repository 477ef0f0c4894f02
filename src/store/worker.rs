//! Only one worker at a time: a lock of the operating system keeps a second one from starting, and an epoch in
//! the database keeps the writes of an earlier one out.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::writer::Write;
use super::{Store, StoreError, bigint, micros, number, text, timestamp};

/// The right to work on the deployments of a store, for as long as it lives. The operating system takes it back
/// from a process that dies, however it dies.
///
/// The lock lies beside the database and holds between processes of one machine; on a network file system it
/// may not, and the epoch alone protects.
#[derive(Debug)]
pub struct WorkerLease {
    epoch: u64,
    _lock: File,
}

impl WorkerLease {
    /// The fencing token: higher than that of every earlier worker.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Store {
    /// Becomes the worker. `holder` is what others are told, such as the process and the machine.
    ///
    /// # Errors
    /// [`StoreError::WorkerRunning`] when there is one; others when the lock or the database cannot be had.
    pub async fn acquire_worker(
        &self,
        holder: impl Into<String>,
        now: Timestamp,
    ) -> Result<WorkerLease, StoreError> {
        let mut name = OsString::from(&self.inner.settings.path);
        name.push(".worker");
        let fault = |error| StoreError::of_file(name.as_ref(), &error);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.running_worker().await?),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        let epoch = self.write(Acquire { holder: holder.into(), now }).await?;
        Ok(WorkerLease { epoch, _lock: lock })
    }

    async fn running_worker(&self) -> Result<StoreError, StoreError> {
        let row = sqlx::query("SELECT holder, since_at FROM leases WHERE name = 'worker'")
            .fetch_optional(self.readers())
            .await?;
        Ok(match row {
            Some(row) => StoreError::WorkerRunning {
                holder: text(&row, "holder")?,
                since: timestamp(&row, "since_at")?,
            },
            None => StoreError::WorkerRunning {
                holder: "one that just starts".into(),
                since: Timestamp::UNIX_EPOCH,
            },
        })
    }
}

/// Refuses a write of a worker that is not the current one.
///
/// Enough under SQLite, where an open transaction holds the one lock for writing. A database with several
/// writers has to lock the row as it reads it.
pub(super) async fn guard(connection: &mut AnyConnection, epoch: u64) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT epoch FROM leases WHERE name = 'worker'")
        .fetch_optional(connection)
        .await?;
    let found = found.and_then(|found| u64::try_from(found).ok()).unwrap_or(0);
    if found == epoch { Ok(()) } else { Err(StoreError::Fenced { ours: epoch, found }) }
}

struct Acquire {
    holder: String,
    now: Timestamp,
}

#[async_trait]
impl Write for Acquire {
    type Answer = u64;

    async fn run(&self, connection: &mut AnyConnection) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "INSERT INTO leases (name, epoch, holder, since_at) VALUES ('worker', $1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET epoch = leases.epoch + 1, holder = excluded.holder, \
             since_at = excluded.since_at RETURNING epoch",
        )
        .bind(bigint(1))
        .bind(self.holder.as_str())
        .bind(micros(self.now))
        .fetch_one(connection)
        .await?;
        number(&row, "epoch")
    }
}
