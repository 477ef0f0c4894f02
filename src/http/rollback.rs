//! Rollbacks: what was taken back, and asking for one.

use axum::Json;
use axum::extract::{Path, Query, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::asking::{Answer, Ask, Asked, Wish, asked};
use super::body::Body;
use super::caller::Caller;
use super::page::{self, OfPlaces, Page};
use super::problem::Problem;
use crate::domain::event::Kind;
use crate::domain::names::{ServiceName, Wave};
use crate::store::DeploymentFilter;
use crate::view::rollback::RollbackView;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(history))
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
