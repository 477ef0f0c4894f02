//! The command line as a client: what it asks for is documented, and it prints what it prints beside the database.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{Fail, How};
use argocd_orchestrator::client::ENDPOINTS;
use argocd_orchestrator::http;
use serde_json::Value;
use tokio::process::Command;

use crate::people::{ADMIN, OPERATOR_A, VIEWER_A, settings};
use crate::support::canned::{Canned, answer, header};
use crate::support::repo::values;
use crate::support::web::Web;
use crate::support::world::World;

/// How often two outputs are compared that may have times in them.
const LOOKS: usize = 5;

/// The binary, with nothing of this machine's environment but where programs are.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argocd-orchestrator"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(arguments);
    command.kill_on_drop(true);
    command
}

pub async fn ended(command: &mut Command) -> Output {
    tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap()
}

pub async fn asking(server: &str, arguments: &[&str]) -> Output {
    ended(program(arguments).args(["--server", server])).await
}

async fn beside(data: &Path, arguments: &[&str]) -> Output {
    ended(program(arguments).arg("--data-dir").arg(data)).await
}

pub fn url(web: &Web) -> String {
    format!("http://{}", web.address)
}

pub fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// It ends with this code and says this.
#[track_caller]
pub fn ends(output: &Output, exit: i32, said: &str) {
    let told = format!("{}{}", out(output), err(output));
    assert_eq!(output.status.code(), Some(exit), "{told}");
    assert!(told.contains(said), "no {said:?} in {told}");
}

#[test]
fn all_that_the_client_asks_for_is_documented() {
    let document = serde_json::to_value(http::openapi()).unwrap();
    for endpoint in ENDPOINTS {
        let method = if endpoint.writes { "post" } else { "get" };
        let operation = &document["paths"][endpoint.path][method];
        assert!(operation.is_object(), "{method} {}", endpoint.path);
        let known: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        for name in endpoint.parameters {
            let fits = |one: &&&Value| one["name"] == *name && one["in"] == "query";
            assert!(known.iter().find(fits).is_some(), "{method} {} has no {name}", endpoint.path);
        }
    }
}

