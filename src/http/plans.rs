//! Plans of what could be asked for: nothing is stored, and nothing is deployed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::asking::Wish;
use super::body::Body;
use super::caller::Caller;
use super::problem::Problem;
use crate::app::dry_run::{DryRun, dry_run};
use crate::domain::access::Role;
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, Environment, Revision, ServiceName, SourceName, Wave};
use crate::view::dry_run::DryRunView;

/// Where plans are asked for.
pub(super) const PATH: &str = "/api/v1/plans";

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(plan))
}

/// What is to be planned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanWish {
    /// Whose services.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// Where; may be left out where there is one environment only.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    environment: Option<Environment>,
    /// The configured repository, where more than one deploys the environment.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    source: Option<SourceName>,
    /// The commit, in full; the head of the configured ref where it is not given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    revision: Option<Revision>,
    /// The text of a values file that takes the place of the customer's at that commit.
    #[serde(default)]
    values: Option<String>,
    /// Only this service.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    service: Option<ServiceName>,
    /// Only this wave.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    wave: Option<Wave>,
    /// `waves` or `dependencies`; the configured order where it is not given.
    #[serde(default)]
    order: Option<String>,
    /// Also what did not change, and what failed with the same content before.
    #[serde(default)]
    force: bool,
}

/// What a deployment would do: each service with its turn, and why it is touched or not. Nothing is stored, and nothing
/// is deployed. A plan that is made later differs where something else happened meanwhile.
#[utoipa::path(post, path = PATH, tag = "plans", request_body = PlanWish, responses(
    (status = 200, description = "What would be done", body = DryRunView),
))]
async fn plan(
    State(server): State<Server>,
    caller: Caller,
    Body(posted): Body<PlanWish>,
) -> Result<Json<DryRunView>, Problem> {
    let PlanWish { customer, environment, source, revision, values, service, wave, order, force } = posted;
    let (check, id) = (false, None);
    let kind = if wave.is_some() { Kind::SyncWave } else { Kind::Deployment };
    let wish = Wish { customer, environment, source, revision, service, wave, order, check, force, id };
    let wish = wish.placed(&server, &caller, Role::Viewer, kind).await?;
    let (customer, environment) = (wish.customer.clone(), wish.environment.clone());
    let Some(environment) = environment else {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the server"));
    };
    let (_, request) = wish.request();
    let values = values.map(String::into_bytes);
    let planned = dry_run(&server.app, &request, &customer, &environment, values).await;
    let planned = planned.map_err(|error| Problem::unread(&error))?;
    let planned = planned.map_err(|faults| Problem::input("it would be refused", faults))?;
    let DryRun { plan, before, warnings, needs_approval, image_tag } = planned;
    let (diff, idle) = (before.map(|before| plan.diff(&before)), plan.is_idle());
    Ok(Json(DryRunView { plan, diff, idle, needs_approval, image_tag, warnings }))
}
