//! What people ask for by HTTP that becomes an event: a wave, a check, a rollback.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Server;
use super::caller::Caller;
use super::problem::Problem;
use crate::app::wish::{self, PlaceError, Wish};
use crate::domain::access::Role;
use crate::domain::catalog::Order;
use crate::domain::event::Kind;
use crate::domain::names::{
    CustomerId, DeploymentId, Environment, EventId, Revision, ServiceName, SourceName, Wave,
};
use crate::store::Accepted;

/// For whom something is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// Whose services.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    environment: Environment,
    /// The configured repository, where more than one deploys the environment.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    source: Option<SourceName>,
    /// The commit, in full; the head of the configured ref where it is not given. Not for a rollback.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    revision: Option<Revision>,
    /// `waves` or `dependencies`; the configured order where it is not given.
    #[serde(default)]
    order: Option<String>,
    /// Also what did not change, and what failed with the same content before.
    #[serde(default)]
    force: bool,
}

/// An event that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Asked {
    /// The event.
    #[schema(value_type = String)]
    event: EventId,
    /// Whether it was known.
    duplicate: bool,
    /// Its deployments, as far as they are known.
    #[schema(value_type = Vec<String>)]
    deployments: Vec<DeploymentId>,
}

/// What is answered: the event, and where it is.
pub(super) type Answer = (StatusCode, [(HeaderName, String); 1], Json<Asked>);

/// The answer to what became an event.
pub(super) fn answer(accepted: Accepted) -> Answer {
    let Accepted { event, duplicate, deployments } = accepted;
    let location = format!("/api/v1/events/{event}");
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(Asked { event, duplicate, deployments }))
}

/// Stores what is asked for.
pub(super) async fn asked(
    server: &Server,
    caller: &Caller,
    ask: Ask,
    kind: Kind,
    service: Option<ServiceName>,
    wave: Option<Wave>,
) -> Result<Answer, Problem> {
    caller.need(Role::Operator, &ask.customer, "customer")?;
    let app = &server.app;
    let order = ask.order.map(|word| word.parse::<Order>()).transpose();
    let order = order.map_err(|reason| Problem::input(format!("`order`: {reason}"), Vec::new()))?;
    let environment = Some(ask.environment);
    let placed = wish::place(&app.config, &app.store, ask.source, &ask.customer, environment).await;
    let (source, environment) = placed.map_err(|error| match error {
        PlaceError::Missing => Problem::input("no configured source deploys this environment", Vec::new()),
        PlaceError::Several(_) => Problem::input(
            "more than one configured source deploys this environment: name a `source`",
            Vec::new(),
        ),
        PlaceError::Store(error) => error.into(),
    })?;
    let wish = Wish {
        kind,
        source,
        customer: ask.customer,
        environment: Some(environment),
        service,
        wave,
        order,
        revision: ask.revision,
        force: ask.force,
        origin: caller.origin(),
        id: None,
    };
    Ok(answer(wish::submit(&app.store, wish).await?))
}
