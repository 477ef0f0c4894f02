//! Answers to writes that carry a key of their own, so that asking twice does once.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyConnection, Row};

use super::writer::Write;
use super::{Store, StoreError, micros, text};

/// How long an answer is kept.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// After so long, a request that was never answered is taken to have died with its server.
const LOST: SignedDuration = SignedDuration::from_mins(1);

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Where what it made is found.
    pub location: Option<String>,
    /// Its body.
    pub body: String,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: whoever asks is the first, and has it now.
    Mine,
    /// The same was asked for and is being worked on.
    Underway,
    /// The same was asked for and answered.
    Answered(GivenAnswer),
    /// Something else was asked for with it.
    Taken,
}

impl Store {
    /// Claims a key for a request; both are hashes.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn claim(&self, id: &str, request: &str, now: Timestamp) -> Result<Claim, StoreError> {
        self.write(Claiming { id: id.to_owned(), request: request.to_owned(), now }).await
    }

    /// Keeps the answer to a claimed key; none frees the key.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn answer(&self, id: &str, answer: Option<GivenAnswer>) -> Result<(), StoreError> {
        self.write(Answering { id: id.to_owned(), answer }).await
    }
}

struct Claiming {
    id: String,
    request: String,
    now: Timestamp,
}

#[async_trait]
impl Write for Claiming {
    type Answer = Claim;

    async fn run(&self, connection: &mut AnyConnection) -> Result<Claim, StoreError> {
        let before = |length| micros(self.now.checked_sub(length).unwrap_or(Timestamp::MIN));
        sqlx::query("DELETE FROM answers WHERE at < $1 OR (status = 0 AND at < $2)")
            .bind(before(KEEP))
            .bind(before(LOST))
            .execute(&mut *connection)
            .await?;
        let inserted = sqlx::query(
            "INSERT INTO answers (id, request, at, status, location, body) VALUES ($1, $2, $3, 0, NULL, '') \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.id.as_str())
        .bind(self.request.as_str())
        .bind(micros(self.now))
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() > 0 {
            return Ok(Claim::Mine);
        }
        let row = sqlx::query("SELECT request, status, location, body FROM answers WHERE id = $1")
            .bind(self.id.as_str())
            .fetch_one(connection)
            .await?;
        if text(&row, "request")? != self.request {
            return Ok(Claim::Taken);
        }
        let status: i64 = row.try_get("status")?;
        Ok(match u16::try_from(status) {
            Ok(0) | Err(_) => Claim::Underway,
            Ok(status) => Claim::Answered(GivenAnswer {
                status,
                location: row.try_get("location")?,
                body: text(&row, "body")?,
            }),
        })
    }
}

struct Answering {
    id: String,
    answer: Option<GivenAnswer>,
}

#[async_trait]
impl Write for Answering {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let query = match &self.answer {
            Some(answer) => {
                sqlx::query("UPDATE answers SET status = $2, location = $3, body = $4 WHERE id = $1")
                    .bind(self.id.as_str())
                    .bind(i64::from(answer.status))
                    .bind(answer.location.as_deref())
                    .bind(answer.body.as_str())
            }
            None => sqlx::query("DELETE FROM answers WHERE id = $1").bind(self.id.as_str()),
        };
        query.execute(connection).await?;
        Ok(())
    }
}
