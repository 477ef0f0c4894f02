//! Events and dead letters.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::page::{self, Page};
use super::problem::Problem;
use crate::app::receive::{Receipt, new_id};
use crate::domain::access::Role;
use crate::domain::event;
use crate::domain::names::{CustomerId, DeploymentId, EventId, SourceName};
use crate::store::{EventFilter, StoredEvent};
use crate::view::event::{EventView, LetterView};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(letters))
        .routes(routes!(replay))
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only for this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Only from this repository.
    #[param(value_type = Option<String>)]
    source: Option<SourceName>,
    /// Only in this state: `accepted`, `planned`, `ignored`, `rejected` or `superseded`.
    state: Option<String>,
    /// Rows on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// Events, the newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Wanted), responses(
    (status = 200, description = "A page of them", body = Page<EventView>),
))]
async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<EventView>>, Problem> {
    if let Some(customer) = &wanted.customer {
        page::known(&server, &caller, customer).await?;
    }
    let limit = page::limit(wanted.limit)?;
    let filter = EventFilter {
        state: wanted.state,
        source: wanted.source,
        customer: wanted.customer,
        before: page::cursor(wanted.cursor.as_deref())?,
        within: caller.visible(),
    };
    let found = server.app.store.events(&filter, limit).await?;
    let (events, next) = page::rows(found, limit, |last| last.id.to_string());
    let mut items = Vec::with_capacity(events.len());
    for event in events {
        items.push(show(&server, &caller, event).await?);
    }
    Ok(Json(Page { items, next }))
}

/// What of an event the caller may know.
async fn show(server: &Server, caller: &Caller, event: StoredEvent) -> Result<EventView, Problem> {
    if caller.visible().is_none() {
        return Ok(EventView::of(event));
    }
    let mut visible = BTreeSet::new();
    for id in &event.deployments {
        if is_visible(server, caller, id).await? {
            visible.insert(id.clone());
        }
    }
    Ok(EventView::of(event).without_others(|id| visible.contains(id)))
}

async fn is_visible(server: &Server, caller: &Caller, id: &DeploymentId) -> Result<bool, Problem> {
    let deployment = server.app.store.deployment(id).await?;
    Ok(deployment.is_some_and(|deployment| caller.sees(&deployment.brief.plan.customer)))
}

/// One event, and what became of it.
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The event", body = EventView)))]
async fn one(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<Json<EventView>, Problem> {
    let event = server.app.store.event(&id).await?.ok_or_else(|| Problem::not_found("event"))?;
    let named = event.request.customer.as_ref().is_some_and(|customer| caller.sees(customer));
    let shown = show(&server, &caller, event).await?;
    if caller.visible().is_some() && !named && shown.deployments.is_empty() {
        return Err(Problem::not_found("event"));
    }
    Ok(Json(shown))
}

/// A page of dead letters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Paging {
    /// Rows on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    cursor: Option<String>,
}

/// Requests that could not succeed, the newest first. They may be about anybody, so this needs a role for all.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "events", params(Paging), responses(
    (status = 200, description = "A page of them", body = Page<LetterView>),
))]
async fn letters(
    State(server): State<Server>,
    caller: Caller,
    Query(Paging { limit, cursor }): Query<Paging>,
) -> Result<Json<Page<LetterView>>, Problem> {
    caller.need_for_all(Role::Operator)?;
    let limit = page::limit(limit)?;
    let before: Option<EventId> = page::cursor(cursor.as_deref())?;
    let found = server.app.store.dead_letters_before(before.as_ref(), limit).await?;
    let (rows, next) = page::rows(found, limit, |last| last.letter.id.to_string());
    Ok(Json(Page { items: rows.into_iter().map(LetterView::of).collect(), next }))
}

/// Tries a dead letter again, for instance after its source was configured. It is a dead letter no more where it
/// is accepted.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/replay", tag = "events",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It became an event", body = Receipt)))]
async fn replay(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    caller.need_for_all(Role::Admin)?;
    let app = &server.app;
    let letter = app.store.letter(&id).await?.ok_or_else(|| Problem::not_found("dead letter"))?.letter;
    let spec: Map<String, Value> = serde_json::from_slice(&letter.resource).unwrap_or_default();
    let understood = event::parse(&spec, &letter.payload, &app.config.known_sources());
    let request = understood.map_err(|faults| Problem::input("it is as wrong as it was", faults))?;
    let accepted = app.submit(request, new_id(), caller.origin(), Timestamp::now()).await?;
    app.store.unbury(&id, &accepted.event, caller.origin(), Timestamp::now()).await?;
    tracing::info!(letter = %id, event = %accepted.event, by = caller.name(), "a dead letter was replayed");
    Ok((StatusCode::ACCEPTED, Json(Receipt::accepted(&accepted))))
}
