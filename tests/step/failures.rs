//! What fails: exit codes, last words, outputs with their defaults, and trying again.

use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{At, Fail, How};
use argocd_orchestrator::config::Http;
use argocd_orchestrator::config::http::AccessToken;
use argocd_orchestrator::domain::access::{Customers, Grant, Role};
use argocd_orchestrator::domain::deployment::Command;
use serde_json::json;

use crate::stage::{Stage, prepared};
use crate::support::repo::values_file;
use crate::support::web::sha256;
use crate::support::world::{World, command};

const TRIGGER: [&str; 3] = ["trigger-application-set", "--customer-id", "customer-a"];

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_which_service_in_which_wave_and_why_and_is_tried_again() {
    let mut world = World::new(&["customer-a"]);
    // Both attempts of the first deployment fail, those of the second one do not.
    world.fail("web", Fail { attempts: Some(2), ..Fail::always(How::SyncFailed) });
    let stage = Stage::start(world).await;
    let ask = [&TRIGGER[..], &["--workflow-uid", "u-1"]].concat();
    let first = stage.step(&ask).await.check(0, "deploys").text("deployment-id");
    let failed =
        stage.step(&["monitor-sync-waves", "--deployment-id", &first]).await.check(11, "web (wave 3): ");
    assert_eq!(failed.text("state"), "failed");
    assert!(failed.text("reason").starts_with("web failed: "), "{}", failed.text("reason"));
    assert_eq!((failed.text("healthy"), failed.text("total")), ("0".into(), "4".into()));
    let not = stage.step(&["validate-deployment", "--deployment-id", &first]).await.check(11, "is failed");
    assert_eq!((not.text("healthy"), not.json("unhealthy")), ("0".into(), json!([])));

    let again = stage.step(&ask).await.check(0, "deploys");
    let second = again.text("deployment-id");
    assert_ne!(second, first);
    // Asked once more while it runs or after it succeeded, it is the same.
    assert_eq!(stage.step(&ask).await.check(0, "").text("deployment-id"), second);
    stage.step(&["monitor-sync-waves", "--deployment-id", &second]).await.check(0, "succeeded");
    assert_eq!(stage.step(&ask).await.check(0, "").text("deployment-id"), second);
    assert_eq!(stage.running.deployments().await.len(), 2);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_has_a_code_of_its_own() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) });
    let stage = Stage::start(world).await;
    stage.running.deploy_one(&stage.world.repo.head()).await;
    stage.world.repo.new_tag("customer-a", "v2");
    let id = stage.step(&TRIGGER).await.check(0, "2 services").text("deployment-id");
    let monitor = ["monitor-sync-waves", "--deployment-id", &id];
    let ended = stage.step(&monitor).await.check(14, "2 services rolled back");
    let said = ended.text("message");
    assert!(said.starts_with("web (wave 3): ") && said.ends_with("2 services rolled back"), "{said}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_with_its_remedy_and_outputs_have_their_defaults() {
    let stage = Stage::start(World::new(&["customer-a"])).await;
    let values = ["validate-helm-values", "--customer-id", "customer-a"];
    let tag =
        stage.step(&[&values[..], &["--image-tag", "v9"]].concat()).await.check(12, "its values say v1");
    assert_eq!(tag.text("image-tag"), "v1");
    let unknown = ["validate-helm-values", "--customer-id", "customer-z"];
    let unknown = stage.step(&unknown).await.check(12, "customer-z is not there");
    assert_eq!((unknown.json("waves"), unknown.text("changes")), (json!([]), "false".into()));
    let trigger = ["trigger-application-set", "--customer-id", "customer-z"];
    let trigger = stage.step(&trigger).await.check(12, "customer-z is not there");
    assert!(!trigger.text("event-id").is_empty());
    let commit = "0123456789012345678901234567890123456789";
    stage.step(&[&values[..], &["--revision", commit]].concat()).await.check(12, "there is no such commit");
    stage.step(&["monitor-sync-waves", "--deployment-id", "d-none"]).await.check(12, "no such deployment");
    stage.world.repo.replace(
        &values_file("customer-a"),
        "dependencies: [postgres]",
        "dependencies: [postgre]",
    );
    stage.world.repo.commit();
    stage.step(&values).await.check(12, "did you mean `postgres`?");
    let ask = [&TRIGGER[..], &["--workflow-uid", "u-1"]].concat();
    let rejected = stage.step(&ask).await.check(12, "was rejected").text("deployment-id");
    assert!(!rejected.is_empty());
    // The same workflow may ask again once that is mended.
    stage.world.repo.git(&["revert", "--no-edit", "HEAD"]);
    let mended = stage.step(&ask).await.check(0, "4 services").text("deployment-id");
    assert_ne!(mended, rejected);
    assert_eq!(stage.step(&ask).await.check(0, "").text("deployment-id"), mended);
    stage.stop().await;
}

#[tokio::test]
async fn wrong_arguments_write_outputs_all_the_same() {
    let check = async |arguments: &[&str], said: &str| prepared(arguments).ended().await.check(2, said);
    let missing = check(&["trigger-application-set"], "needs customer-id").await;
    assert_eq!(missing.text("deployment-id"), "");
    check(&["monitor-sync-waves", "--deployment-id", "d-1", "--wave", "1"], "takes no option \"wave\"").await;
    check(&["monitor-sync-waves", "--deployment-id", "d-1", "--timeout", "soon"], "such as 30m").await;
    check(&["list-customers"], "no server is named").await;
    check(&["list-customers", "--apply", "/dev/null"], "applies nothing").await;
    check(&["list-customers", "--standalone"], "needs a server: --standalone is for validate-helm-values")
        .await;
    let foreign = ["list-customers", "--server", "http://192.0.2.1"];
    check(&foreign, "plaintext to another machine").await;
    let output = prepared(&["trigger"]).ended().await;
    assert_eq!(output.output.status.code(), Some(2), "clap knows the steps");
}

