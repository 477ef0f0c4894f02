//! Who asked for which change.

use axum::Json;
use axum::extract::{Query, State};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::page::{self, Page};
use super::problem::Problem;
use crate::app::compliance;
use crate::domain::compliance::Compliance;
use crate::domain::names::{CustomerId, DeploymentId};
use crate::store::{AuditFilter, DeploymentFilter};
use crate::view::audit::AuditView;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(report))
}

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only about this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Only about this deployment.
    #[param(value_type = Option<String>)]
    deployment: Option<DeploymentId>,
    /// Only of whoever has this name.
    actor: Option<String>,
    /// Only from this time on.
    since: Option<Timestamp>,
    /// Only before this time.
    until: Option<Timestamp>,
    /// Rows on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// Who asked for which change, the newest first. What is about no single customer, such as pushes and logins, is shown
/// to those alone who see all customers.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Wanted), responses(
    (status = 200, description = "A page of them", body = Page<AuditView>),
))]
async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<AuditView>>, Problem> {
    if let Some(customer) = &wanted.customer {
        page::known(&server, &caller, customer).await?;
    }
    let limit = page::limit(wanted.limit)?;
    let filter = AuditFilter {
        customer: wanted.customer,
        deployment: wanted.deployment,
        actor: wanted.actor,
        since: wanted.since,
        until: wanted.until,
        before: page::cursor(wanted.cursor.as_deref())?,
        within: caller.visible(),
    };
    let found = server.app.store.audit(&filter, limit).await?;
    let (records, next) = page::rows(found, limit, |last| last.seq.to_string());
    Ok(Json(Page { items: records.into_iter().map(AuditView::of).collect(), next }))
}

/// Which deployments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfDeployments {
    /// Only of this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Only those that were made from this time on.
    since: Option<Timestamp>,
    /// Only those that were made before this time.
    until: Option<Timestamp>,
    /// Deployments that are looked at for a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// For each deployment who asked for it, who agreed, whether those were two, and what came of it; the newest first. A
/// page may have fewer rows than were asked for, and more may follow all the same.
#[utoipa::path(get, path = "/api/v1/audit/report", tag = "audit", params(OfDeployments), responses(
    (status = 200, description = "A page of them", body = Page<Compliance>),
))]
async fn report(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<OfDeployments>,
) -> Result<Json<Page<Compliance>>, Problem> {
    let OfDeployments { customer, since, until, limit, cursor } = wanted;
    if let Some(customer) = &customer {
        page::known(&server, &caller, customer).await?;
    }
    let limit = page::limit(limit)?;
    let filter = DeploymentFilter {
        customer,
        before: page::cursor(cursor.as_deref())?,
        within: caller.visible(),
        ..DeploymentFilter::default()
    };
    let store = &server.app.store;
    let found = store.deployments(&filter, limit).await?;
    let (looked_at, next) = page::rows(found, limit, |last| last.id.to_string());
    let items = compliance::report(store, &looked_at, since, until).await?;
    Ok(Json(Page { items, next }))
}
