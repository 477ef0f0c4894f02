//! Sync waves: how far they are, and asking for one.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::asking::{Ask, Asked, asked};
use super::body::Body;
use super::caller::Caller;
use super::page::{OfPlaces, Page};
use super::problem::Problem;
use crate::domain::event::Kind;
use crate::domain::names::Wave;
use crate::view::wave::{self, WaveDetail, WaveOverall, WaveView};

/// Places of which a wave's overall status is made at most.
const PLACES: usize = 5_000;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(status))
        .routes(routes!(trigger))
}

/// The sync waves of all customers and environments, as their latest deployments have them.
#[utoipa::path(get, path = "/api/v1/sync-waves", tag = "sync waves", params(OfPlaces), responses(
    (status = 200, description = "The waves of a page of customers and environments", body = Page<WaveView>),
))]
async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<WaveView>>, Problem> {
    Ok(Json(places.page(&server, &caller, wave::waves).await?))
}

/// One sync wave with its services, of each customer and environment that has it.
#[utoipa::path(get, path = "/api/v1/sync-waves/{wave}", tag = "sync waves",
    params(("wave" = u32, Path, description = "The number of the wave"), OfPlaces),
    responses((status = 200, description = "The wave, place by place", body = Page<WaveDetail>)))]
async fn one(
    State(server): State<Server>,
    caller: Caller,
    Path(number): Path<u32>,
    Query(places): Query<OfPlaces>,
) -> Result<Json<Page<WaveDetail>>, Problem> {
    let rows = |deployment: &_| wave::detail(deployment, Wave(number)).into_iter().collect();
    Ok(Json(places.page(&server, &caller, rows).await?))
}

/// How far one sync wave is, all customers and environments together. Not in pages.
#[utoipa::path(get, path = "/api/v1/sync-waves/{wave}/status", tag = "sync waves",
    params(("wave" = u32, Path, description = "The number of the wave"), OfPlaces),
    responses((status = 200, description = "How far it is", body = WaveOverall)))]
async fn status(
    State(server): State<Server>,
    caller: Caller,
    Path(number): Path<u32>,
    Query(mut places): Query<OfPlaces>,
) -> Result<Json<WaveOverall>, Problem> {
    let mut found: Vec<WaveView> = Vec::new();
    loop {
        let page = places.page(&server, &caller, wave::waves).await?;
        found.extend(page.items.into_iter().filter(|view| view.wave == Wave(number)));
        match page.next {
            Some(_) if found.len() >= PLACES => {
                return Err(Problem::bad_request("too many customers for one answer: name a `customer`"));
            }
            Some(next) => places.cursor = Some(next),
            None => return Ok(Json(WaveOverall::new(Wave(number), found))),
        }
    }
}

/// Asks for one sync wave of a customer. What it has to wait for is waited for as always.
#[utoipa::path(post, path = "/api/v1/sync-waves/{wave}/trigger", tag = "sync waves",
    params(("wave" = u32, Path, description = "The number of the wave")), request_body = Ask,
    responses((status = 202, description = "It is stored, and will be worked on", body = Asked,
        headers(("Location" = String, description = "The event that it became")))))]
async fn trigger(
    State(server): State<Server>,
    caller: Caller,
    Path(number): Path<u32>,
    Body(ask): Body<Ask>,
) -> Result<(StatusCode, [(axum::http::HeaderName, String); 1], Json<Asked>), Problem> {
    asked(&server, &caller, ask, Kind::SyncWave, None, Some(Wave(number))).await
}
