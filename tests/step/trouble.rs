//! A server that is away, comes back, or never was there; and a step that is told to end.

use std::time::Duration;

use argocd_orchestrator::http;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, prepared, step};
use crate::support::canned::{Canned, answer};
use crate::support::world::World;

#[tokio::test]
async fn what_does_not_answer_is_transient() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    step(&server, &["validate-prerequisites"]).await.check(10, "does not answer");
    let trigger = ["trigger-application-set", "--customer-id", "customer-a"];
    step(&server, &trigger).await.check(10, "does not answer");
    let monitor = ["monitor-sync-waves", "--deployment-id", "d-1", "--timeout", "3s"];
    step(&server, &monitor).await.check(10, "given up after 3s");
    let busy =
        answer("503 Service Unavailable", &["retry-after: 0"], r#"{"detail": "the store does not answer"}"#);
    let busy = Canned::start(vec![busy]).await;
    step(&busy.url(), &trigger).await.check(10, "the store does not answer");
    let odd = Canned::start(vec![answer("200 OK", &[], "<html>")]).await;
    step(&odd.url(), &trigger).await.check(1, "not understood");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_fails_no_step_that_follows_a_deployment() {
    let mut world = World::new(&["customer-a"]);
    world.slow("web", Duration::from_secs(5));
    let running = world.start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = |listener: TcpListener| {
        let stop = CancellationToken::new();
        let app = running.app.clone();
        (tokio::spawn(http::serve(app, Default::default(), 0, listener, stop.clone())), stop)
    };
    let (serving, stop) = serve(listener);
    let server = format!("http://{address}");
    let asked =
        step(&server, &["trigger-application-set", "--customer-id", "customer-a"]).await.check(0, "deploys");
    let monitor = ["monitor-sync-waves", "--deployment-id", &asked.text("deployment-id")];
    let monitor = [&monitor[..], &["--server", &server]].concat();
    let mut monitor = prepared(&monitor);
    let mut child = monitor.command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.next_line().await.unwrap().unwrap();
    stop.cancel();
    serving.await.unwrap().unwrap();
    loop {
        let line = lines.next_line().await.unwrap().expect("it goes on");
        if line.contains("waiting: ") {
            break;
        }
    }
    let (serving, stop) = serve(TcpListener::bind(address).await.unwrap());
    let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.unwrap().unwrap();
    let message = crate::stage::read(&monitor.folder.path().join("outputs/message"));
    assert_eq!(status.code(), Some(0), "{message}");
    assert!(message.contains("succeeded"), "{message}");
    stop.cancel();
    serving.await.unwrap().unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_told_to_end_leaves_the_deployment_alone() {
    let mut world = World::new(&["customer-a"]);
    world.slow("web", Duration::from_secs(600));
    let stage = Stage::start(world).await;
    let trigger = ["trigger-application-set", "--customer-id", "customer-a"];
    let id = stage.step(&trigger).await.check(0, "deploys").text("deployment-id");
    let mut step = prepared(&["monitor-sync-waves", "--deployment-id", &id, "--server", &stage.server()]);
    let mut child = step.command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.contains(&id), "{first}");
    let pid = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(16));
    let message = crate::stage::read(&step.folder.path().join("outputs/message"));
    assert!(message.contains(&format!("{id} goes on")), "{message}");
    let id = id.parse().unwrap();
    let deployment = stage.running.app.store.deployment(&id).await.unwrap().unwrap();
    assert!(!deployment.state().is_finished(), "{:?}", deployment.state());
    stage.stop().await;
}
