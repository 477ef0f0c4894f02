//! Who is told what happened: real HTTP servers take the messages, or do not.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use argocd_orchestrator::adapters::notify::{Hook, Settings};
use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::app::notify::{self, Form, Target};
use argocd_orchestrator::domain::deployment::Command;
use argocd_orchestrator::domain::notification::{Interest, Template, Trigger};
use argocd_orchestrator::ports::{Message, Notifier, NotifierError};
use argocd_orchestrator::store::Store;
use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::canned::{Canned, answer, header};
use crate::support::until;
use crate::support::world::{World, command};

const SECRET: &str = "a-secret-of-the-webhook-0123";
const LINK: &str = "https://orchestrator.example.com";

/// A target at this address.
fn target(name: &str, form: Form, url: &str) -> Target {
    let settings = Settings {
        url: url.into(),
        secret: (form == Form::Webhook).then(|| SECRET.into()),
        headers: vec![("X-Key".to_owned(), "a-key".into())],
        allow_plaintext: false,
    };
    told_by(name, form, Arc::new(Hook::new(&settings).unwrap()))
}

fn told_by(name: &str, form: Form, notifier: Arc<dyn Notifier>) -> Target {
    let interest = Interest { on: Trigger::USUAL.to_vec(), customers: Vec::new(), environments: Vec::new() };
    Target { name: name.to_owned(), form, interest, template: None, notifier }
}

/// Somebody who tells them.
struct Telling {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Telling {
    async fn start(store: &Store, targets: Vec<Target>) -> Self {
        // Where it begins is settled before anything happens.
        let names = targets.iter().map(|target| target.name.clone()).collect();
        store.begin_notifying(names).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(notify::run(store.clone(), targets, Some(LINK.into()), stop.clone()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Waits until so many messages of a target ended like this.
async fn ended(store: &Store, target: &str, outcome: &str, count: u64) {
    let what = format!("{count} messages to {target} are {outcome}");
    until(store, &what, async || {
        let all = store.notified().await.unwrap();
        let found = all.iter().filter(|one| one.target == target && one.outcome == outcome);
        (found.map(|one| one.count).sum::<u64>() == count).then_some(())
    })
    .await;
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Checks a signature as a receiver would.
fn check_signature(request: &str) {
    let (id, time) = (header(request, "webhook-id").unwrap(), header(request, "webhook-timestamp").unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{id}.{time}.{}", request.split_once("\r\n\r\n").unwrap().1).as_bytes());
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header(request, "webhook-signature"), Some(expected.as_str()));
    let age = Timestamp::now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "it is of {time}");
}

#[tokio::test]
async fn what_failed_is_told_until_it_is_taken_and_who_does_not_take_it_holds_back_nobody() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) });
    let running = world.deployed().await;
    let store = &running.app.store;
    let fine = || answer("200 OK", &[], "{}");
    let (hook, slack) = (
        Canned::start(vec![answer("503 Service Unavailable", &["retry-after: 1"], ""), fine()]).await,
        Canned::start(vec![fine()]).await,
    );
    let gone = Canned::start(vec![answer("410 Gone", &[], "")]).await;
    let location = format!("location: {}/elsewhere", slack.url());
    let moved = Canned::start(vec![answer("302 Found", &[&location], "")]).await;
    // Takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let of_silence = format!("http://{}", silent.local_addr().unwrap());
    let mut templated = target("slack", Form::Slack, &format!("{}/services/hush", slack.url()));
    templated.template = Some(Template::parse("{{ customer }} went wrong: {{ failures }}").unwrap());
    let telling = Telling::start(
        store,
        vec![
            target("silent", Form::Webhook, &of_silence),
            target("hook", Form::Webhook, &hook.url()),
            templated,
            target("gone", Form::Webhook, &gone.url()),
            target("moved", Form::Webhook, &moved.url()),
        ],
    )
    .await;

    let failed = running.deploy_one(&world.repo.new_tag("customer-a", "v2")).await;
    assert_eq!(failed.state().word(), "failed");
    for (name, outcome) in
        [("hook", "delivered"), ("slack", "delivered"), ("gone", "refused"), ("moved", "refused")]
    {
        ended(store, name, outcome, 1).await;
    }
    telling.stop().await;

