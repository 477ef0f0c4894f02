//! What people ask for by HTTP that becomes an event: a wave, a check, a rollback.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Server;
use super::caller::Caller;
use super::problem::Problem;
use crate::app::wish::{self, PlaceError};
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

/// What is wished for a customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Whose services.
    #[schema(value_type = String)]
    pub(super) customer: CustomerId,
    /// Where; may be left out where there is one environment only.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) environment: Option<Environment>,
    /// The configured repository, where more than one deploys the environment.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) source: Option<SourceName>,
    /// The commit, in full; the head of the configured ref where it is not given. Not for a rollback or a check.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) revision: Option<Revision>,
    /// Only this service.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) service: Option<ServiceName>,
    /// Only this wave.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub(super) wave: Option<Wave>,
    /// `waves` or `dependencies`; the configured order where it is not given.
    #[serde(default)]
    pub(super) order: Option<String>,
    /// Deploy nothing; see whether the services are healthy. Not for a rollback.
    #[serde(default)]
    pub(super) check: bool,
    /// Also what did not change, and what failed with the same content before. Not for a rollback or a check.
    #[serde(default)]
    pub(super) force: bool,
    /// The same id again is the same wish.
    #[serde(default)]
    pub(super) id: Option<String>,
}

/// How long the id of a wish may be.
const ID_LENGTH: usize = 255;

impl Wish {
    /// Asks for a deployment or a check.
    pub(super) async fn deploy(self, server: &Server, caller: &Caller) -> Result<Answer, Problem> {
        let partly = self.service.is_some() || self.wave.is_some() || self.revision.is_some() || self.force;
        if self.check && partly {
            let detail =
                "a `check` is of all services: it goes with no `service`, `wave`, `revision` or `force`";
            return Err(Problem::input(detail, Vec::new()));
        }
        let kind = match (self.check, self.wave) {
            (true, _) => Kind::HealthCheck,
            (false, Some(_)) => Kind::SyncWave,
            (false, None) => Kind::Deployment,
        };
        self.submit(server, caller, kind).await
    }

    /// Asks for what was there before.
    pub(super) async fn roll_back(self, server: &Server, caller: &Caller) -> Result<Answer, Problem> {
        if self.check || self.force || self.revision.is_some() {
            let detail =
                "a rollback goes with no `check`, `force` or `revision`: it goes back to what was healthy";
            return Err(Problem::input(detail, Vec::new()));
        }
        self.submit(server, caller, Kind::Rollback).await
    }

    async fn submit(self, server: &Server, caller: &Caller, kind: Kind) -> Result<Answer, Problem> {
        let wish = self.placed(server, caller, Role::Operator, kind).await?;
        Ok(answer(wish::submit(&server.app.store, wish).await?))
    }

    /// The wish with its place, for somebody who has a role there.
    pub(super) async fn placed(
        self,
        server: &Server,
        caller: &Caller,
        role: Role,
        kind: Kind,
    ) -> Result<wish::Wish, Problem> {
        caller.need(role, &self.customer, "customer")?;
        if self.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_LENGTH) {
            let detail = format!("`id` is a text of 1 to {ID_LENGTH} bytes");
            return Err(Problem::input(detail, Vec::new()));
        }
        let app = &server.app;
        let order = self.order.map(|word| word.parse::<Order>()).transpose();
        let order = order.map_err(|reason| Problem::input(format!("`order`: {reason}"), Vec::new()))?;
        let placed =
            wish::place(&app.config, &app.store, self.source, &self.customer, self.environment).await;
        let (source, environment) = placed.map_err(|error| match error {
            PlaceError::Missing => {
                Problem::input("no configured source deploys this environment", Vec::new())
            }
            PlaceError::Several(_) => Problem::input(
                "more than one place would fit: name a `source` and an `environment`",
                Vec::new(),
            ),
            PlaceError::Store(error) => error.into(),
        })?;
        Ok(wish::Wish {
            kind,
            source,
            customer: self.customer,
            environment: Some(environment),
            service: self.service,
            wave: self.wave,
            order,
            revision: self.revision,
            force: self.force,
            origin: caller.origin(),
            id: self.id,
        })
    }
}

/// A rollback of a service, a wave or everything, as it would be asked for.
pub(super) async fn rollback(
    server: &Server,
    caller: &Caller,
    customer: CustomerId,
    environment: Environment,
    service: Option<ServiceName>,
    wave: Option<Wave>,
) -> Result<wish::Wish, Problem> {
    let wish = Wish {
        customer,
        environment: Some(environment),
        source: None,
        revision: None,
        service,
        wave,
        order: None,
        check: false,
        force: false,
        id: None,
    };
    wish.placed(server, caller, Role::Operator, Kind::Rollback).await
}

/// Stores what is asked for with a service or a wave in its path.
pub(super) async fn asked(
    server: &Server,
    caller: &Caller,
    ask: Ask,
    kind: Kind,
    service: Option<ServiceName>,
    wave: Option<Wave>,
) -> Result<Answer, Problem> {
    let Ask { customer, environment, source, revision, order, force } = ask;
    let environment = Some(environment);
    let (check, id) = (false, None);
    let wish = Wish { customer, environment, source, revision, service, wave, order, check, force, id };
    wish.submit(server, caller, kind).await
}
