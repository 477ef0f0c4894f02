//! The real server as a child: started, killed, restarted, asked to stop.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::world::World;

/// How long a server may take until it listens.
const STARTUP: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, once it is ready.
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Server {
    /// None is left behind, however a scenario ends.
    fn drop(&mut self) {
        // One that has ended already is fine.
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// What its log told so far. Only the moments of the kills depend on it, and numbers that are shown.
#[derive(Debug, Default)]
struct Seen {
    running: BTreeSet<String>,
    resumed: usize,
    decided: usize,
}

impl Server {
    /// Starts it, on a free port.
    pub(crate) fn start(world: &World) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut child = serve(world, address).spawn().context("the server cannot be started")?;
        let errors = child.stderr.take().context("the server has no standard error")?;
        let log = OpenOptions::new().create(true).append(true).open(&world.log)?;
        let seen = Arc::default();
        let reader = Some(std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || read(BufReader::new(errors), log, &seen)
        }));
        Ok(Self { child, address, seen, reader })
    }

    /// Waits until it takes connections.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + STARTUP;
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server did not start: {status}");
            }
            if Instant::now() >= end {
                bail!("the server does not listen after {} s", STARTUP.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// How many deployments it runs, by its log.
    pub(crate) fn running(&self) -> usize {
        lock(&self.seen).running.len()
    }

    /// How many syncs it decided on, by its log.
    pub(crate) fn decided(&self) -> usize {
        lock(&self.seen).decided
    }

    /// `kill -9`. Answers how many deployments it had taken up again.
    pub(crate) fn kill(mut self) -> anyhow::Result<usize> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself: {status}");
        }
        self.child.kill()?;
        self.child.wait()?;
        self.resumed()
    }

    /// `kill -TERM`, as Kubernetes does. Answers how it ended, after how long, and what it had taken up again.
    pub(crate) fn stop(mut self) -> anyhow::Result<(ExitStatus, Duration, usize)> {
        let asked = Instant::now();
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().context("kill cannot be run")?;
        anyhow::ensure!(sent.success(), "kill -TERM {pid}: {sent}");
        let status = self.child.wait()?;
        let took = asked.elapsed();
        Ok((status, took, self.resumed()?))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn resumed(mut self) -> anyhow::Result<usize> {
        if self.reader.take().is_some_and(|reader| reader.join().is_err()) {
            bail!("the reader of the server's log failed");
        }
        let resumed = lock(&self.seen).resumed;
        Ok(resumed)
    }
}

/// Runs another server on the same data to its end, which should come at once.
pub(crate) fn second(world: &World) -> anyhow::Result<Output> {
    let mut child = serve(world, free_address()?).spawn().context("the second server cannot be started")?;
    let end = Instant::now() + STARTUP;
    while child.try_wait()?.is_none() {
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            bail!("a second server runs on the same data");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child.wait_with_output()?)
}

fn serve(world: &World, address: SocketAddr) -> Command {
    let mut command = Command::new(&world.program);
    command
        .arg("--config")
        .arg(&world.config)
        .args(["--log", "info", "--log-json", "serve", "--listen"])
        .arg(address.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for name in ["CONFIG", "DATA_DIR", "LOG", "LOG_JSON", "GRPC_LISTEN"] {
        command.env_remove(format!("ORCHESTRATOR_{name}"));
    }
    command
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.local_addr()?)
}

fn read(errors: impl BufRead, mut log: File, seen: &Mutex<Seen>) {
    for line in errors.lines() {
        let Ok(line) = line else { return };
        // A log that cannot be written is no reason to stop: it is for people who look at a failure.
        let _written = writeln!(log, "{line}");
        let Ok(entry) = serde_json::from_str::<Value>(&line) else { continue };
        let field = |name: &str| entry[name].as_str().unwrap_or_default();
        let deployment = field("deployment").to_owned();
        let mut seen = lock(seen);
        match field("message") {
            "resumed" => {
                seen.resumed += 1;
                seen.running.insert(deployment);
            }
            "moved" if field("service") == "-" && field("to") == "running" => {
                seen.running.insert(deployment);
            }
            "moved" if field("to").ends_with("syncing") => seen.decided += 1,
            "deployment ended" => {
                seen.running.remove(&deployment);
            }
            _ => {}
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
