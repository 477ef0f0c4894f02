//! Requests that can never succeed: kept with all their bytes and faults, so that people can look.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::audit::{self, Entry};
use super::writer::Write;
use super::{Found, Store, StoreError, from_json, micros, name, number, text, timestamp, to_json};
use crate::domain::audit::Origin;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::names::EventId;

/// A request that can never succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The id it gets if it is new.
    pub id: EventId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// All that is wrong with it.
    pub faults: Vec<Diagnostic>,
    /// The trigger's resource, as it arrived.
    pub resource: Vec<u8>,
    /// The payload, as it arrived.
    pub payload: Vec<u8>,
}

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// The letter, with the time of its first arrival.
    pub letter: DeadLetter,
    /// How often it arrived.
    pub count: u64,
    /// When it arrived last.
    pub last_at: Timestamp,
}

impl Store {
    /// Keeps a dead letter, and records who sent it. The same bytes again only raise its count. Answers its id.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub async fn dead_letter(&self, letter: DeadLetter, origin: Origin) -> Result<EventId, StoreError> {
        let keep = self.inner.settings.dead_letters;
        self.write(Bury::new(letter, origin, keep)?).await
    }

    /// The dead letters, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dead_letters(&self, limit: u32) -> Result<Found<Vec<StoredLetter>>, StoreError> {
        self.dead_letters_before(None, limit).await
    }

    /// Those older than a given one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dead_letters_before(
        &self,
        before: Option<&EventId>,
        limit: u32,
    ) -> Result<Found<Vec<StoredLetter>>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, first_at, last_at, count, faults, resource, payload FROM dead_letters \
             WHERE (seq < (SELECT d.seq FROM dead_letters d WHERE d.id = $1) OR $1 IS NULL) \
             ORDER BY seq DESC LIMIT $2",
        )
        .bind(before.map(EventId::as_str))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", read))
    }

    /// One dead letter; none where there is no such one.
    ///
    /// # Errors
    /// [`StoreError::Data`] when what is stored cannot be read; others when the database does not answer.
    pub async fn letter(&self, id: &EventId) -> Result<Option<StoredLetter>, StoreError> {
        let row = sqlx::query(
            "SELECT id, first_at, last_at, count, faults, resource, payload FROM dead_letters WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(self.readers())
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Takes a dead letter out, once it became an event after all, and records who tried it again. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn unbury(
        &self,
        id: &EventId,
        event: &EventId,
        origin: Origin,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let detail = json!({ "letter": id });
        self.write(Unbury { id: id.clone(), event: event.clone(), origin, at, detail }).await
    }
}

struct Unbury {
    id: EventId,
    event: EventId,
    origin: Origin,
    at: Timestamp,
    detail: Value,
}

#[async_trait]
impl Write for Unbury {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let deleted = sqlx::query("DELETE FROM dead_letters WHERE id = $1")
            .bind(self.id.as_str())
            .execute(&mut *connection)
            .await?;
        if deleted.rows_affected() > 0 {
            let entry = Entry {
                event: Some(self.event.as_str()),
                detail: &self.detail.to_string(),
                before: Some("dead-letter"),
                after: Some("accepted"),
                ..Entry::of(self.at, &self.origin, "replay")
            };
            audit::put(connection, entry).await?;
        }
        Ok(())
    }
}

fn read(row: &AnyRow) -> Result<StoredLetter, StoreError> {
    let letter = DeadLetter {
        id: name(row, "id")?,
        received_at: timestamp(row, "first_at")?,
        faults: from_json(&text(row, "faults")?, "the faults of a dead letter")?,
        resource: from_text(&text(row, "resource")?)?,
        payload: from_text(&text(row, "payload")?)?,
    };
    Ok(StoredLetter { letter, count: number(row, "count")?, last_at: timestamp(row, "last_at")? })
}

/// Any bytes in a TEXT column: text as it is, everything else in hexadecimal. A NUL is no text to PostgreSQL.
fn to_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => format!("text:{text}"),
        Ok(_) | Err(_) => format!("hex:{}", hex(bytes)),
    }
}

fn from_text(stored: &str) -> Result<Vec<u8>, StoreError> {
    if let Some(text) = stored.strip_prefix("text:") {
        return Ok(text.as_bytes().to_vec());
    }
    let unreadable = || StoreError::data("the bytes of a dead letter", "neither text nor hexadecimal");
    let digits = stored.strip_prefix("hex:").ok_or_else(unreadable)?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or_else(unreadable)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Bury {
    id: EventId,
    received_at: Timestamp,
    origin: Origin,
    detail: Value,
    digest: String,
    faults: String,
    resource: String,
    payload: String,
    keep: u32,
}

impl Bury {
    fn new(letter: DeadLetter, origin: Origin, keep: u32) -> Result<Self, StoreError> {
        let mut digest = Sha256::new();
        // The length keeps the two apart.
        digest.update((letter.resource.len() as u64).to_le_bytes());
        digest.update(&letter.resource);
        digest.update(&letter.payload);
        Ok(Self {
            detail: json!({ "letter": letter.id, "faults": letter.faults.len() }),
            origin,
            digest: hex(&digest.finalize()),
            faults: to_json(&letter.faults)?,
            resource: to_text(&letter.resource),
            payload: to_text(&letter.payload),
            id: letter.id,
            received_at: letter.received_at,
            keep,
        })
    }
}

#[async_trait]
impl Write for Bury {
    type Answer = EventId;

    async fn run(&self, connection: &mut AnyConnection) -> Result<EventId, StoreError> {
        let row = sqlx::query(
            "INSERT INTO dead_letters (digest, id, seq, first_at, last_at, count, faults, resource, payload) \
             SELECT $1, $2, coalesce((SELECT max(seq) FROM dead_letters), 0) + 1, $3, $3, 1, $4, $5, $6 \
             WHERE 1 = 1 ON CONFLICT (digest) DO UPDATE SET count = dead_letters.count + 1, \
             last_at = excluded.last_at, faults = excluded.faults RETURNING id",
        )
        .bind(self.digest.as_str())
        .bind(self.id.as_str())
        .bind(micros(self.received_at))
        .bind(self.faults.as_str())
        .bind(self.resource.as_str())
        .bind(self.payload.as_str())
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query("DELETE FROM dead_letters WHERE seq <= (SELECT max(seq) FROM dead_letters) - $1")
            .bind(i64::from(self.keep.max(1)))
            .execute(&mut *connection)
            .await?;
        let kept: EventId = name(&row, "id")?;
        // The same again is counted where it is kept.
        if kept == self.id {
            let entry = Entry {
                detail: &self.detail.to_string(),
                after: Some("dead-letter"),
                ..Entry::of(self.received_at, &self.origin, "dead-letter")
            };
            audit::put(connection, entry).await?;
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&[u8], &str)]) {
        for (bytes, stored) in cases {
            assert_eq!(&to_text(bytes), stored);
            assert_eq!(&from_text(stored).unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes_survive_as_text() {
        check(&[
            (b"", "text:"),
            ("größe: 1\n".as_bytes(), "text:größe: 1\n"),
            (b"hex:ff", "text:hex:ff"),
            (b"a\0b", "hex:610062"),
            (&[0xff, 0x00, 0x0a], "hex:ff000a"),
        ]);
        for wrong in ["", "hex:f", "hex:zz", "hex:+1", "b64:AA=="] {
            assert!(from_text(wrong).is_err(), "{wrong}");
        }
    }
}
