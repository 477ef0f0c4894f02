//! Customers: all at a glance, and what concerns one.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::deployments::Wanted;
use super::page::{self, OfPlaces, Page};
use super::problem::Problem;
use crate::domain::names::{CustomerId, Environment};
use crate::store::{OverviewFilter, ServiceRevision, Summary};
use crate::view::customer::CustomerView;
use crate::view::wave::{self, WaveView};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(deployments))
        .routes(routes!(waves))
        .routes(routes!(history))
}

/// Which customers and environments, at a glance.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Glimpse {
    /// Only this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Only in this environment.
    #[param(value_type = Option<String>)]
    environment: Option<Environment>,
    /// Only customers with this text in their name.
    search: Option<String>,
    /// Only where the newest deployment is in this state, such as `running` or `failed`.
    state: Option<String>,
    /// Customers and environments on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// All customers and environments at a glance: the newest deployment of each, how far it is, what it waits for, and
/// what the place was last brought to.
#[utoipa::path(get, path = "/api/v1/customers", tag = "customers", params(Glimpse), responses(
    (status = 200, description = "A page of them", body = Page<CustomerView>),
))]
async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(glimpse): Query<Glimpse>,
) -> Result<Json<Page<CustomerView>>, Problem> {
    let Glimpse { customer, environment, search, state, limit, cursor } = glimpse;
    let places = OfPlaces { customer, environment, limit, cursor };
    let limit = page::limit(limit)?;
    let filter = OverviewFilter { places: places.filter(&server, &caller).await?, search, state };
    let found = server.app.store.overview(&filter, limit).await?;
    let (rows, next) =
        page::rows(found, limit, |last| page::place(&last.latest.customer, &last.latest.environment));
    Ok(Json(Page { items: rows.into_iter().map(CustomerView::of).collect(), next }))
}

/// Which of a customer's.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfOne {
    /// Only in this environment.
    #[param(value_type = Option<String>)]
    environment: Option<Environment>,
    /// Rows on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// The deployments of a customer, the newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer}/deployments", tag = "customers",
    params(("customer" = String, Path, description = "Its id"), OfOne),
    responses((status = 200, description = "A page of them", body = Page<Summary>)))]
async fn deployments(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<CustomerId>,
    Query(OfOne { environment, limit, cursor }): Query<OfOne>,
) -> Result<Json<Page<Summary>>, Problem> {
    let wanted = Wanted { customer: Some(customer), environment, state: None, finished: None, limit, cursor };
    Ok(Json(wanted.page(&server, &caller).await?))
}

/// Which of a customer's services.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfServices {
    /// In which environment.
    #[param(value_type = String)]
    environment: Environment,
    /// Only this service, or `base` for the shared part.
    service: Option<String>,
}

/// What the services of a customer ran healthily: by service, the newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer}/history", tag = "customers",
    params(("customer" = String, Path, description = "Its id"), OfServices),
    responses((status = 200, description = "The revisions that are kept", body = Vec<ServiceRevision>)))]
async fn history(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<CustomerId>,
    Query(OfServices { environment, service }): Query<OfServices>,
) -> Result<Json<Vec<ServiceRevision>>, Problem> {
    page::known(&server, &caller, &customer).await?;
    let found = server.app.store.history(&customer, &environment, service.as_deref()).await?;
    Ok(Json(page::readable(found)))
}

/// The sync waves of a customer, as its latest deployments have them.
#[utoipa::path(get, path = "/api/v1/customers/{customer}/sync-waves", tag = "customers",
    params(("customer" = String, Path, description = "Its id"), OfOne),
    responses((status = 200, description = "Its waves", body = Page<WaveView>)))]
async fn waves(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<CustomerId>,
    Query(OfOne { environment, limit, cursor }): Query<OfOne>,
) -> Result<Json<Page<WaveView>>, Problem> {
    let places = OfPlaces { customer: Some(customer), environment, limit, cursor };
    Ok(Json(places.page(&server, &caller, wave::waves).await?))
}
