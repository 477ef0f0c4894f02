//! Timelines of deployments.

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::problem::Problem;
use super::{Server, deployments, page};
use crate::domain::access::Role;
use crate::domain::names::DeploymentId;
use crate::view::timeline::TimelineView;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(timeline))
}

/// How long each service of a deployment was in which state, and the chain that took longest.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/timeline", tag = "deployments",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "Its timeline", body = TimelineView)))]
async fn timeline(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
) -> Result<Json<TimelineView>, Problem> {
    let deployment = deployments::find(&server, &caller, Role::Viewer, &id).await?;
    let journal = page::readable(server.app.store.journal(&id).await?);
    Ok(Json(TimelineView::of(&deployment, &journal, Timestamp::now())))
}
