//! What is counted from the store itself, so that a restart forgets none of it.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, name, number, text, timestamp_if_any};
use crate::domain::names::{CustomerId, Environment};

/// The end of a deployment, as far as it is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whose.
    pub customer: CustomerId,
    /// Where to.
    pub environment: Environment,
    /// How it ended: the word of its state.
    pub state: String,
    /// When its event arrived.
    pub arrived_at: Option<Timestamp>,
    /// When it was started; none where nothing was touched.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Events that wait to be worked on.
    pub events: u64,
    /// When the oldest of them arrived.
    pub oldest_event: Option<Timestamp>,
    /// Deployments that wait for their turn.
    pub queued: u64,
    /// Inputs from people and other deployments that were not taken yet.
    pub inputs: u64,
    /// Requests that could not succeed.
    pub dead_letters: u64,
}

impl Store {
    /// All deployments that are over, in the order in which they were made, one by one. Answers the place in the order
    /// of what happened up to which they are told; none where there is no deployment that is over.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn ended(&self, mut each: impl FnMut(Ended)) -> Result<Option<u64>, StoreError> {
        // One statement sees one state of the database: nothing that ends meanwhile is missed, or told twice.
        let mut rows = sqlx::query(
            "SELECT d.customer, d.environment, d.state, d.started_at, d.ended_at, e.received_at, \
             (SELECT coalesce(max(seq), 0) FROM stream) AS newest FROM deployments d \
             LEFT JOIN events e ON e.id = d.event WHERE d.finished = 1 ORDER BY d.seq",
        )
        .fetch(self.readers());
        let mut newest = None;
        while let Some(row) = rows.try_next().await? {
            newest = Some(number(&row, "newest")?);
            each(Ended {
                customer: name(&row, "customer")?,
                environment: name(&row, "environment")?,
                state: text(&row, "state")?,
                arrived_at: timestamp_if_any(&row, "received_at")?,
                started_at: timestamp_if_any(&row, "started_at")?,
                ended_at: timestamp_if_any(&row, "ended_at")?,
            });
        }
        Ok(newest)
    }

    /// How much waits.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM events WHERE state = 'accepted') AS events, \
             (SELECT min(received_at) FROM events WHERE state = 'accepted') AS oldest_event, \
             (SELECT count(*) FROM deployments WHERE finished = 0 AND state = 'queued') AS queued, \
             (SELECT count(*) FROM inbox WHERE taken = 0) AS inputs, \
             (SELECT count(*) FROM dead_letters) AS dead",
        )
        .fetch_one(self.readers())
        .await?;
        let oldest: Option<i64> = row.try_get("oldest_event")?;
        Ok(Waiting {
            events: number(&row, "events")?,
            oldest_event: oldest.and_then(|at| Timestamp::from_microsecond(at).ok()),
            queued: number(&row, "queued")?,
            inputs: number(&row, "inputs")?,
            dead_letters: number(&row, "dead")?,
        })
    }
}
