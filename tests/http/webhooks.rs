//! Webhooks: only who has the source's own secret, or a sensor's token, is listened to; what is sent again changes
//! nothing.

use argocd_orchestrator::config::Http;
use argocd_orchestrator::config::http::{SensorToken, SignedWebhook, Webhooks};
use argocd_orchestrator::domain::event::Trigger;
use argocd_orchestrator::domain::names::Revision;
use argocd_orchestrator::domain::trace::TraceContext;
use argocd_orchestrator::store::EventFilter;
use bytesize::ByteSize;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::logged::Logged;
use crate::support::web::{Answer, Web, sha256};
use crate::support::world::World;
use crate::support::{MAIN, REPOSITORY, SOURCE, push};

const NEW: &str = "the-new-secret";
const OLD: &str = "the-old-secret";
const OTHER: &str = "the-secret-of-the-other-source";
const SENSOR: &str = "the-token-of-the-sensor";

fn world() -> World {
    let mut world = World::new(&[]);
    let mut other = world.config.sources[0].clone();
    other.name = "other".parse().unwrap();
    other.repository = "rtte/other".into();
    world.config.sources.push(other);
    let signed = |source: &str, secrets: &[&str]| SignedWebhook {
        source: source.parse().unwrap(),
        secrets: secrets.iter().map(|secret| (*secret).into()).collect(),
    };
    let sensor = SensorToken {
        name: "sensor".into(),
        sha256: sha256(SENSOR),
        sources: vec![SOURCE.parse().unwrap()],
        customers: vec!["customer-a".parse().unwrap()],
    };
    world.config.http = Some(Http {
        max_body: ByteSize::kib(64),
        webhooks: Webhooks {
            github: vec![signed(SOURCE, &[NEW, OLD]), signed("other", &[OTHER])],
            argo_events: vec![sensor],
            ..Webhooks::default()
        },
        ..Http::default()
    });
    world
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

fn a_push(letter: char) -> Vec<u8> {
    let after: Revision = letter.to_string().repeat(40).parse().unwrap();
    let mut push = push(MAIN, None, Some(&after));
    // GitHub says this in a header, not here.
    push.as_object_mut().unwrap().remove("X-GitHub-Event");
    push.to_string().into_bytes()
}

async fn deliver(web: &Web, path: &str, secret: &str, delivery: &str, body: &[u8]) -> Answer {
    let signature = signature(secret, body);
    let headers = [
        ("content-type", "application/json"),
        ("x-hub-signature-256", &*signature),
        ("x-github-event", "push"),
        ("x-github-delivery", delivery),
    ];
    web.send("POST", path, &headers, body).await
}

async fn events(web: &Web) -> usize {
    web.app.store.events(&EventFilter::default(), 100).await.unwrap().value.len()
}

async fn letters(web: &Web) -> usize {
    web.app.store.dead_letters(100).await.unwrap().value.len()
}

#[tokio::test]
async fn a_signed_push_is_stored_and_the_same_again_changes_nothing() {
    let web = Web::start(world()).await;
    let body = a_push('a');
    let first = deliver(&web, "/api/v1/webhooks/github", NEW, "d-1", &body).await;
    assert_eq!((first.status, &first.json()["status"]), (202, &json!("accepted")), "{}", first.text());
    let event = first.json()["event"].clone();
    for (path, secret, delivery) in [
        ("/api/v1/webhooks/github", NEW, "d-1"),
        ("/api/v1/webhooks/github", NEW, "d-2"),
        ("/api/v1/webhooks/github", OLD, "d-3"),
        ("/api/v1/webhooks/github/shop", NEW, "d-4"),
        ("/api/v1/webhooks/cac", NEW, "d-5"),
    ] {
        let again = deliver(&web, path, secret, delivery, &body).await;
        assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)), "{path} {delivery}");
        assert_eq!(again.json()["event"], event);
    }
    let stored = web.app.store.event(&event.as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let Trigger::Push(push) = stored.request.trigger else { panic!("no push") };
    assert_eq!((push.reference.as_str(), push.delivery.as_deref()), (MAIN, Some("d-1")));
    assert_eq!(events(&web).await, 1);
    web.stop().await;
}

