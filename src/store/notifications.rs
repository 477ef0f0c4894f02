//! Who is still to be told of what, and how often whom was.
//!
//! How far the stream was read is kept for each target in `told`, and moves in the transaction that keeps what was found
//! there: so nothing is found twice, and nothing is missed that the stream still has.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AnyConnection, Row};

use super::writer::Write;
use super::{Store, StoreError, bigint, from_json, micros, number, text, timestamp, to_json};
use crate::domain::notification::Notice;

/// Messages that one target may have waiting; the oldest go first.
const WAITING: i64 = 1_000;

/// What the names of targets' places in the stream begin with.
const PREFIX: &str = "notify:";

/// A message that a target has not taken yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingNotice {
    /// The message's id.
    pub id: String,
    /// When it is sent next.
    pub due: Timestamp,
    /// How often that failed.
    pub attempts: u32,
    /// What is said.
    pub notice: Notice,
}

/// What became of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// Of which target.
    pub target: String,
    /// Of what they were, by its word.
    pub trigger: String,
    /// `delivered`, `retried`, `refused`, `expired`, `outdated` or `dropped`.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

impl Store {
    /// Up to where the stream was read for each of these targets. One that is new begins at its end; what is kept of
    /// any other target is forgotten.
    ///
    /// # Errors
    /// When the database does not answer or take it.
    pub async fn begin_notifying(&self, targets: Vec<String>) -> Result<BTreeMap<String, u64>, StoreError> {
        self.write(Begin { targets }).await
    }

