//! Commands for a running deployment, given by another process through the same database.

use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{Fail, How};
use argocd_orchestrator::app::CommandError;
use argocd_orchestrator::domain::deployment::{Command, Deployment, ServiceState, State};
use argocd_orchestrator::domain::names::DeploymentId;

use crate::support::world::{Running, World, command, end_of, requests, state_of};

const A: &str = "customer-a";

/// A deployment with `user-service` in flight: long enough for what comes next.
async fn under_way(world: &mut World) -> (Running, DeploymentId) {
    world.slow("user-service", Duration::from_millis(2_500));
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    let in_flight = |it: &Deployment| matches!(state_of(it, "user-service"), ServiceState::Advancing(_));
    running.when(&id, "user-service is in flight", in_flight).await;
    (running, id)
}

#[tokio::test]
async fn a_paused_deployment_starts_nothing_new_until_it_is_resumed() {
    let mut world = World::new(&[A]);
    let (running, id) = under_way(&mut world).await;
    command(&world, &id, Command::Pause).await.unwrap();
    let healthy = |it: &Deployment| matches!(state_of(it, "user-service"), ServiceState::Healthy { .. });
    let paused = running.when(&id, "what was in flight is healthy", healthy).await;
    assert!(matches!(paused.state(), State::Paused { by, .. } if by == "bob"), "{:?}", paused.state());
    assert_eq!(requests(&paused, "web"), 0);
    let blockers: Vec<String> =
        paused.blockers().into_iter().map(|(name, why)| format!("{name}: {}", why.word())).collect();
    assert_eq!(blockers, ["web: paused"]);
    command(&world, &id, Command::Resume).await.unwrap();
    assert_eq!(running.ended(&id).await.state().word(), "succeeded");
    running.stop().await;
}

#[tokio::test]
async fn an_aborted_deployment_leaves_everything_as_it_is() {
    let mut world = World::new(&[A]);
    let (running, id) = under_way(&mut world).await;
    command(&world, &id, Command::Abort { reason: "wrong day".into() }).await.unwrap();
    let ended = running.ended(&id).await;
    assert_eq!(end_of(ended.state()), ("aborted", "aborted by bob: wrong day".into()));
    assert!(matches!(state_of(&ended, "postgres"), ServiceState::Healthy { .. }));
    assert!(matches!(state_of(&ended, "user-service"), ServiceState::Kept { .. }));
    assert_eq!(requests(&ended, "web"), 0);
    let late = command(&world, &id, Command::Resume).await;
    assert!(matches!(late, Err(CommandError::Refused(_))), "{late:?}");

    // The next one brings what is missing.
    let next = running.ask_and_wait(&[("customer", A)]).await;
    assert_eq!(next.state().word(), "succeeded");
    assert_eq!(requests(&next, "postgres"), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_skipped_service_is_not_waited_for() {
    let mut world = World::new(&[A]);
    world.fail("user-service", Fail::always(How::NeverHealthy));
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    let in_flight = |it: &Deployment| matches!(state_of(it, "user-service"), ServiceState::Advancing(_));
    running.when(&id, "user-service is in flight", in_flight).await;
    command(&world, &id, Command::Skip { service: "user-servic".into() }).await.unwrap_err();
    command(&world, &id, Command::Skip { service: "user-service".into() }).await.unwrap();
    let ended = running.ended(&id).await;
    assert_eq!(ended.state().word(), "succeeded", "{:?}", ended.state());
    assert!(matches!(state_of(&ended, "user-service"), ServiceState::Skipped { .. }));
    assert!(matches!(state_of(&ended, "web"), ServiceState::Healthy { .. }));
    running.stop().await;
}

#[tokio::test]
async fn a_rollback_by_command_takes_back_what_was_advanced() {
    let mut world = World::new(&[A]);
    let running = world.deployed().await;
    running.stop().await;
    let before = world.repo.head();
    world.slow("web", Duration::from_millis(2_500));
    let running = world.start().await;
    let after = world.repo.new_tag(A, "v2");
    let event = running.pushed(Some(&before), &after).await;
    let id = running.first_of(&event).await;
    let in_flight = |it: &Deployment| matches!(state_of(it, "web"), ServiceState::Advancing(_));
    running.when(&id, "web is in flight", in_flight).await;
    command(&world, &id, Command::Rollback { reason: "customers complain".into() }).await.unwrap();
    let ended = running.ended(&id).await;
    assert_eq!(end_of(ended.state()), ("failed", "asked for by bob: customers complain".into()));
    for service in ["web", "user-service"] {
        assert_eq!(running.pinned(&format!("{A}-{service}")).await, before, "{service}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_command_for_an_unknown_deployment_says_so() {
    let world = World::new(&[A]);
    let running = world.start().await;
    let unknown = command(&world, &"d-0123456789ab".parse().unwrap(), Command::Pause).await;
    assert!(matches!(unknown, Err(CommandError::Unknown(_))), "{unknown:?}");
    running.stop().await;
}
