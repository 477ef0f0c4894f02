//! What is asked for by hand: one wave, a check, the way back, an approval.

use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{Fail, How};
use argocd_orchestrator::domain::application::HealthStatus;
use argocd_orchestrator::domain::deployment::{Command, ServiceState, State};
use argocd_orchestrator::domain::names::AppName;
use argocd_orchestrator::domain::plan::{Action, Purpose};
use jiff::SignedDuration;

use crate::support::world::{Running, World, command, end_of, requests, state_of, touched};

const A: &str = "customer-a";

#[tokio::test]
async fn one_wave_syncs_its_services_and_gates_on_those_before() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let after = world.repo.new_tag(A, "v2");
    let ended = running.ask_and_wait(&[("kind", "sync-wave"), ("wave", "3"), ("customer", A)]).await;
    assert_eq!((ended.state().word(), touched(&ended)), ("succeeded", vec!["web"]));
    for service in ["base", "postgres", "stats", "user-service"] {
        let change = ended.brief.plan.changes.iter().find(|change| change.name() == service).unwrap();
        assert_eq!(change.action, Action::Gate, "{service}");
    }
    assert_eq!(running.syncs(&after).keys().collect::<Vec<_>>(), ["customer-a-web"]);
    running.stop().await;
}

/// Deploys; then somebody else syncs `user-service`, and it degrades.
async fn degraded(world: &mut World) -> Running {
    world.deployed().await.stop().await;
    // Long enough for the first look at those that are healthy, however many tests run beside this one.
    world.config.sync_wave.health_check_timeout = SignedDuration::from_secs(6);
    world.fail("user-service", Fail::always(How::Degraded));
    let running = world.start().await;
    let app: AppName = "customer-a-user-service".parse().unwrap();
    let mut changes = running.app.cluster.changes();
    running.cluster.external_sync(&app, &world.repo.head()).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while running.app.cluster.application(&app).await.unwrap().unwrap().health.status
            != HealthStatus::Degraded
        {
            changes.recv().await.unwrap();
        }
    });
    waited.await.unwrap();
    running
}

