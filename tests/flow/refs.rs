//! Pushes that nobody told of: found by a look at the refs, and worked on once.

use argocd_orchestrator::app::refs;
use argocd_orchestrator::domain::audit::Via;
use argocd_orchestrator::store::{AuditFilter, EventFilter, StoreError, StoredEvent};
use jiff::Timestamp;

use crate::support::world::{Running, World};

const A: &str = "customer-a";

async fn look(running: &Running) -> Result<(), argocd_orchestrator::app::later::Later> {
    let epoch = running.app.store.epoch().await.unwrap();
    refs::look_at(&running.app, &running.app.config.sources[0], epoch, Timestamp::now()).await
}

async fn events(running: &Running) -> Vec<StoredEvent> {
    running.app.store.events(&EventFilter::default(), 100).await.unwrap().value
}

#[tokio::test]
async fn a_push_that_nobody_told_of_is_deployed_once_whoever_tells_of_it_later() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let before = world.repo.head();
    look(&running).await.unwrap();
    assert_eq!(events(&running).await.len(), 1, "the push of this head was told");

    let missed = world.repo.new_tag(A, "v2");
    look(&running).await.unwrap();
    let found = events(&running).await.remove(0);
    assert_eq!(found.request.requested_by, "argocd-orchestrator");
    let deployed = running.all_of(&found.id).await.remove(0);
    assert_eq!((deployed.state().word(), &deployed.brief.plan.revision), ("succeeded", &missed));
    let told = running.app.store.audit(&AuditFilter::default(), 1).await.unwrap().value.remove(0);
    assert_eq!((told.origin.via, told.event.as_ref()), (Via::Poll, Some(&found.id)));

    // The webhook was only late; and nothing moved since.
    assert_eq!(running.pushed(Some(&before), &missed).await, found.id);
    for _ in 0..3 {
        look(&running).await.unwrap();
    }
    assert_eq!(events(&running).await.len(), 2);
    assert_eq!(running.deployments().await.len(), 2);

    // Of two pushes one was told: the other is found, and what was told already changes nothing more.
    let told = world.repo.new_tag(A, "v3");
    running.deploy(&told).await;
    let lost = world.repo.new_tag(A, "v4");
    look(&running).await.unwrap();
    let found = events(&running).await.remove(0);
    let deployed = running.all_of(&found.id).await.remove(0);
    assert_eq!((deployed.state().word(), &deployed.brief.plan.revision), ("succeeded", &lost));
    let late = running.pushed(Some(&told), &lost).await;
    if late != found.id {
        assert!(running.ignored(&late).await.contains("nothing"), "it is there already");
    }
    assert_eq!(running.deployments().await.len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn the_first_look_at_a_ref_deploys_nothing_and_a_branch_that_goes_back_is_found() {
    let world = World::new(&[A]);
    let running = world.start().await;
    let first = world.repo.head();
    look(&running).await.unwrap();
    assert!(events(&running).await.is_empty(), "nobody asked for what was there before");
    running.deploy_one(&world.repo.new_tag(A, "v2")).await;
    look(&running).await.unwrap();
    world.repo.git(&["reset", "--quiet", "--hard", first.as_str()]);
    look(&running).await.unwrap();
    let found = events(&running).await;
    assert_eq!(found.len(), 2);
    let deployed = running.all_of(&found[0].id).await.remove(0);
    assert_eq!((deployed.state().word(), &deployed.brief.plan.revision), ("succeeded", &first));
    running.stop().await;
}

#[tokio::test]
async fn a_repository_that_is_away_is_looked_at_again_and_only_by_the_worker_in_force() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    look(&running).await.unwrap();
    let missed = world.repo.new_tag(A, "v2");
    world.repo.hide();
    assert!(look(&running).await.unwrap_err().may_pass());
    world.repo.show();
    assert_eq!(events(&running).await.len(), 1);
    look(&running).await.unwrap();
    let found = events(&running).await;
    assert_eq!(found.len(), 2);
    running.all_of(&found[0].id).await;

    // A worker that was replaced remembers nothing any more.
    let source = &running.app.config.sources[0];
    let stale =
        running.app.store.see_head(&source.name, "refs/heads/main", &missed, Timestamp::now(), 0).await;
    assert!(matches!(stale, Err(StoreError::Fenced { .. })), "{stale:?}");
    running.stop().await;
}