/// Without lengths of time, and the width that they take up in a table: they grow from one look to the next.
fn fixed(text: &str) -> String {
    let is_length =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with(['s', 'm', 'h']);
    let fixed = |line: &str| {
        line.split_whitespace()
            .map(|word| if is_length(&word) { "*" } else { word })
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(fixed).collect::<Vec<_>>().join("\n")
}

/// The same command, asked of both, prints the same; an age may change in between.
async fn check(web: &Web, data: &Path, arguments: &[&str]) {
    for form in ["table", "json", "yaml"] {
        let all = [arguments, &["--output", form]].concat();
        let mut looks = Vec::new();
        for _ in 0..LOOKS {
            let (here, there) = (beside(data, &all).await, asking(&url(web), &all).await);
            let same = fixed(out(&here)) == fixed(out(&there)) && here.status == there.status;
            looks.push((here, there));
            if same {
                break;
            }
        }
        let (here, there) = looks.last().unwrap();
        assert_eq!(fixed(out(here)), fixed(out(there)), "{all:?} {} {}", err(here), err(there));
        assert_eq!(here.status.code(), there.status.code(), "{all:?} {}", err(there));
        assert_eq!(here.status.code(), Some(0), "{all:?} {}", err(here));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_works_is_found_to_be_well() {
    let world = World::new(&["customer-a"]);
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there: the server is asked all the same.
    let kubeconfig = folder.path().join("kubeconfig");
    let text = "{apiVersion: v1, kind: Config, current-context: a, users: [{name: a, user: {}}],
        clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}],
        contexts: [{name: a, context: {cluster: a, user: a}}]}";
    std::fs::write(&kubeconfig, text).unwrap();
    let mut command = program(&["check", "--output", "json", "--server", &url(&web)]);
    let output = ended(command.env("KUBECONFIG", kubeconfig)).await;
    assert_eq!(output.status.code(), Some(7), "{}{}", out(&output), err(&output));
    let report: Value = serde_json::from_str(out(&output)).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let told = findings.map(|one| (one["id"].as_str().unwrap(), one["level"].as_str().unwrap()));
    let expected = [
        ("api-server", "wrong"),
        ("server", "fine"),
        ("server-health", "fine"),
        ("server-health", "fine"),
        ("server-clock", "fine"),
        ("server-token", "fine"),
        ("server-version", "fine"),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    web.halt().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_shown_as_its_database_is() {
    let mut world = World::new(&["customer-a", "customer-b"]);
    world.slow("web", Duration::from_secs(600));
    let running = world.start().await;
    let event = running.pushed(None, &world.repo.head()).await;
    let id = running.first_of(&event).await;
    running
        .when(&id, "all but one is healthy", |deployment| {
            let open = deployment.services().filter(|(_, state)| !state.passes()).count();
            open > 0
                && deployment
                    .services()
                    .any(|(change, state)| change.name() == "web" && state.word() == "verifying")
        })
        .await;
    let web = Web::beside(running.app.clone()).await;
    let data = &world.config.data_dir;
    let id = id.as_str();
    for arguments in [
        &["status"][..],
        &["status", "--limit", "1"],
        &["status", "--state", "succeeded"],
        &["status", "--customer", "customer-b"],
        &["status", id],
        &["why"],
        &["why", id],
        &["why", id, "--service", "web"],
        &["customers"],
        &["customers", "--limit", "1"],
        &["events"],
        &["audit", "list"],
        &["audit", "list", "--limit", "1", "--customer", "customer-a"],
        &["audit", "export"],
        &["audit", "export", "--format", "csv", "--since", "2026-01-01T00:00:00Z"],
        &["audit", "report"],
        &["audit", "report", "--format", "csv", "--customer", "customer-b"],
        &["events", "--customer", "customer-a", "--state", "accepted"],
        &["dead-letters"],
        &["history", id],
        &["history", id, "--service", "web"],
        &["history", "--customer", "customer-a", "--environment", "production"],
        &["history", "--customer", "customer-z", "--environment", "production"],
    ] {
        check(&web, data, arguments).await;
    }
    for arguments in
        [&["status", "d-none"][..], &["why", "d-none"], &["history", "d-none"], &["pause", "d-none"]]
    {
        ends(&beside(data, arguments).await, 4, "there is no deployment d-none");
        ends(&asking(&url(&web), arguments).await, 4, "there is no deployment d-none");
    }
    web.halt().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_server_is_done_and_followed_to_its_end() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail::always(How::SyncFailed));
    let running = world.start().await;
    let web = Web::beside(running.app.clone()).await;
    let server = url(&web);
    let deployed = asking(&server, &["deploy", "customer-a", "--wait"]).await;
    ends(&deployed, 6, "failed");
    assert!(err(&deployed).contains("deploying customer-a"), "{}", err(&deployed));
    let id = running.deployments().await[0].id().to_string();
    ends(&asking(&server, &["status", &id, "--watch"]).await, 6, "failed");
    ends(&asking(&server, &["status", "--watch"]).await, 0, "nothing is under way");
    ends(&asking(&server, &["pause", &id]).await, 5, "");
    ends(&asking(&server, &["retry", &id]).await, 0, "asks for a new deployment");
    ends(
        &asking(&server, &["deploy", "customer-a", "--environment", "mars"]).await,
        3,
        "no configured source",
    );
    ends(
        &asking(&server, &["rollback", "--customer", "customer-a", "--service", "api"]).await,
        0,
        "asks for the rollback",
    );
    ends(
        &asking(&server, &["rollback", "--customer", "customer-a", "--git-revert"]).await,
        2,
        "leave --server out",
    );
    ends(&asking(&server, &["deploy", "customer-a", "--id", "once"]).await, 0, "is stored");
    let before = out(&asking(&server, &["deploy", "customer-a", "--id", "once"]).await).to_owned();
    assert_eq!(before, out(&asking(&server, &["deploy", "customer-a", "--id", "once"]).await));
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn a_dry_run_shows_a_plan_and_does_nothing() {
    let world = World::new(&["customer-a"]);
    let running = world.deployed().await;
    let web = Web::beside(running.app.clone()).await;
    let server = url(&web);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    let dry = ["deploy", "customer-a", "--dry-run"];
    ends(&asking(&server, &dry).await, 0, "nothing to do");
    std::fs::write(&file, values("customer-a").replace("stats:v1", "stats:v2")).unwrap();
    let with_values = [&dry[..], &["--values", file.to_str().unwrap()]].concat();
    ends(&asking(&server, &with_values).await, 0, "1 of 4 services");
    std::fs::write(&file, "a: [").unwrap();
    ends(&asking(&server, &with_values).await, 3, "values.yaml");
    ends(&ended(&mut program(&dry)).await, 2, "--dry-run needs --server");
    let json = asking(&server, &[&dry[..], &["--force", "--output", "json"]].concat()).await;
    let planned: Value = serde_json::from_str(out(&json)).unwrap();
    assert_eq!(planned["plan"]["changes"][0]["action"]["action"], "sync");
    assert_eq!(running.deployments().await.len(), 1);
    web.halt().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_who_asks_and_a_file_that_others_may_read_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new(&["customer-a"]);
    world.config.http = Some(settings());
    let running = world.deployed().await;
    let id = running.deployments().await[0].id().to_string();
    let web = Web::beside(running.app.clone()).await;
    let server = url(&web);
    ends(&asking(&server, &["status"]).await, 5, "--token-file");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    for (token, mode, arguments, exit, said) in [
        (VIEWER_A, 0o600, &["status", id.as_str()][..], 0, "succeeded"),
        (VIEWER_A, 0o600, &["deploy", "customer-a"], 5, "needs the role operator"),
        (OPERATOR_A, 0o600, &["deploy", "customer-a"], 0, "is stored"),
        (OPERATOR_A, 0o600, &["deploy", "customer-b"], 4, "no such customer"),
        (ADMIN, 0o400, &["status"], 0, "customer-a"),
        (ADMIN, 0o644, &["status"], 3, "chmod 600"),
        (ADMIN, 0o640, &["status"], 3, "chmod 600"),
        ("not-known", 0o600, &["status"], 5, "the token is not known"),
        ("two words", 0o600, &["status"], 3, "is not a token"),
        ("", 0o600, &["status"], 3, "is not a token"),
    ] {
        let _ = std::fs::remove_file(&file);
        std::fs::write(&file, format!("{token}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let arguments = [arguments, &["--token-file", file.to_str().unwrap()]].concat();
        let output = asking(&server, &arguments).await;
        ends(&output, exit, said);
        assert!(token.is_empty() || !err(&output).contains(token), "{}", err(&output));
    }
    let environment =
        ended(program(&["status"]).env("ORCHESTRATOR_SERVER", &server).env("ORCHESTRATOR_TOKEN", ADMIN))
            .await;
    ends(&environment, 0, "customer-a");
    web.halt().await;
    running.stop().await;
}

#[tokio::test]
async fn a_token_goes_to_no_other_server() {
    let other = Canned::start(vec![answer("200 OK", &[], "{}")]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("location: {}/api/v1/deployments", other.url());
        let first = Canned::start(vec![answer(status, &[&location], "")]).await;
        for arguments in [&["status", "--server"][..], &["pause", "d-1", "--server"]] {
            let output =
                ended(program(arguments).arg(first.url()).env("ORCHESTRATOR_TOKEN", "the-canary-token"))
                    .await;
            ends(&output, 5, "answers from elsewhere");
            assert!(!err(&output).contains("canary"));
        }
        assert_eq!(first.asked().len(), 2);
        assert!(
            first.asked().iter().all(|one| header(one, "authorization") == Some("Bearer the-canary-token"))
        );
    }
    assert_eq!(other.asked(), [""; 0]);
    let output = ended(
        program(&["status", "--server", "http://192.0.2.1"]).env("ORCHESTRATOR_TOKEN", "the-canary-token"),
    )
    .await;
    ends(&output, 2, "plaintext to another machine");
}

#[tokio::test]
async fn what_fails_for_now_is_tried_again_and_a_write_is_the_same_write() {
    let later = answer(
        "503 Service Unavailable",
        &["retry-after: 0", "content-type: application/problem+json"],
        r#"{"status": 503, "detail": "too much at once"}"#,
    );
    let page = answer("200 OK", &[], r#"{"items": [], "next": null}"#);
    let server = Canned::start(vec![later.clone(), String::new(), page]).await;
    ends(&asking(&server.url(), &["status"]).await, 0, "no deployments");
    assert_eq!(server.asked().len(), 3);

    let sent = answer("202 Accepted", &[], r#"{"deployment": "d-1", "state": "running"}"#);
    let server = Canned::start(vec![later.clone(), String::new(), sent]).await;
    ends(&asking(&server.url(), &["pause", "d-1"]).await, 0, "starts nothing new");
    let keys: Vec<_> =
        server.asked().iter().map(|one| header(one, "idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");

    let server = Canned::start(vec![later]).await;
    ends(&asking(&server.url(), &["status"]).await, 7, "too much at once");
    assert_eq!(server.asked().len(), 4, "attempts have a bound");

    let refused =
        answer("409 Conflict", &["content-type: application/problem+json"], r#"{"detail": "it is over"}"#);
    let server = Canned::start(vec![refused]).await;
    ends(&asking(&server.url(), &["pause", "d-1"]).await, 5, "error: it is over");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_input_is_told_as_without_a_server() {
    let fault = r#"{"status": 422, "detail": "it is wrong", "diagnostics": [{"severity": "error",
        "code": "bad-value", "message": "this is\u001b[2J it", "file": "f", "line": 3, "column": 7},
        {"code": "a word of a newer server"}]}"#;
    let server = Canned::start(vec![answer(
        "422 Unprocessable Content",
        &["content-type: application/problem+json"],
        fault,
    )])
    .await;
    let output = asking(&server.url(), &["deploy", "customer-a"]).await;
    ends(&output, 3, "it is wrong");
    ends(&output, 3, "f:3:7: error: this is");
    assert!(!err(&output).contains('\u{1b}'), "{}", err(&output));
    for (body, said) in [("<html>", "not understood"), ("{}", "not understood")] {
        let server = Canned::start(vec![answer("200 OK", &[], body)]).await;
        ends(&asking(&server.url(), &["status"]).await, 1, said);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_taken_up_after_the_last_event() {
    use argocd_orchestrator::client::{Client, Connection};
    let stream = |events: &str| answer("200 OK", &["content-type: text/event-stream"], events);
    let server = Canned::start(vec![
        stream("event: ready\nid: 7\ndata: {}\n\n"),
        stream("event: moved\nid: 8\ndata: {}\n\n"),
        answer("403 Forbidden", &[], "{}"),
    ])
    .await;
    let client = Client::new(Connection { server: server.url(), ..Connection::default() }).unwrap();
    let mut feed = client.feed();
    feed.happened().await.unwrap();
    feed.happened().await.unwrap();
    assert!(feed.happened().await.is_err());
    let asked = server.asked();
    let last: Vec<_> = asked.iter().map(|one| header(one, "last-event-id")).collect();
    assert_eq!(last, [None, Some("7"), Some("8")]);
}

#[tokio::test]
async fn commands_that_need_no_server_say_so() {
    for arguments in [
        &["validate", "x"][..],
        &["graph", "x"],
        &["plan", "x"],
        &["explain", "x", "web"],
        &["simulate", "x"],
        &["schema"],
        &["completion", "bash"],
        &["migrate"],
        &["serve"],
        &["demo"],
    ] {
        ends(&asking("http://127.0.0.1:1", arguments).await, 2, "needs no server");
    }
    let output = ended(program(&["schema"]).env("ORCHESTRATOR_SERVER", "http://127.0.0.1:1")).await;
    ends(&output, 0, "");
}