    /// Keeps notices for targets, and up to where the stream was read for all of these.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn keep_notices(
        &self,
        read_for: Vec<String>,
        seq: u64,
        notices: &[(String, Notice)],
    ) -> Result<(), StoreError> {
        let row = |(target, notice): &(String, Notice)| {
            Ok(Kept {
                target: target.clone(),
                id: notice.id(target),
                kind: notice.trigger.word(),
                at: micros(notice.at),
                notice: to_json(notice)?,
            })
        };
        let kept = notices.iter().map(row).collect::<Result<_, StoreError>>()?;
        self.write(Keep { read_for, seq: bigint(seq), kept }).await
    }

    /// The message of a target that is due first; none where none waits. One that cannot be read is an error
    /// under its id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next_notice(
        &self,
        target: &str,
    ) -> Result<Option<Result<PendingNotice, String>>, StoreError> {
        let row = sqlx::query(
            "SELECT id, due, attempts, notice FROM notifications WHERE target = $1 ORDER BY due, id LIMIT 1",
        )
        .bind(target)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let id = text(&row, "id")?;
        let Ok(notice) = from_json(&text(&row, "notice")?, "a notice") else { return Ok(Some(Err(id))) };
        let attempts = u32::try_from(number(&row, "attempts")?).unwrap_or(u32::MAX);
        Ok(Some(Ok(PendingNotice { id, due: timestamp(&row, "due")?, attempts, notice })))
    }

    /// Notes that a message was not taken, and when it is sent again.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn postpone_notice(&self, target: &str, id: &str, due: Timestamp) -> Result<(), StoreError> {
        let (target, id) = (target.to_owned(), id.to_owned());
        self.write(Postpone { target, id, due: micros(due) }).await
    }

    /// Forgets a message, because of what became of it.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn settle_notice(
        &self,
        target: &str,
        id: &str,
        outcome: &'static str,
    ) -> Result<(), StoreError> {
        let (target, id) = (target.to_owned(), id.to_owned());
        self.write(Settle { target, id, outcome }).await
    }

    /// What became of messages, since the database was made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn notified(&self) -> Result<Vec<Notified>, StoreError> {
        let rows =
            sqlx::query("SELECT target, kind, outcome, number FROM notified ORDER BY target, kind, outcome")
                .fetch_all(self.readers())
                .await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(Notified {
                target: text(row, "target")?,
                trigger: text(row, "kind")?,
                outcome: text(row, "outcome")?,
                count: number(row, "number")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

struct Begin {
    targets: Vec<String>,
}

#[async_trait]
impl Write for Begin {
    type Answer = BTreeMap<String, u64>;

    async fn run(&self, connection: &mut AnyConnection) -> Result<Self::Answer, StoreError> {
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM stream")
            .fetch_one(&mut *connection)
            .await?;
        let told = sqlx::query("SELECT name, seq FROM told").fetch_all(&mut *connection).await?;
        let mut places = BTreeMap::new();
        for row in &told {
            let name = text(row, "name")?;
            let Some(target) = name.strip_prefix(PREFIX) else { continue };
            if self.targets.iter().any(|wanted| wanted == target) {
                places.insert(target.to_owned(), number(row, "seq")?);
            } else {
                sqlx::query("DELETE FROM told WHERE name = $1").bind(&name).execute(&mut *connection).await?;
                sqlx::query("DELETE FROM notifications WHERE target = $1")
                    .bind(target)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        for target in &self.targets {
            if !places.contains_key(target) {
                place(connection, target, newest).await?;
                places.insert(target.clone(), u64::try_from(newest).unwrap_or(0));
            }
        }
        Ok(places)
    }
}

/// A notice, as it is kept.
struct Kept {
    target: String,
    id: String,
    kind: &'static str,
    at: i64,
    notice: String,
}

struct Keep {
    read_for: Vec<String>,
    seq: i64,
    kept: Vec<Kept>,
}

#[async_trait]
impl Write for Keep {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        for target in &self.read_for {
            place(connection, target, self.seq).await?;
        }
        for row in &self.kept {
            sqlx::query(
                "INSERT INTO notifications (target, id, kind, at, notice, due, attempts) \
                 VALUES ($1, $2, $3, $4, $5, $4, 0) ON CONFLICT DO NOTHING",
            )
            .bind(row.target.as_str())
            .bind(row.id.as_str())
            .bind(row.kind)
            .bind(row.at)
            .bind(row.notice.as_str())
            .execute(&mut *connection)
            .await?;
            let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM notifications WHERE target = $1")
                .bind(row.target.as_str())
                .fetch_one(&mut *connection)
                .await?;
            if waiting > WAITING {
                drop_oldest(connection, &row.target).await?;
            }
        }
        Ok(())
    }
}

/// Lets the oldest message of a target go.
async fn drop_oldest(connection: &mut AnyConnection, target: &str) -> Result<(), StoreError> {
    let oldest: String =
        sqlx::query_scalar("SELECT id FROM notifications WHERE target = $1 ORDER BY at, id LIMIT 1")
            .bind(target)
            .fetch_one(&mut *connection)
            .await?;
    let settle = Settle { target: target.to_owned(), id: oldest, outcome: "dropped" };
    settle.run(connection).await
}

/// Remembers up to where the stream was read for a target.
async fn place(connection: &mut AnyConnection, target: &str, seq: i64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO told (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
    )
    .bind(format!("{PREFIX}{target}"))
    .bind(seq)
    .execute(connection)
    .await?;
    Ok(())
}

struct Postpone {
    target: String,
    id: String,
    due: i64,
}

#[async_trait]
impl Write for Postpone {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        count(connection, &self.target, &self.id, "retried").await?;
        sqlx::query(
            "UPDATE notifications SET due = $1, attempts = attempts + 1 WHERE target = $2 AND id = $3",
        )
        .bind(self.due)
        .bind(self.target.as_str())
        .bind(self.id.as_str())
        .execute(connection)
        .await?;
        Ok(())
    }
}

struct Settle {
    target: String,
    id: String,
    outcome: &'static str,
}

#[async_trait]
impl Write for Settle {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        count(connection, &self.target, &self.id, self.outcome).await?;
        sqlx::query("DELETE FROM notifications WHERE target = $1 AND id = $2")
            .bind(self.target.as_str())
            .bind(self.id.as_str())
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Counts what became of a message that still waits; one that does not was counted.
async fn count(
    connection: &mut AnyConnection,
    target: &str,
    id: &str,
    outcome: &str,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT kind FROM notifications WHERE target = $1 AND id = $2")
        .bind(target)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let kind: String = row.try_get("kind")?;
    sqlx::query(
        "INSERT INTO notified (target, kind, outcome, number) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (target, kind, outcome) DO UPDATE SET number = notified.number + 1",
    )
    .bind(target)
    .bind(kind)
    .bind(outcome)
    .execute(connection)
    .await?;
    Ok(())
}
