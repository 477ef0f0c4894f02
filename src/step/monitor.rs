//! Following a deployment to its end, and saying how it ended: which service failed, in which wave, and why.

use std::collections::BTreeMap;

use super::exit::told;
use super::{Fault, Outcome, Request, Standing, StepExit, Turn, Which};
use crate::client::Client;
use crate::domain::deployment::JournalEntry;
use crate::view::deployment::{DeploymentView, LEAVE, ServiceView};

/// Services that are named one by one where many failed.
const NAMED: usize = 3;

/// Looks how far a deployment is.
pub(super) async fn monitor(client: &Client, request: &Request) -> Result<Turn, Fault> {
    let Which::One(id) = &request.deployment else {
        return Ok(Turn::Over(Outcome::done("nothing to wait for: there was nothing to deploy")));
    };
    let deployment = client.deployment(id).await?;
    if deployment.ended_at.is_none() {
        return Ok(Turn::Waiting(standing(&deployment)));
    }
    let (healthy, total) = counts(&deployment);
    let outcome = end_of(client, &deployment).await;
    Ok(Turn::Over(
        outcome
            .with("state", &deployment.state)
            .with("reason", deployment.reason.as_deref().unwrap_or_default())
            .with("healthy", healthy)
            .with("total", total)
            .with("seconds", seconds(&deployment)),
    ))
}

/// How long it took, or has taken, in whole seconds.
fn seconds(deployment: &DeploymentView) -> i64 {
    let from = deployment.started_at.unwrap_or(deployment.created_at);
    deployment.ended_at.map_or(0, |end| end.duration_since(from).as_secs().max(0))
}

/// The services that are touched or waited for; the shared part does not count.
fn counted(deployment: &DeploymentView) -> impl Iterator<Item = &ServiceView> {
    deployment.services.iter().filter(|service| service.wave.is_some() && service.action != LEAVE)
}

/// How many of them are done, and how many there are.
pub(super) fn counts(deployment: &DeploymentView) -> (usize, usize) {
    let healthy = counted(deployment).filter(|service| service.passes).count();
    (healthy, counted(deployment).count())
}

/// How far it is, and what it waits for.
pub(super) fn standing(deployment: &DeploymentView) -> Standing {
    let (healthy, total) = counts(deployment);
    let state = &deployment.state;
    let reason = deployment.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let waits = deployment.services.iter().find_map(|service| {
        let blocker = service.blocker.as_ref()?;
        Some(format!("; {}: {blocker}", place(&service.service, service)))
    });
    let message = format!(
        "{} is {state}{reason}, {healthy} of {total} healthy{}",
        deployment.id,
        waits.unwrap_or_default()
    );
    Standing { healthy, total, ..Standing::waiting(message) }
}

fn place(name: &str, service: &ServiceView) -> String {
    match service.wave {
        Some(wave) => format!("{name} (wave {wave})"),
        None => format!("{name} (shared part)"),
    }
}

/// How a deployment that is over ended. Why services failed is read from its journal, as far as that can be had.
pub(super) async fn end_of(client: &Client, deployment: &DeploymentView) -> Outcome {
    let causes = match deployment.state.as_str() {
        "failed" => match client.journal(&deployment.id).await {
            Ok(story) => causes(&story.journal),
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be read");
                BTreeMap::new()
            }
        },
        _other => BTreeMap::new(),
    };
    let (exit, message) = told_end(deployment, &causes);
    Outcome::new(exit, message)
}

/// Why each service failed, the last time that it did.
fn causes(journal: &[JournalEntry]) -> BTreeMap<String, String> {
    let moves = journal.iter().flat_map(|entry| &entry.transitions);
    let failed = moves.filter(|moved| moved.to == "failed");
    failed.filter_map(|moved| Some((moved.service.clone()?, moved.cause.clone()))).collect()
}

fn told_end(deployment: &DeploymentView, causes: &BTreeMap<String, String>) -> (StepExit, String) {
    let DeploymentView { id, state, reason, .. } = deployment;
    let reason = reason.as_deref().unwrap_or("no reason is known");
    match state.as_str() {
        "succeeded" => {
            let (healthy, total) = counts(deployment);
            (
                StepExit::Done,
                format!("{id} succeeded: {healthy} of {total} healthy after {} s", seconds(deployment)),
            )
        }
        "rejected" if deployment.diagnostics.is_empty() => {
            (StepExit::Rejected, format!("{id} was rejected: {reason}"))
        }
        "rejected" => {
            (StepExit::BadInput, format!("{id} was rejected: {reason}: {}", told(&deployment.diagnostics)))
        }
        "aborted" | "superseded" => (StepExit::Stopped, format!("{id} was {state}: {reason}")),
        _failed => told_failure(deployment, causes, reason),
    }
}

