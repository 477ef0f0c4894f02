//! Graphs, laid out to be drawn.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::problem::Problem;
use super::{Server, deployments, page};
use crate::app::graph;
use crate::domain::access::Role;
use crate::domain::drawing::{Picture, Shape};
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision};
use crate::domain::review;
use crate::store::DeploymentFilter;
use crate::view::picture::{CustomerGraph, DeploymentGraph};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(of_deployment)).routes(routes!(of_customer))
}

/// The graph of a deployment's plan, laid out. The longest chain is the one that took longest where the deployment is
/// over, and the one that is expected to before.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/graph", tag = "deployments",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "Its graph", body = DeploymentGraph)))]
async fn of_deployment(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
) -> Result<Json<DeploymentGraph>, Problem> {
    let deployment = deployments::find(&server, &caller, Role::Viewer, &id).await?;
    let taken = if deployment.state().is_finished() {
        let journal = page::readable(server.app.store.journal(&id).await?);
        let review = review::review(&deployment.brief, &journal);
        (review.critical_path_seconds > 0.0).then_some(review.critical_path)
    } else {
        None
    };
    Ok(Json(DeploymentGraph::of(&deployment, taken, &server.app.config)))
}

/// Of which commit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Where.
    #[param(value_type = String)]
    environment: Environment,
    /// The commit, in full; that of the newest deployment where it is not given.
    #[param(value_type = Option<String>)]
    revision: Option<Revision>,
}

/// The graph of a customer's values at a commit, laid out: each edge with its place in the file, and rings as they are.
#[utoipa::path(get, path = "/api/v1/customers/{customer}/graph", tag = "customers",
    params(("customer" = String, Path, description = "Its id"), Of),
    responses((status = 200, description = "Its graph", body = CustomerGraph)))]
async fn of_customer(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<CustomerId>,
    Query(Of { environment, revision }): Query<Of>,
) -> Result<Json<CustomerGraph>, Problem> {
    page::known(&server, &caller, &customer).await?;
    let filter = DeploymentFilter {
        customer: Some(customer.clone()),
        environment: Some(environment.clone()),
        ..DeploymentFilter::default()
    };
    let newest = page::readable(server.app.store.deployments(&filter, 1).await?).into_iter().next();
    let newest = newest.ok_or_else(|| Problem::not_found("customer in this environment"))?;
    let revision = revision.unwrap_or(newest.revision);
    let read = graph::read(&server.app, &newest.source, &customer, &environment, &revision).await;
    let read = read.map_err(|error| Problem::unread(&error))?;
    let read = read.ok_or_else(|| Problem::not_found("customer at this commit"))?;
    Ok(Json(CustomerGraph {
        customer,
        environment,
        revision,
        file: read.file,
        picture: read.graph.as_ref().map(|graph| Picture::of(&Shape::of_graph(graph))),
        graph: read.graph.as_ref().map(|graph| graph.view(None)),
        diagnostics: read.diagnostics,
    }))
}
