//! Rollbacks: what was taken back, and asking for one.

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::asking::{self, Answer, Ask, Asked, Wish, asked};
use super::body::Body;
use super::caller::Caller;
use super::page::{self, OfPlaces, Page};
use super::preview::Moved;
use super::problem::Problem;
use crate::app::dry_run::dry_run;
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, DeploymentId, Environment, ServiceName, Wave};
use crate::domain::plan::Change;
use crate::domain::preview;
use crate::store::DeploymentFilter;
use crate::view::rollback::RollbackView;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(history))
        .routes(routes!(foreseen))
        .routes(routes!(customer))
        .routes(routes!(service))
        .routes(routes!(wave))
}

/// What was taken back, the newest first: by request, and by deployments that turned around.
#[utoipa::path(get, path = "/api/v1/rollback/history", tag = "rollback", params(OfPlaces), responses(
    (status = 200, description = "A page of them", body = Page<RollbackView>),
))]
async fn history(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<RollbackView>>, Problem> {
    if let Some(customer) = &places.customer {
        page::known(&server, &caller, customer).await?;
    }
    let limit = page::limit(places.limit)?;
    let filter = DeploymentFilter {
        before: page::cursor(places.cursor.as_deref())?,
        customer: places.customer,
        environment: places.environment,
        state: None,
        finished: None,
        within: caller.visible(),
        backward: true,
    };
    let found = server.app.store.deployments(&filter, limit).await?;
    let (summaries, next) = page::rows(found, limit, |last| last.id.to_string());
    let mut items = Vec::new();
    for summary in summaries {
        let deployment = server.app.store.deployment(&summary.id).await?;
        items.extend(deployment.as_ref().and_then(RollbackView::of));
    }
    Ok(Json(Page { items, next }))
}

/// What a rollback would be of.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Whose services.
    #[param(value_type = String)]
    customer: CustomerId,
    /// Where.
    #[param(value_type = String)]
    environment: Environment,
    /// Only this service.
    #[param(value_type = Option<String>)]
    service: Option<ServiceName>,
    /// Only this wave.
    #[param(value_type = Option<u32>)]
    wave: Option<Wave>,
}

/// What a rollback would do.
#[derive(Debug, Serialize, ToSchema)]
struct Foreseen {
    /// Why it would do nothing; none where it would do something.
    refused: Option<String>,
    /// Whether it would wait for an approval first.
    needs_approval: bool,
    /// The deployments that are not over yet, behind which it would wait.
    #[schema(value_type = Vec<String>)]
    behind: Vec<DeploymentId>,
    /// The services that would go back, in the order of their turns, and those that would be left as they are.
    services: Vec<Moved>,
}

/// What taking a customer's services back would do now: which, in which order and to which commit. Nothing is changed.
/// It needs the role that asking for it needs.
#[utoipa::path(get, path = "/api/v1/rollback/preview", tag = "rollback", params(Wanted), responses(
    (status = 200, description = "What it would do", body = Foreseen),
))]
async fn foreseen(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Foreseen>, Problem> {
    let Wanted { customer, environment, service, wave } = wanted;
    let app = &server.app;
    let place = (customer.clone(), environment.clone());
    let wish = asking::rollback(&server, &caller, customer, environment, service, wave).await?;
    let (customer, environment) = place;
    let open = page::readable(app.store.unfinished_of(&customer, &environment).await?);
    let behind = open.iter().map(|deployment| deployment.id().clone()).collect();
    let needs_approval = app.config.policy(&environment).needs_approval;
    let (event, request) = wish.request();
    let planned = dry_run(app, &request, &customer, &environment, None).await;
    let (refused, services) = match planned.map_err(|error| Problem::unread(&error))? {
        Err(faults) => {
            let told: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            (Some(told.join("; ")), Vec::new())
        }
        Ok(planned) => {
            let now = Timestamp::now();
            let planned = planned.deployment(app, event, &request, now);
            let asked = |change: &Change| {
                request.service.as_ref().map_or(wave.is_none() || change.wave == wave, |service| {
                    change.name() == service.as_str()
                })
            };
            (None, preview::of_rollback(&planned, asked, now))
        }
    };
    let services = services.into_iter().map(Moved::from).collect();
    Ok(Json(Foreseen { refused, needs_approval, behind, services }))
}

/// Takes a customer's services back to what they ran healthily before: all of them, one, or a wave.
#[utoipa::path(post, path = "/api/v1/rollback", tag = "rollback", request_body = Wish,
    responses((status = 202, description = "It is stored, and will be worked on", body = Asked,
        headers(("Location" = String, description = "The event that it became")))))]
async fn customer(
    State(server): State<Server>,
    caller: Caller,
    Body(wish): Body<Wish>,
) -> Result<Answer, Problem> {
    wish.roll_back(&server, &caller).await
}

/// Takes a service of a customer back to what it ran healthily before.
#[utoipa::path(post, path = "/api/v1/rollback/services/{service}", tag = "rollback",
    params(("service" = String, Path, description = "Its name")), request_body = Ask,
    responses((status = 202, description = "It is stored, and will be worked on", body = Asked,
        headers(("Location" = String, description = "The event that it became")))))]
async fn service(
    State(server): State<Server>,
    caller: Caller,
    Path(service): Path<ServiceName>,
    Body(ask): Body<Ask>,
) -> Result<Answer, Problem> {
    asked(&server, &caller, ask, Kind::Rollback, Some(service), None).await
}

/// Takes a wave of a customer back to what its services ran healthily before, dependants first.
#[utoipa::path(post, path = "/api/v1/rollback/wave/{wave}", tag = "rollback",
    params(("wave" = u32, Path, description = "The number of the wave")), request_body = Ask,
    responses((status = 202, description = "It is stored, and will be worked on", body = Asked,
        headers(("Location" = String, description = "The event that it became")))))]
async fn wave(
    State(server): State<Server>,
    caller: Caller,
    Path(number): Path<u32>,
    Body(ask): Body<Ask>,
) -> Result<Answer, Problem> {
    asked(&server, &caller, ask, Kind::Rollback, None, Some(Wave(number))).await
}
