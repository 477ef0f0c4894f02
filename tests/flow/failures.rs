//! What goes wrong, for whom, and what stays as it was.

use std::sync::Arc;

use argocd_orchestrator::adapters::simulated::Simulated;
use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::domain::application::{Application, ApplicationSpec};
use argocd_orchestrator::domain::deployment::{OnFailure, ServiceState, State};
use argocd_orchestrator::domain::names::{AppName, RequestId, Revision};
use argocd_orchestrator::domain::plan::Action;
use argocd_orchestrator::domain::removal::Removal;
use argocd_orchestrator::domain::review::review;
use argocd_orchestrator::ports::{Cluster, ClusterError, SyncRequest};
use argocd_orchestrator::store::{EventState, Outcome};
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::support::repo::values_file;
use crate::support::until;
use crate::support::world::{Running, World, end_of, state_of, touched};

const A: &str = "customer-a";
const B: &str = "customer-b";

fn action<'a>(ended: &'a argocd_orchestrator::domain::deployment::Deployment, service: &str) -> &'a Action {
    &ended.brief.plan.changes.iter().find(|change| change.name() == service).unwrap().action
}

#[tokio::test]
async fn bad_values_are_rejected_with_every_fault_while_another_customer_deploys() {
    let world = World::new(&[A, B]);
    let running = world.deployed().await;
    let file = values_file(B);
    world.repo.replace(&file, "dependencies: [postgres]", "dependencies: [postgre]");
    world.repo.replace(&file, "replicas: 1", "replicas: many");
    world.repo.replace(&file, "- name: stats", "- name: web");
    let all = running.deploy(&world.repo.new_tag(A, "v2")).await;

    assert_eq!(all[0].state().word(), "succeeded");
    assert_eq!(touched(&all[0]), ["user-service", "web"]);
    let rejected = &all[1];
    assert_eq!(end_of(rejected.state()), ("rejected", format!("3 faults in {file}")));
    let mut found: Vec<String> = rejected
        .state()
        .diagnostics()
        .iter()
        .filter(|fault| fault.is_error())
        .map(|fault| format!("{}: {} {}", fault.place, fault.code, fault.help.as_deref().unwrap_or_default()))
        .collect();
    found.sort();
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().any(|fault| fault.contains("did you mean `postgres`?")), "{found:#?}");
    assert!(found.iter().all(|fault| fault.starts_with(&format!("{file}:"))), "{found:#?}");

    world.repo.git(&["revert", "--no-edit", "HEAD"]);
    world.repo.new_tag(B, "v9");
    let repaired = running.deploy(&world.repo.new_tag(A, "v2")).await;
    assert_eq!(repaired.len(), 1, "customer-a was at v2 already");
    assert_eq!((repaired[0].brief.plan.customer.as_str(), repaired[0].state().word()), (B, "succeeded"));
    running.stop().await;
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_rejected_after_some_attempts() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let missing: Revision = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let event = running
        .submit(&[("customer", A)], &crate::support::push(crate::support::MAIN, None, Some(&missing)))
        .await;
    let store = &running.app.store;
    // The worker tries, and puts it off for longer and longer. The pauses are cut short from outside.
    until(store, "the event was put off", async || {
        let found = store.event(&event).await.unwrap().unwrap();
        match found.state {
            EventState::Accepted { attempts, reason: Some(reason), .. } if attempts > 0 => {
                assert_eq!(reason, format!("repository shop has no commit {missing}"));
                Some(())
            }
            EventState::Accepted { .. } => None,
            EventState::Settled { outcome, .. } => panic!("settled too early: {outcome:?}"),
        }
    })
    .await;
    for _ in 0..10 {
        store
            .postpone_event(&event, Timestamp::now(), format!("repository shop has no commit {missing}"))
            .await
            .unwrap();
    }
    let settled = running.settled(&event).await;
    let EventState::Settled { outcome: Outcome::Rejected { reason, .. }, .. } = &settled.state else {
        panic!("{:?}", settled.state)
    };
    assert!(reason.contains(missing.as_str()), "{reason}");
    let rejected = running.all_of(&event).await.remove(0);
    assert_eq!(end_of(rejected.state()).0, "rejected");
    assert_eq!(rejected.state().diagnostics().len(), 1);

    let next = running.deploy_one(&world.repo.new_tag(A, "v2")).await;
    assert_eq!(next.state().word(), "succeeded");
    running.stop().await;
}

