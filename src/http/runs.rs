//! What deployments did with one service.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::page::{self, Page};
use super::problem::Problem;
use crate::domain::names::{CustomerId, DeploymentId, Environment, ServiceName};
use crate::store::DeploymentFilter;
use crate::view::run::RunView;

/// How many deployments are looked into for one page.
const LOOKED_INTO: u32 = 50;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(history))
}

/// Of which environment, page by page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only in this environment.
    #[param(value_type = Option<String>)]
    environment: Option<Environment>,
    /// Deployments that are looked into for a page; at most 50, which is what is taken where it is not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<DeploymentId>,
}

/// What the deployments of a customer did with one service, the newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer}/services/{service}/history", tag = "customers",
    params(("customer" = String, Path, description = "Its id"),
        ("service" = String, Path, description = "Its name, or `base` for the shared part"), Wanted),
    responses((status = 200, description = "A page of them", body = Page<RunView>)))]
async fn history(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, service)): Path<(CustomerId, ServiceName)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<RunView>>, Problem> {
    page::known(&server, &caller, &customer).await?;
    let limit = page::limit(wanted.limit)?.min(LOOKED_INTO);
    let filter = DeploymentFilter {
        customer: Some(customer),
        environment: wanted.environment,
        before: wanted.cursor,
        ..DeploymentFilter::default()
    };
    let store = &server.app.store;
    let found = store.deployments(&filter, limit).await?;
    let (summaries, next) = page::rows(found, limit, |last| last.id.to_string());
    let mut items = Vec::new();
    for summary in summaries {
        let deployment = store.deployment(&summary.id).await?;
        items.extend(deployment.as_ref().and_then(|deployment| RunView::of(deployment, service.as_str())));
    }
    Ok(Json(Page { items, next }))
}
