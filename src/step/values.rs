//! What a customer's values lead to: whether they are right, and which waves there are.

use std::collections::BTreeMap;

use serde_json::json;

use super::ask::json;
use super::monitor::services;
use super::{Fault, Outcome, Request, StepExit, Turn};
use crate::client::{Client, Wanted};
use crate::domain::names::Wave;
use crate::domain::plan::{Action, Plan};
use crate::view::dry_run::DryRunView;

/// Whether the values are right, and the image tag is the one that is meant.
pub(super) async fn validate(client: &Client, request: &Request) -> Result<Turn, Fault> {
    let planned = plan(client, request).await?;
    let (plan, revision) = (&planned.plan, planned.plan.revision.short());
    let tag = planned.image_tag.as_deref();
    let outcome = match (request.image_tag.as_deref(), tag) {
        (Some(wanted), Some(found)) if wanted != found => {
            let message = format!(
                "image-tag {wanted} is not what {} has at {revision}: its values say {found}; push a commit with the \
                 tag (step write-image-tag does that), or leave image-tag out",
                plan.customer
            );
            Outcome::new(StepExit::BadInput, message)
        }
        (Some(wanted), None) => {
            let message = format!(
                "image-tag {wanted} cannot be compared: the values of {} have no common image tag at {revision}; \
                 leave image-tag out",
                plan.customer
            );
            Outcome::new(StepExit::BadInput, message)
        }
        (Some(_) | None, _) => {
            let touched = plan.changes.iter().filter(|change| change.service.is_some());
            let touched = touched.filter(|change| change.action == Action::Sync).count();
            let warnings: Vec<String> =
                planned.warnings.iter().map(|warning| format!("; {warning}")).collect();
            let message = format!(
                "{} is right at {revision}: {}, {touched} to be deployed{}",
                plan.customer,
                services(count(plan)),
                warnings.concat()
            );
            Outcome::done(message)
        }
    };
    Ok(Turn::Over(
        outcome
            .with("revision", &plan.revision)
            .with("image-tag", tag.unwrap_or_default())
            .with("services", count(plan))
            .with("waves", listed(plan))
            .with("changes", !planned.idle),
    ))
}

/// The waves of a customer, the lowest first.
pub(super) async fn resolve_waves(client: &Client, request: &Request) -> Result<Turn, Fault> {
    let plan = plan(client, request).await?.plan;
    let waves = waves(&plan);
    let last = waves.keys().next_back().map(ToString::to_string).unwrap_or_default();
    let message = format!("{} has {} in {} waves", plan.customer, services(count(&plan)), waves.len());
    Ok(Turn::Over(
        Outcome::done(message)
            .with("revision", &plan.revision)
            .with("waves", listed(&plan))
            .with("last-wave", last),
    ))
}

async fn plan(client: &Client, request: &Request) -> Result<DryRunView, Fault> {
    let customer = request.the_customer()?.clone();
    let wanted = Wanted { revision: request.revision.clone(), ..request.wanted(customer) };
    Ok(client.plan(&wanted, None).await?)
}

/// How many services each wave has.
fn waves(plan: &Plan) -> BTreeMap<Wave, usize> {
    let mut waves = BTreeMap::new();
    for wave in plan.changes.iter().filter_map(|change| change.wave) {
        *waves.entry(wave).or_default() += 1;
    }
    waves
}

fn listed(plan: &Plan) -> String {
    json(waves(plan).into_iter().map(|(wave, count)| json!({"wave": wave, "services": count})).collect())
}

fn count(plan: &Plan) -> usize {
    plan.changes.iter().filter(|change| change.service.is_some()).count()
}
