//! Whether all services of a customer are healthy, with fresh eyes: a check is asked for, so that a comparison that
//! began before does not count.

use serde_json::json;

use super::ask::{self, Planned};
use super::{Fault, Memory, Outcome, Request, StepExit, Turn, Which, monitor};
use crate::client::{Client, Wanted};
use crate::domain::event::Kind;
use crate::view::deployment::DeploymentView;

/// Asks for a check, and looks how far it is.
pub(super) async fn validate(client: &Client, request: &Request, memory: &mut Memory) -> Result<Turn, Fault> {
    let customer = match &request.deployment {
        Which::Nothing => {
            return Ok(Turn::Over(Outcome::done("nothing to validate: there was nothing to deploy")));
        }
        Which::NotSaid => request.the_customer()?.clone(),
        Which::One(id) if memory.event.is_none() => {
            let deployment = client.deployment(id).await?;
            if deployment.state != "succeeded" {
                let said = monitor::standing(&deployment).message;
                return Ok(Turn::Over(Outcome::new(StepExit::Rejected, said)));
            }
            let place = Request { environment: Some(deployment.environment), ..request.clone() };
            return check(client, &place, place.wanted(deployment.customer), memory).await;
        }
        Which::One(id) => client.deployment(id).await?.customer,
    };
    check(client, request, request.wanted(customer), memory).await
}

async fn check(
    client: &Client,
    request: &Request,
    wanted: Wanted,
    memory: &mut Memory,
) -> Result<Turn, Fault> {
    let wanted = Wanted { check: true, id: request.id(&wanted.customer), ..wanted };
    let event = ask::remembered(client, wanted, Kind::HealthCheck, memory).await?;
    Ok(match ask::planned(client, &event).await? {
        Planned::Waiting(standing) => Turn::Waiting(standing),
        Planned::Nothing(reason) => Turn::Over(Outcome::done(format!("nothing to validate: {reason}"))),
        Planned::Not(outcome) => Turn::Over(outcome),
        Planned::As(check) if check.ended_at.is_none() => Turn::Waiting(monitor::standing(&check)),
        Planned::As(check) => Turn::Over(end_of(client, &check).await),
    })
}

async fn end_of(client: &Client, check: &DeploymentView) -> Outcome {
    let outcome = monitor::end_of(client, check).await;
    let unhealthy: Vec<_> = check
        .services
        .iter()
        .filter(|service| !service.passes)
        .map(|service| {
            let reason = service.detail.as_deref().unwrap_or(&service.state);
            json!({"service": service.service, "reason": reason})
        })
        .collect();
    let (healthy, total) = monitor::counts(check);
    outcome.with("healthy", healthy).with("total", total).with("unhealthy", ask::json(unhealthy))
}