#[tokio::test]
async fn one_wave_does_not_go_past_an_unhealthy_dependency() {
    let mut world = World::new(&[A]);
    let running = degraded(&mut world).await;
    let after = world.repo.new_tag(A, "v2");
    let ended = running.ask_and_wait(&[("kind", "sync-wave"), ("wave", "3"), ("customer", A)]).await;
    let (word, reason) = end_of(ended.state());
    assert_eq!(word, "failed");
    assert!(reason.contains("user-service"), "{reason}");
    assert_eq!(requests(&ended, "web"), 0);
    assert_eq!(running.syncs(&after).len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_check_touches_nothing_and_says_who_is_unhealthy() {
    let mut world = World::new(&[A]);
    let running = degraded(&mut world).await;
    let requested = running.syncs(&world.repo.head());
    let ended = running.ask_and_wait(&[("kind", "health-check"), ("customer", A)]).await;
    assert_eq!((ended.brief.plan.purpose, touched(&ended)), (Purpose::Check, vec![]));
    let (word, reason) = end_of(ended.state());
    assert_eq!(word, "failed");
    assert!(reason.contains("user-service"), "{reason}");
    assert!(matches!(state_of(&ended, "postgres"), ServiceState::Healthy { .. }));
    assert_eq!(running.syncs(&world.repo.head()), requested);
    running.stop().await;
}

#[tokio::test]
async fn a_check_of_a_healthy_customer_succeeds() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let ended = running.ask_and_wait(&[("kind", "health-check"), ("customer", A)]).await;
    assert_eq!(ended.state().word(), "succeeded");
    assert!(ended.services().all(|(_, state)| matches!(state, ServiceState::Healthy { .. })));
    running.stop().await;
}

/// A rollback by hand goes back to what ran before, and the next push does not bring it back.
async fn check_rollback(extra: &[(&str, &str)], taken_back: &[&str], next: &[&str]) {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let first = world.repo.head();
    let second = world.repo.new_tag(A, "v2");
    running.deploy_one(&second).await;

    let mut spec = vec![("kind", "rollback"), ("customer", A)];
    spec.extend(extra);
    let back = running.ask_and_wait(&spec).await;
    assert_eq!(
        (back.state().word(), touched(&back)),
        ("succeeded", taken_back.to_vec()),
        "{:?}",
        back.state()
    );
    for service in taken_back {
        assert_eq!(running.pinned(&format!("{A}-{service}")).await, first, "{service}");
    }

    world.repo.replace(&crate::support::repo::values_file(A), "rtte/stats:v1", "rtte/stats:v2");
    let unrelated = running.deploy_one(&world.repo.commit()).await;
    assert_eq!(unrelated.state().word(), "succeeded", "{:?}", unrelated.state());
    assert_eq!(touched(&unrelated), next);
    for service in taken_back {
        assert_eq!(running.pinned(&format!("{A}-{service}")).await, first, "{service}");
    }

    let newer = running.deploy_one(&world.repo.new_tag(A, "v3")).await;
    assert_eq!((newer.state().word(), touched(&newer)), ("succeeded", vec!["user-service", "web"]));
    running.stop().await;
}

#[tokio::test]
async fn a_customer_goes_back_to_what_it_ran_before_and_stays_there() {
    check_rollback(&[], &["user-service", "web"], &["stats"]).await;
}

#[tokio::test]
async fn one_service_goes_back_to_what_it_ran_before_and_stays_there() {
    check_rollback(&[("service", "web")], &["web"], &["stats"]).await;
}

#[tokio::test]
async fn an_approval_is_bound_to_the_plan_that_was_looked_at() {
    let mut world = World::new(&[A]);
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let running = world.start().await;
    let after = world.repo.head();
    let event = running.pushed(None, &after).await;
    let id = running.first_of(&event).await;
    let waiting = running
        .when(&id, "it awaits approval", |it| matches!(it.state(), State::AwaitingApproval { .. }))
        .await;
    assert_eq!(running.syncs(&after).len(), 0);

    let wrong = command(&world, &id, Command::Approve { plan: Some("0123456789ab".into()) }).await;
    assert!(wrong.unwrap_err().to_string().contains("look at it again"));
    let short = waiting.brief.plan.hash.as_str()[..4].to_owned();
    command(&world, &id, Command::Approve { plan: Some(short) }).await.unwrap_err();
    command(&world, &id, Command::Pause).await.unwrap_err();

    let hash = waiting.brief.plan.hash.as_str()[..12].to_owned();
    command(&world, &id, Command::Approve { plan: Some(hash) }).await.unwrap();
    assert_eq!(running.ended(&id).await.state().word(), "succeeded");
    running.stop().await;
}

#[tokio::test]
async fn a_refused_plan_touches_nothing() {
    let mut world = World::new(&[A]);
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let running = world.start().await;
    let after = world.repo.head();
    let event = running.pushed(None, &after).await;
    let id = running.first_of(&event).await;
    running.when(&id, "it awaits approval", |it| matches!(it.state(), State::AwaitingApproval { .. })).await;
    command(&world, &id, Command::Reject { reason: "not on a Friday".into() }).await.unwrap();
    let ended = running.ended(&id).await;
    assert_eq!(end_of(ended.state()), ("rejected", "refused by bob: not on a Friday".into()));
    assert_eq!(running.syncs(&after).len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_customer_or_service_that_is_not_there_is_rejected_by_name() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let unknown = running.ask_and_wait(&[("customer", "customer-z")]).await;
    let fault = &unknown.state().diagnostics()[0];
    assert_eq!(fault.help.as_deref(), Some("add charts/customers/customer-z/values.yaml"));
    let unknown = running.ask_and_wait(&[("customer", A), ("service", "webb")]).await;
    assert_eq!(unknown.state().word(), "rejected");
    assert!(unknown.state().diagnostics()[0].message.contains("webb"));
    running.stop().await;
}
