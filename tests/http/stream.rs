//! What happens, live: in order, from where a client was, and only of its own customers.

use std::time::Duration;

use argocd_orchestrator::config::Http;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::people::{ADMIN, VIEWER_A, settings};
use crate::support::web::Web;
use crate::support::world::World;

/// How long a stream may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

struct Told {
    id: u64,
    kind: String,
    data: Value,
}

/// An open stream.
struct Stream {
    body: Incoming,
    text: String,
}

impl Stream {
    async fn open(web: &Web, headers: &[(&str, &str)]) -> Self {
        let response = web.open(web.request("GET", "/api/v1/events/stream", headers, b"")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; none once the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.map(str::to_owned)
                };
                let Some(kind) = field("event") else { continue };
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                return Some(Told { id: field("id").unwrap().parse().unwrap(), kind, data });
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a silent stream")?;
            self.text += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
        }
    }

    /// All events until a deployment is over.
    async fn until_over(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let told = self.next().await.expect("the stream goes on");
            let over = told.data["state"] == "succeeded";
            all.push(told);
            if over {
                return all;
            }
        }
    }
}

#[tokio::test]
async fn a_deployment_is_told_from_its_making_to_its_end_and_again_to_who_comes_back() {
    let world = World::new(&["customer-a"]);
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let mut stream = Stream::open(&web, &[]).await;
    let ready = stream.next().await.unwrap();
    assert_eq!((ready.kind.as_str(), ready.id), ("ready", 0));
    running.pushed(None, &world.repo.head()).await;
    let told = stream.until_over().await;
    assert_eq!(told[0].kind, "created");
    assert!(told[1..].iter().all(|one| one.kind == "moved"));
    assert!(told.iter().map(|one| one.id).eq(1..=told.len() as u64));
    let healthy = told.iter().flat_map(|one| one.data["transitions"].as_array().unwrap().iter());
    let order: Vec<_> =
        healthy.filter(|moved| moved["to"] == "healthy").map(|moved| &moved["service"]).collect();
    assert_eq!((order[0], order[order.len() - 1]), (&Value::from("base"), &Value::from("web")));
    // Who comes back gets what was missed, and nothing twice.
    let seen = told[2].id.to_string();
    let mut again = Stream::open(&web, &[("last-event-id", &seen)]).await;
    assert_eq!(again.next().await.unwrap().kind, "ready");
    let rest = again.until_over().await;
    assert!(rest.iter().map(|one| one.id).eq(4..=told.len() as u64));
    for wrong in ["1000000", "x"] {
        let mut reset = Stream::open(&web, &[("last-event-id", wrong)]).await;
        let first = reset.next().await.unwrap();
        assert_eq!((first.kind.as_str(), first.id), ("reset", told.len() as u64), "{wrong}");
        assert_eq!(reset.next().await.unwrap().kind, "ready");
    }
    web.halt().await;
    assert!(stream.next().await.is_none(), "a stop ends the stream");
    running.stop().await;
}

#[tokio::test]
async fn a_stream_tells_of_visible_customers_only() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    world.config.http = Some(settings());
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let since = ("last-event-id", "0");
    let mut all = Stream::open(&web, &[("authorization", &bearer(ADMIN)), since]).await;
    let mut mine = Stream::open(&web, &[("authorization", &bearer(VIEWER_A)), since]).await;
    let newest = running.app.store.kept().await.unwrap().newest;
    let mut customers = std::collections::BTreeSet::new();
    loop {
        let told = all.next().await.unwrap();
        customers.insert(told.data["customer"].as_str().unwrap_or("").to_owned());
        if told.kind != "ready" && told.id == newest {
            break;
        }
    }
    assert!(customers.contains("customer-b"));
    assert_eq!(mine.next().await.unwrap().kind, "ready");
    for told in mine.until_over().await {
        assert_eq!(told.data["customer"], "customer-a");
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn only_so_many_streams_are_open_at_once() {
    let mut world = World::new(&[]);
    world.config.http = Some(Http { max_streams: 1, ..Http::default() });
    let web = Web::start(world).await;
    let mut first = Stream::open(&web, &[]).await;
    assert_eq!(first.next().await.unwrap().kind, "ready");
    web.get("/api/v1/events/stream").await.problem(503);
    drop(first);
    let patience = std::time::Instant::now() + PATIENCE;
    loop {
        let response = web.open(web.request("GET", "/api/v1/events/stream", &[], b"")).await;
        if response.status() == 200 {
            break;
        }
        assert!(std::time::Instant::now() < patience, "the place is never free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    web.stop().await;
}
