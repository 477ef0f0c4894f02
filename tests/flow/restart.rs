//! The program ends in the middle and begins again on the same files.

use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::domain::deployment::{Deployment, ServiceState, State};
use argocd_orchestrator::domain::names::DeploymentId;
use argocd_orchestrator::store::{Settings, Store, StoreError};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::support::world::{Running, World, state_of};

const A: &str = "customer-a";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Runs until a deployment of the head is in a certain state, and drops everything at once, as `kill -9` would.
fn killed_when(world: &World, wanted: impl Fn(&Deployment) -> bool) -> DeploymentId {
    let runtime = runtime();
    let (running, id) = runtime.block_on(async {
        let running = world.start().await;
        let event = running.pushed(None, &world.repo.head()).await;
        let id = running.first_of(&event).await;
        running.when(&id, "the moment to be killed at", wanted).await;
        (running, id)
    });
    drop(runtime);
    drop(running);
    id
}

/// Begins again, and waits for the end.
fn resumed(world: &World, id: &DeploymentId, check: impl AsyncFnOnce(&Running, Deployment)) {
    runtime().block_on(async {
        let running = world.start().await;
        let ended = running.ended(id).await;
        check(&running, ended).await;
        running.stop().await;
    });
}

/// A kill at this moment, then a restart: it ends well, in order, and no sync is requested twice.
fn check(wanted: impl Fn(&Deployment) -> bool) {
    let mut world = World::new(&[A]);
    world.slow("user-service", Duration::from_millis(800));
    let id = killed_when(&world, wanted);
    resumed(&world, &id, async |running, ended| {
        assert_eq!(ended.state().word(), "succeeded", "{:?}", ended.state());
        let syncs = running.syncs(&world.repo.head());
        assert!(syncs.len() == 5 && syncs.values().all(|count| *count == 1), "{syncs:?}");
        assert_eq!(running.violations(&ended), 0);
    });
}

#[test]
fn a_kill_before_the_first_sync_loses_nothing() {
    check(|_| true);
}

#[test]
fn a_kill_while_a_sync_runs_repeats_no_sync() {
    check(|it| matches!(state_of(it, "postgres"), ServiceState::Advancing(_)));
}

#[test]
fn a_kill_while_a_verdict_is_open_repeats_no_sync() {
    check(|it| state_of(it, "user-service").word() == "verifying");
}

#[test]
fn a_kill_between_two_waves_repeats_no_sync() {
    check(|it| matches!(state_of(it, "postgres"), ServiceState::Healthy { .. }));
}

#[test]
fn a_kill_during_a_rollback_ends_at_the_earlier_revision() {
    let mut world = World::new(&[A]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::SyncFailed) });
    runtime().block_on(async { world.deployed().await.stop().await });
    let before = world.repo.head();
    world.repo.new_tag(A, "v2");
    let id = killed_when(&world, |it| matches!(it.state(), State::RollingBack { .. }));
    resumed(&world, &id, async |running, ended| {
        assert_eq!(ended.state().word(), "failed");
        for service in ["web", "user-service"] {
            assert!(matches!(state_of(&ended, service), ServiceState::RolledBack { .. }), "{service}");
            assert_eq!(running.pinned(&format!("{A}-{service}")).await, before, "{service}");
        }
    });
}

#[test]
fn an_event_that_was_accepted_and_not_looked_at_is_deployed_after_a_restart() {
    let world = World::new(&[A]);
    let event = runtime().block_on(async {
        let running = world.start().await;
        running.pushed(None, &world.repo.head()).await
        // Everything is dropped here, whatever the worker was at.
    });
    runtime().block_on(async {
        let running = world.start().await;
        let all = running.all_of(&event).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].state().word(), "succeeded");
        running.stop().await;
    });
}

#[tokio::test]
async fn only_one_worker_runs_on_a_database() {
    let world = World::new(&[A]);
    let running = world.start().await;
    let second = Store::open(Settings::at(world.database())).await.unwrap();
    let refused = second.acquire_worker("the other one", Timestamp::now()).await.map(|_| ());
    assert!(
        matches!(refused, Err(StoreError::WorkerRunning { ref holder, .. }) if holder == "the test"),
        "{refused:?}"
    );
    second.close().await;
    running.stop().await;
}
