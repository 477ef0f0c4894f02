//! What holds for every request: its id, limits, problems, headers, and an end in order.

use std::time::{Duration, Instant};

use argocd_orchestrator::config::Http;
use bytesize::ByteSize;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::web::Web;
use crate::support::world::World;

#[tokio::test]
async fn probes_are_answered_and_tell_when_nothing_is_taken() {
    let web = Web::start(World::new(&[])).await;
    for path in ["", "/liveness", "/readiness", "/startup"] {
        let health = web.json(&format!("/actuator/health{path}")).await;
        assert_eq!(health["status"], "UP", "{path}");
    }
    web.app.store.close().await;
    for (path, status) in [("", 503), ("/readiness", 503), ("/startup", 503), ("/liveness", 200)] {
        let answer = web.get(&format!("/actuator/health{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.json()["status"], if status == 200 { "UP" } else { "DOWN" });
    }
    web.stop().await;
}

#[tokio::test]
async fn every_answer_carries_an_id_and_what_keeps_browsers_from_harm() {
    let web = Web::start(World::new(&[])).await;
    for (given, taken) in [("a-1", true), ("a b", false), ("\"x\"", false)] {
        for path in ["/actuator/health", "/nowhere"] {
            let answer = web.send("GET", path, &[("x-request-id", given)], b"").await;
            let id = answer.header("x-request-id").unwrap();
            assert_eq!(id == given, taken, "{id}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}");
            }
        }
    }
    web.stop().await;
}

#[tokio::test]
async fn what_is_not_served_is_a_problem_like_any_other() {
    let web = Web::start(World::new(&[])).await;
    for path in [
        "/nowhere",
        "/api",
        "/api/v2/deployments",
        "/actuator/env",
        "/%2e%2e/etc/passwd",
        "/actuator/health/",
    ] {
        web.get(path).await.problem(404);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = web.send(method, "/actuator/health", &[], b"").await;
        answer.problem(405);
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
    web.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let mut world = World::new(&[]);
    world.config.http = Some(Http { max_body: ByteSize::kib(1), ..Http::default() });
    let web = Web::start(world).await;
    // Announced, and never sent.
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    let head =
        format!("POST /nowhere HTTP/1.1\r\nHost: {}\r\nContent-Length: 5000000000\r\n\r\n", web.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("a body may have 1.0 KiB"), "{answer}");
    web.stop().await;
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_at_the_limit() {
    let mut world = World::new(&[]);
    world.config.http = Some(Http { max_body: ByteSize::kib(1), ..Http::default() });
    let web = Web::start(world).await;
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    let head = format!(
        "POST /api/v1/dependencies/resolve HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        web.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("200\r\n{}\r\n", " ".repeat(0x200));
    // Endless: it stops when the server does not listen any more.
    let mut sent = 0;
    while sent < 100_000 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    // The connection may be reset before the answer is read; then it was cut all the same.
    assert!(sent < 100_000, "fifty megabytes were read");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    web.stop().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let mut world = World::new(&[]);
    world.config.http = Some(Http { timeout: SignedDuration::from_millis(300), ..Http::default() });
    let web = Web::start(world).await;
    let mut slow = TcpStream::connect(web.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    let mut said = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut said)).await.unwrap().unwrap();
    assert_eq!(web.get("/actuator/health").await.status, 200);
    let mut large = TcpStream::connect(web.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(100_000));
    // It may stop listening in the middle of it.
    let _ = large.write_all(head.as_bytes()).await;
    let mut said = vec![0; 12];
    if large.read_exact(&mut said).await.is_ok() {
        assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 431");
    }
    web.stop().await;
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused_and_said_to_come_again() {
    let mut world = World::new(&[]);
    world.config.http =
        Some(Http { max_concurrent: 1, timeout: SignedDuration::from_millis(400), ..Http::default() });
    let web = Web::start(world).await;
    // A request whose body never comes holds the one place until its time is over.
    let mut slow = TcpStream::connect(web.address).await.unwrap();
    let head = format!(
        "POST /api/v1/dependencies/resolve HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 10\r\n\r\n{{",
        web.address
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = web.get("/actuator/health/liveness").await;
        if answer.status == 503 {
            assert_eq!(answer.problem(503)["detail"], "too many requests at once; try again");
            assert_eq!(answer.header("retry-after"), Some("1"));
            break;
        }
        assert!(Instant::now() < patience, "the place was never held");
    }
    let mut answer = vec![0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
    assert_eq!(web.get("/actuator/health/liveness").await.status, 200);
    web.stop().await;
}

#[tokio::test]
async fn a_web_page_of_somebody_else_gets_nothing_from_a_local_server() {
    let web = Web::start(World::new(&[])).await;
    for headers in [
        [("host", "evil.example"), ("accept", "*/*")],
        [("host", "localhost"), ("origin", "http://evil.example")],
        [("host", "localhost"), ("sec-fetch-site", "cross-site")],
    ] {
        web.send("GET", "/api/v1/openapi.json", &headers, b"").await.problem(403);
    }
    assert_eq!(web.send("GET", "/api/v1/openapi.json", &[("host", "localhost")], b"").await.status, 200);
    web.stop().await;
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once() {
    let web = Web::start(World::new(&[])).await;
    let idle = TcpStream::connect(web.address).await.unwrap();
    web.get("/actuator/health").await;
    let asked = Instant::now();
    web.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    drop(idle);
}
