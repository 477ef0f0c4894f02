//! The health of services, and asking for a fresh look.

use axum::Json;
use axum::extract::{Path, Query, State};
use futures_util::StreamExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::asking::{Answer, Ask, Asked, asked};
use super::body::Body;
use super::caller::Caller;
use super::page::{OfPlaces, Page};
use super::problem::Problem;
use crate::domain::event::Kind;
use crate::domain::names::ServiceName;
use crate::view::health::{ServiceHealth, Shown};

/// Applications that are read at once for one request.
const READS_AT_ONCE: usize = 16;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one)).routes(routes!(check))
}

/// The health of all services: what their Applications show now, and where the latest deployment has them.
#[utoipa::path(get, path = "/api/v1/health/services", tag = "health", params(OfPlaces), responses(
    (status = 200, description = "The services of a page of places", body = Page<ServiceHealth>),
))]
async fn all(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<ServiceHealth>>, Problem> {
    Ok(Json(look(&server, &caller, &places, None).await?))
}

/// The health of one service, in each place that has it.
#[utoipa::path(get, path = "/api/v1/health/services/{service}", tag = "health",
    params(("service" = String, Path, description = "Its name, or `base` for the shared part"), OfPlaces),
    responses((status = 200, description = "The service, place by place", body = Page<ServiceHealth>)))]
async fn one(
    State(server): State<Server>,
    caller: Caller,
    Path(service): Path<ServiceName>,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<ServiceHealth>>, Problem> {
    let page = look(&server, &caller, &places, Some(&service)).await?;
    if page.items.is_empty() && page.next.is_none() && places.cursor.is_none() {
        return Err(Problem::not_found("service"));
    }
    Ok(Json(page))
}

async fn look(
    server: &Server,
    caller: &Caller,
    places: &OfPlaces,
    only: Option<&ServiceName>,
) -> Result<Page<ServiceHealth>, Problem> {
    let page = places
        .page(server, caller, |deployment| {
            let wanted = |name: &str| only.is_none_or(|only| only.as_str() == name);
            let services = deployment.services().filter(|(change, _)| wanted(change.name()));
            services.map(|(change, state)| ServiceHealth::of(deployment, change, state)).collect()
        })
        .await?;
    let reads = page.items.into_iter().map(|mut service| async move {
        match server.app.cluster.application(&service.application).await {
            Ok(application) => service.shown = application.as_ref().map(Shown::of),
            Err(error) => {
                tracing::warn!(application = %service.application, %error, "an Application cannot be read");
                service.unreadable = Some("the cluster does not answer".into());
            }
        }
        service
    });
    let items = futures_util::stream::iter(reads).buffered(READS_AT_ONCE).collect().await;
    Ok(Page { items, next: page.next })
}

/// Asks for a fresh look at a service and all that it depends on. Nothing is synced.
#[utoipa::path(post, path = "/api/v1/health/services/{service}/check", tag = "health",
    params(("service" = String, Path, description = "Its name")), request_body = Ask,
    responses((status = 202, description = "It is stored, and will be worked on", body = Asked,
        headers(("Location" = String, description = "The event that it became")))))]
async fn check(
    State(server): State<Server>,
    caller: Caller,
    Path(service): Path<ServiceName>,
    Body(ask): Body<Ask>,
) -> Result<Answer, Problem> {
    asked(&server, &caller, ask, Kind::HealthCheck, Some(service), None).await
}
