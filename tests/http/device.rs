//! Login of the command line by the device flow, with a provider beside the server: it is waited for, kept for its
//! owner alone, made anew when it is over, and sent to the server that it is of and to no other.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::client::{ended, ends, err, out, program, url};
use crate::people::{ADMIN, settings};
use crate::support::canned::{Canned, answer, header};
use crate::support::provider::Provider;
use crate::support::web::Web;
use crate::support::world::World;

/// A server, its provider, and somebody's home.
struct Scene {
    provider: Provider,
    web: Web,
    home: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let provider = Provider::start().await;
        let mut world = World::new(&[]);
        let mut http = settings();
        let mut oidc = provider.settings();
        oidc.device = Some(Provider::device());
        http.oidc = Some(oidc);
        world.config.http = Some(http);
        Self { provider, web: Web::start(world).await, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, server: &str, arguments: &[&str]) -> tokio::process::Command {
        let mut command = program(arguments);
        command.args(["--server", server]).env("HOME", self.home.path());
        command
    }

    /// Runs a command for the server.
    async fn run(&self, arguments: &[&str]) -> std::process::Output {
        let output = ended(&mut self.command(&url(&self.web), arguments)).await;
        let told = format!("{}{}", out(&output), err(&output));
        assert!(!told.contains("canary") && !told.contains("eyJ"), "a secret is told: {told}");
        output
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join(".config/argocd-orchestrator/logins")
    }