#[tokio::test]
async fn outputs_that_cannot_be_written_fail_a_step_that_would_have_succeeded() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_argocd-orchestrator"));
    command.env_clear().args(["step", "abort", "--deployment-id", "", "--server", "http://127.0.0.1:1"]);
    let output = command.args(["--outputs", "/dev/null/outputs"]).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("/dev/null/outputs/aborted cannot be written"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_is_refused_before_anything_is_asked_for() {
    const TOKEN: &str = "the-canary-token-of-ci";
    let mut world = World::new(&["customer-a", "customer-b"]);
    let grant =
        |role, customer: &str| Grant { role, customers: Customers::These(vec![customer.parse().unwrap()]) };
    let roles = vec![grant(Role::Operator, "customer-a"), grant(Role::Viewer, "customer-b")];
    let token = AccessToken { name: "ci".into(), sha256: sha256(TOKEN), roles };
    world.config.http = Some(Http { tokens: vec![token], ..Http::default() });
    let stage = Stage::start(world).await;
    let server = stage.server();
    let with = async |token: &str, arguments: &[&str], exit: i32, said: &str| {
        let mut step = prepared(&[arguments, &["--server", &server]].concat());
        step.command.env("ORCHESTRATOR_TOKEN", token);
        let ended = step.ended().await.check(exit, said);
        assert!(!String::from_utf8_lossy(&ended.output.stderr).contains(TOKEN));
    };
    let prerequisites = |customer| ["validate-prerequisites", "--customer-id", customer];
    with(TOKEN, &prerequisites("customer-a"), 0, "ci may deploy customer-a").await;
    with(TOKEN, &prerequisites("customer-b"), 17, "needs the role operator").await;
    with(TOKEN, &["trigger-application-set", "--customer-id", "customer-b"], 17, "role operator").await;
    with("unknown", &prerequisites("customer-a"), 17, "the token is not known").await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_or_is_stopped_by_others_has_codes_of_its_own() {
    let mut world = World::new(&["customer-a"]);
    world.slow("web", Duration::from_secs(600));
    let stage = Stage::start(world).await;
    let id = stage.step(&TRIGGER).await.check(0, "deploys").text("deployment-id");
    let late = ["monitor-sync-waves", "--deployment-id", &id, "--timeout", "4s"];
    let late = stage.step(&late).await.check(13, "timed out after 4s");
    assert!(late.text("message").contains("the deployment goes on"), "{}", late.text("message"));
    let stopped = ["abort", "--deployment-id", &id, "--reason", "it was a test"];
    let stopped = stage.step(&stopped).await.check(0, "is being stopped");
    assert_eq!(stopped.text("aborted"), "true");
    let ended = stage.step(&["monitor-sync-waves", "--deployment-id", &id]).await.check(15, "it was a test");
    assert_eq!(ended.text("state"), "aborted");
    stage.step(&["abort", "--deployment-id", &id]).await.check(0, "nothing to abort");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_that_failed_is_asked_for_again_and_nothing_but_that_wave() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail { attempts: Some(2), ..Fail::always(How::SyncFailed) });
    let stage = Stage::start(world).await;
    for wave in ["1", "2"] {
        let ask = [&TRIGGER[..], &["--workflow-uid", "u-1", "--wave", wave]].concat();
        let id = stage.step(&ask).await.check(0, "deploys").text("deployment-id");
        stage.step(&["monitor-sync-waves", "--deployment-id", &id]).await.check(0, "succeeded");
    }
    let ask = [&TRIGGER[..], &["--workflow-uid", "u-1", "--wave", "3"]].concat();
    let first = stage.step(&ask).await.check(0, "deploys").text("deployment-id");
    stage.step(&["monitor-sync-waves", "--deployment-id", &first]).await.check(11, "web (wave 3): ");
    let second = stage.step(&ask).await.check(0, "1 service").text("deployment-id");
    assert_ne!(second, first);
    stage.step(&["monitor-sync-waves", "--deployment-id", &second]).await.check(0, "succeeded");
    assert_eq!(stage.step(&ask).await.check(0, "").text("deployment-id"), second);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_refused_was_not_let_through_the_gate() {
    let mut world = World::new(&["customer-a"]);
    world.config.approval.environments = vec!["production".parse().unwrap()];
    let stage = Stage::start(world).await;
    let id = stage.step(&TRIGGER).await.check(0, "deploys").text("deployment-id");
    let waits = ["monitor-sync-waves", "--deployment-id", &id, "--timeout", "4s"];
    stage.step(&waits).await.check(13, "awaiting-approval");
    let reason = Command::Reject { reason: "not on a friday".into() };
    command(&stage.world, &id.parse().unwrap(), reason).await.unwrap();
    let refused =
        stage.step(&["monitor-sync-waves", "--deployment-id", &id]).await.check(11, "not on a friday");
    assert_eq!(refused.text("state"), "rejected");
    stage.stop().await;
}
