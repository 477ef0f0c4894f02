//! How the orchestrator itself is doing.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(status))
}

/// How the orchestrator is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrchestratorStatus)]
struct Status {
    /// Its version.
    version: &'static str,
    /// Since when it serves.
    started_at: Timestamp,
    /// How many workers have begun on this database so far; the last of them is at work.
    epoch: u64,
    /// Whether writes are taken.
    writable: bool,
    /// Writes that wait for the next commit.
    queued_writes: usize,
    /// Deployments that are not over, by the state's word, as far as the caller may see.
    active: BTreeMap<String, u64>,
    /// Deployments that are over, likewise.
    finished: BTreeMap<String, u64>,
    /// Events that wait to be worked on.
    waiting_events: u64,
    /// Dead letters that are kept.
    dead_letters: u64,
}

/// How the orchestrator is doing, and what is under way.
#[utoipa::path(get, path = "/api/v1/orchestrator/status", tag = "orchestrator", responses(
    (status = 200, description = "How it is doing", body = Status),
))]
async fn status(State(server): State<Server>, caller: Caller) -> Result<Json<Status>, Problem> {
    let store = &server.app.store;
    let (mut active, mut finished) = (BTreeMap::new(), BTreeMap::new());
    for count in store.counts(caller.visible().as_deref()).await? {
        let by_state = if count.finished { &mut finished } else { &mut active };
        *by_state.entry(count.state).or_default() += count.count;
    }
    let (waiting_events, dead_letters) = store.backlog().await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: server.started_at,
        epoch: store.epoch().await?,
        writable: store.writable().is_ok(),
        queued_writes: store.stats().queued,
        active,
        finished,
        waiting_events,
        dead_letters,
    }))
}
