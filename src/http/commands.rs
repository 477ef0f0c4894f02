//! What people ask of a deployment that is there.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asking::{self, Asked};
use super::body::Body;
use super::caller::Caller;
use super::problem::Problem;
use super::{Server, deployments, etag};
use crate::app::{self, wish};
use crate::domain::access::Role;
use crate::domain::deployment::{Command, Deployment};
use crate::domain::names::{DeploymentId, ServiceName};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(abort))
        .routes(routes!(retry))
        .routes(routes!(skip))
        .routes(routes!(rollback))
}

/// A command that was stored; it takes effect when the worker gets to it.
#[derive(Debug, Serialize, ToSchema)]
struct Sent {
    /// The deployment.
    #[schema(value_type = String)]
    deployment: DeploymentId,
    /// Where it stood when the command was taken.
    state: &'static str,
}

/// The plan that is agreed to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// The hash of the plan that was looked at, or its first 8 digits at least: another plan is not agreed to.
    plan: Option<String>,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// For those who look later.
    #[serde(default = "no_reason")]
    reason: String,
}

fn no_reason() -> String {
    "no reason given".into()
}

/// Nothing more to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Which service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OneOrAll {
    /// Its name; all that failed where it is not given.
    #[schema(value_type = Option<String>)]
    service: Option<ServiceName>,
}

/// Which service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct One {
    /// Its name.
    service: String,
}

/// A command on its way: who sends it, and to which deployment.
struct Order {
    server: Server,
    caller: Caller,
    id: DeploymentId,
    headers: HeaderMap,
}

impl FromRequestParts<Server> for Order {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Response> {
        let caller = Caller::from_request_parts(parts, server).await.map_err(IntoResponse::into_response)?;
        let id = Path::from_request_parts(parts, server).await.map_err(IntoResponse::into_response)?;
        let Path(id) = id;
        Ok(Self { server: Arc::clone(server), caller, id, headers: parts.headers.clone() })
    }
}

impl Order {
    async fn send(self, role: Role, command: Command) -> Result<(StatusCode, Json<Sent>), Problem> {
        let Self { server, caller, id, headers } = self;
        let deployment = deployments::find(&server, &caller, role, &id).await?;
        etag::check(&headers, &deployment)?;
        if let Some(reason) = refuses(&server, &caller, &deployment, &command) {
            return Err(Problem::forbidden(reason));
        }
        let taken = app::command(&server.app.store, &id, &caller.origin(), command, Timestamp::now()).await?;
        Ok((StatusCode::ACCEPTED, Json(Sent { deployment: id, state: taken.state().word() })))
    }
}

/// Why this caller of all may not give a command, whatever its roles are; none where it may.
pub(super) fn refuses(
    server: &Server,
    caller: &Caller,
    deployment: &Deployment,
    command: &Command,
) -> Option<&'static str> {
    let own = deployment.brief.requested_by == caller.name() && !caller.is_local();
    let approves = matches!(command, Command::Approve { .. });
    (approves && own && !server.app.config.approval.by_requester)
        .then_some("who asked for a deployment cannot approve it")
}

/// Agrees to the plan of a deployment.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/approve", tag = "deployments", request_body = Approval,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn approve(
    order: Order,
    Body(Approval { plan }): Body<Approval>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Approver, Command::Approve { plan }).await
}

/// Refuses the plan of a deployment.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/reject", tag = "deployments", request_body = Why,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn reject(order: Order, Body(Why { reason }): Body<Why>) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Approver, Command::Reject { reason }).await
}

/// Starts nothing new in a deployment; what is in flight goes on.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/pause", tag = "deployments", request_body = Nothing,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn pause(order: Order, Body(Nothing {}): Body<Nothing>) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Operator, Command::Pause).await
}

/// Goes on with a paused deployment.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/resume", tag = "deployments", request_body = Nothing,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn resume(order: Order, Body(Nothing {}): Body<Nothing>) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Operator, Command::Resume).await
}

/// Stops a deployment and leaves everything as it is.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/abort", tag = "deployments", request_body = Why,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn abort(order: Order, Body(Why { reason }): Body<Why>) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Operator, Command::Abort { reason }).await
}

/// What became of a wish to try again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it documents the two answers that there are")]
enum Retried {
    /// Of a deployment under way: what failed is tried again.
    Sent(Sent),
    /// Of one that is over: an event asks for a new one.
    Asked(Asked),
}

/// Tries failed services again: in a running deployment, or by a new one of the same commit where it is over.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/retry", tag = "deployments", request_body = OneOrAll,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Retried)))]
async fn retry(order: Order, Body(OneOrAll { service }): Body<OneOrAll>) -> Result<Response, Problem> {
    let Order { server, caller, id, headers } = &order;
    let deployment = deployments::find(server, caller, Role::Operator, id).await?;
    if deployment.state().is_finished() {
        etag::check(headers, &deployment)?;
        let accepted = wish::again(&server.app.store, &deployment, service, caller.origin()).await?;
        return Ok(asking::answer(accepted).into_response());
    }
    let command = Command::Retry { service: service.map(String::from) };
    Ok(order.send(Role::Operator, command).await?.into_response())
}

/// Does without a service: those that wait for it go on.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/skip", tag = "deployments", request_body = One,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn skip(order: Order, Body(One { service }): Body<One>) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Operator, Command::Skip { service }).await
}

/// Takes back what a deployment advanced.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/rollback", tag = "deployments", request_body = Why,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It is stored", body = Sent)))]
async fn rollback(
    order: Order,
    Body(Why { reason }): Body<Why>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    order.send(Role::Operator, Command::Rollback { reason }).await
}
