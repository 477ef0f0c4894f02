//! Asking for a deployment or a rollback, once for each workflow, and stopping one.

use serde_json::Value;

use super::exit::told;
use super::{Fault, Memory, Outcome, Request, Standing, StepExit, Turn, Which, monitor};
use crate::client::{Client, ClientError, Wanted};
use crate::domain::deployment::Command;
use crate::domain::event::Kind;
use crate::domain::names::{DeploymentId, EventId};
use crate::view::deployment::DeploymentView;
use crate::view::event::EventView;

/// How often one workflow may ask for the same again.
const AGAIN: usize = 50;

/// Asks for the deployment, and waits until it is planned.
pub(super) async fn trigger(client: &Client, request: &Request, memory: &mut Memory) -> Result<Turn, Fault> {
    let customer = request.the_customer()?.clone();
    let id = request.id(&customer);
    let wanted = Wanted {
        revision: request.revision.clone(),
        wave: request.wave,
        force: request.force,
        id,
        ..request.wanted(customer)
    };
    let kind = if request.wave.is_some() { Kind::SyncWave } else { Kind::Deployment };
    let event = remembered(client, wanted, kind, memory).await?;
    let deployment = match planned(client, &event).await? {
        Planned::Waiting(standing) => return Ok(Turn::Waiting(standing)),
        Planned::Nothing(reason) => {
            let revision = request.revision.as_ref().map(ToString::to_string).unwrap_or_default();
            let nothing = Outcome::done(format!("nothing to deploy: {reason}"));
            return Ok(Turn::Over(nothing.with("event-id", event).with("revision", revision)));
        }
        Planned::Not(outcome) => return Ok(Turn::Over(outcome.with("event-id", event))),
        Planned::As(deployment) => deployment,
    };
    let outcome = match deployment.state.as_str() {
        "rejected" => monitor::end_of(client, &deployment).await,
        _asked_for => {
            let touched = monitor::services(deployment.touched_count());
            let revision = deployment.revision.short();
            Outcome::done(format!("{} deploys {revision}: {touched}", deployment.id))
        }
    };
    Ok(Turn::Over(
        outcome
            .with("event-id", event)
            .with("deployment-id", &deployment.id)
            .with("revision", &deployment.revision),
    ))
}

/// Asks for the rollback, and waits until it is planned or over.
pub(super) async fn roll_back(
    client: &Client,
    request: &Request,
    memory: &mut Memory,
) -> Result<Turn, Fault> {
    let customer = request.the_customer()?.clone();
    let id = request.id(&customer);
    let wanted = Wanted { service: request.service.clone(), id, ..request.wanted(customer) };
    let event = remembered(client, wanted, Kind::Rollback, memory).await?;
    let deployment = match planned(client, &event).await? {
        Planned::Waiting(standing) => return Ok(Turn::Waiting(standing)),
        Planned::Nothing(reason) => {
            let nothing = Outcome::done(format!("nothing to roll back: {reason}"));
            return Ok(Turn::Over(nothing.with("event-id", event)));
        }
        Planned::Not(outcome) => return Ok(Turn::Over(outcome.with("event-id", event))),
        Planned::As(deployment) => deployment,
    };
    let over = deployment.ended_at.is_some();
    if request.wait && !over {
        return Ok(Turn::Waiting(monitor::standing(&deployment)));
    }
    let outcome = if over {
        monitor::end_of(client, &deployment).await
    } else {
        let touched = monitor::services(deployment.touched_count());
        Outcome::done(format!("{} takes {touched} back", deployment.id))
    };
    Ok(Turn::Over(
        outcome
            .with("event-id", event)
            .with("deployment-id", &deployment.id)
            .with("state", &deployment.state),
    ))
}

/// What this step asked for before, or asks for now.
pub(super) async fn remembered(
    client: &Client,
    wanted: Wanted,
    kind: Kind,
    memory: &mut Memory,
) -> Result<EventId, Fault> {
    if let Some(event) = &memory.event {
        return Ok(event.clone());
    }
    let event = ask(client, wanted, kind).await?;
    memory.event = Some(event.clone());
    Ok(event)
}

