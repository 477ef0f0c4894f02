//! What a command would do, for whoever is about to give it.

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::problem::Problem;
use super::{Server, commands, deployments};
use crate::domain::access::Role;
use crate::domain::deployment::{Command, Deployment};
use crate::domain::names::{DeploymentId, Revision, Wave};
use crate::domain::plan::Action;
use crate::domain::preview::{Affected, preview};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(of_command))
}

/// Which command.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `approve`, `reject`, `pause`, `resume`, `abort`, `retry`, `skip` or `rollback`.
    #[param(value_type = String)]
    command: Word,
    /// Which service, for `retry` and `skip`.
    service: Option<String>,
}

/// A command's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Approve,
    Reject,
    Pause,
    Resume,
    Abort,
    Retry,
    Skip,
    Rollback,
}

impl Word {
    fn command(self, service: Option<String>) -> Result<Command, Problem> {
        let reason = String::new();
        Ok(match self {
            Self::Approve => Command::Approve { plan: None },
            Self::Reject => Command::Reject { reason },
            Self::Pause => Command::Pause,
            Self::Resume => Command::Resume,
            Self::Abort => Command::Abort { reason },
            Self::Retry => Command::Retry { service },
            Self::Skip => {
                let missing = || Problem::bad_request("`service` is needed with `command=skip`");
                Command::Skip { service: service.ok_or_else(missing)? }
            }
            Self::Rollback => Command::Rollback { reason },
        })
    }
}

/// What a command would do to a deployment as it is now.
#[derive(Debug, Serialize, ToSchema)]
struct Preview {
    /// Why it would be refused now; none where it would be taken. A role that is missing is not looked at.
    refused: Option<String>,
    /// Whether a new deployment of the same commit would be asked for, because this one is over.
    anew: bool,
    /// Where the deployment stands now, by the state's word.
    from: &'static str,
    /// Where it would stand.
    to: &'static str,
    /// The services that would be moved, in the order of their turns.
    services: Vec<Moved>,
}

/// A service that would be moved.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Moved {
    /// The service, or `base`.
    service: String,
    /// Its wave; none for the shared part.
    #[schema(value_type = Option<u32>)]
    wave: Option<Wave>,
    /// Its turn, from 1: those with the same number go together. None where no turn comes for it.
    turn: Option<u32>,
    /// Where it stands now, by the state's word.
    from: &'static str,
    /// Where it would stand.
    to: &'static str,
    /// The commit that it would be synced to, where it would be.
    #[schema(value_type = Option<String>)]
    revision: Option<Revision>,
    /// Why.
    cause: String,
}

impl From<Affected> for Moved {
    fn from(moved: Affected) -> Self {
        let Affected { service, wave, turn, from, to, revision, cause } = moved;
        Self { service, wave, turn, from, to, revision, cause }
    }
}

/// What a command would do to a deployment now: which services it would move, in which order and to which commit.
/// Nothing is changed.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/preview", tag = "deployments",
    params(("id" = String, Path, description = "Its id"), Wanted),
    responses((status = 200, description = "What it would do", body = Preview)))]
async fn of_command(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
    Query(Wanted { command, service }): Query<Wanted>,
) -> Result<Json<Preview>, Problem> {
    let deployment = deployments::find(&server, &caller, Role::Viewer, &id).await?;
    if command == Word::Retry && deployment.state().is_finished() {
        return Ok(Json(anew(&deployment, service.as_deref())));
    }
    let wanted = command.command(service)?;
    let not_by_this_one = commands::refuses(&server, &caller, &deployment, &wanted).map(str::to_owned);
    let seen = preview(&deployment, wanted, Timestamp::now());
    Ok(Json(Preview {
        refused: seen.refused.or(not_by_this_one),
        anew: false,
        from: seen.from,
        to: seen.to,
        services: seen.services.into_iter().map(Moved::from).collect(),
    }))
}

/// What asking for a finished deployment again is about. What is really done is planned when it is made.
fn anew(deployment: &Deployment, only: Option<&str>) -> Preview {
    let plan = &deployment.brief.plan;
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let touched = deployment.services().filter(|(change, state)| {
        change.action == Action::Sync && wanted(change.name()) && state.word() != "healthy"
    });
    let word = deployment.state().word();
    let moved = touched.map(|(change, state)| Moved {
        service: change.name().to_owned(),
        wave: change.wave,
        turn: None,
        from: state.word(),
        to: "waiting",
        revision: Some(plan.revision.clone()),
        cause: "it is not healthy at this commit yet".into(),
    });
    Preview { refused: None, anew: true, from: word, to: word, services: moved.collect() }
}
