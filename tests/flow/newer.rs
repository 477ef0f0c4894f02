//! Commits that come faster than deployments end, in whatever order their events arrive.

use std::collections::BTreeSet;
use std::time::Duration;

use argocd_orchestrator::domain::deployment::{Deployment, ServiceState, State};

use crate::support::world::{World, requests, state_of, touched};
use crate::support::{MAIN, push};

const A: &str = "customer-a";

/// Long enough to do something meanwhile.
const SLOW: Duration = Duration::from_millis(2_500);

fn is_in_flight(deployment: &Deployment, service: &str) -> bool {
    matches!(state_of(deployment, service), ServiceState::Advancing(_))
}

#[tokio::test]
async fn a_forced_push_deploys_what_the_branch_points_at_now() {
    let world = World::new(&[A]);
    let first = world.repo.head();
    let running = world.deployed().await;
    let dropped = world.repo.new_tag(A, "v2");
    running.deploy_one(&dropped).await;
    world.repo.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let head = world.repo.new_tag(A, "v3");

    let mut payload = push(MAIN, Some(&dropped), Some(&head));
    payload["forced"] = true.into();
    let event = running.submit(&[], &payload).await;
    let ended = running.all_of(&event).await.remove(0);
    assert_eq!((ended.state().word(), &ended.brief.plan.revision), ("succeeded", &head));
    assert_eq!(touched(&ended), ["user-service", "web"]);
    assert_eq!(running.pinned("customer-a-web").await, head);
    running.stop().await;
}

#[tokio::test]
async fn a_branch_that_goes_back_to_the_commit_under_way_ends_there() {
    let mut world = World::new(&[A]);
    world.slow("user-service", SLOW);
    let running = world.deployed().await;
    let before = world.repo.head();
    let wanted = world.repo.new_tag(A, "v2");
    let event = running.pushed(Some(&before), &wanted).await;
    let first = running.first_of(&event).await;
    running.when(&first, "user-service is in flight", |it| is_in_flight(it, "user-service")).await;

    let mistake = world.repo.new_tag(A, "v3");
    running.settled(&running.pushed(Some(&wanted), &mistake).await).await;
    world.repo.git(&["reset", "--quiet", "--hard", wanted.as_str()]);
    let mut payload = push(MAIN, Some(&mistake), Some(&wanted));
    payload["forced"] = true.into();
    let back = running.submit(&[], &payload).await;
    running.all_of(&back).await;
    for deployment in running.deployments().await {
        running.ended(deployment.id()).await;
    }
    for app in ["customer-a-user-service", "customer-a-web"] {
        assert_eq!(running.pinned(app).await, wanted, "{app}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_event_of_an_older_commit_that_comes_late_does_nothing() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let first = world.repo.head();
    let older = world.repo.new_tag(A, "v2");
    let newer = world.repo.new_tag(A, "v3");
    let event = running.pushed(Some(&older), &newer).await;
    assert_eq!(running.all_of(&event).await[0].state().word(), "succeeded");

    let late = running.pushed(Some(&first), &older).await;
    assert_eq!(running.ignored(&late).await, "customer-a: nothing changed");
    assert_eq!(running.pinned("customer-a-web").await, newer);
    assert_eq!(running.syncs(&older).len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_burst_of_pushes_ends_at_the_newest_after_few_deployments() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let mut before = world.repo.head();
    let mut events = Vec::new();
    for number in 2..22 {
        let after = world.repo.new_tag(A, &format!("v{number}"));
        events.push(running.pushed(Some(&before), &after).await);
        before = after;
    }
    let mut led_to = BTreeSet::new();
    for event in &events {
        led_to.extend(running.settled(event).await.deployments);
    }
    let mut all = Vec::new();
    for deployment in running.deployments().await {
        all.push(running.ended(deployment.id()).await);
    }
    let (last, earlier) = all.split_last().unwrap();
    assert_eq!((last.state().word(), &last.brief.plan.revision), ("succeeded", &before));
    assert!(led_to.contains(last.id()));
    let not_newest = earlier.iter().skip(1);
    for one in not_newest {
        assert!(
            matches!(one.state(), State::Superseded { .. } | State::Succeeded { .. }),
            "{:?}",
            one.state()
        );
    }
    let synced =
        all.iter().skip(1).filter(|one| one.progress.requests.iter().any(|count| *count > 0)).count();
    assert!(synced <= 8, "{synced} of 20 pushes reached the cluster");
    assert_eq!(running.pinned("customer-a-web").await, before);
    assert_eq!(running.pinned("customer-a-user-service").await, before);
    running.stop().await;
}

#[tokio::test]
async fn a_newer_commit_lets_what_is_in_flight_finish_and_starts_no_more() {
    let mut world = World::new(&[A]);
    world.slow("user-service", SLOW);
    let running = world.deployed().await;
    let before = world.repo.head();
    let older = world.repo.new_tag(A, "v2");
    let event = running.pushed(Some(&before), &older).await;
    let first = running.first_of(&event).await;
    running.when(&first, "user-service is in flight", |it| is_in_flight(it, "user-service")).await;

    let middle = world.repo.new_tag(A, "v3");
    let waited = running.pushed(Some(&older), &middle).await;
    let waited = running.first_of(&waited).await;
    let newest = world.repo.new_tag(A, "v4");
    let event = running.pushed(Some(&middle), &newest).await;
    let ended = running.all_of(&event).await.remove(0);

    let first = running.ended(&first).await;
    assert!(matches!(first.state(), State::Superseded { .. }), "{:?}", first.state());
    assert!(matches!(state_of(&first, "user-service"), ServiceState::Healthy { .. }));
    assert_eq!(requests(&first, "web"), 0);
    let waited = running.ended(&waited).await;
    assert!(
        matches!(waited.state(), State::Superseded { by, .. } if by == ended.id()),
        "{:?}",
        waited.state()
    );
    assert_eq!(running.syncs(&middle).len(), 0);
    assert_eq!(ended.state().word(), "succeeded");
    assert_eq!(touched(&ended), ["user-service", "web"]);
    assert_eq!(running.violations(&ended), 0);
    running.stop().await;
}

#[tokio::test]
async fn the_same_push_again_makes_no_second_deployment() {
    let world = World::new(&[A]);
    let running = world.start().await;
    let after = world.repo.head();
    let event = running.pushed(None, &after).await;
    let first = running.first_of(&event).await;
    assert_eq!(running.pushed(None, &after).await, event);
    running.ended(&first).await;
    // Another delivery of the same commit, as of another trigger for the same customer.
    let other = running.submit(&[("customer", A)], &push(MAIN, None, Some(&after))).await;
    assert_ne!(other, event);
    assert_eq!(running.ignored(&other).await, "customer-a: nothing changed");
    assert_eq!(running.deployments().await.len(), 1);
    running.stop().await;
}