#[tokio::test]
async fn an_event_is_put_off_while_the_repository_cannot_be_read() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let before = world.repo.head();
    let after = world.repo.new_tag(A, "v2");
    world.repo.hide();
    let event = running.pushed(Some(&before), &after).await;
    let store = &running.app.store;
    until(store, "the event was put off", async || {
        let found = store.event(&event).await.unwrap().unwrap();
        matches!(found.state, EventState::Accepted { attempts: 1.., .. }).then_some(())
    })
    .await;
    world.repo.show();
    let ended = running.all_of(&event).await.remove(0);
    assert_eq!((ended.state().word(), &ended.brief.plan.revision), ("succeeded", &after));
    running.stop().await;
}

/// Deploys once, then a new image tag with which `web` fails; ends rolled back.
async fn rolled_back(world: &World, running: &Running) -> Revision {
    let before = world.repo.head();
    let after = world.repo.new_tag(A, "v2");
    let failed = running.deploy_one(&after).await;
    let (word, reason) = end_of(failed.state());
    assert_eq!(word, "failed");
    assert!(reason.starts_with("web failed: "), "{reason}");
    let journal = running.app.store.journal(failed.id()).await.unwrap().value;
    assert_eq!(review(&failed.brief, &journal).rollback_order, ["web", "user-service"]);
    for service in ["web", "user-service"] {
        let state = state_of(&failed, service);
        assert!(
            matches!(state, ServiceState::RolledBack { to, .. } if *to == before),
            "{service}: {state:?}"
        );
        assert_eq!(running.pinned(&format!("{A}-{service}")).await, before);
    }
    assert_eq!(running.syncs(&after)["customer-a-web"], 2, "the threshold is two attempts");
    after
}

#[tokio::test]
async fn a_service_that_fails_takes_all_back_in_reverse_and_is_not_tried_again_unasked() {
    let mut world = World::new(&[A]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) });
    let running = world.deployed().await;
    rolled_back(&world, &running).await;

    // It would be fine now, and still: nobody has looked at it.
    running.stop().await;
    world.script.services.clear();
    let running = world.start().await;
    world.repo.replace(&values_file(A), "rtte/stats:v1", "rtte/stats:v2");
    let unrelated = world.repo.commit();
    let next = running.deploy_one(&unrelated).await;
    assert_eq!(next.state().word(), "succeeded", "{:?}", next.state());
    assert_eq!(touched(&next), ["stats", "user-service"]);
    assert!(
        matches!(action(&next, "web"), Action::Hold { reason } if reason.contains("Degraded")),
        "{:?}",
        action(&next, "web")
    );
    assert!(!running.syncs(&unrelated).contains_key("customer-a-web"));

    let asked = running.ask_and_wait(&[("customer", A), ("service", "web")]).await;
    assert_eq!((asked.state().word(), touched(&asked)), ("succeeded", vec!["web"]));
    assert_eq!(running.pinned("customer-a-web").await, unrelated);
    running.stop().await;
}

#[tokio::test]
async fn what_failed_is_tried_again_by_force() {
    let mut world = World::new(&[A]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::SyncFailed) });
    let running = world.deployed().await;
    let after = rolled_back(&world, &running).await;
    running.stop().await;
    world.script.services.clear();
    let running = world.start().await;
    let forced = running.ask_and_wait(&[("customer", A), ("force", "true")]).await;
    assert_eq!(forced.state().word(), "succeeded");
    assert_eq!(touched(&forced), ["base", "postgres", "stats", "user-service", "web"]);
    assert_eq!(running.pinned("customer-a-web").await, after);
    running.stop().await;
}

#[tokio::test]
async fn a_first_deployment_that_fails_leaves_what_has_no_earlier_revision() {
    let mut world = World::new(&[A]);
    world.fail("user-service", Fail::always(How::Degraded));
    let running = world.start().await;
    let failed = running.deploy_one(&world.repo.head()).await;
    assert_eq!(failed.state().word(), "failed");
    for service in ["base", "postgres", "user-service"] {
        assert!(matches!(state_of(&failed, service), ServiceState::Kept { .. }), "{service}");
    }
    assert!(running.app.cluster.application(&"customer-a-web".parse().unwrap()).await.unwrap().is_none());
    running.stop().await;
}

/// What a failed service means under each policy, for a service that does not depend on it.
async fn check_policy(policy: OnFailure, stats: &str, web: &str) {
    let mut world = World::new(&[A]);
    world.config.sync_wave.on_failure = policy;
    // No waves, so that `stats` is on a branch of its own, and is the last to be ready.
    world.config.sync_wave.enabled = false;
    world.fail("user-service", Fail::always(How::SyncFailed));
    let running = world.start().await;
    world.repo.replace(
        &values_file(A),
        "image: rtte/stats:v1\n        dependencies: []",
        "image: rtte/stats:v1\n        dependencies: [postgres]",
    );
    let failed = running.deploy_one(&world.repo.commit()).await;
    assert_eq!(failed.state().word(), "failed", "{policy:?}");
    let words = ["stats", "web"].map(|service| state_of(&failed, service).word());
    assert_eq!(words, [stats, web], "{policy:?}");
    running.stop().await;
}

