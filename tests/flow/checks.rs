//! Services that are asked whether they are well, beside what the cluster shows of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use argocd_orchestrator::domain::deployment::{Deployment, Run, ServiceState};
use argocd_orchestrator::domain::gate::Doubt;
use argocd_orchestrator::domain::probe::{Outcome, Question};
use argocd_orchestrator::ports::Probe;
use async_trait::async_trait;
use jiff::SignedDuration;

use crate::support::repo::values_file;
use crate::support::world::{World, end_of, state_of};

const A: &str = "customer-a";

/// Answers as it is told to, and counts who was asked.
#[derive(Default)]
struct Told {
    failing: Mutex<bool>,
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Told {
    fn fail(&self, failing: bool) {
        *self.failing.lock().unwrap() = failing;
    }

    fn asked(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Probe for Told {
    async fn ask(&self, question: &Question, within: Duration) -> Outcome {
        let Question::Http { namespace, service, endpoint, .. } = question else {
            return Outcome::Silent { reason: "not asked here".into() };
        };
        assert_eq!((namespace.as_str(), endpoint.as_str()), ("customer-a-production", "/health"));
        assert_eq!(within, Duration::from_secs(3));
        *self.asked.lock().unwrap().entry(service.to_string()).or_default() += 1;
        if *self.failing.lock().unwrap() {
            Outcome::Failed { reason: "GET /health answered 503".into() }
        } else {
            Outcome::Passed
        }
    }
}

/// A world in which `user-service`, which `web` waits for, has a health check.
fn world() -> (World, Arc<Told>) {
    let mut world = World::new(&[A]);
    world.repo.replace(
        &values_file(A),
        "        replicas: 1\n",
        "        replicas: 1\n        healthCheck: {endpoint: /health, timeoutSeconds: 3, intervalSeconds: 1, failureThreshold: 2}\n",
    );
    world.repo.commit();
    let told = Arc::new(Told::default());
    world.probe = Some(Arc::clone(&told) as Arc<dyn Probe>);
    world.config.sync_wave.rollback_threshold = 1;
    (world, told)
}

/// What keeps the verdict on `user-service` open.
fn doubt(deployment: &Deployment) -> Option<&Doubt> {
    match state_of(deployment, "user-service").run() {
        Some(Run::Verifying { doubt, .. }) => Some(doubt),
        Some(Run::Syncing { .. } | Run::Retrying { .. }) | None => None,
    }
}

#[tokio::test]
async fn a_deployment_waits_for_a_health_check_and_goes_on_once_it_passes() {
    let (world, told) = world();
    told.fail(true);
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    let fails = |deployment: &Deployment| matches!(doubt(deployment), Some(Doubt::CheckFails { .. }));
    let waiting = running.when(&id, "the check fails", fails).await;
    assert!(matches!(state_of(&waiting, "web"), ServiceState::Waiting { .. }));
    let blockers: BTreeMap<_, _> = waiting.blockers().into_iter().collect();
    let (word, why) = (blockers["user-service"].word(), blockers["user-service"].to_string());
    assert_eq!(word, "health-check");
    assert!(why.starts_with("its health check fails: GET /health answered 503, given up at "), "{why}");
    told.fail(false);
    let ended = running.ended(&id).await;
    assert_eq!(end_of(ended.state()), ("succeeded", String::new()));
    assert_eq!(running.violations(&ended), 0);
    assert_eq!(told.asked().into_keys().collect::<Vec<_>>(), ["customer-a-user-service"]);
    running.stop().await;
}

#[tokio::test]
async fn a_health_check_that_never_passes_fails_the_service_and_gates_its_way_back() {
    let (mut world, told) = world();
    world.config.sync_wave.health_check_timeout = SignedDuration::from_secs(4);
    let running = world.deployed().await;
    let before = world.repo.head();
    let asked = told.asked()["customer-a-user-service"];
    told.fail(true);
    let event = running.pushed(Some(&before), &world.repo.new_tag(A, "v2")).await;
    let id = running.first_of(&event).await;
    let going_back = |deployment: &Deployment| {
        deployment.state().word() == "rolling-back"
            && doubt(deployment)
                .is_some_and(|doubt| matches!(doubt, Doubt::Unchecked { .. } | Doubt::CheckFails { .. }))
    };
    running.when(&id, "its way back waits for the check too", going_back).await;
    told.fail(false);
    let ended = running.ended(&id).await;
    let (word, reason) = end_of(ended.state());
    assert_eq!(word, "failed");
    let why = "user-service failed: not healthy in time: its health check fails: GET /health answered 503";
    assert_eq!(reason, why);
    let state = state_of(&ended, "user-service");
    assert!(matches!(state, ServiceState::RolledBack { to, .. } if *to == before), "{state:?}");
    assert!(told.asked()["customer-a-user-service"] > asked + 2);
    running.stop().await;
}

#[tokio::test]
async fn a_health_check_that_fails_after_the_verdict_holds_back_what_comes_later() {
    let (mut world, told) = world();
    // So that the wave is not over when the check fails.
    world.slow("customer-a-stats", Duration::from_secs(6));
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    let word = |service: &'static str, wanted: &'static str| {
        move |deployment: &Deployment| state_of(deployment, service).word() == wanted
    };
    running.when(&id, "it is healthy", word("user-service", "healthy")).await;
    told.fail(true);
    let lost = running.when(&id, "its check fails", word("user-service", "unhealthy")).await;
    assert!(matches!(state_of(&lost, "web"), ServiceState::Waiting { .. }));
    let ServiceState::Unhealthy { check, .. } = state_of(&lost, "user-service") else { panic!("{lost:?}") };
    assert_eq!(check.as_deref(), Some("GET /health answered 503"));
    told.fail(false);
    let ended = running.ended(&id).await;
    assert_eq!(end_of(ended.state()), ("succeeded", String::new()));
    running.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_asks() {
    let (mut world, told) = world();
    told.fail(true);
    world.probe = None;
    let running = world.deployed().await;
    assert_eq!(told.asked(), BTreeMap::new());
    running.stop().await;
}