#[tokio::test]
async fn what_is_not_rightly_signed_is_refused_before_it_is_read() {
    let web = Web::start(world()).await;
    let body = a_push('a');
    let right = signature(NEW, &body);
    let upper = right.to_uppercase().replace("SHA256", "sha256");
    let cases: [&[(&str, &str)]; 9] = [
        &[],
        &[("x-hub-signature-256", "")],
        &[("x-hub-signature-256", &right[..60])],
        &[("x-hub-signature-256", &right[7..])],
        &[("x-hub-signature-256", &upper)],
        &[("x-hub-signature-256", &signature("wrong", &body))],
        &[("x-hub-signature", "sha1=0123456789012345678901234567890123456789")],
        &[("x-hub-signature-256", &right), ("x-hub-signature-256", &right)],
        &[("authorization", "Bearer the-token-of-the-sensor")],
    ];
    for headers in cases {
        let mut all = vec![("content-type", "application/json"), ("x-github-event", "push")];
        all.extend(headers);
        for path in ["github", "github/shop", "github/other", "github/unknown", "cac"] {
            let path = format!("/api/v1/webhooks/{path}");
            let answer = web.send("POST", &path, &all, &body).await;
            let problem = answer.problem(401);
            assert_eq!(problem["detail"], "the signature is missing or wrong", "{path} {headers:?}");
        }
    }
    let changed = a_push('b');
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", &*right)];
    web.send("POST", "/api/v1/webhooks/github", &headers, &changed).await.problem(401);
    assert_eq!((events(&web).await, letters(&web).await), (0, 0));
    let metrics = web.get("/metrics").await.text();
    assert!(metrics.contains("webhooks_refused_total{reason=\"signature\"} 46"), "{metrics}");
    web.stop().await;
}

#[tokio::test]
async fn a_secret_counts_for_its_own_source_and_repository() {
    let web = Web::start(world()).await;
    let ours = a_push('a');
    let theirs = String::from_utf8(a_push('a')).unwrap().replace(REPOSITORY, "rtte/other").into_bytes();
    for (path, secret, body, status) in [
        ("github/other", OTHER, &theirs, 202),
        ("github/shop", OTHER, &ours, 401),
        ("github/other", NEW, &theirs, 401),
        ("github/shop", NEW, &theirs, 403),
        ("github/other", OTHER, &ours, 403),
        ("github/shop", NEW, &ours, 202),
    ] {
        let answer = deliver(&web, &format!("/api/v1/webhooks/{path}"), secret, "d", body).await;
        assert_eq!(answer.status, status, "{path} {secret}: {}", answer.text());
    }
    assert_eq!((events(&web).await, letters(&web).await), (2, 0));
    web.stop().await;
}

#[tokio::test]
async fn what_is_signed_and_makes_no_sense_is_kept_and_told() {
    let web = Web::start(world()).await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for body in ["", "{", "[]", "null", "{\"ref\": 7, \"after\": {}}", "\u{0}", &deep, "{\"x\": NaN}"] {
        let answer = deliver(&web, "/api/v1/webhooks/github", NEW, "d", body.as_bytes()).await;
        let problem = answer.problem(422);
        assert!(!problem["diagnostics"].as_array().unwrap().is_empty(), "{body:.20}: {problem}");
    }
    assert_eq!((events(&web).await, letters(&web).await), (0, 8));
    let ping = deliver(&web, "/api/v1/webhooks/github", NEW, "d", b"{\"zen\": \"Keep it simple.\"}").await;
    assert_eq!(ping.status, 202, "{}", ping.text());
    deliver(&web, "/api/v1/webhooks/github", NEW, "d", &vec![b'x'; 65 * 1024]).await.problem(413);
    web.stop().await;
}