fn told_failure(
    deployment: &DeploymentView,
    causes: &BTreeMap<String, String>,
    reason: &str,
) -> (StepExit, String) {
    let with_cause = |service: &ServiceView| {
        let cause = causes.get(&service.service)?;
        Some(format!("{}: {cause}", place(&service.service, service)))
    };
    let failed: Vec<String> = deployment.services.iter().filter_map(with_cause).collect();
    let mut parts: Vec<String> = failed.iter().take(NAMED).cloned().collect();
    if failed.len() > NAMED {
        parts.push(format!("{} more failed", failed.len() - NAMED));
    }
    if parts.is_empty() {
        parts.push(reason.to_owned());
    }
    let in_state = |word: &str| -> Vec<&str> {
        let found = deployment.services.iter().filter(|service| service.state == word);
        found.map(|service| service.service.as_str()).collect()
    };
    let (back, stuck, kept) = (in_state("rolled-back"), in_state("rollback-failed"), in_state("kept"));
    if !back.is_empty() {
        parts.push(format!("{} rolled back", services(back.len())));
    }
    if !stuck.is_empty() {
        parts.push(format!("the rollback failed for {}", some(&stuck)));
    }
    if !kept.is_empty() {
        parts.push(format!("{} left as they are: {}", kept.len(), some(&kept)));
    }
    let exit = if !back.is_empty() && stuck.is_empty() { StepExit::RolledBack } else { StepExit::Rejected };
    (exit, parts.join("; "))
}

/// `1 service`, `2 services`.
pub(super) fn services(count: usize) -> String {
    format!("{count} service{}", if count == 1 { "" } else { "s" })
}

fn some(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, state: &str) -> Value {
        json!({"service": name, "wave": 3, "action": "sync", "reasons": [], "state": state,
            "passes": state == "healthy", "since": null})
    }

    fn deployment(state: &str, reason: Option<&str>, services: &[(&str, &str)]) -> DeploymentView {
        let services: Vec<Value> = services.iter().map(|(name, state)| service(name, state)).collect();
        serde_json::from_value(json!({
            "id": "d-1", "customer": "customer-a", "environment": "production",
            "revision": "0123456789abcdef0123456789abcdef01234567", "order": "waves", "purpose": "deploy",
            "requested_by": "ci", "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:10Z",
            "ended_at": "2026-01-01T00:01:10Z", "state": state, "reason": reason, "plan": "abc",
            "services": services, "diagnostics": [],
        }))
        .unwrap()
    }

    fn check(
        state: &str,
        reason: Option<&str>,
        services: &[(&str, &str)],
        causes: &[(&str, &str)],
        exit: StepExit,
        message: &str,
    ) {
        let causes = causes.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect();
        let found = told_end(&deployment(state, reason, services), &causes);
        assert_eq!(found, (exit, message.to_owned()), "{state}");
    }

    #[test]
    fn the_end_of_a_deployment_is_an_exit_code_and_one_sentence() {
        let payment = ("payment-service", "Degraded: 2 pods do not start");
        check(
            "succeeded",
            None,
            &[("web", "healthy")],
            &[],
            StepExit::Done,
            "d-1 succeeded: 1 of 1 healthy after 60 s",
        );
        check(
            "failed",
            Some("payment-service failed: Degraded"),
            &[("payment-service", "rolled-back"), ("web", "rolled-back")],
            &[payment],
            StepExit::RolledBack,
            "payment-service (wave 3): Degraded: 2 pods do not start; 2 services rolled back",
        );
        check(
            "failed",
            Some("payment-service failed: Degraded"),
            &[("payment-service", "failed"), ("web", "healthy")],
            &[payment],
            StepExit::Rejected,
            "payment-service (wave 3): Degraded: 2 pods do not start",
        );
        check(
            "failed",
            Some("no"),
            &[("web", "rollback-failed"), ("api", "rolled-back")],
            &[],
            StepExit::Rejected,
            "no; 1 service rolled back; the rollback failed for web",
        );
        check(
            "failed",
            Some("no"),
            &[("a", "kept"), ("b", "kept"), ("c", "kept"), ("d", "kept")],
            &[("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")],
            StepExit::Rejected,
            "a (wave 3): x; b (wave 3): x; c (wave 3): x; 1 more failed; 4 left as they are: a, b, c and 1 more",
        );
        check(
            "rejected",
            Some("refused by bob: no"),
            &[],
            &[],
            StepExit::Rejected,
            "d-1 was rejected: refused by bob: no",
        );
        check(
            "aborted",
            Some("aborted by bob: no"),
            &[],
            &[],
            StepExit::Stopped,
            "d-1 was aborted: aborted by bob: no",
        );
        check("superseded", Some("newer"), &[], &[], StepExit::Stopped, "d-1 was superseded: newer");
    }
}
