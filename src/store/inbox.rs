//! Inputs for deployments from outside their worker: people's commands, other deployments.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::{AnyConnection, Row};

use super::audit::{self, Entry};
use super::writer::Write;
use super::{Found, Store, StoreError, from_json, micros, name, text, to_json};
use crate::domain::audit::Origin;
use crate::domain::compliance::UNMOVED;
use crate::domain::deployment::Input;
use crate::domain::names::DeploymentId;

/// How many inputs may wait for one deployment.
const LIMIT: i64 = 1000;

impl Store {
    /// Puts an input into a deployment's inbox, and who has sent it into the audit. The worker is woken, in another process by its next
    /// [`Store::poll`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Finished`]; [`StoreError::Busy`] when 1000 inputs wait for it
    /// already; others when the database does not take it.
    pub async fn send(
        &self,
        to: &DeploymentId,
        input: &Input,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let detail = serde_json::to_value(input).unwrap_or_default();
        self.write(Send { to: to.clone(), input: to_json(input)?, detail, origin: origin.clone(), now }).await
    }

    /// The inputs that wait for a deployment, oldest first, with their ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn inbox(&self, id: &DeploymentId) -> Result<Found<Vec<(i64, Input)>>, StoreError> {
        let rows = sqlx::query("SELECT id, input FROM inbox WHERE deployment = $1 AND taken = 0 ORDER BY id")
            .bind(id.as_str())
            .fetch_all(self.readers())
            .await?;
        Ok(Found::collect(&rows, "id", |row| {
            Ok((row.try_get("id")?, from_json(&text(row, "input")?, "an input")?))
        }))
    }

    /// Takes an input out without a step: it moved nothing, or cannot be read. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn drop_input(&self, deployment: &DeploymentId, id: i64) -> Result<(), StoreError> {
        self.write(Take { deployment: deployment.clone(), id }).await
    }

    /// The deployments for which inputs wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn any_inbox(&self) -> Result<Vec<DeploymentId>, StoreError> {
        let rows = sqlx::query("SELECT DISTINCT deployment FROM inbox WHERE taken = 0 ORDER BY deployment")
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|row| name(row, "deployment")).collect()
    }
}

pub(super) async fn put(
    connection: &mut AnyConnection,
    to: &DeploymentId,
    input: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "SELECT finished, (SELECT count(*) FROM inbox WHERE deployment = $1 AND taken = 0) AS waiting \
         FROM deployments WHERE id = $1",
    )
    .bind(to.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Err(StoreError::NotFound(format!("deployment {to}"))) };
    if row.try_get::<i64, _>("finished")? != 0 {
        return Err(StoreError::Finished(to.to_string()));
    }
    let waiting: i64 = row.try_get("waiting")?;
    if waiting >= LIMIT {
        return Err(StoreError::Busy { queued: usize::try_from(waiting).unwrap_or(usize::MAX) });
    }
    let id = sqlx::query_scalar(
        "INSERT INTO inbox (deployment, id, sent_at, taken, input) \
         SELECT $1, coalesce((SELECT max(id) FROM inbox WHERE deployment = $1), 0) + 1, $2, 0, $3 RETURNING id",
    )
    .bind(to.as_str())
    .bind(micros(now))
    .bind(input)
    .fetch_one(connection)
    .await?;
    Ok(id)
}

pub(super) async fn take(
    connection: &mut AnyConnection,
    deployment: &DeploymentId,
    id: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE inbox SET taken = 1 WHERE deployment = $1 AND id = $2")
        .bind(deployment.as_str())
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The word of a command.
fn action(input: &Value) -> &str {
    let command = input.get("command");
    let word = command.and_then(|command| command.get("command").or(Some(command)).and_then(Value::as_str));
    word.unwrap_or("input")
}

struct Send {
    to: DeploymentId,
    input: String,
    detail: Value,
    origin: Origin,
    now: Timestamp,
}

#[async_trait]
impl Write for Send {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let id = put(connection, &self.to, &self.input, self.now).await?;
        let row = sqlx::query("SELECT customer, environment, state FROM deployments WHERE id = $1")
            .bind(self.to.as_str())
            .fetch_one(&mut *connection)
            .await?;
        let (customer, environment) = (text(&row, "customer")?, text(&row, "environment")?);
        let state = text(&row, "state")?;
        let entry = Entry {
            customer: Some(&customer),
            environment: Some(&environment),
            deployment: Some(self.to.as_str()),
            input: Some(id),
            detail: &self.detail.to_string(),
            before: Some(&state),
            ..Entry::of(self.now, &self.origin, action(&self.detail))
        };
        audit::put(connection, entry).await
    }
}

struct Take {
    deployment: DeploymentId,
    id: i64,
}

#[async_trait]
impl Write for Take {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        take(connection, &self.deployment, self.id).await?;
        audit::taken(connection, &self.deployment, self.id, UNMOVED).await
    }
}
