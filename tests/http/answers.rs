//! Each function of the client, asked of a real server that has something to tell: what it answers is understood.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{Fail, How};
use argocd_orchestrator::app::receive::Taken;
use argocd_orchestrator::client::{AuditQuery, Client, Connection, DeploymentQuery, ENDPOINTS, Wanted};
use argocd_orchestrator::domain::audit::Origin;
use argocd_orchestrator::domain::deployment::{Command, Deployment, ServiceState};
use argocd_orchestrator::domain::diagnostic::{Code, Diagnostic, Place};
use argocd_orchestrator::domain::names::{DeploymentId, EventId};
use jiff::Timestamp;
use serde_json::json;

use crate::client::url;
use crate::support::web::Web;
use crate::support::world::{Running, World};

const A: &str = "customer-a";

/// How often each route was answered with each status, as the server has counted.
async fn answered(web: &Web) -> BTreeMap<(String, String), u64> {
    let text = web.get("/metrics").await.text();
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("argocd_orchestrator_http_requests_total{")) {
        let (labels, count) = line.rsplit_once(' ').unwrap();
        let label = |name: &str| {
            let rest = labels.split_once(&format!("{name}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.to_owned()
        };
        found.insert((label("route"), label("status")), count.parse().unwrap());
    }
    found
}

/// Asks for a deployment; waits until it is there.
async fn asked(running: &Running, client: &Client) -> DeploymentId {
    let asked = client.deploy(&Wanted::of(A.parse().unwrap())).await.unwrap();
    assert!(!asked.duplicate);
    let id = running.first_of(&asked.event).await;
    in_state(running, &id, "awaiting-approval").await;
    id
}

async fn in_state(running: &Running, id: &DeploymentId, word: &str) -> Deployment {
    running.when(id, word, |deployment| deployment.state().word() == word).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_server_is_understood() {
    let mut world = World::new(&[A]);
    world.config.approval.environments = vec!["production".parse().unwrap()];
    world.config.approval.by_requester = true;
    for service in ["user-service", "web"] {
        world.fail(service, Fail::always(How::NeverHealthy));
    }
    world.config.sync_wave.health_check_timeout = jiff::SignedDuration::from_secs(600);
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let client = Client::new(Connection { server: url(&web), ..Connection::default() }).unwrap();
    let send = async |id: &DeploymentId, command: Command| client.command(id, &command).await.unwrap();
    let because = || "because".to_owned();

    let ways = client.ways_to_log_in().await.unwrap();
    assert!(ways.local && !ways.browser && ways.device.is_none());
    let me = client.me().await.unwrap();
    assert_eq!((me.name.as_str(), me.via.as_str(), me.grants[0].role.as_str()), ("local", "local", "admin"));
    let health = client.health().await.unwrap();
    assert!(health.date.is_some() && health.parts.values().all(|works| *works), "{health:?}");
    assert!(health.parts.contains_key("reads") && health.parts.contains_key("writes"), "{health:?}");
    client.ready().await.unwrap();
    let version = client.status().await.unwrap().version;
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let planned = client.plan(&Wanted::of(A.parse().unwrap()), None).await.unwrap();
    assert!(!planned.idle && planned.needs_approval && planned.diff.is_none(), "{planned:?}");
    let mut feed = client.feed();
    tokio::time::timeout(Duration::from_secs(40), feed.happened()).await.unwrap().unwrap();

    // One that is refused, and one that is given up and asked for again.
    let refused = asked(&running, &client).await;
    assert_eq!(send(&refused, Command::Reject { reason: because() }).await, None);
    in_state(&running, &refused, "rejected").await;
    let given_up = asked(&running, &client).await;
    assert_eq!(send(&given_up, Command::Abort { reason: because() }).await, None);
    in_state(&running, &given_up, "aborted").await;
    let again = send(&given_up, Command::Retry { service: None }).await.expect("it is over");
    let id = running.first_of(&again).await;

    // One that runs, with `user-service` in flight for as long as this takes.
    let deployment = in_state(&running, &id, "awaiting-approval").await;
    let plan = deployment.brief.plan.hash.as_str().to_owned();
    send(&id, Command::Approve { plan: Some(plan.clone()) }).await;
    let in_flight = |it: &Deployment| {
        it.services().any(|(change, state)| {
            change.name() == "user-service" && matches!(state, ServiceState::Advancing(_))
        })
    };
    running.when(&id, "user-service is in flight", in_flight).await;
    send(&id, Command::Pause).await;
    in_state(&running, &id, "paused").await;
    send(&id, Command::Resume).await;
    in_state(&running, &id, "running").await;

    let query = DeploymentQuery { customer: Some(A.parse().unwrap()), ..DeploymentQuery::default() };
    let all = client.deployments(&query, 100).await.unwrap();
    assert_eq!(all.iter().map(|one| &one.id).collect::<Vec<_>>(), [&id, &given_up, &refused]);
    let none = DeploymentQuery { state: Some("succeeded".into()), ..DeploymentQuery::default() };
    assert!(client.deployments(&none, 100).await.unwrap().is_empty());
    let view = client.deployment(&id).await.unwrap();
    assert_eq!((view.id.as_str(), view.plan), (id.as_str(), plan));
    let waits = client.why(&id, None).await.unwrap();
    assert!(waits.iter().any(|one| one.service == "web" && !one.text.is_empty()), "{waits:?}");
    assert_eq!(client.why(&id, Some("web")).await.unwrap().len(), 1);
    let story = client.journal(&id).await.unwrap();
    assert!(!story.journal.is_empty());
    let environment = "production".parse().unwrap();
    let history = client.history(&A.parse().unwrap(), &environment, Some("postgres")).await.unwrap();
    assert_eq!(history.len(), 1);
    let customers = client.customers(100).await.unwrap();
    assert_eq!((customers.len(), customers[0].latest.state.as_str()), (1, "running"));
    let events = client.events(Some(&A.parse().unwrap()), None, 100).await.unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(client.event(&again).await.unwrap().id, again);

    let query = AuditQuery { customer: Some(A.parse().unwrap()), ..AuditQuery::default() };
    let told = client.audit(&query, 100).await.unwrap();
    assert!(told.items.iter().any(|one| one.action == "approve" && one.via == "http"), "{told:?}");
    let report = client.audit_report(&query, 100).await.unwrap();
    assert_eq!((report.items.len(), report.items[0].approved_by.as_deref()), (3, Some("local")));

    // One of what arrived could never succeed, and can by now.
    let resource = json!({"customer": A, "kind": "health-check"}).to_string().into_bytes();
    let faults = vec![Diagnostic::error(Code::BadRequest, Place::file("spec"), "it was wrong")];
    let buried = running.app.bury(
        "e-1".parse().unwrap(),
        faults,
        resource,
        Vec::new(),
        Origin::cli("sensor"),
        Timestamp::now(),
    );
    buried.await.unwrap();
    let letters = client.letters(100).await.unwrap();
    assert_eq!((letters.len(), letters[0].faults.len()), (1, 1));
    let one: EventId = letters[0].id.clone();
    assert_eq!(client.replay(&one).await.unwrap().status, Taken::Accepted);

    send(&id, Command::Skip { service: "user-service".into() }).await;
    let passed = |it: &Deployment| it.services().any(|(_, state)| state.word() == "skipped");
    running.when(&id, "user-service is skipped", passed).await;
    send(&id, Command::Rollback { reason: because() }).await;
    let rolled = client.roll_back(&Wanted::of(A.parse().unwrap())).await.unwrap();
    assert!(!rolled.duplicate);

    // Nothing that the client may ask for was left out.
    let counted = answered(&web).await;
    for endpoint in ENDPOINTS {
        // A plan is posted, and changes nothing.
        let status = if endpoint.writes && endpoint.path != "/api/v1/plans" { "202" } else { "200" };
        let key = (endpoint.path.to_owned(), status.to_owned());
        assert!(counted.contains_key(&key), "{} was not answered {status}: {counted:?}", endpoint.path);
    }
    drop(feed);
    web.halt().await;
    running.stop().await;
}
