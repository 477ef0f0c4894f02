//! The executor plugin, called as the agent of a workflow calls it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use argocd_orchestrator::adapters::simulated::script::{Fail, How};
use argocd_orchestrator::client::{Client, Connection};
use argocd_orchestrator::plugin;
use argocd_orchestrator::step::Steps;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;
use crate::support::canned::{Canned, answer};
use crate::support::world::World;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A sidecar, and its agent.
struct Agent {
    folder: tempfile::TempDir,
    url: String,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Agent {
    async fn start(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/template.execute", listener.local_addr().unwrap());
        let client = Client::new(Connection { server: server.to_owned(), ..Connection::default() }).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(plugin::serve(Steps::of(client), token, listener, stop.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { folder, url, http, stop }
    }

    fn token(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    async fn post(&self, token: &str, body: &Value) -> (u16, String) {
        let request = self.http.post(&self.url).bearer_auth(token).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn call(&self, body: &Value) -> Value {
        let (status, text) = self.post(TOKEN, body).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Calls again, as it is told to, until the node is over.
    async fn ended(&self, body: &Value) -> Value {
        let patience = tokio::time::Instant::now() + Duration::from_secs(40);
        loop {
            let reply = self.call(body).await;
            let phase = reply["node"]["phase"].as_str().unwrap_or_default().to_owned();
            if phase != "Running" {
                assert_eq!(reply["requeue"], Value::Null, "a final phase is not called again: {reply}");
                return reply;
            }
            assert_eq!(reply["requeue"], "5s", "{reply}");
            assert!(tokio::time::Instant::now() < patience, "{reply}");
            // The agent would wait for longer.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the agent posts.
fn body(uid: &str, name: &str, ours: Value) -> Value {
    json!({
        "workflow": {"metadata": {"name": "deploy-x", "namespace": "argo-workflows", "uid": uid}},
        "template": {
            "name": name,
            "inputs": {"parameters": [{"name": "customer-id", "value": "customer-a"}]},
            "outputs": {}, "metadata": {},
            "plugin": {"argocd-orchestrator": ours},
        },
    })
}

fn output(reply: &Value, name: &str) -> String {
    let all = reply["node"]["outputs"]["parameters"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {reply}"));
    found["value"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_through_the_plugin_and_a_call_twice_is_one() {
    let mut world = World::new(&["customer-a"]);
    world.slow("web", Duration::from_secs(2));
    let stage = Stage::start(world).await;
    let agent = Agent::start(&stage.server()).await;
    let trigger =
        body("u-1", "trigger", json!({"step": "trigger-application-set", "customer-id": "customer-a"}));
    let (one, two) = tokio::join!(agent.ended(&trigger), agent.ended(&trigger));
    assert_eq!(one["node"]["phase"], "Succeeded", "{one}");
    let id = output(&one, "deployment-id");
    assert_eq!(output(&two, "deployment-id"), id);
    let monitor = body("u-1", "monitor", json!({"step": "monitor-sync-waves", "deployment-id": id}));
    let running = agent.call(&monitor).await;
    assert_eq!((&running["node"]["phase"], &running["requeue"]), (&json!("Running"), &json!("5s")));
    assert!(running["node"]["progress"].as_str().unwrap().ends_with("/4"), "{running}");
    // The sidecar is restarted: nothing is asked for twice.
    let other = Agent::start(&stage.server()).await;
    assert_eq!(output(&other.ended(&trigger).await, "deployment-id"), id);
    let ended = other.ended(&monitor).await;
    assert_eq!(
        (&ended["node"]["phase"], output(&ended, "state").as_str()),
        (&json!("Succeeded"), "succeeded")
    );
    assert_eq!(stage.running.deployments().await.len(), 1);
    // Another workflow is another wish.
    let idle =
        body("u-2", "trigger", json!({"step": "trigger-application-set", "customer-id": "customer-a"}));
    assert_eq!(output(&agent.ended(&idle).await, "deployment-id"), "");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_in_the_node() {
    let mut world = World::new(&["customer-a"]);
    world.fail("web", Fail::always(How::SyncFailed));
    let stage = Stage::start(world).await;
    let agent = Agent::start(&stage.server()).await;
    let trigger =
        body("u-1", "trigger", json!({"step": "trigger-application-set", "customer-id": "customer-a"}));
    let id = output(&agent.ended(&trigger).await, "deployment-id");
    let monitor = body("u-1", "monitor", json!({"step": "monitor-sync-waves", "deployment-id": id}));
    let failed = agent.ended(&monitor).await;
    assert_eq!(failed["node"]["phase"], "Failed");
    let message = failed["node"]["message"].as_str().unwrap();
    assert!(message.starts_with("web (wave 3): ") && message.ends_with("(exit code 11)"), "{message}");
    let late = json!({"step": "monitor-sync-waves", "deployment-id": "", "timeout": "1h"});
    assert_eq!(agent.call(&body("u-1", "m", late)).await["node"]["phase"], "Succeeded");
    stage.stop().await;
}

#[tokio::test]
async fn what_is_not_for_us_is_left_to_others_and_what_is_wrong_fails_the_node() {
    let busy = answer("503 Service Unavailable", &["retry-after: 0"], r#"{"detail": "not now"}"#);
    let server = Canned::start(vec![busy]).await;
    let agent = Agent::start(&server.url()).await;
    let mut foreign = body("u-1", "t", json!({}));
    foreign["template"]["plugin"] = json!({"hello": {}});
    assert_eq!(agent.call(&foreign).await, json!({}));
    foreign["template"].as_object_mut().unwrap().remove("plugin");
    assert_eq!(agent.call(&foreign).await, json!({}));
    for (ours, said) in [
        (json!("trigger"), "has to be a mapping"),
        (json!({}), "needs `step`"),
        (json!({"step": "trigger"}), "there is no step"),
        (json!({"step": "trigger-application-set"}), "needs customer-id"),
        (json!({"step": "trigger-application-set", "customer-id": ["a"]}), "has to be a text"),
        (
            json!({"step": "trigger-application-set", "customer-id": "a", "outputs": "/etc"}),
            "takes no option",
        ),
        (json!({"step": "write-image-tag", "customer-id": "a", "image-tag": "v1"}), "needs a pod of its own"),
    ] {
        let reply = agent.call(&body("u-1", "t", ours)).await;
        assert_eq!((&reply["node"]["phase"], &reply["requeue"]), (&json!("Failed"), &Value::Null), "{reply}");
        assert!(reply["node"]["message"].as_str().unwrap().contains(said), "no {said:?} in {reply}");
    }
    assert_eq!(server.asked().len(), 0);
    // What may pass: the agent tries again by itself, and one that follows a deployment is called again.
    let trigger = json!({"step": "trigger-application-set", "customer-id": "customer-a", "force": true});
    let (status, text) = agent.post(TOKEN, &body("u-1", "t", trigger)).await;
    assert_eq!((status, text.contains("not now")), (503, true), "{text}");
    let monitor = body("u-1", "m", json!({"step": "monitor-sync-waves", "deployment-id": "d-1"}));
    assert_eq!(agent.call(&monitor).await["node"]["phase"], "Running");
    let brief = json!({"step": "monitor-sync-waves", "deployment-id": "d-1", "timeout": "1ms"});
    let brief = agent.call(&body("u-1", "m", brief)).await;
    assert_eq!(brief["node"]["phase"], "Failed");
}

#[tokio::test]
async fn only_the_agent_of_this_pod_may_call() {
    let server = Canned::start(vec![answer("200 OK", &[], "{}")]).await;
    let agent = Agent::start(&server.url()).await;
    let call = body("u-1", "t", json!({"step": "list-customers"}));
    for wrong in ["", "x", &TOKEN[1..], &format!("{TOKEN}x"), "Bearer"] {
        let (status, text) = agent.post(wrong, &call).await;
        assert_eq!(status, 401, "{wrong}: {text}");
        assert!(!text.contains(TOKEN));
    }
    // What is in the file counts, a line's end not.
    std::fs::write(agent.token(), "another-token\n").unwrap();
    assert_eq!(agent.post(TOKEN, &call).await.0, 401);
    assert_eq!(agent.post("another-token", &json!("x")).await.0, 400);
    std::fs::write(agent.token(), "").unwrap();
    assert_eq!(agent.post("", &call).await.0, 503);
    std::fs::remove_file(agent.token()).unwrap();
    assert_eq!(agent.post(TOKEN, &call).await.0, 503);
    let large = json!({"x": "a".repeat(2 << 20)});
    assert_eq!(agent.post(TOKEN, &large).await.0, 413);
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn the_sidecar_listens_on_this_machine_alone_and_needs_a_server() {
    let run = |arguments: &'static [&'static str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_argocd-orchestrator"));
        command.env_clear().arg("executor-plugin").args(arguments);
        command
    };
    for (arguments, exit, said) in [
        (&["--listen", "0.0.0.0:7483", "--server", "http://127.0.0.1:1"][..], 3, "is not a loopback address"),
        (&["--listen", "127.0.0.1:0"], 2, "no server is named"),
    ] {
        let output = run(arguments).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{told}");
        assert!(told.contains(said), "{told}");
    }
    let serve = &["--listen", "127.0.0.1:0", "--server", "http://127.0.0.1:1", "--agent-token-file", "/none"];
    let mut child = run(serve).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stderr.take().unwrap()));
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.contains("listens on 127.0.0.1:"), "{line}");
    let pid = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert!(Path::new("/none").metadata().is_err());
}
