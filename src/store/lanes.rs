//! The deployments of one customer and environment, which run one at a time.

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::deployments::{Columns, read};
use super::writer::Write;
use super::{Found, Store, StoreError, bigint, name, to_json, worker};
use crate::domain::deployment::Deployment;
use crate::domain::names::{CustomerId, DeploymentId, Environment};

impl Store {
    /// Whose deployments are not over, without reading any of them: cheap enough for every wake-up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished_keys(&self) -> Result<Vec<(DeploymentId, CustomerId, Environment)>, StoreError> {
        let rows =
            sqlx::query("SELECT id, customer, environment FROM deployments WHERE finished = 0 ORDER BY seq")
                .fetch_all(self.readers())
                .await?;
        rows.iter()
            .map(|row| Ok((name(row, "id")?, name(row, "customer")?, name(row, "environment")?)))
            .collect()
    }

    /// The deployments of a customer and environment that are not over, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished_of(
        &self,
        customer: &CustomerId,
        environment: &Environment,
    ) -> Result<Found<Vec<Deployment>>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.id, b.brief, d.progress FROM deployments d JOIN briefs b ON b.deployment = d.id \
             WHERE d.finished = 0 AND d.customer = $1 AND d.environment = $2 ORDER BY d.seq",
        )
        .bind(customer.as_str())
        .bind(environment.as_str())
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", read))
    }

    /// Gives a deployment that waits for its turn another plan. Nothing of it was journalled before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it does not wait any more, [`StoreError::Fenced`] when another worker took
    /// over; others when the database does not take it.
    pub async fn replan(&self, deployment: &Deployment, epoch: u64) -> Result<(), StoreError> {
        let columns = Columns::of(deployment)?;
        let brief = to_json(&deployment.brief)?;
        self.write(Replan { id: deployment.id().clone(), columns, brief, epoch }).await
    }
}

struct Replan {
    id: DeploymentId,
    columns: Columns,
    brief: String,
    epoch: u64,
}

#[async_trait]
impl Write for Replan {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        worker::guard(connection, self.epoch).await?;
        let updated = sqlx::query(
            "UPDATE deployments SET progress = $2, glance = $3 WHERE id = $1 AND version = $4 AND state = 'queued'",
        )
        .bind(self.id.as_str())
        .bind(self.columns.progress.as_str())
        .bind(self.columns.glance.as_str())
        .bind(bigint(0))
        .execute(&mut *connection)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(StoreError::Conflict { id: self.id.to_string(), expected: 0, found: 1 });
        }
        sqlx::query("UPDATE briefs SET brief = $2 WHERE deployment = $1")
            .bind(self.id.as_str())
            .bind(self.brief.as_str())
            .execute(connection)
            .await?;
        Ok(())
    }
}
