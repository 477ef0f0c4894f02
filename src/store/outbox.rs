//! Outward effects that were decided and may not have been performed. After a crash they are performed (again).

use async_trait::async_trait;
use sqlx::{AnyConnection, Row};

use super::writer::Write;
use super::{Found, Store, StoreError, bigint, from_json, text};
use crate::domain::deployment::Effect;
use crate::domain::names::DeploymentId;

impl Store {
    /// The effects of a deployment that are not settled, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_effects(&self, id: &DeploymentId) -> Result<Found<Vec<(i64, Effect)>>, StoreError> {
        let rows = sqlx::query("SELECT id, effect FROM outbox WHERE deployment = $1 ORDER BY id")
            .bind(id.as_str())
            .fetch_all(self.readers())
            .await?;
        Ok(Found::collect(&rows, "id", |row| {
            Ok((row.try_get("id")?, from_json(&text(row, "effect")?, "an effect")?))
        }))
    }

    /// Notes that effects were performed, or never need be. Ids that are settled already are passed over.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn settle_effects(&self, id: &DeploymentId, effects: &[i64]) -> Result<(), StoreError> {
        if effects.is_empty() {
            return Ok(());
        }
        self.write(Done { deployment: id.clone(), effects: effects.to_vec() }).await
    }
}

/// How many effects of one version have ids of their own.
const PER_VERSION: u64 = 1 << 20;

/// The id of an effect: ids of one deployment rise and never come again, without a counter that all deployments
/// would have to share.
pub(super) fn id(version: u64, position: usize) -> i64 {
    bigint(version.saturating_mul(PER_VERSION).saturating_add(position as u64))
}

pub(super) async fn put(
    connection: &mut AnyConnection,
    deployment: &DeploymentId,
    id: i64,
    effect: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO outbox (deployment, id, effect) VALUES ($1, $2, $3)")
        .bind(deployment.as_str())
        .bind(id)
        .bind(effect)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn settle(
    connection: &mut AnyConnection,
    deployment: &DeploymentId,
    id: i64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM outbox WHERE deployment = $1 AND id = $2")
        .bind(deployment.as_str())
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

struct Done {
    deployment: DeploymentId,
    effects: Vec<i64>,
}

#[async_trait]
impl Write for Done {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        for id in &self.effects {
            settle(connection, &self.deployment, *id).await?;
        }
        Ok(())
    }
}
