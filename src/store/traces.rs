//! Whose event is part of which trace, and up to where what happened was told outside.

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::writer::Write;
use super::{Store, StoreError, bigint};
use crate::domain::names::EventId;
use crate::domain::trace::TraceContext;

impl Store {
    /// The trace that an event is part of; the one that it begins, where its sender said nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trace(&self, event: &EventId) -> Result<TraceContext, StoreError> {
        let said: Option<String> = sqlx::query_scalar("SELECT traceparent FROM traces WHERE event = $1")
            .bind(event.as_str())
            .fetch_optional(self.readers())
            .await?;
        Ok(said.and_then(|said| said.parse().ok()).unwrap_or_else(|| TraceContext::begun_by(event)))
    }

    /// The last row of what happened that was told under this name; none where nothing was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn told(&self, name: &'static str) -> Result<Option<u64>, StoreError> {
        let seq: Option<i64> = sqlx::query_scalar("SELECT seq FROM told WHERE name = $1")
            .bind(name)
            .fetch_optional(self.readers())
            .await?;
        Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
    }

    /// Remembers up to which row what happened was told under this name.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn tell(&self, name: &'static str, seq: u64) -> Result<(), StoreError> {
        self.write(Told { name, seq: bigint(seq) }).await
    }
}

struct Told {
    name: &'static str,
    seq: i64,
}

#[async_trait]
impl Write for Told {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO told (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
        )
        .bind(self.name)
        .bind(self.seq)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Notes what the sender of a new event said of its trace.
pub(super) async fn put(
    connection: &mut AnyConnection,
    event: &EventId,
    trace: &TraceContext,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO traces (event, traceparent) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(event.as_str())
        .bind(trace.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
