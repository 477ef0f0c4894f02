//! A deployment from its first step to its last, and asking twice.

use serde_json::json;

use crate::stage::{Stage, prepared, read, step};
use crate::support::world::World;

const A: [&str; 2] = ["--customer-id", "customer-a"];

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_through_all_of_its_steps() {
    let stage = Stage::start(World::new(&["customer-a"])).await;
    let head = stage.world.repo.head();
    let place =
        [&A[..], &["--environment", "production", "--workflow-uid", "u-1", "--attempt", "0"]].concat();
    let of = |name: &'static str, more: &[&'static str]| [&[name], &place[..], more].concat();

    let found = stage.step(&of("validate-prerequisites", &[])).await.check(0, "local may deploy customer-a");
    assert_eq!(found.text("version"), env!("CARGO_PKG_VERSION"));
    let none = stage.step(&["list-customers"]).await.check(0, "0 customers");
    assert_eq!(none.json("customers"), json!([]));

    let values = stage.step(&of("validate-helm-values", &["--image-tag", "v1"])).await.check(0, "is right");
    assert_eq!(values.text("revision"), head.as_str());
    assert_eq!(values.text("image-tag"), "v1");
    assert_eq!(values.text("services"), "4");
    assert_eq!(values.text("changes"), "true");
    let waves = json!([{"wave": 1, "services": 1}, {"wave": 2, "services": 2}, {"wave": 3, "services": 1}]);
    assert_eq!(values.json("waves"), waves);
    let resolved = stage.step(&of("resolve-waves", &[])).await.check(0, "4 services in 3 waves");
    assert_eq!((resolved.json("waves"), resolved.text("last-wave")), (waves, "3".into()));

    let asked = stage.step(&of("trigger-application-set", &[])).await.check(0, "4 services");
    let id = asked.text("deployment-id");
    assert_eq!(asked.text("revision"), head.as_str());
    let about = ["--deployment-id", id.as_str()];
    let folder = tempfile::tempdir().unwrap();
    let progress = folder.path().join("progress");
    let mut monitor = prepared(&[&["monitor-sync-waves", "--server", &stage.server()][..], &about].concat());
    monitor.command.env("ARGO_PROGRESS_FILE", &progress);
    let monitored = monitor.ended().await.check(0, "4 of 4 healthy");
    for (name, value) in [("state", "succeeded"), ("reason", ""), ("healthy", "4"), ("total", "4")] {
        assert_eq!(monitored.text(name), value, "{name}");
    }
    let (healthy, total) =
        read(&progress).trim().split_once('/').map(|(n, m)| (n.to_owned(), m.to_owned())).unwrap();
    assert!(healthy.parse::<u32>().unwrap() <= 4 && total == "4", "{healthy}/{total}");

    let validated = stage.step(&[&["validate-deployment"][..], &about].concat()).await.check(0, "healthy");
    assert_eq!((validated.text("healthy"), validated.json("unhealthy")), ("4".into(), json!([])));

    let customers =
        stage.step(&["list-customers", "--environment", "production"]).await.check(0, "1 customers");
    assert_eq!(
        customers.json("customers"),
        json!([{"customer-id": "customer-a", "environment": "production"}])
    );
    let elsewhere = stage.step(&["list-customers", "--environment", "staging"]).await.check(0, "0 customers");
    assert_eq!(elsewhere.json("customers"), json!([]));
    let late = stage.step(&[&["abort"][..], &about].concat()).await.check(0, "nothing to abort");
    assert_eq!(late.text("aborted"), "false");

    // Nothing is new: another workflow has nothing to do, and says so all the way.
    let idle = [&["trigger-application-set", "--workflow-uid", "u-2"], &A[..]].concat();
    let idle = stage.step(&idle).await.check(0, "nothing to deploy");
    assert_eq!(idle.text("deployment-id"), "");
    for name in ["monitor-sync-waves", "validate-deployment", "abort"] {
        stage.step(&[name, "--deployment-id", ""]).await.check(0, "nothing to");
    }

    // A new tag, and the way back.
    stage.world.repo.new_tag("customer-a", "v2");
    let asked = [&["trigger-application-set", "--workflow-uid", "u-3"], &A[..]].concat();
    let asked = stage.step(&asked).await.check(0, "2 services");
    stage
        .step(&["monitor-sync-waves", "--deployment-id", &asked.text("deployment-id")])
        .await
        .check(0, "4 of 4");
    let back = [&["roll-back", "--wait", "--workflow-uid", "u-3"], &A[..]].concat();
    let back = stage.step(&back).await.check(0, "succeeded");
    assert_eq!(back.text("state"), "succeeded");
    let twice = [&["roll-back", "--wait=true", "--workflow-uid", "u-3"], &A[..]].concat();
    let twice = stage.step(&twice).await.check(0, "succeeded");
    assert_eq!(twice.text("deployment-id"), back.text("deployment-id"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_asks_twice_gets_the_same_deployment() {
    let stage = Stage::start(World::new(&["customer-a"])).await;
    let server = stage.server();
    let ask = [&["trigger-application-set", "--workflow-uid", "u-1"], &A[..]].concat();
    let (one, two) = tokio::join!(step(&server, &ask), step(&server, &ask));
    let (one, two) = (one.check(0, "deploys"), two.check(0, "deploys"));
    assert_eq!(one.text("event-id"), two.text("event-id"));
    assert_eq!(one.text("deployment-id"), two.text("deployment-id"));
    let id = one.text("deployment-id");
    stage.step(&["monitor-sync-waves", "--deployment-id", &id]).await.check(0, "succeeded");
    // What succeeded is not asked for again, whichever attempt this is.
    let later = [&ask[..], &["--attempt", "1"]].concat();
    assert_eq!(stage.step(&later).await.check(0, "").text("deployment-id"), id);
    assert_eq!(stage.running.deployments().await.len(), 1);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wave_may_be_a_step_of_its_own() {
    let stage = Stage::start(World::new(&["customer-a"])).await;
    for wave in ["1", "2", "3"] {
        let ask = [&["trigger-application-set", "--workflow-uid", "u-1", "--wave", wave], &A[..]].concat();
        let asked = stage.step(&ask).await.check(0, "deploys");
        let id = asked.text("deployment-id");
        stage.step(&["monitor-sync-waves", "--deployment-id", &id]).await.check(0, "succeeded");
    }
    let ask = [&["trigger-application-set", "--workflow-uid", "u-2"], &A[..]].concat();
    stage.step(&ask).await.check(0, "nothing to deploy");
    stage.stop().await;
}
