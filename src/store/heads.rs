//! Where refs were when they were last looked at.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::events::lane;
use super::worker;
use super::writer::Write;
use super::{Store, StoreError, from_json, micros, text};
use crate::domain::event::{Request, Trigger};
use crate::domain::names::{Revision, SourceName};

impl Store {
    /// Where a ref was at the last look; none where it was never looked at.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn head(&self, source: &SourceName, reference: &str) -> Result<Option<Revision>, StoreError> {
        let row = sqlx::query("SELECT head FROM heads WHERE source = $1 AND reference = $2")
            .bind(source.as_str())
            .bind(reference)
            .fetch_optional(self.readers())
            .await?;
        row.map(|row| super::name(&row, "head")).transpose()
    }

    /// Where the newest stored push that is like this one leads; none where there is none, or it deleted the ref.
    ///
    /// # Errors
    /// [`StoreError::Data`] when what is stored cannot be read; others when the database does not answer.
    pub async fn last_told(&self, like: &Request) -> Result<Option<Revision>, StoreError> {
        let row = sqlx::query("SELECT request FROM events WHERE lane = $1 ORDER BY seq DESC LIMIT 1")
            .bind(lane(like))
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let newest: Request = from_json(&text(&row, "request")?, "the request of an event")?;
        Ok(match newest.trigger {
            Trigger::Push(push) => push.after,
            Trigger::Manual { .. } | Trigger::Other { .. } => None,
        })
    }

    /// Remembers where a ref is.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another worker took over; others when the database does not take it.
    pub async fn see_head(
        &self,
        source: &SourceName,
        reference: &str,
        head: &Revision,
        at: Timestamp,
        epoch: u64,
    ) -> Result<(), StoreError> {
        let (source, reference, head) = (source.clone(), reference.to_owned(), head.clone());
        self.write(See { source, reference, head, at, epoch }).await
    }
}

struct See {
    source: SourceName,
    reference: String,
    head: Revision,
    at: Timestamp,
    epoch: u64,
}

#[async_trait]
impl Write for See {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        worker::guard(connection, self.epoch).await?;
        sqlx::query(
            "INSERT INTO heads (source, reference, head, seen_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (source, reference) DO UPDATE SET head = excluded.head, seen_at = excluded.seen_at",
        )
        .bind(self.source.as_str())
        .bind(self.reference.as_str())
        .bind(self.head.as_str())
        .bind(micros(self.at))
        .execute(connection)
        .await?;
        Ok(())
    }
}