#[tokio::test]
async fn a_sensor_with_a_token_speaks_for_its_own_customers() {
    let web = Web::start(world()).await;
    let path = "/api/v1/webhooks/argo-events";
    let payload: Value = serde_json::from_slice(&a_push('a')).unwrap();
    for (body, status) in [
        (json!({"spec": {"customer": "customer-a"}, "payload": {"push": payload}}), 202),
        (json!({"spec": {"customer": "customer-a"}, "payload": {"push": payload}}), 200),
        (json!({"payload": payload}), 202),
        (json!({"spec": {"customer": "customer-b", "id": "1"}}), 403),
        (json!({"spec": {"source": "other", "customer": "customer-a", "id": "2"}}), 403),
        (json!({"spec": {"nonsense": "x"}, "payload": payload}), 200),
        (json!({"spec": {"token": SENSOR, "nonsense": "y"}}), 200),
        (json!({"spec": []}), 422),
        (json!({"extra": 1}), 422),
    ] {
        let answer = web.post_as(SENSOR, path, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    for token in ["wrong", "", NEW] {
        web.post_as(token, path, &json!({"payload": payload})).await.problem(401);
    }
    web.post(path, &json!({"payload": payload})).await.problem(401);
    assert_eq!((events(&web).await, letters(&web).await), (2, 2));
    for kept in web.app.store.dead_letters(2).await.unwrap().value {
        assert!(!String::from_utf8_lossy(&kept.letter.resource).contains(SENSOR));
    }
    web.stop().await;
}

/// Sends secrets in every place where one may be, and looks for them wherever something is kept or told.
#[tokio::test]
async fn secrets_are_neither_stored_nor_told() {
    const CANARY: &str = "canary-3c1f7a90d2";
    let logged = Logged::of_all();
    let mut world = world();
    let http = world.config.http.as_mut().unwrap();
    http.webhooks.argo_events[0].sha256 = sha256(CANARY);
    http.webhooks.github[0].secrets = vec![CANARY.into()];
    let folder = world.config.data_dir.clone();
    let mut told = format!("{:?}", world.config);
    let web = Web::start(world).await;
    let body = a_push('c');
    for path in ["github", "cac", "github/shop", "github/other"] {
        told += &deliver(&web, &format!("/api/v1/webhooks/{path}"), CANARY, "d", &body).await.text();
    }
    for spec in [
        json!({"token": CANARY}),
        json!({"token": CANARY, "kind": "nonsense"}),
        json!({"customer": "customer-a", "token": [CANARY]}),
    ] {
        told += &web.post_as(CANARY, "/api/v1/webhooks/argo-events", &json!({"spec": spec})).await.text();
    }
    for path in ["/api/v1/deployments", "/api/v1/deployments/x", "/nowhere"] {
        let answer = web.get_as(CANARY, path).await;
        told += &format!("{:?} {}", answer.headers, answer.text());
    }
    for path in ["/api/v1/events", "/api/v1/dead-letters", "/api/v1/orchestrator/status", "/metrics"] {
        told += &web.get(path).await.text();
    }
    assert!(!told.contains(CANARY), "{told}");
    let look = || {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    };
    look();
    assert!(events(&web).await > 0 && letters(&web).await > 0, "nothing was stored, so this proves nothing");
    let logged = logged.text();
    assert!(logged.contains("request_id"), "nothing was logged, so this proves nothing");
    assert!(!logged.contains(CANARY), "{logged}");
    web.stop().await;
}

#[tokio::test]
async fn what_is_not_json_is_told_to_be_so() {
    let web = Web::start(world()).await;
    let body = b"payload=%7B%7D";
    let signature = signature(NEW, body);
    let form = "application/x-www-form-urlencoded";
    let headers = [("content-type", form), ("x-hub-signature-256", &*signature)];
    web.send("POST", "/api/v1/webhooks/github", &headers, body).await.problem(415);
    assert_eq!((events(&web).await, letters(&web).await), (0, 0));
    web.stop().await;
}

/// What a sender says of its trace, and what is no `traceparent` though it stands where one would.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NO_TRACES: [&str; 5] = [
    "",
    "nonsense",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
];

/// The event of an answer is part of this trace; without one it begins a trace of its own.
async fn check_trace(web: &Web, answer: Answer, expected: Option<&str>) {
    assert_eq!(answer.status, 202, "{}", answer.text());
    let event = answer.json()["event"].as_str().unwrap().parse().unwrap();
    let found = web.app.store.trace(&event).await.unwrap();
    match expected {
        Some(expected) => assert_eq!(found.to_string(), expected),
        None => assert_eq!(found, TraceContext::begun_by(&event)),
    }
}

#[tokio::test]
async fn a_signed_webhook_goes_on_the_trace_of_its_header() {
    let web = Web::start(world()).await;
    let letters = 'a'..='f';
    for (letter, said) in letters.zip([TRACE].into_iter().chain(NO_TRACES)) {
        let body = a_push(letter);
        let signature = signature(NEW, &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-hub-signature-256", &*signature),
            ("x-github-event", "push"),
            ("traceparent", said),
        ];
        let answer = web.send("POST", "/api/v1/webhooks/github", &headers, &body).await;
        check_trace(&web, answer, (said == TRACE).then_some(said)).await;
    }
    web.stop().await;
}

#[tokio::test]
async fn what_a_sensor_sends_goes_on_the_trace_of_its_payload_though_the_header_says_another() {
    let web = Web::start(world()).await;
    let letters = 'a'..='f';
    for (letter, said) in letters.zip([TRACE].into_iter().chain(NO_TRACES)) {
        let push: Value = serde_json::from_slice(&a_push(letter)).unwrap();
        let payload = json!({"push": push, "headers": {"Traceparent": [said]}});
        let body = json!({"spec": {"customer": "customer-a"}, "payload": payload}).to_string();
        let bearer = format!("Bearer {SENSOR}");
        let other = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        let headers =
            [("content-type", "application/json"), ("authorization", &*bearer), ("traceparent", other)];
        let answer = web.send("POST", "/api/v1/webhooks/argo-events", &headers, body.as_bytes()).await;
        check_trace(&web, answer, Some(if said == TRACE { TRACE } else { other })).await;
    }
    web.stop().await;
}
