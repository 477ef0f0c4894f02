//! Logins of people by their browsers. A stolen database logs nobody in: only hashes of the cookies are there.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::audit::{self, Entry};
use super::writer::Write;
use super::{Store, StoreError, from_json, micros, text, timestamp, to_json};
use crate::domain::audit::Origin;
use crate::domain::claims::Person;

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who it is.
    pub person: Person,
    /// What a page of ours sends with each write.
    pub csrf: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps a login under the hash of its cookie, and forgets those that are over.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn begin_session(
        &self,
        id: &str,
        session: &Session,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let groups = to_json(&session.person.groups)?;
        let (session, origin) = (session.clone(), origin.clone());
        self.write(Begin { id: id.to_owned(), session, groups, origin, now }).await
    }

    /// The login under a hash; none where there is none, or it is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(
            "SELECT name, groups, csrf, expires_at FROM sessions WHERE id = $1 AND expires_at > $2",
        )
        .bind(id)
        .bind(micros(now))
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Session {
            person: Person {
                name: text(&row, "name")?,
                groups: from_json(&text(&row, "groups")?, "the groups of a session")?,
            },
            csrf: text(&row, "csrf")?,
            expires_at: timestamp(&row, "expires_at")?,
        }))
    }

    /// Ends a login.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn end_session(&self, id: &str, origin: &Origin, now: Timestamp) -> Result<(), StoreError> {
        self.write(End { id: id.to_owned(), origin: origin.clone(), now }).await
    }
}

struct Begin {
    id: String,
    session: Session,
    groups: String,
    origin: Origin,
    now: Timestamp,
}

#[async_trait]
impl Write for Begin {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(micros(self.now))
            .execute(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO sessions (id, name, groups, csrf, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(self.id.as_str())
            .bind(self.session.person.name.as_str())
            .bind(self.groups.as_str())
            .bind(self.session.csrf.as_str())
            .bind(micros(self.session.expires_at))
            .execute(&mut *connection)
            .await?;
        audit::put(connection, Entry::of(self.now, &self.origin, "login")).await
    }
}

struct End {
    id: String,
    origin: Origin,
    now: Timestamp,
}

#[async_trait]
impl Write for End {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(self.id.as_str())
            .execute(&mut *connection)
            .await?;
        audit::put(connection, Entry::of(self.now, &self.origin, "logout")).await
    }
}
