//! The one task that writes. It commits together what is queued together, because a commit costs an fsync
//! whatever it holds.
//!
//! A batch is one transaction. Each write that may refuse after it has written something has a savepoint, so that a
//! refused one leaves nothing behind and does not trouble the others. When the database itself objects, SQLite may have rolled back
//! on its own: then the whole batch is rolled back, and where the fault can lie in a single write each is tried
//! again alone. After a failed fsync nothing is tried again (see [`StoreError::Disk`]).

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AnyConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{StoreError, connect, latency};
use crate::domain::spread::Durations;

/// Something to be written: plain values, prepared by whoever asks.
#[async_trait]
pub(super) trait Write: Send + Sync + 'static {
    /// What is answered after the commit.
    type Answer: Send + 'static;

    /// Whether it has written nothing yet where it refuses, as one statement that is all or nothing: then it needs no
    /// savepoint. After any other error the whole batch is rolled back.
    const REFUSES_FIRST: bool = false;

    /// Writes, in the transaction that is open. May be called again after that was rolled back.
    async fn run(&self, connection: &mut AnyConnection) -> Result<Self::Answer, StoreError>;
}

/// A queued [`Write`], whatever its answer.
#[async_trait]
pub(super) trait Job: Send {
    /// Writes and keeps the answer. An error is the database's; a refusal is an answer.
    async fn run(&mut self, connection: &mut AnyConnection) -> Result<(), StoreError>;

    /// Gives the answer that was kept to whoever still waits.
    fn answer(self: Box<Self>);

    /// Answers that it was not stored.
    fn fail(self: Box<Self>, error: StoreError);
}

/// What the writer shows of itself.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Rises with each commit.
    pub(super) changed: watch::Sender<u64>,
    /// Why nothing is written any more.
    pub(super) failed: OnceLock<String>,
    /// How many writes were committed.
    pub(super) writes: AtomicU64,
    /// How many commits that took.
    pub(super) commits: AtomicU64,
    /// How long their transactions took.
    pub(super) committing: Durations,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            changed: watch::Sender::default(),
            failed: OnceLock::new(),
            writes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            committing: latency::durations(),
        }
    }
}

/// How much is committed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Writes in one commit, at most.
    pub(super) batch: usize,
    /// How long to wait for writes that are likely on their way.
    pub(super) gather: Duration,
}

/// What became of a write.
pub(super) type Outcome<W> = Result<<W as Write>::Answer, StoreError>;

/// Makes a write ready for the queue.
pub(super) fn job<W: Write>(write: W) -> (Box<dyn Job>, oneshot::Receiver<Outcome<W>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Queued { write, outcome: None, reply }), answer)
}

/// Writes until the queue is closed or `stop` is called, and then what is still queued.
pub(super) async fn run(
    mut connection: AnyConnection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    limits: Limits,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) {
    let mut last = 1;
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            first = queue.recv() => first,
        };
        let Some(first) = first else { break };
        let mut batch = vec![first];
        gather(&mut queue, &mut batch, last, limits).await;
        last = batch.len();
        commit(&mut connection, batch, &pulse).await;
    }
    connect::close(connection).await;
}

struct Queued<W: Write> {
    write: W,
    outcome: Option<Outcome<W>>,
    reply: oneshot::Sender<Outcome<W>>,
}

#[async_trait]
impl<W: Write> Job for Queued<W> {
    async fn run(&mut self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        if !W::REFUSES_FIRST {
            execute(connection, "SAVEPOINT one_write").await?;
        }
        let outcome = self.write.run(connection).await;
        if let Err(error) = &outcome
            && !error.is_refusal()
        {
            return Err(error.clone());
        }
        if !W::REFUSES_FIRST {
            if outcome.is_err() {
                execute(connection, "ROLLBACK TO SAVEPOINT one_write").await?;
            }
            execute(connection, "RELEASE SAVEPOINT one_write").await?;
        }
        self.outcome = Some(outcome);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // Nobody may wait any more; it is stored all the same.
            let _ = self.reply.send(outcome);
        }
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

/// Takes what is queued. Callers who were just answered are likely to come again at once, so after a commit for
/// several it waits a moment for as many; after a commit for one it does not wait at all.
async fn gather(
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    batch: &mut Vec<Box<dyn Job>>,
    last: usize,
    limits: Limits,
) {
    let deadline = Instant::now() + limits.gather;
    while batch.len() < limits.batch {
        let next = match queue.try_recv() {
            Ok(job) => Some(job),
            Err(_) if batch.len() >= last => None,
            Err(_) => timeout_at(deadline, queue.recv()).await.unwrap_or(None),
        };
        match next {
            Some(job) => batch.push(job),
            None => break,
        }
    }
}

async fn commit(connection: &mut AnyConnection, mut batch: Vec<Box<dyn Job>>, pulse: &Pulse) {
    if let Some(reason) = pulse.failed.get() {
        fail(batch, &StoreError::Unavailable(reason.clone()));
        return;
    }
    match transaction(connection, &mut batch, pulse).await {
        Ok(()) => batch.into_iter().for_each(|job| job.answer()),
        Err(error) if error.is_of_one_write() && batch.len() > 1 => {
            for job in batch {
                Box::pin(commit(connection, vec![job], pulse)).await;
            }
        }
        Err(error) => fail(batch, &error),
    }
}

fn fail(batch: Vec<Box<dyn Job>>, error: &StoreError) {
    batch.into_iter().for_each(|job| job.fail(error.clone()));
}

/// All of the batch, or nothing of it.
async fn transaction(
    connection: &mut AnyConnection,
    batch: &mut [Box<dyn Job>],
    pulse: &Pulse,
) -> Result<(), StoreError> {
    let written = async {
        execute(connection, connect::BEGIN).await?;
        for job in batch.iter_mut() {
            job.run(connection).await?;
        }
        execute(connection, "COMMIT").await
    };
    let began = Instant::now();
    let outcome = written.await;
    pulse.committing.add(began.elapsed());
    match &outcome {
        Ok(()) => {
            pulse.writes.fetch_add(batch.len() as u64, Ordering::Relaxed);
            pulse.commits.fetch_add(1, Ordering::Relaxed);
            pulse.changed.send_modify(|count| *count = count.wrapping_add(1));
        }
        Err(error) => {
            if error.is_final() {
                tracing::error!(%error, "the store takes no further writes");
                let _ = pulse.failed.set(format!("no writes are taken any more: {error}"));
            }
            // Fails where SQLite has rolled back already, or never began.
            let _ = execute(connection, "ROLLBACK").await;
        }
    }
    outcome
}

async fn execute(connection: &mut AnyConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(connection).await?;
    Ok(())
}
