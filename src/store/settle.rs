//! The end of an event's way: what it led to, and all that follows from it.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::deployments::{NewDeployment, insert};
use super::events::Outcome;
use super::writer::Write;
use super::{Store, StoreError, audit, inbox, micros, to_json, worker};
use crate::domain::deployment::{Deployment, Input};
use crate::domain::names::{DeploymentId, EventId};

/// The end of an event's way, and all that follows from it: stored together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which event.
    pub event: EventId,
    /// What it led to.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// Its new deployments.
    pub deployments: Vec<Deployment>,
    /// Deployments that were there already and serve it as well.
    pub existing: Vec<DeploymentId>,
    /// What other deployments are to be told. Those that are finished meanwhile, or unknown, are passed over.
    pub inputs: Vec<(DeploymentId, Input)>,
    /// The epoch of the worker that decided this.
    pub epoch: u64,
}

impl Store {
    /// Ends an event's way. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another worker took over, [`StoreError::NotFound`] for an unknown event;
    /// others when the database does not take it.
    pub async fn settle_event(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.write(Settle::new(settlement)?).await
    }
}

struct Settle {
    event: EventId,
    at: Timestamp,
    state: &'static str,
    outcome: String,
    deployments: Vec<NewDeployment>,
    existing: Vec<DeploymentId>,
    inputs: Vec<(DeploymentId, String)>,
    epoch: u64,
}

impl Settle {
    fn new(settlement: Settlement) -> Result<Self, StoreError> {
        let Settlement { event, outcome, at, deployments, existing, inputs, epoch } = settlement;
        let inputs = inputs.into_iter().map(|(to, input)| Ok((to, to_json(&input)?)));
        Ok(Self {
            event,
            at,
            state: outcome.word(),
            outcome: to_json(&outcome)?,
            deployments: deployments.iter().map(NewDeployment::of).collect::<Result<_, _>>()?,
            existing,
            inputs: inputs.collect::<Result<_, StoreError>>()?,
            epoch,
        })
    }
}

#[async_trait]
impl Write for Settle {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        worker::guard(connection, self.epoch).await?;
        let settled = sqlx::query(
            "UPDATE events SET state = $2, settled_at = $3, outcome = $4, reason = NULL \
             WHERE id = $1 AND state = 'accepted'",
        )
        .bind(self.event.as_str())
        .bind(self.state)
        .bind(micros(self.at))
        .bind(self.outcome.as_str())
        .execute(&mut *connection)
        .await?;
        if settled.rows_affected() == 0 {
            let known: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE id = $1")
                .bind(self.event.as_str())
                .fetch_one(connection)
                .await?;
            return match known {
                0 => Err(StoreError::NotFound(format!("event {}", self.event))),
                _ => Ok(()),
            };
        }
        audit::settled(connection, &self.event, self.state).await?;
        for deployment in &self.deployments {
            insert(connection, deployment).await?;
            self.link(connection, &deployment.id).await?;
        }
        for deployment in &self.existing {
            self.link(connection, deployment).await?;
        }
        for (deployment, input) in &self.inputs {
            match inbox::put(connection, deployment, input, self.at).await {
                Ok(_) | Err(StoreError::Finished(_) | StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Settle {
    /// Links the event to a deployment, if there is such a one.
    async fn link(&self, connection: &mut AnyConnection, to: &DeploymentId) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO event_deployments (event, deployment) \
             SELECT $1, id FROM deployments WHERE id = $2 ON CONFLICT DO NOTHING",
        )
        .bind(self.event.as_str())
        .bind(to.as_str())
        .execute(connection)
        .await?;
        Ok(())
    }
}
