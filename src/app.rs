//! The application: its concrete parts, and what can be asked of it.
//!
//! The trigger, the command line and (behind them) people all come through here; each use case is a method.
//! Nothing here waits for a cluster: what takes time is stored, and the [worker](crate::worker) does it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Config;
use crate::domain::audit::Origin;
use crate::domain::deployment::{Command, Deployment, Input};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::event::Request;
use crate::domain::names::{DeploymentId, EventId};
use crate::ports::{Cluster, Probe, ValuesSource};
use crate::store::{Accepted, DeadLetter, NewEvent, Store, StoreError};

pub mod compliance;
pub mod customers;
pub mod draft;
pub mod dry_run;
pub mod graph;
pub mod inline_values;
pub mod intake;
pub mod later;
pub mod notify;
pub mod receive;
pub mod refs;
pub mod traces;
pub mod wish;

/// The parts, wired once by whoever starts the program. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Where events, deployments and history are.
    pub store: Store,
    /// The Applications.
    pub cluster: Arc<dyn Cluster>,
    /// Who asks services whether they are well; none where nobody does.
    pub probe: Option<Arc<dyn Probe>>,
    /// The repositories.
    pub values: Arc<dyn ValuesSource>,
    /// The settings.
    pub config: Arc<Config>,
}

/// Why a command was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such deployment.
    #[error("there is no deployment {0}")]
    Unknown(DeploymentId),
    /// The deployment is not in a state for it.
    #[error("{0}")]
    Refused(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl App {
    /// Accepts a request: on return it is on the disk, and the worker will see to it.
    ///
    /// # Errors
    /// When the store does not take it now; the sender has to try again.
    pub async fn submit(
        &self,
        request: Request,
        id: EventId,
        origin: Origin,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        submit(&self.store, request, id, origin, now).await
    }

    /// Keeps a request that can never succeed, with all that is wrong with it.
    ///
    /// # Errors
    /// When the store does not take it now; the sender has to try again.
    pub async fn bury(
        &self,
        id: EventId,
        faults: Vec<Diagnostic>,
        resource: Vec<u8>,
        payload: Vec<u8>,
        origin: Origin,
        now: Timestamp,
    ) -> Result<EventId, StoreError> {
        tracing::warn!(event = %id, faults = faults.len(), "a request that can never succeed was kept as a dead letter");
        let letter = DeadLetter { id, received_at: now, faults, resource, payload };
        self.store.dead_letter(letter, origin).await
    }
}

/// Accepts a request, with nothing but the store: also beside a running server, whose worker notices it.
///
/// # Errors
/// When the store does not take it now; the sender has to try again.
pub async fn submit(
    store: &Store,
    request: Request,
    id: EventId,
    origin: Origin,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let kind = request.kind;
    let source = request.source.clone();
    let accepted =
        store.accept_within(NewEvent { id, request, received_at: now, origin }, traces::given()).await?;
    tracing::info!(event = %accepted.event, duplicate = accepted.duplicate, ?kind, %source, "event accepted");
    Ok(accepted)
}

/// Puts a person's command before a deployment. It takes effect when the worker gets to it, which may be
/// another process.
///
/// # Errors
/// When there is no such deployment, or it is not in a state for the command.
pub async fn command(
    store: &Store,
    id: &DeploymentId,
    origin: &Origin,
    command: Command,
    now: Timestamp,
) -> Result<Deployment, CommandError> {
    let deployment = store.deployment(id).await?.ok_or_else(|| CommandError::Unknown(id.clone()))?;
    deployment.accepts(&command).map_err(CommandError::Refused)?;
    store.send(id, &Input::Command { by: origin.actor.clone(), command }, origin, now).await?;
    Ok(deployment)
}