#[tokio::test]
async fn independent_branches_go_on_where_the_policy_says_so() {
    check_policy(OnFailure::Continue, "healthy", "skipped").await;
}

#[tokio::test]
async fn nothing_is_taken_back_where_the_policy_is_to_stop() {
    check_policy(OnFailure::Stop, "healthy", "skipped").await;
}

/// A cluster that crashes whoever reads an Application of customer-b.
struct Poisoned(Arc<Simulated>);

#[async_trait::async_trait]
impl Cluster for Poisoned {
    async fn application(&self, name: &AppName) -> Result<Option<Application>, ClusterError> {
        assert!(!name.as_str().starts_with(B), "poison: this is what the test is about");
        self.0.application(name).await
    }

    async fn sync(&self, application: &ApplicationSpec, request: &SyncRequest) -> Result<(), ClusterError> {
        self.0.sync(application, request).await
    }

    async fn refresh(&self, name: &AppName) -> Result<(), ClusterError> {
        self.0.refresh(name).await
    }

    async fn terminate(&self, name: &AppName, request: &RequestId) -> Result<(), ClusterError> {
        self.0.terminate(name, request).await
    }

    async fn delete(&self, removal: &Removal) -> Result<(), ClusterError> {
        self.0.delete(removal).await
    }

    async fn automate(&self, name: &AppName) -> Result<(), ClusterError> {
        self.0.automate(name).await
    }

    async fn promote(&self, application: &ApplicationSpec) -> Result<(), ClusterError> {
        self.0.promote(application).await
    }

    async fn abort_rollout(&self, application: &ApplicationSpec) -> Result<(), ClusterError> {
        self.0.abort_rollout(application).await
    }

    fn changes(&self) -> broadcast::Receiver<AppName> {
        self.0.changes()
    }
}

#[tokio::test]
async fn a_customer_that_crashes_the_worker_stops_nobody_else() {
    let mut world = World::new(&[A, B]);
    world.between = |cluster| Arc::new(Poisoned(cluster));
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let ids = running.settled(&event).await.deployments;
    assert_eq!(ids.len(), 2);
    for id in &ids {
        let deployment = running.app.store.deployment(id).await.unwrap().unwrap();
        if deployment.brief.plan.customer.as_str() == A {
            assert_eq!(running.ended(id).await.state().word(), "succeeded");
        }
    }
    let later = world.repo.new_tag(A, "v2");
    let event = running
        .submit(&[("customer", A)], &crate::support::push(crate::support::MAIN, None, Some(&later)))
        .await;
    assert_eq!(running.all_of(&event).await[0].state().word(), "succeeded");
    running.stop().await;

    // Without the poison the other one goes on where it was.
    world.between = |cluster| cluster;
    let running = world.start().await;
    for id in &ids {
        assert_eq!(running.ended(id).await.state().word(), "succeeded");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_stored_deployment_that_cannot_be_read_stops_nobody_else() {
    let mut world = World::new(&[A, B]);
    world.slow("postgres", std::time::Duration::from_secs(1));
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let ids = running.settled(&event).await.deployments;
    running.stop().await;
    let poisoned = poison(&world, B).await;
    let running = world.start().await;
    let other = ids.iter().find(|id| id.as_str() != poisoned).unwrap();
    assert_eq!(running.ended(other).await.state().word(), "succeeded");
    running.stop().await;
}

/// Destroys the stored progress of a customer's deployment.
async fn poison(world: &World, customer: &str) -> String {
    use sqlx::{Connection, Row};
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", world.database().display());
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    let row = sqlx::query("UPDATE deployments SET progress = '{' WHERE customer = $1 RETURNING id")
        .bind(customer)
        .fetch_one(&mut database)
        .await
        .unwrap();
    let id: String = row.get("id");
    database.close().await.unwrap();
    id
}

#[tokio::test]
async fn a_cluster_that_is_busy_with_somebody_elses_sync_is_waited_for() {
    let world = World::new(&[A]);
    let running = world.deployed().await;
    let before = world.repo.head();
    let after = world.repo.new_tag(A, "v2");
    running.cluster.external_sync(&"customer-a-user-service".parse().unwrap(), &before).unwrap();
    let ended = running.deploy_one(&after).await;
    assert!(matches!(ended.state(), State::Succeeded { .. }), "{:?}", ended.state());
    assert_eq!(running.pinned("customer-a-user-service").await, after);
    running.stop().await;
}
