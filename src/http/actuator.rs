//! Probes, for whoever runs the server: no secrets, and nobody has to log in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use crate::store::DeploymentFilter;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(liveness))
        .routes(routes!(readiness))
        .routes(routes!(startup))
}

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    /// It does.
    Up,
    /// It does not, for now.
    Down,
}

/// The server, and what it needs.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// The worst of its components.
    status: Status,
    /// What it needs.
    components: Components,
}

#[derive(Debug, Serialize, ToSchema)]
struct Components {
    /// Whether the database can be read.
    reads: Component,
    /// Whether it takes writes.
    writes: Component,
}

/// One part.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Component {
    /// Whether it works.
    status: Status,
}

impl Status {
    fn of(works: bool) -> Self {
        if works { Self::Up } else { Self::Down }
    }

    /// The probe's answer.
    pub(super) fn code(self) -> StatusCode {
        match self {
            Self::Up => StatusCode::OK,
            Self::Down => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

async fn look(server: &Server) -> Health {
    let read = server.app.store.deployments(&DeploymentFilter::default(), 1).await;
    if let Err(error) = &read {
        tracing::error!(%error, "the store does not answer a probe");
    }
    let reads = Status::of(read.is_ok());
    let writes = Status::of(server.app.store.writable().is_ok());
    let status = Status::of(reads == Status::Up && writes == Status::Up && !server.stop.is_cancelled());
    Health {
        status,
        components: Components { reads: Component { status: reads }, writes: Component { status: writes } },
    }
}

/// Whether requests are taken: the database answers, and the server is not stopping.
pub(super) async fn ready(server: &Server) -> Component {
    Component { status: look(server).await.status }
}

impl Component {
    /// The probe's answer.
    pub(super) fn answer(self) -> (StatusCode, Json<Self>) {
        (self.status.code(), Json(self))
    }
}

/// The health of the server and of what it needs.
#[utoipa::path(get, path = "/actuator/health", tag = "probes", security(()), responses(
    (status = 200, description = "It works", body = Health),
    (status = 503, description = "Something that it needs does not", body = Health),
))]
async fn health(State(server): State<Server>) -> (StatusCode, Json<Health>) {
    let health = look(&server).await;
    (health.status.code(), Json(health))
}

/// Whether the process is alive. It does not depend on anything else: a restart would not mend that.
#[utoipa::path(get, path = "/actuator/health/liveness", tag = "probes", security(()), responses(
    (status = 200, description = "It is", body = Component),
))]
async fn liveness() -> Json<Component> {
    Json(Component { status: Status::Up })
}

/// Whether requests are taken.
#[utoipa::path(get, path = "/actuator/health/readiness", tag = "probes", security(()), responses(
    (status = 200, description = "They are", body = Component),
    (status = 503, description = "Not now", body = Component),
))]
async fn readiness(State(server): State<Server>) -> (StatusCode, Json<Component>) {
    ready(&server).await.answer()
}

/// Whether the server has started.
#[utoipa::path(get, path = "/actuator/health/startup", tag = "probes", security(()), responses(
    (status = 200, description = "It has", body = Component),
    (status = 503, description = "Not yet", body = Component),
))]
async fn startup(State(server): State<Server>) -> (StatusCode, Json<Component>) {
    ready(&server).await.answer()
}
