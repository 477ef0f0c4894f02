//! Everything at a glance.

use axum::Json;
use axum::extract::{Query, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::page::{self, OfPlaces, Page};
use super::problem::Problem;
use crate::view::overview::OverviewRow;

/// The state that needs no look into the deployment: everything passed.
const SUCCEEDED: &str = "succeeded";

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(overview))
}

/// Customers and environments in one line each: how their newest deployment stands, how far it is and what it waits
/// for.
#[utoipa::path(get, path = "/api/v1/overview", tag = "customers", params(OfPlaces), responses(
    (status = 200, description = "A page of them", body = Page<OverviewRow>),
))]
async fn overview(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<OverviewRow>>, Problem> {
    let limit = page::limit(places.limit)?;
    let store = &server.app.store;
    let found = store.newest(&places.filter(&server, &caller).await?, limit).await?;
    let (newest, next) = page::rows(found, limit, |last| page::place(&last.customer, &last.environment));
    let mut items = Vec::with_capacity(newest.len());
    for summary in newest {
        let deployment =
            if summary.state == SUCCEEDED { None } else { store.deployment(&summary.id).await? };
        items.push(OverviewRow::of(summary, deployment.as_ref()));
    }
    Ok(Json(Page { items, next }))
}
