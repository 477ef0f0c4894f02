//! What a person asks for by hand: stored as an event like those of the trigger.

use jiff::Timestamp;

use super::receive::new_id;
use crate::config::Config;
use crate::domain::audit::Origin;
use crate::domain::catalog::Order;
use crate::domain::deployment::Deployment;
use crate::domain::event::{Kind, Request, Trigger};
use crate::domain::names::{CustomerId, Environment, EventId, Revision, ServiceName, SourceName, Wave};
use crate::store::{Accepted, DeploymentFilter, Store, StoreError};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Deploy, check, or take back.
    pub kind: Kind,
    /// The configured repository.
    pub source: SourceName,
    /// Whose services.
    pub customer: CustomerId,
    /// Where.
    pub environment: Option<Environment>,
    /// Only this service.
    pub service: Option<ServiceName>,
    /// Only this wave.
    pub wave: Option<Wave>,
    /// In which sense the order is meant; none for the configured one.
    pub order: Option<Order>,
    /// The commit; none for the head of the configured ref.
    pub revision: Option<Revision>,
    /// Also what did not change, and what failed before.
    pub force: bool,
    /// Who asks.
    pub origin: Origin,
    /// The same id again is the same wish; none for a new one.
    pub id: Option<String>,
}

/// Why nobody can say which repository a customer comes from.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// None fits.
    #[error("no configured source has such a target (see --config; `sources` and their `targets`)")]
    Missing,
    /// More than one fits.
    #[error("more than one would fit: {0}; give --source and --environment")]
    Several(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Wish {
    /// The wish as a request, and the id of the event that it would become.
    pub fn request(self) -> (EventId, Request) {
        let id = new_id();
        let request = Request {
            kind: self.kind,
            source: self.source,
            customer: Some(self.customer),
            environment: self.environment,
            service: self.service,
            wave: self.wave,
            order: self.order,
            scope: Vec::new(),
            requested_by: self.origin.actor,
            trigger: Trigger::Manual {
                revision: self.revision,
                force: self.force,
                id: self.id.unwrap_or_else(|| id.to_string()),
            },
        };
        (id, request)
    }
}

/// Stores a wish.
///
/// # Errors
/// When the store does not take it now.
pub async fn submit(store: &Store, wish: Wish) -> Result<Accepted, StoreError> {
    let origin = wish.origin.clone();
    let (id, request) = wish.request();
    super::submit(store, request, id, origin, Timestamp::now()).await
}

/// Asks for a finished deployment again: what failed in it may be deployed again, and its commit is.
///
/// # Errors
/// When the store does not take it now.
pub async fn again(
    store: &Store,
    finished: &Deployment,
    service: Option<ServiceName>,
    origin: Origin,
) -> Result<Accepted, StoreError> {
    let plan = &finished.brief.plan;
    let only = service.as_ref().map(|name| vec![name.to_string()]);
    store.release(&plan.customer, &plan.environment, only.as_deref()).await?;
    let wish = Wish {
        kind: Kind::Deployment,
        source: plan.source.clone(),
        customer: plan.customer.clone(),
        environment: Some(plan.environment.clone()),
        service,
        wave: None,
        order: Some(plan.order),
        revision: Some(plan.revision.clone()),
        force: false,
        origin,
        id: None,
    };
    submit(store, wish).await
}

/// The repository and environment of a customer, as far as they have to be given.
///
/// # Errors
/// When none fits, or more than one.
pub async fn place(
    config: &Config,
    store: &Store,
    source: Option<SourceName>,
    customer: &CustomerId,
    environment: Option<Environment>,
) -> Result<(SourceName, Environment), PlaceError> {
    let fits = |name: &SourceName, other: &Environment| {
        source.as_ref().is_none_or(|source| source == name) && environment.as_ref().is_none_or(|e| e == other)
    };
    let configured = config.sources.iter().flat_map(|source| {
        source.targets.iter().map(|target| (source.name.clone(), target.environment.clone()))
    });
    let mut places: Vec<_> = configured.filter(|(source, environment)| fits(source, environment)).collect();
    if places.is_empty() {
        // Without the server's configuration at hand, the last deployment tells.
        let filter = DeploymentFilter { customer: Some(customer.clone()), ..DeploymentFilter::default() };
        let past = store.deployments(&filter, 100).await?.value.into_iter();
        places = past.map(|past| (past.source, past.environment)).filter(|(s, e)| fits(s, e)).collect();
    }
    places.sort();
    places.dedup();
    match places.len() {
        1 => Ok(places.swap_remove(0)),
        0 => Err(PlaceError::Missing),
        _ => {
            let all = places.iter().map(|(source, environment)| format!("{source}/{environment}"));
            Err(PlaceError::Several(all.collect::<Vec<_>>().join(", ")))
        }
    }
}
