//! Deployments, as they are read.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asking::{Answer, Asked, Wish};
use super::body::Body;
use super::caller::Caller;
use super::page::{self, Page};
use super::problem::Problem;
use super::{Server, etag};
use crate::domain::access::Role;
use crate::domain::deployment::Deployment;
use crate::domain::names::{CustomerId, DeploymentId, Environment};
use crate::domain::plan::{Diff, Plan};
use crate::store::{DeploymentFilter, Summary};
use crate::view::deployment::DeploymentView;
use crate::view::story::Story;
use crate::view::waiting::Waiting;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(list, deploy))
        .routes(routes!(one))
        .routes(routes!(plan))
        .routes(routes!(diff))
        .routes(routes!(why))
        .routes(routes!(journal))
}

/// Which deployments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only of this customer.
    #[param(value_type = Option<String>)]
    pub(super) customer: Option<CustomerId>,
    /// Only to this environment.
    #[param(value_type = Option<String>)]
    pub(super) environment: Option<Environment>,
    /// Only in this state, such as `running` or `failed`.
    pub(super) state: Option<String>,
    /// Only those that are over, or only those that are not.
    pub(super) finished: Option<bool>,
    /// Rows on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    pub(super) cursor: Option<String>,
}

impl Wanted {
    /// A page of what the caller may see of it.
    pub(super) async fn page(self, server: &Server, caller: &Caller) -> Result<Page<Summary>, Problem> {
        if let Some(customer) = &self.customer {
            page::known(server, caller, customer).await?;
        }
        let limit = page::limit(self.limit)?;
        let filter = DeploymentFilter {
            customer: self.customer,
            environment: self.environment,
            state: self.state,
            finished: self.finished,
            before: page::cursor(self.cursor.as_deref())?,
            within: caller.visible(),
            backward: false,
        };
        let found = server.app.store.deployments(&filter, limit).await?;
        let (items, next) = page::rows(found, limit, |last| last.id.to_string());
        Ok(Page { items, next })
    }
}

/// A deployment that has to be there, for somebody who has the role with its customer.
pub(super) async fn find(
    server: &Server,
    caller: &Caller,
    role: Role,
    id: &DeploymentId,
) -> Result<Deployment, Problem> {
    let found = server.app.store.deployment(id).await?;
    let deployment = found.ok_or_else(|| Problem::not_found("deployment"))?;
    caller.need(role, &deployment.brief.plan.customer, "deployment")?;
    Ok(deployment)
}

/// Deployments, the newest first.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "deployments", params(Wanted), responses(
    (status = 200, description = "A page of them", body = Page<Summary>),
))]
async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Summary>>, Problem> {
    Ok(Json(wanted.page(&server, &caller).await?))
}

/// Asks for a deployment, or for a check of what is deployed. Waves before one that is named are not bypassed.
#[utoipa::path(post, path = "/api/v1/deployments", tag = "deployments", request_body = Wish,
    responses((status = 202, description = "It is stored, and will be worked on", body = Asked,
        headers(("Location" = String, description = "The event that it became")))))]
async fn deploy(
    State(server): State<Server>,
    caller: Caller,
    Body(wish): Body<Wish>,
) -> Result<Answer, Problem> {
    wish.deploy(&server, &caller).await
}

/// One deployment, service by service.
#[utoipa::path(get, path = "/api/v1/deployments/{id}", tag = "deployments",
    params(("id" = String, Path, description = "Its id"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that is known already")),
    responses(
        (status = 200, description = "The deployment", body = DeploymentView,
            headers(("ETag" = String, description = "Changes whenever the deployment does"))),
        (status = 304, description = "It is as it was"),
    ))]
async fn one(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deployment = find(&server, &caller, Role::Viewer, &id).await?;
    let tag = etag::of(&deployment);
    if headers.get_all(IF_NONE_MATCH).iter().any(|given| etag::names(given, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(DeploymentView::of(&deployment))).into_response())
}

/// What a deployment does, in which order and why.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/plan", tag = "deployments",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "Its plan", body = Plan)))]
async fn plan(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
) -> Result<Json<Plan>, Problem> {
    Ok(Json(find(&server, &caller, Role::Viewer, &id).await?.brief.plan))
}

/// What to compare with.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Against {
    /// The deployment whose plan is the older one; the one that was started before where it is not given.
    #[param(value_type = Option<String>)]
    against: Option<DeploymentId>,
}

/// How the plan of a deployment differs from an earlier one.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/diff", tag = "deployments",
    params(("id" = String, Path, description = "Its id"), Against),
    responses((status = 200, description = "The difference; all is new where there is no earlier one", body = Diff)))]
async fn diff(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
    Query(Against { against }): Query<Against>,
) -> Result<Json<Diff>, Problem> {
    let plan = find(&server, &caller, Role::Viewer, &id).await?.brief.plan;
    let before = match &against {
        Some(other) => Some(find(&server, &caller, Role::Viewer, other).await?),
        None => server.app.store.before(&id).await?,
    };
    let before =
        before.map_or_else(|| Plan { changes: Vec::new(), ..plan.clone() }, |before| before.brief.plan);
    Ok(Json(plan.diff(&before)))
}

/// Which service.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OneService {
    /// Only this service.
    service: Option<String>,
}

/// For each unfinished service the one thing that it waits for.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/why", tag = "deployments",
    params(("id" = String, Path, description = "Its id"), OneService),
    responses((status = 200, description = "What is waited for", body = Vec<Waiting>)))]
async fn why(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
    Query(OneService { service }): Query<OneService>,
) -> Result<Json<Vec<Waiting>>, Problem> {
    let deployment = find(&server, &caller, Role::Viewer, &id).await?;
    Ok(Json(Waiting::of(&deployment, service.as_deref())))
}

/// How a deployment went, in numbers and move by move.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/journal", tag = "deployments",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "Its story", body = Story)))]
async fn journal(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
) -> Result<Json<Story>, Problem> {
    let deployment = find(&server, &caller, Role::Viewer, &id).await?;
    let journal = page::readable(server.app.store.journal(&id).await?);
    Ok(Json(Story::of(&deployment.brief, journal)))
}
