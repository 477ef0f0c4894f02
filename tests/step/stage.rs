//! A server, and steps that ask it.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::web::Web;
use crate::support::world::{Running, World};

/// The running product, with its HTTP interface.
pub struct Stage {
    pub world: World,
    pub running: Running,
    pub web: Web,
}

impl Stage {
    pub async fn start(world: World) -> Self {
        let running = world.start().await;
        let web = Web::beside(running.app.clone()).await;
        Self { world, running, web }
    }

    pub fn server(&self) -> String {
        format!("http://{}", self.web.address)
    }

    pub async fn step(&self, arguments: &[&str]) -> Ended {
        step(&self.server(), arguments).await
    }

    pub async fn stop(self) {
        self.web.halt().await;
        self.running.stop().await;
    }
}

/// A step, before it is started.
pub struct Step {
    pub command: Command,
    pub folder: TempDir,
}

/// A step that has ended.
pub struct Ended {
    pub output: Output,
    folder: TempDir,
}

/// `step` with these arguments, and nothing of this machine's environment but where programs are.
pub fn prepared(arguments: &[&str]) -> Step {
    let folder = tempfile::tempdir().unwrap();
    // As the kubelet gives it.
    let log = folder.path().join("termination-log");
    std::fs::write(&log, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_argocd-orchestrator"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .arg("step")
        .args(arguments)
        .arg("--outputs")
        .arg(folder.path().join("outputs"))
        .arg("--termination-log")
        .arg(log)
        .kill_on_drop(true);
    Step { command, folder }
}

impl Step {
    pub async fn ended(mut self) -> Ended {
        let output = tokio::time::timeout(Duration::from_secs(60), self.command.output());
        Ended { output: output.await.unwrap().unwrap(), folder: self.folder }
    }
}

pub async fn step(server: &str, arguments: &[&str]) -> Ended {
    prepared(&[arguments, &["--server", server]].concat()).ended().await
}

impl Ended {
    pub fn outputs(&self) -> PathBuf {
        self.folder.path().join("outputs")
    }

    /// What the step handed on.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        read(&self.outputs().join(name))
    }

    #[track_caller]
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// It ended with this code, and its last words have this in them.
    #[track_caller]
    pub fn check(self, exit: i32, said: &str) -> Self {
        let told = String::from_utf8_lossy(&self.output.stderr).into_owned();
        assert_eq!(self.output.status.code(), Some(exit), "{told}");
        assert!(told.contains(said), "no {said:?} in {told}");
        let message = self.text("message");
        assert!(message.contains(said), "no {said:?} in the message {message:?}");
        assert_eq!(message.lines().count(), 1, "{message:?}");
        let last_words = read(&self.folder.path().join("termination-log"));
        assert_eq!(last_words, if exit == 0 { "" } else { &message });
        assert!(self.output.stdout.is_empty());
        self
    }
}

#[track_caller]
pub fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
