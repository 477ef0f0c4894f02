//! Saving a step of a deployment: its state, its journal and its effects, in one transaction.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AnyConnection, Row};

use super::deployments::Columns;
use super::history::{self, Mark, Remembered};
use super::stream::{self, Entry, HappeningKind};
use super::writer::Write;
use super::{Store, StoreError, audit, bigint, inbox, micros, outbox, to_json, worker};
use crate::domain::deployment::{Deployment, Effect, JournalEntry};
use crate::domain::names::{CustomerId, DeploymentId, Environment};

/// A step of a deployment (or several), to be saved. All of it is stored, or nothing.
#[derive(Debug, Clone)]
pub struct Save<'a> {
    /// The deployment as it is now. Its brief is not stored again.
    pub deployment: &'a Deployment,
    /// The version that it had when it was read or last saved.
    pub expected_version: u64,
    /// What moved it, one entry for each version since.
    pub entries: &'a [JournalEntry],
    /// What is to be done. Outward effects are kept until they are settled; the others are done right here.
    pub effects: &'a [Effect],
    /// Outward effects of this deployment that were performed.
    pub settled: &'a [i64],
    /// The input from its inbox that this step has taken.
    pub taken: Option<i64>,
    /// What the customer was brought to, where this step is the end of that.
    pub mark: Option<Mark>,
    /// The epoch of the worker.
    pub epoch: u64,
}

impl Store {
    /// Saves a step. Answers the ids of the outward effects (sync, refresh, terminate), in their order.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else saved it meanwhile (or its version did not rise),
    /// [`StoreError::Fenced`] when another worker took over, [`StoreError::Finished`] when it is over;
    /// others when the database does not take it. Nothing of it is stored then.
    pub async fn save(&self, save: Save<'_>) -> Result<Vec<i64>, StoreError> {
        self.write(Step::new(&save)?).await
    }
}

struct Step {
    id: DeploymentId,
    customer: CustomerId,
    environment: Environment,
    expected: u64,
    columns: Columns,
    entries: Vec<(i64, i64, String)>,
    outward: Vec<(i64, String)>,
    inward: Vec<Inward>,
    settled: Vec<i64>,
    taken: Option<i64>,
    mark: Option<Mark>,
    moved: String,
    at: i64,
    epoch: u64,
}

enum Inward {
    Remember(Remembered),
    Quarantine { service: String, fingerprint: String, reason: String, at: Timestamp },
    Forget { service: String },
}

impl Step {
    fn new(save: &Save<'_>) -> Result<Self, StoreError> {
        let Deployment { brief, progress } = save.deployment;
        if progress.version <= save.expected_version {
            return Err(StoreError::Conflict {
                id: brief.id.to_string(),
                expected: save.expected_version,
                found: progress.version,
            });
        }
        let at = save.entries.last().map_or(brief.created_at, |entry| entry.at);
        let mut outward = Vec::new();
        let mut inward = Vec::new();
        for effect in save.effects {
            match effect {
                Effect::Sync { .. }
                | Effect::Refresh { .. }
                | Effect::Terminate { .. }
                | Effect::Promote { .. }
                | Effect::AbortRollout { .. }
                | Effect::TakeOver { .. }
                | Effect::Automate { .. }
                | Effect::Remove { .. } => {
                    let id = outbox::id(progress.version, outward.len());
                    outward.push((id, to_json(effect)?));
                }
                Effect::Remember { service, baseline, keep } => {
                    inward.push(Inward::Remember(Remembered::of(service, baseline, *keep)?));
                }
                Effect::Forget { service } => inward.push(Inward::Forget { service: service.clone() }),
                Effect::Quarantine { service, fingerprint, reason } => inward.push(Inward::Quarantine {
                    service: service.clone(),
                    fingerprint: fingerprint.clone(),
                    reason: reason.clone(),
                    at,
                }),
            }
        }
        let entries = save.entries.iter().map(|entry| {
            let text = to_json(entry)?;
            Ok((bigint(entry.seq), micros(entry.at), text))
        });
        Ok(Self {
            id: brief.id.clone(),
            customer: brief.plan.customer.clone(),
            environment: brief.plan.environment.clone(),
            expected: save.expected_version,
            columns: Columns::of(save.deployment)?,
            entries: entries.collect::<Result<_, StoreError>>()?,
            outward,
            inward,
            settled: save.settled.to_vec(),
            taken: save.taken,
            mark: save.mark.clone(),
            moved: moved(save.entries)?,
            at: micros(at),
            epoch: save.epoch,
        })
    }

