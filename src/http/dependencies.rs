//! Dependencies: as the latest deployments have them, and of values that are posted.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::body::Body;
use super::caller::Caller;
use super::page::{self, OfPlaces, Page};
use super::problem::Problem;
use crate::app::customers;
use crate::domain::catalog::Order;
use crate::domain::diagnostic::{Code, Diagnostic};
use crate::domain::graph::GraphView;
use crate::domain::names::{CustomerId, Environment, ServiceName};
use crate::domain::values::Expected;
use crate::store::OverviewFilter;
use crate::view::dependency::{self, Circular, DependencyHealth, DependencyView, PlaceGraph};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(graph))
        .routes(routes!(circular))
        .routes(routes!(health))
        .routes(routes!(resolve))
}

/// What each service depends on, as the latest deployments have it.
#[utoipa::path(get, path = "/api/v1/dependencies", tag = "dependencies", params(OfPlaces), responses(
    (status = 200, description = "The services of a page of places", body = Page<DependencyView>),
))]
async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<DependencyView>>, Problem> {
    Ok(Json(places.page(&server, &caller, dependency::dependencies).await?))
}

/// The dependency graphs of the latest deployments.
#[utoipa::path(get, path = "/api/v1/dependencies/graph", tag = "dependencies", params(OfPlaces), responses(
    (status = 200, description = "The graphs of a page of places", body = Page<PlaceGraph>),
))]
async fn graph(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<PlaceGraph>>, Problem> {
    Ok(Json(places.page(&server, &caller, |deployment| vec![PlaceGraph::of(deployment)]).await?))
}

/// Where values are resolved.
pub(super) const RESOLVE: &str = "/api/v1/dependencies/resolve";

/// The state of what was refused for its faults.
const REJECTED: &str = "rejected";

/// Places whose newest commit was rejected, because services depend on each other in a ring.
#[utoipa::path(get, path = "/api/v1/dependencies/circular", tag = "dependencies", params(OfPlaces), responses(
    (status = 200, description = "The rings of a page of places; none where all is well", body = Page<Circular>),
))]
async fn circular(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<Circular>>, Problem> {
    let limit = page::limit(places.limit)?;
    let filter = places.filter(&server, &caller).await?;
    let filter = OverviewFilter { places: filter, state: Some(REJECTED.into()), ..OverviewFilter::default() };
    let found = server.app.store.overview(&filter, limit).await?;
    let (rejected, next) =
        page::rows(found, limit, |last| page::place(&last.latest.customer, &last.latest.environment));
    let mut items = Vec::new();
    for summary in rejected.into_iter().map(|place| place.latest) {
        let Some(deployment) = server.app.store.deployment(&summary.id).await? else { continue };
        let of_ring = |fault: &&Diagnostic| fault.code == Code::DependencyCycle;
        let diagnostics: Vec<_> = deployment.state().diagnostics().iter().filter(of_ring).cloned().collect();
        if !diagnostics.is_empty() {
            items.push(Circular {
                customer: summary.customer,
                environment: summary.environment,
                deployment: summary.id,
                revision: summary.revision,
                diagnostics,
            });
        }
    }
    Ok(Json(Page { items, next }))
}

/// Whether what services depend on is healthy, as the latest deployments have it.
#[utoipa::path(get, path = "/api/v1/dependencies/health", tag = "dependencies", params(OfPlaces), responses(
    (status = 200, description = "A page of places", body = Page<DependencyHealth>),
))]
async fn health(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<DependencyHealth>>, Problem> {
    Ok(Json(places.page(&server, &caller, |deployment| vec![DependencyHealth::of(deployment)]).await?))
}

/// Values to be resolved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Values {
    /// The text of a values file, in either format.
    values: String,
    /// What it is called in what is found wrong.
    #[serde(default = "values_yaml")]
    file: String,
    /// `waves` or `dependencies`; the configured order where it is not given.
    #[serde(default)]
    order: Option<String>,
}

fn values_yaml() -> String {
    "values.yaml".into()
}

/// Values, resolved.
#[derive(Debug, Serialize, ToSchema)]
struct Resolved {
    /// Whose they are.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// For where.
    #[schema(value_type = String)]
    environment: Environment,
    /// The order in which the services can be deployed one by one.
    #[schema(value_type = Vec<String>)]
    order: Vec<ServiceName>,
    /// The longest chain, every service taken to need the same.
    #[schema(value_type = Vec<String>)]
    critical_path: Vec<ServiceName>,
    /// The graph, each edge with its place in the file.
    #[schema(value_type = Object)]
    graph: GraphView,
    /// What is doubtful.
    warnings: Vec<Diagnostic>,
}

/// Resolves the dependencies of values that are posted. Nothing is stored, and nothing is deployed.
#[utoipa::path(post, path = RESOLVE, tag = "dependencies", request_body = Values, responses(
    (status = 200, description = "The order", body = Resolved),
))]
async fn resolve(
    State(server): State<Server>,
    _: Caller,
    Body(posted): Body<Values>,
) -> Result<Json<Resolved>, Problem> {
    let order = posted.order.map(|word| word.parse::<Order>()).transpose();
    let order = order.map_err(|reason| Problem::input(format!("`order`: {reason}"), Vec::new()))?;
    let order = order.unwrap_or(server.app.config.order());
    let limits = server.app.config.limits.clone();
    let (file, values) = (posted.file, posted.values);
    // Large values take their time, and nothing else is to wait for it.
    let loaded = tokio::task::spawn_blocking(move || {
        customers::load(&file, values.as_bytes(), &Expected::default(), order, &limits)
    });
    let loaded = loaded.await.map_err(|error| {
        tracing::error!(%error, "values could not be resolved");
        Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "a fault of the server")
    })?;
    let loaded = loaded.map_err(|faults| Problem::input("the values are wrong", faults))?;
    let (catalog, graph, durations) = (&loaded.catalog, &loaded.graph, loaded.durations());
    let named = |services: &[usize]| -> Vec<ServiceName> {
        services.iter().map(|&at| graph.name(at).clone()).collect()
    };
    Ok(Json(Resolved {
        customer: catalog.customer.clone(),
        environment: catalog.environment.clone(),
        order: named(graph.order()),
        critical_path: named(&graph.critical_path(&durations)),
        graph: graph.view(None),
        warnings: loaded.warnings,
    }))
}