    let asked = hook.asked();
    assert_eq!(asked.len(), 2, "once refused, once taken, and nothing of what was before");
    assert_eq!(header(&asked[0], "webhook-id"), header(&asked[1], "webhook-id"));
    for request in &asked {
        check_signature(request);
        assert_eq!(header(request, "x-key"), Some("a-key"));
        let told = body(request);
        assert_eq!(
            (&told["type"], &told["version"]),
            (&"deployment.rolled-back".into(), &1.into()),
            "{told}"
        );
        let data = &told["data"];
        assert_eq!((&data["customer"], &data["environment"]), (&"customer-a".into(), &"production".into()));
        assert_eq!(
            (&data["failures"][0]["service"], &data["failures_total"]),
            (&"web".into(), &1.into()),
            "{data}"
        );
        assert!(!data["failures"][0]["reason"].as_str().unwrap().is_empty());
        assert_eq!(data["link"], format!("{LINK}/#/deployments/{}", failed.id()));
        assert!(
            !data["waves"].as_array().unwrap().is_empty() && data["duration_seconds"].is_number(),
            "{data}"
        );
        assert!(data["rolled_back"].as_array().unwrap().contains(&"web".into()), "{data}");
    }
    let said = body(&slack.asked()[0]);
    assert_eq!(slack.asked().len(), 1, "a redirect was followed");
    assert!(said["text"].as_str().unwrap().contains("customer-a went wrong: "), "{said}");
    assert!(said["blocks"].as_array().unwrap().len() > 2, "{said}");
    // It is still to be told.
    assert!(store.next_notice("silent").await.unwrap().is_some());
    running.stop().await;
}

/// Takes messages, and is not heard of again.
#[derive(Default)]
struct Swallowed(Mutex<Vec<String>>);

#[async_trait]
impl Notifier for Swallowed {
    async fn tell(&self, message: &Message, _now: Timestamp) -> Result<(), NotifierError> {
        self.0.lock().unwrap().push(message.id.clone());
        pending().await
    }
}

#[tokio::test]
async fn who_ends_between_the_answer_and_its_noting_tells_the_same_message_again() {
    let world = World::new(&["customer-a"]);
    let running = world.start().await;
    let store = &running.app.store;
    let swallowed = Arc::new(Swallowed::default());
    let telling = Telling::start(store, vec![told_by("hook", Form::Webhook, swallowed.clone())]).await;
    running.deploy(&world.repo.head()).await;
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    let first = loop {
        if let Some(id) = swallowed.0.lock().unwrap().first() {
            break id.clone();
        }
        assert!(tokio::time::Instant::now() < patience, "nothing is told");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    telling.stop().await;

    let hook = Canned::start(vec![answer("200 OK", &[], "")]).await;
    let telling = Telling::start(store, vec![target("hook", Form::Webhook, &hook.url())]).await;
    ended(store, "hook", "delivered", 1).await;
    telling.stop().await;
    let asked = hook.asked();
    assert_eq!(header(&asked[0], "webhook-id"), Some(first.as_str()));
    assert_eq!(body(&asked[0])["type"], "deployment.succeeded");

    // Whoever is taken out is forgotten, and whoever comes later is not told of the past.
    let late = Canned::start(vec![answer("200 OK", &[], "")]).await;
    let telling = Telling::start(store, vec![target("late", Form::Webhook, &late.url())]).await;
    running.deploy(&world.repo.new_tag("customer-a", "v2")).await;
    ended(store, "late", "delivered", 1).await;
    telling.stop().await;
    assert_eq!((late.asked().len(), hook.asked().len()), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn an_approval_that_was_given_meanwhile_is_not_asked_for() {
    let mut world = World::new(&["customer-a"]);
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let running = world.start().await;
    let store = &running.app.store;
    let hook =
        Canned::start(vec![answer("503 Service Unavailable", &[], ""), answer("200 OK", &[], "")]).await;
    let telling = Telling::start(store, vec![target("hook", Form::Webhook, &hook.url())]).await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    ended(store, "hook", "retried", 1).await;
    let asked = body(&hook.asked()[0]);
    assert_eq!(asked["type"], "deployment.awaiting-approval");
    assert!(!asked["data"]["plan"].as_str().unwrap().is_empty(), "{asked}");
    command(&world, &id, Command::Approve { plan: None }).await.unwrap();
    ended(store, "hook", "outdated", 1).await;
    ended(store, "hook", "delivered", 1).await;
    telling.stop().await;
    let last = body(hook.asked().last().unwrap());
    assert_eq!((hook.asked().len(), &last["type"]), (2, &"deployment.succeeded".into()));
    running.stop().await;
}
