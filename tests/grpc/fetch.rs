//! FetchResource: the YAML map of a sensor's `spec` becomes a compact JSON object.

use std::time::{Duration, Instant};

use tonic::Code;

use crate::support::server::Server;
use crate::support::world::World;

async fn check(cases: &[(&str, &str)]) {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    for (yaml, json) in cases {
        assert_eq!(client.fetch(yaml.as_bytes()).await.unwrap(), *json, "{yaml:?}");
    }
    server.stop().await;
}

async fn check_refused(cases: &[&[u8]]) {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    for yaml in cases {
        let shown: String = String::from_utf8_lossy(yaml).chars().take(60).collect();
        let started = Instant::now();
        let status = client.fetch(yaml).await.expect_err(&shown);
        assert_eq!(status.code(), Code::InvalidArgument, "{shown:?}: {status}");
        assert!(!status.message().contains("canary"), "{status}");
        assert!(started.elapsed() < Duration::from_secs(2), "{shown:?}");
    }
    assert_eq!(client.fetch(b"kind: deployment\n").await.unwrap(), r#"{"kind":"deployment"}"#);
    server.stop().await;
}

#[tokio::test]
async fn a_map_of_texts_becomes_a_compact_object() {
    check(&[
        ("kind: deployment\nsource: shop\n", r#"{"kind":"deployment","source":"shop"}"#),
        ("source: shop\nkind: deployment", r#"{"kind":"deployment","source":"shop"}"#),
        ("note: \"a \\\"quoted\\\" ü\"\n", r#"{"note":"a \"quoted\" ü"}"#),
    ])
    .await;
}

#[tokio::test]
async fn numbers_and_flags_stay_the_texts_that_they_are() {
    check(&[
        ("wave: \"3\"\nforce: \"true\"\n", r#"{"force":"true","wave":"3"}"#),
        ("version: \"1.10\"\nid: \"007\"\n", r#"{"id":"007","version":"1.10"}"#),
        ("nothing: \"\"\nnull-text: \"null\"\n", r#"{"nothing":"","null-text":"null"}"#),
        ("wave: 3\nversion: 1.10\nforce: yes\n", r#"{"force":"yes","version":"1.10","wave":"3"}"#),
    ])
    .await;
}

#[tokio::test]
async fn an_empty_map_is_an_empty_object() {
    check(&[("{}\n", "{}"), ("", "{}"), (" \n", "{}")]).await;
}

#[tokio::test]
async fn what_is_no_map_of_texts_is_refused_without_repeating_it() {
    let deep = "[".repeat(200_000);
    let nested = format!("a: {}", "{a: ".repeat(10_000));
    check_refused(&[
        b"kind:\n  nested: canary\n",
        b"kind: [canary]\n",
        b"- canary\n",
        b"canary\n",
        b"token: canary\ntoken: canary\n",
        b"token: \"canary\n",
        b"kind: \xff\xfe canary\n",
        deep.as_bytes(),
        nested.as_bytes(),
    ])
    .await;
}
