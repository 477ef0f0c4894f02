//! A request from outside, by whichever way it came: understood and stored, or kept as a dead letter.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::traces;
use crate::domain::audit::Origin;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::event::{self, KnownSource, Understood};
use crate::domain::names::{CustomerId, EventId, SourceName};
use crate::store::{Accepted, StoreError};

/// What a sender is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receipt {
    /// The event's id; the first one's for an event that was known.
    pub event: String,
    /// `accepted`, or `dead-letter` for a request that can never succeed.
    pub status: Taken,
    /// Whether the event was known.
    pub duplicate: bool,
    /// Its deployments, as far as they are known.
    pub deployments: Vec<String>,
    /// All that is wrong with a dead letter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub faults: Vec<Diagnostic>,
}

impl Receipt {
    /// What a sender is told of an event.
    pub fn accepted(accepted: &Accepted) -> Self {
        Self {
            event: accepted.event.to_string(),
            status: Taken::Accepted,
            duplicate: accepted.duplicate,
            deployments: accepted.deployments.iter().map(ToString::to_string).collect(),
            faults: Vec::new(),
        }
    }
}

/// How a request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It will be worked on.
    Accepted,
    /// It can never succeed and was kept for people to look at.
    DeadLetter,
}

/// What a sender may touch. Empty lists mean everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope<'a> {
    /// The sources that it may speak for.
    pub sources: &'a [SourceName],
    /// The customers that it may touch.
    pub customers: &'a [CustomerId],
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is about a source or a customer that the sender may not touch.
    #[error("the token does not cover this")]
    NotCovered,
    /// The store did not take it; the sender has to try again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The trigger's `spec` without a credential, or why it is none.
    pub spec: Result<Map<String, Value>, Diagnostic>,
    /// What is kept of `spec` where the request can never succeed; without a credential as well.
    pub resource: Vec<u8>,
    /// What happened.
    pub payload: Vec<u8>,
    /// Who says so.
    pub origin: Origin,
}

impl App {
    /// Takes a request: on return it is on the disk, as an event or as a dead letter.
    ///
    /// # Errors
    /// When the sender may not ask for it, or the store does not take it now.
    pub async fn receive(
        &self,
        scope: Scope<'_>,
        arrival: Arrival,
        now: Timestamp,
    ) -> Result<Receipt, Refusal> {
        let id = new_id();
        let Arrival { spec, resource, payload, origin } = arrival;
        let request = match spec {
            Ok(spec) => self.understand(scope, &spec, &payload)?,
            Err(fault) => Err(vec![fault]),
        };
        let Understood { mut request, trace } = match request {
            Ok(understood) => understood,
            Err(faults) => {
                let kept = self.bury(id, faults.clone(), resource, payload, origin, now).await?;
                return Ok(Receipt {
                    event: kept.to_string(),
                    status: Taken::DeadLetter,
                    duplicate: false,
                    deployments: Vec::new(),
                    faults,
                });
            }
        };
        let covered = |customer: &CustomerId| scope.customers.contains(customer);
        if !scope.customers.is_empty() && !request.customer.as_ref().is_none_or(covered) {
            return Err(Refusal::NotCovered);
        }
        request.scope = scope.customers.to_vec();
        let accepted = traces::of(trace, self.submit(request, id, origin, now)).await?;
        Ok(Receipt::accepted(&accepted))
    }

    /// The inner layer is all that is wrong; it names only what the sender may know of.
    fn understand(
        &self,
        scope: Scope<'_>,
        spec: &Map<String, Value>,
        payload: &[u8],
    ) -> Result<Result<Understood, Vec<Diagnostic>>, Refusal> {
        let covers = |source: &SourceName| scope.sources.is_empty() || scope.sources.contains(source);
        let known = self.config.known_sources();
        let covered: Vec<KnownSource> = known.iter().filter(|source| covers(&source.name)).cloned().collect();
        match event::parse(spec, payload, &covered) {
            Ok(understood) => Ok(Ok(understood)),
            Err(faults) => match event::parse(spec, payload, &known) {
                Ok(Understood { request, .. }) if !covers(&request.source) => Err(Refusal::NotCovered),
                Ok(_) | Err(_) => Ok(Err(faults)),
            },
        }
    }
}

/// A new id for an event; they sort by time.
pub fn new_id() -> EventId {
    match format!("e-{}", uuid::Uuid::now_v7().simple()).parse() {
        Ok(id) => id,
        Err(_) => unreachable!("letters, digits and a dash make an id"),
    }
}
