//! Deployments as they are read, and as they are first stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use utoipa::ToSchema;

use super::places::listed;
use super::stream::{self, Entry, HappeningKind};
use super::{Found, Store, StoreError, bigint, from_json, micros, name, number, text, timestamp};
use super::{timestamp_if_any, to_json};
use crate::domain::deployment::{Deployment, Glance, JournalEntry};
use crate::domain::names::{CustomerId, DeploymentId, Environment, EventId, Revision, SourceName};

/// Which deployments to list. Nothing set means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentFilter {
    /// Only of this customer.
    pub customer: Option<CustomerId>,
    /// Only to this environment.
    pub environment: Option<Environment>,
    /// Only in this state, by its word.
    pub state: Option<String>,
    /// Only those that are over, or only those that are not.
    pub finished: Option<bool>,
    /// Only older ones than this.
    pub before: Option<DeploymentId>,
    /// Only of these customers.
    pub within: Option<Vec<CustomerId>>,
    /// Only those that may have taken something back: rollbacks, and what failed or is rolling back.
    pub backward: bool,
}

/// A deployment in a list: all but its services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeploymentSummary)]
pub struct Summary {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeploymentId,
    /// The event that asked for it.
    #[schema(value_type = String)]
    pub event: EventId,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where to.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The configured repository.
    #[schema(value_type = String)]
    pub source: SourceName,
    /// The commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// What it is for, by its word.
    pub purpose: String,
    /// Who asked.
    pub requested_by: String,
    /// Where it stands, by the state's word.
    pub state: String,
    /// Why, where there is something to explain.
    pub reason: Option<String>,
    /// Whether it is over.
    pub finished: bool,
    /// How many inputs moved something.
    pub version: u64,
    /// When it was made. This and the following in whole microseconds.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Store {
    /// One deployment; none where there is no such one.
    ///
    /// # Errors
    /// [`StoreError::Data`] when what is stored cannot be read; others when the database does not answer.
    pub async fn deployment(&self, id: &DeploymentId) -> Result<Option<Deployment>, StoreError> {
        let row = sqlx::query(
            "SELECT d.id, b.brief, d.progress FROM deployments d JOIN briefs b ON b.deployment = d.id \
             WHERE d.id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(self.readers())
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// All deployments that are not over, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished(&self) -> Result<Found<Vec<Deployment>>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.id, b.brief, d.progress FROM deployments d JOIN briefs b ON b.deployment = d.id \
             WHERE d.finished = 0 ORDER BY d.seq",
        )
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", read))
    }

    /// Deployments, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn deployments(
        &self,
        filter: &DeploymentFilter,
        limit: u32,
    ) -> Result<Found<Vec<Summary>>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, event, customer, environment, source, revision, purpose, requested_by, state, reason, \
             finished, version, created_at, started_at, ended_at FROM deployments \
             WHERE (customer = $1 OR $1 IS NULL) AND (environment = $2 OR $2 IS NULL) \
             AND (state = $3 OR $3 IS NULL) \
             AND (seq < (SELECT d.seq FROM deployments d WHERE d.id = $4) OR $4 IS NULL) \
             AND ($5 LIKE '%,' || customer || ',%' OR $5 IS NULL) \
             AND ($6 = 0 OR purpose = 'rollback' OR state IN ('failed', 'rolling-back')) \
             AND (finished = $7 OR $7 IS NULL) ORDER BY seq DESC LIMIT $8",
        )
        .bind(filter.customer.as_ref().map(CustomerId::as_str))
        .bind(filter.environment.as_ref().map(Environment::as_str))
        .bind(filter.state.as_deref())
        .bind(filter.before.as_ref().map(DeploymentId::as_str))
        .bind(listed(filter.within.as_deref()))
        .bind(i64::from(filter.backward))
        .bind(filter.finished.map(i64::from))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", summary))
    }

    /// What moved a deployment, from the beginning.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn journal(&self, id: &DeploymentId) -> Result<Found<Vec<JournalEntry>>, StoreError> {
        let rows = sqlx::query("SELECT seq, entry FROM journal WHERE deployment = $1 ORDER BY seq")
            .bind(id.as_str())
            .fetch_all(self.readers())
            .await?;
        Ok(Found::collect(&rows, "seq", |row| from_json(&text(row, "entry")?, "an entry of the journal")))
    }
}

