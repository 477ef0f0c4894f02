//! The level of the log, while the server runs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::body::Body;
use super::caller::Caller;
use super::problem::Problem;
use crate::domain::access::Role;
use crate::logging::{self, LevelError};
use crate::store::Deed;

/// What the whole log is called where loggers have names.
const ROOT: &str = "ROOT";

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(read, change))
        .routes(routes!(loggers))
        .routes(routes!(logger, change_logger))
}

/// What is logged.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogLevel {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels by part:
    /// `info,argocd_orchestrator::worker=debug`. None, where it is written, for what held when the server started.
    #[schema(example = "info")]
    level: Option<String>,
}

/// What is logged now.
#[utoipa::path(get, path = "/api/v1/log-level", tag = "orchestrator", responses(
    (status = 200, description = "The level in force; none where the log is not the server's own", body = LogLevel),
))]
async fn read(caller: Caller) -> Result<Json<LogLevel>, Problem> {
    caller.need_for_all(Role::Admin)?;
    Ok(Json(LogLevel { level: logging::level() }))
}

/// Changes what is logged, until the server stops.
#[utoipa::path(put, path = "/api/v1/log-level", tag = "orchestrator", request_body = LogLevel, responses(
    (status = 200, description = "The level that holds now", body = LogLevel),
))]
async fn change(
    State(server): State<Server>,
    caller: Caller,
    Body(wanted): Body<LogLevel>,
) -> Result<Json<LogLevel>, Problem> {
    let level = set(&server, &caller, wanted.level.as_deref()).await?;
    Ok(Json(LogLevel { level: Some(level) }))
}

async fn set(server: &Server, caller: &Caller, wanted: Option<&str>) -> Result<String, Problem> {
    caller.need_for_all(Role::Admin)?;
    let before = logging::level();
    let level = logging::set_level(wanted).map_err(|error| match error {
        LevelError::Filter(reason) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("`level` {reason}"))
        }
        LevelError::NotOurs => Problem::new(StatusCode::CONFLICT, error.to_string()),
    })?;
    let deed = Deed {
        origin: caller.origin(),
        action: "log-level",
        detail: json!({ "level": wanted }),
        before: before.clone(),
        after: Some(level.clone()),
    };
    if let Err(error) = server.app.store.record(deed, Timestamp::now()).await {
        // What is not recorded does not happen.
        let _back = logging::set_level(before.as_deref());
        return Err(error.into());
    }
    // Said at a level that shows whatever holds now.
    tracing::error!(caller = caller.name(), filter = level, "the level of the log was changed");
    Ok(level)
}

/// What is logged, in the shape of Spring's actuator.
#[utoipa::path(get, path = "/actuator/loggers", tag = "orchestrator", responses(
    (status = 200, description = "The one logger there is, and the levels", body = Object),
))]
async fn loggers(caller: Caller) -> Result<Json<Value>, Problem> {
    caller.need_for_all(Role::Admin)?;
    let levels = ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
    Ok(Json(json!({ "levels": levels, "loggers": { ROOT: shown() } })))
}

/// The one logger there is.
#[utoipa::path(get, path = "/actuator/loggers/{name}", tag = "orchestrator",
    params(("name" = String, Path, description = "`ROOT`")), responses(
    (status = 200, description = "Its level", body = Object),
))]
async fn logger(caller: Caller, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    caller.need_for_all(Role::Admin)?;
    named(&name)?;
    Ok(Json(shown()))
}

/// What Spring's actuator takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configured {
    /// The level; none for what held when the server started.
    configured_level: Option<String>,
}

/// Changes what is logged, as Spring's actuator does.
#[utoipa::path(post, path = "/actuator/loggers/{name}", tag = "orchestrator",
    params(("name" = String, Path, description = "`ROOT`")), request_body = Configured, responses(
    (status = 204, description = "It holds now"),
))]
async fn change_logger(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
    Body(wanted): Body<Configured>,
) -> Result<StatusCode, Problem> {
    caller.need_for_all(Role::Admin)?;
    named(&name)?;
    set(&server, &caller, wanted.configured_level.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn named(name: &str) -> Result<(), Problem> {
    if name.eq_ignore_ascii_case(ROOT) {
        return Ok(());
    }
    Err(Problem::not_found("logger"))
}

fn shown() -> Value {
    json!({ "configuredLevel": logging::level(), "effectiveLevel": logging::level() })
}
