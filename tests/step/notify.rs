//! Telling people how it ended: the deployment, or the workflow without one.

use argocd_orchestrator::adapters::simulated::script::{Fail, How};
use serde_json::{Value, json};

use crate::stage::{Ended, Stage, prepared};
use crate::support::canned::{Canned, answer};
use crate::support::world::World;

/// A configuration that tells one place.
fn config(folder: &std::path::Path, url: &str) -> String {
    let file = folder.join("orchestrator.yaml");
    let text = format!(
        "notifications:\n  link: https://orchestrator.example.com\n  targets:\n    - {{name: team, type: webhook, url: \"{url}/canary\", \
         on: [succeeded, failed, rolled-back]}}\n"
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// What was told last.
fn told(team: &Canned) -> Value {
    let asked = team.asked();
    let body = asked.last().unwrap().split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap()
}

async fn tell(server: &str, config: &str, arguments: &[&str]) -> Ended {
    let all = [&["notify-completion", "--config", config, "--server", server][..], arguments].concat();
    let ended = prepared(&all).ended().await;
    assert!(!String::from_utf8_lossy(&ended.output.stderr).contains("canary"));
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_configured_is_told_how_it_ended() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail::always(How::SyncFailed));
    let stage = Stage::start(world).await;
    let failed = stage.running.deploy_one(&stage.world.repo.head()).await;
    let id = failed.id().to_string();
    let team = Canned::start(vec![answer("200 OK", &[], "{}")]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &team.url());
    let server = stage.server();

    let deployment = ["--deployment-id", &id, "--status", "Failed"];
    let ended = tell(&server, &config, &deployment).await.check(0, "1 told");
    assert_eq!(ended.text("sent"), "1");
    let said = told(&team);
    assert_eq!(
        (&said["data"]["deployment"], &said["data"]["state"]),
        (&json!(id), &json!("failed")),
        "{said}"
    );

    // Without a deployment, the workflow says how it ended.
    let failures = r#"[{"displayName": "validate-helm-values", "message": "bad values", "phase": "Failed"}]"#;
    let workflow = [
        "--deployment-id",
        "",
        "--customer-id",
        "customer-a",
        "--workflow-uid",
        "u-1",
        "--status",
        "Failed",
        "--failures",
        failures,
    ];
    tell(&server, &config, &workflow).await.check(0, "1 told");
    let said = told(&team).to_string();
    assert!(said.contains("bad values") && said.contains("u-1"), "{said}");
    tell(&server, &config, &["--deployment-id", ""]).await.check(0, "nothing to tell");
    assert_eq!(team.asked().len(), 2);
    // Also where the server is away.
    let away = ["--deployment-id", &id, "--status", "Error"];
    tell("http://127.0.0.1:1", &config, &away).await.check(0, "1 told");
    tell("http://127.0.0.1:1", &config, &["--deployment-id", &id]).await.check(10, "does not answer");
    stage.stop().await;
}

#[tokio::test]
async fn whoever_does_not_take_it_is_named_and_nobody_is_fine() {
    let status = ["--status", "Failed", "--customer-id", "customer-a", "--timeout", "1s"];
    let folder = tempfile::tempdir().unwrap();
    for (code, exit, said) in
        [("410 Gone", 17, "team: "), ("503 Service Unavailable", 10, "0 of 1 told; team: ")]
    {
        let team = Canned::start(vec![answer(code, &[], "{}")]).await;
        let config = config(folder.path(), &team.url());
        let ended = tell("http://127.0.0.1:1", &config, &status).await.check(exit, said);
        assert_eq!(ended.text("sent"), "0");
    }
    let nobody = [&["notify-completion"][..], &status].concat();
    prepared(&nobody).ended().await.check(0, "nobody is to be told");
}