/// A deployment, ready to be inserted.
pub(super) struct NewDeployment {
    pub(super) id: DeploymentId,
    deployment: Columns,
    event: EventId,
    customer: CustomerId,
    environment: Environment,
    source: SourceName,
    revision: Revision,
    purpose: String,
    requested_by: String,
    created_at: i64,
    brief: String,
}

impl NewDeployment {
    pub(super) fn of(deployment: &Deployment) -> Result<Self, StoreError> {
        let brief = &deployment.brief;
        Ok(Self {
            id: brief.id.clone(),
            deployment: Columns::of(deployment)?,
            event: brief.event.clone(),
            customer: brief.plan.customer.clone(),
            environment: brief.plan.environment.clone(),
            source: brief.plan.source.clone(),
            revision: brief.plan.revision.clone(),
            purpose: to_json(&brief.plan.purpose)?.trim_matches('"').to_owned(),
            requested_by: brief.requested_by.clone(),
            created_at: micros(brief.created_at),
            brief: to_json(brief)?,
        })
    }
}

/// The columns that each step rewrites.
pub(super) struct Columns {
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
    pub(super) finished: i64,
    pub(super) version: i64,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) progress: String,
    pub(super) glance: String,
}

impl Columns {
    pub(super) fn of(deployment: &Deployment) -> Result<Self, StoreError> {
        let progress = &deployment.progress;
        Ok(Self {
            state: progress.state.word(),
            reason: progress.state.reason(),
            finished: i64::from(progress.state.is_finished()),
            version: bigint(progress.version),
            started_at: progress.started_at.map(micros),
            ended_at: progress.state.ended_at().map(micros),
            progress: to_json(progress)?,
            glance: to_json(&Glance::of(deployment))?,
        })
    }
}

/// Inserts a deployment; does nothing where its id is known.
pub(super) async fn insert(connection: &mut AnyConnection, new: &NewDeployment) -> Result<(), StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO deployments (id, seq, event, customer, environment, source, revision, purpose, \
         requested_by, created_at, state, reason, finished, version, started_at, ended_at, progress, \
         glance) \
         SELECT $1, coalesce((SELECT max(seq) FROM deployments), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
         $11, $12, $13, $14, $15, $16, $17 WHERE 1 = 1 ON CONFLICT DO NOTHING",
    )
    .bind(new.id.as_str())
    .bind(new.event.as_str())
    .bind(new.customer.as_str())
    .bind(new.environment.as_str())
    .bind(new.source.as_str())
    .bind(new.revision.as_str())
    .bind(new.purpose.as_str())
    .bind(new.requested_by.as_str())
    .bind(new.created_at)
    .bind(new.deployment.state)
    .bind(new.deployment.reason.as_deref())
    .bind(new.deployment.finished)
    .bind(new.deployment.version)
    .bind(new.deployment.started_at)
    .bind(new.deployment.ended_at)
    .bind(new.deployment.progress.as_str())
    .bind(new.deployment.glance.as_str())
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() > 0 {
        sqlx::query("INSERT INTO briefs (deployment, brief) VALUES ($1, $2)")
            .bind(new.id.as_str())
            .bind(new.brief.as_str())
            .execute(&mut *connection)
            .await?;
        let entry = Entry {
            kind: HappeningKind::Created,
            at: new.created_at,
            deployment: &new.id,
            customer: &new.customer,
            environment: &new.environment,
            state: new.deployment.state,
            version: new.deployment.version,
            transitions: "[]",
        };
        stream::put(connection, entry).await?;
    }
    Ok(())
}

pub(super) fn read(row: &AnyRow) -> Result<Deployment, StoreError> {
    Ok(Deployment {
        brief: from_json(&text(row, "brief")?, "the brief of a deployment")?,
        progress: from_json(&text(row, "progress")?, "the progress of a deployment")?,
    })
}

pub(super) fn summary(row: &AnyRow) -> Result<Summary, StoreError> {
    Ok(Summary {
        id: name(row, "id")?,
        event: name(row, "event")?,
        customer: name(row, "customer")?,
        environment: name(row, "environment")?,
        source: name(row, "source")?,
        revision: name(row, "revision")?,
        purpose: text(row, "purpose")?,
        requested_by: text(row, "requested_by")?,
        state: text(row, "state")?,
        reason: row.try_get("reason")?,
        finished: row.try_get::<i64, _>("finished")? != 0,
        version: number(row, "version")?,
        created_at: timestamp(row, "created_at")?,
        started_at: timestamp_if_any(row, "started_at")?,
        ended_at: timestamp_if_any(row, "ended_at")?,
    })
}