    /// The files of logins.
    fn kept(&self) -> Vec<PathBuf> {
        let Ok(found) = std::fs::read_dir(self.folder()) else { return Vec::new() };
        let paths = found.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end != "lock")).collect()
    }

    async fn stop(self) {
        self.web.stop().await;
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn somebody_logs_in_is_known_and_logs_out() {
    let scene = Scene::start().await;
    ends(&scene.run(&["whoami"]).await, 5, "or `login`");
    scene.provider.devices(|devices| {
        devices.first = ["authorization_pending", "unavailable", "slow_down"].into();
    });
    let output = scene.run(&["login"]).await;
    ends(&output, 0, "as alice");
    let told = format!("open {}/device and type WDJB-MJHT", scene.provider.issuer);
    assert!(err(&output).contains(&told) && !out(&output).contains("open"), "{output:?}");
    let asked = scene.provider.devices(|devices| devices.asked.clone());
    assert_eq!(asked[0]["scope"], "openid offline_access");
    assert_eq!(asked[0]["audience"], "deployments");
    assert_eq!(asked.len(), 5, "one for the code, four for the token");

    assert_eq!((mode(&scene.folder()), scene.kept().len()), (0o700, 1));
    assert_eq!(mode(&scene.kept()[0]), 0o600);
    ends(&scene.run(&["whoami"]).await, 0, "customer-a");
    let json: Value = serde_json::from_str(out(&scene.run(&["whoami", "--output", "json"]).await)).unwrap();
    let grants = json!([{"role": "viewer", "customers": ["customer-a"]}]);
    assert_eq!(json, json!({"name": "alice", "via": "access-token", "grants": grants}));
    ends(&scene.run(&["whoami", "-o", "yaml"]).await, 0, "via: access-token");
    ends(&scene.run(&["status"]).await, 0, "no deployments");
    assert_eq!(scene.provider.devices(|devices| devices.refreshed), 0);

    // What is given by hand goes before.
    let by_hand = ended(scene.command(&url(&scene.web), &["whoami"]).env("ORCHESTRATOR_TOKEN", ADMIN)).await;
    ends(&by_hand, 0, "admin (token)");
    let file = scene.home.path().join("token");
    std::fs::write(&file, "not-known").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let by_file = scene.run(&["whoami", "--token-file", file.to_str().unwrap()]).await;
    ends(&by_file, 5, "the token is");

    ends(&scene.run(&["logout"]).await, 0, "logged out");
    assert_eq!(scene.provider.devices(|devices| devices.revoked.clone()), ["canary-refresh-1"]);
    assert!(scene.kept().is_empty());
    ends(&scene.run(&["whoami"]).await, 5, "or `login`");
    ends(&scene.run(&["logout"]).await, 0, "nobody was logged in");
    scene.stop().await;
}

#[tokio::test]
async fn a_login_that_comes_to_nothing_says_why_and_keeps_nothing() {
    let scene = Scene::start().await;
    for (word, exit, said) in [
        ("access_denied", 5, "the login was refused (as it was asked for)"),
        ("expired_token", 5, "nobody agreed in time"),
        ("invalid_client", 5, "the login provider refuses: invalid_client"),
    ] {
        scene.provider.devices(|devices| devices.first = [word].into());
        ends(&scene.run(&["login"]).await, exit, said);
    }
    scene.provider.devices(|devices| (devices.agreed, devices.code_lasts) = (false, 2));
    ends(&scene.run(&["login"]).await, 5, "nobody agreed in time");
    scene.provider.is_away(true);
    ends(&scene.run(&["login"]).await, 7, "the login provider answers 502");
    scene.provider.is_away(false);
    // A token that this server takes for none is no login.
    scene.provider.devices(|devices| devices.agreed = true);
    scene.provider.publish(&[]);
    ends(&scene.run(&["login"]).await, 5, "key");
    assert!(scene.kept().is_empty());
    ends(&ended(program(&["login"]).env("HOME", scene.home.path())).await, 2, "give --server");
    scene.stop().await;
}

#[tokio::test]
async fn an_interrupted_login_keeps_nothing() {
    let scene = Scene::start().await;
    scene.provider.devices(|devices| devices.agreed = false);
    let mut command = scene.command(&url(&scene.web), &["login"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(40), lines.next_line()).await;
    assert!(line.unwrap().unwrap().unwrap().contains("WDJB-MJHT"));
    let kill = format!("kill -INT {}", child.id().unwrap());
    assert!(tokio::process::Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(40), child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said += &line;
    }
    assert!(said.contains("nobody was logged in"), "{said}");
    assert!(scene.kept().is_empty());
    scene.stop().await;
}

#[tokio::test]
async fn commands_that_run_at_once_ask_for_one_new_token_among_them() {
    let scene = Scene::start().await;
    scene.provider.devices(|devices| devices.token_lasts = 0);
    ends(&scene.run(&["login"]).await, 0, "as alice");
    scene.provider.devices(|devices| devices.token_lasts = 300);
    let all = (0..5).map(|_| scene.run(&["whoami"]));
    for output in futures_util::future::join_all(all).await {
        ends(&output, 0, "alice (access-token)");
    }
    assert_eq!(scene.provider.devices(|devices| devices.refreshed), 1);
    // A refresh token that is not replaced goes on to count.
    scene.provider.devices(|devices| (devices.rotates, devices.token_lasts) = (false, 0));
    std::fs::remove_file(&scene.kept()[0]).unwrap();
    ends(&scene.run(&["login"]).await, 0, "as alice");
    for refreshed in [2, 3] {
        ends(&scene.run(&["whoami"]).await, 0, "alice");
        assert_eq!(scene.provider.devices(|devices| devices.refreshed), refreshed);
    }
    assert_eq!(mode(&scene.kept()[0]), 0o600);
    scene.stop().await;
}

#[tokio::test]
async fn a_login_that_cannot_be_made_anew_says_whether_trying_again_helps() {
    let scene = Scene::start().await;
    // It counts for some seconds still.
    scene.provider.devices(|devices| devices.token_lasts = 25);
    ends(&scene.run(&["login"]).await, 0, "as alice");
    scene.provider.is_away(true);
    ends(&scene.run(&["whoami"]).await, 0, "alice");
    scene.provider.is_away(false);
    scene.provider.devices(|devices| devices.token_lasts = 0);
    ends(&scene.run(&["login"]).await, 0, "as alice");
    scene.provider.is_away(true);
    ends(&scene.run(&["whoami"]).await, 7, "the login provider answers 502");
    // Nothing was lost by that.
    scene.provider.is_away(false);
    ends(&scene.run(&["whoami"]).await, 0, "alice");
    scene.provider.devices(|devices| devices.forgets());
    ends(&scene.run(&["whoami"]).await, 5, "the login is over; `login` again");
    scene.provider.is_away(true);
    let output = scene.run(&["logout"]).await;
    ends(&output, 0, "logged out");
    ends(&output, 0, "the login provider was not told");
    assert!(scene.kept().is_empty());
    scene.stop().await;
}

#[tokio::test]
async fn a_kept_login_is_sent_to_its_own_server_alone() {
    let scene = Scene::start().await;
    ends(&scene.run(&["login"]).await, 0, "as alice");
    let kept = scene.kept().remove(0);
    // The same machine by another name, and another port, are other servers.
    let other = format!("http://localhost:{}", scene.web.address.port());
    ends(&ended(&mut scene.command(&other, &["whoami"])).await, 5, "or `login`");
    let me = r#"{"name": "nobody", "via": "local", "grants": []}"#;
    let thief = Canned::start(vec![answer("200 OK", &[], me)]).await;
    ends(&ended(&mut scene.command(&thief.url(), &["whoami"])).await, 0, "nobody");
    assert_eq!(header(&thief.asked()[0], "authorization"), None);
    // A file in the place of another one is no login there.
    ends(&ended(&mut scene.command(&other, &["login"])).await, 0, "as alice");
    let others = scene.kept().into_iter().find(|path| *path != kept).unwrap();
    std::fs::copy(&kept, &others).unwrap();
    ends(&ended(&mut scene.command(&other, &["whoami"])).await, 3, "is not a login at");
    ends(&ended(&mut scene.command(&other, &["logout"])).await, 0, "logged out");
    assert!(!others.exists());
    // One that others may read is none.
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o644)).unwrap();
    ends(&scene.run(&["whoami"]).await, 3, "chmod 600");
    // Nothing is kept for plaintext to another machine.
    for command in ["login", "logout"] {
        let plain = &[command, "--allow-plaintext"];
        ends(&ended(&mut scene.command("http://192.0.2.1", plain)).await, 2, "has to be https://");
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_server_without_a_login_for_the_command_line_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let ways = |device: Value| json!({"local": false, "browser": true, "device": device}).to_string();
    let device = |endpoint: &str| {
        json!({"client-id": "cli", "device-authorization-endpoint": endpoint, "token-endpoint": endpoint,
            "scopes": [], "audience": "a"})
    };
    let local = json!({"local": true, "browser": false, "device": null}).to_string();
    for (answered, exit, said) in [
        (ways(Value::Null), 5, "give --token-file"),
        (local, 0, "no login is needed"),
        (ways(device("http://login.example.com/token")), 5, "which is not https://"),
        (ways(device("http://\u{1b}[2J")), 5, "which is not https://"),
    ] {
        let server = Canned::start(vec![answer("200 OK", &[], &answered)]).await;
        let output = ended(program(&["login", "--server", &server.url()]).env("HOME", home.path())).await;
        ends(&output, exit, said);
        assert!(!err(&output).contains('\u{1b}'));
    }
    let server = Canned::start(vec![answer("200 OK", &[], &ways(Value::Null))]).await;
    ends(&ended(&mut program(&["login", "--server", &server.url()])).await, 2, "HOME");
    assert!(!home.path().join(".config").exists());
}