    /// Why the update found no row.
    async fn refusal(&self, connection: &mut AnyConnection) -> Result<StoreError, StoreError> {
        let row = sqlx::query("SELECT version, finished FROM deployments WHERE id = $1")
            .bind(self.id.as_str())
            .fetch_optional(connection)
            .await?;
        let Some(row) = row else {
            return Ok(StoreError::NotFound(format!("deployment {}", self.id)));
        };
        if row.try_get::<i64, _>("finished")? != 0 {
            return Ok(StoreError::Finished(self.id.to_string()));
        }
        let found = super::number(&row, "version")?;
        Ok(StoreError::Conflict { id: self.id.to_string(), expected: self.expected, found })
    }
}

/// What moved from one state to another, for those who watch.
fn moved(entries: &[JournalEntry]) -> Result<String, StoreError> {
    let transitions = entries.iter().flat_map(|entry| &entry.transitions);
    to_json(&transitions.filter(|moved| moved.from != moved.to).collect::<Vec<_>>())
}

#[async_trait]
impl Write for Step {
    type Answer = Vec<i64>;

    async fn run(&self, connection: &mut AnyConnection) -> Result<Vec<i64>, StoreError> {
        worker::guard(connection, self.epoch).await?;
        let columns = &self.columns;
        let updated = sqlx::query(
            "UPDATE deployments SET state = $3, reason = $4, finished = $5, version = $6, started_at = $7, \
             ended_at = $8, progress = $9, glance = $10 WHERE id = $1 AND version = $2 AND finished = 0",
        )
        .bind(self.id.as_str())
        .bind(bigint(self.expected))
        .bind(columns.state)
        .bind(columns.reason.as_deref())
        .bind(columns.finished)
        .bind(columns.version)
        .bind(columns.started_at)
        .bind(columns.ended_at)
        .bind(columns.progress.as_str())
        .bind(columns.glance.as_str())
        .execute(&mut *connection)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(self.refusal(connection).await?);
        }
        for (seq, at, entry) in &self.entries {
            sqlx::query("INSERT INTO journal (deployment, seq, at, entry) VALUES ($1, $2, $3, $4)")
                .bind(self.id.as_str())
                .bind(*seq)
                .bind(*at)
                .bind(entry.as_str())
                .execute(&mut *connection)
                .await?;
        }
        for (id, effect) in &self.outward {
            outbox::put(connection, &self.id, *id, effect).await?;
        }
        for id in &self.settled {
            outbox::settle(connection, &self.id, *id).await?;
        }
        if let Some(id) = self.taken {
            inbox::take(connection, &self.id, id).await?;
            audit::taken(connection, &self.id, id, columns.state).await?;
        }
        let place = history::Place { customer: &self.customer, environment: &self.environment };
        for effect in &self.inward {
            match effect {
                Inward::Remember(remembered) => {
                    history::remember(connection, place, &self.id, remembered).await?;
                }
                Inward::Forget { service } => history::forget(connection, place, service).await?,
                Inward::Quarantine { service, fingerprint, reason, at } => {
                    let content = (service.as_str(), fingerprint.as_str());
                    history::quarantine(connection, place, &self.id, content, reason, *at).await?;
                }
            }
        }
        if let Some(mark) = &self.mark {
            history::put_mark(connection, mark).await?;
        }
        let entry = Entry {
            kind: HappeningKind::Moved,
            at: self.at,
            deployment: &self.id,
            customer: &self.customer,
            environment: &self.environment,
            state: columns.state,
            version: columns.version,
            transitions: &self.moved,
        };
        stream::put(connection, entry).await?;
        Ok(self.outward.iter().map(|(id, _)| *id).collect())
    }
}