/// Asks, once for each id. Where the same was asked for before and came to nothing, it is asked for again: of those
/// requests too there is one for each that failed, so that whoever asks twice for the same gets the same.
async fn ask(client: &Client, mut wanted: Wanted, kind: Kind) -> Result<EventId, Fault> {
    let whole = kind == Kind::Deployment;
    let first = wanted.id.clone();
    let (mut event, mut known) = submit(client, &wanted, kind).await?;
    for _ in 0..AGAIN {
        let (Some(id), true) = (&first, known) else { return Ok(event) };
        let Some(deployment) = client.event(&event).await?.deployments.into_iter().next() else {
            return Ok(event);
        };
        let before = client.deployment(&deployment).await?;
        if !is_again(&before, kind) {
            return Ok(event);
        }
        let again = format!("{id}/again/{deployment}");
        // What was refused may be right at another commit by now; what failed is tried at its own.
        if whole && before.state != "rejected" {
            (event, known) = match retry(client, &deployment, &again).await? {
                (Some(next), replayed) => (next, replayed),
                // It was over a moment ago, and what is over stays so.
                (None, _) => return Ok(event),
            };
        } else {
            wanted.id = Some(again);
            // What failed is held back unless it is asked for so.
            wanted.force |= kind == Kind::SyncWave;
            (event, known) = submit(client, &wanted, kind).await?;
        }
    }
    let message = format!("this workflow asked for the same {AGAIN} times, and it failed each time");
    Err(Fault::new(StepExit::Refused, message))
}

async fn retry(
    client: &Client,
    deployment: &DeploymentId,
    key: &str,
) -> Result<(Option<EventId>, bool), Fault> {
    client.retry_once(deployment, key).await.map_err(|error| {
        // Another attempt of ours is at it.
        let is_under_way = matches!(error, ClientError::Refused { status: 409, .. });
        let fault = Fault::from(error);
        if is_under_way { Fault { exit: StepExit::Transient, ..fault } } else { fault }
    })
}

async fn submit(client: &Client, wanted: &Wanted, kind: Kind) -> Result<(EventId, bool), Fault> {
    let asked = match kind {
        Kind::Rollback => client.roll_back(wanted).await?,
        Kind::Deployment | Kind::SyncWave | Kind::HealthCheck => client.deploy(wanted).await?,
    };
    Ok((asked.event, asked.duplicate))
}

/// Whether a deployment that was asked for before is asked for again. A check counts when it is made.
fn is_again(deployment: &DeploymentView, kind: Kind) -> bool {
    let over = deployment.ended_at.is_some();
    match kind {
        Kind::HealthCheck => over,
        Kind::Deployment | Kind::SyncWave | Kind::Rollback => {
            matches!(deployment.state.as_str(), "failed" | "aborted" | "rejected")
        }
    }
}

/// What became of a request.
pub(super) enum Planned {
    /// It is not settled yet.
    Waiting(Standing),
    /// There is nothing to do.
    Nothing(String),
    /// It leads to no deployment, and not because there is nothing to do.
    Not(Outcome),
    /// This deployment.
    As(Box<DeploymentView>),
}

/// What became of an event that is about one customer and environment.
pub(super) async fn planned(client: &Client, event: &EventId) -> Result<Planned, Fault> {
    let EventView { state, reason, diagnostics, deployments, .. } = client.event(event).await?;
    let reason = reason.unwrap_or_default();
    Ok(match state.as_str() {
        "accepted" => {
            let why = if reason.is_empty() { "it waits to be planned" } else { &reason };
            Planned::Waiting(Standing::waiting(format!("{event} is stored: {why}")))
        }
        "planned" => match deployments.first() {
            Some(deployment) => Planned::As(Box::new(client.deployment(deployment).await?)),
            None => Planned::Nothing("it touches no customer that may be seen with this token".into()),
        },
        "rejected" => {
            let faults = told(&diagnostics);
            let more = if faults.is_empty() { String::new() } else { format!(": {faults}") };
            Planned::Not(Outcome::new(StepExit::BadInput, format!("{reason}{more}")))
        }
        "superseded" => Planned::Not(Outcome::new(StepExit::Stopped, reason)),
        _ignored => Planned::Nothing(reason),
    })
}

/// Stops a deployment. One that is over, or none at all, is fine.
pub(super) async fn abort(client: &Client, request: &Request) -> Result<Turn, Fault> {
    let Which::One(id) = &request.deployment else {
        return Ok(Turn::Over(Outcome::done("nothing to abort: there is no deployment")));
    };
    let before = client.deployment(id).await?;
    if before.ended_at.is_some() || before.state == "stopping" {
        return Ok(Turn::Over(Outcome::done(format!("nothing to abort: {id} is {}", before.state))));
    }
    let reason = request.reason.clone().unwrap_or_else(|| match &request.workflow {
        Some(workflow) => format!("the workflow {workflow} ended"),
        None => "no reason given".to_owned(),
    });
    match client.command(id, &Command::Abort { reason }).await {
        Ok(_) => Ok(Turn::Over(Outcome::done(format!("{id} is being stopped")).with("aborted", true))),
        Err(error @ ClientError::Refused { status: 409, .. }) => {
            let now = client.deployment(id).await?;
            if now.ended_at.is_some() {
                return Ok(Turn::Over(Outcome::done(format!("nothing to abort: {id} is {}", now.state))));
            }
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// A list as JSON text.
pub(super) fn json(list: Vec<Value>) -> String {
    Value::Array(list).to_string()
}
