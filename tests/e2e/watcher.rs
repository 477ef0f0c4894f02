//! Somebody else who watches Applications, and notes when each version came.

use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use crate::cluster::ARGO_CD;

/// A version of an Application, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Timestamp,
    pub(crate) service: String,
    pub(crate) app: Value,
}

/// A watch by `kubectl`.
pub(crate) struct Watcher {
    child: Child,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Watcher {
    /// Watches the Applications with these labels from now on.
    pub(crate) fn start(selector: &str) -> anyhow::Result<Self> {
        Self::with(&["-l", selector])
    }

    /// Watches one Application.
    pub(crate) fn of(app: &str) -> anyhow::Result<Self> {
        Self::with(&[&format!("--field-selector=metadata.name={app}")])
    }

    fn with(which: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new("kubectl")
            .args(["-n", ARGO_CD, "get", "applications", "-w", "-o", "json"])
            .args(which)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            for app in serde_json::Deserializer::from_reader(BufReader::new(out)).into_iter::<Value>() {
                let Ok(app) = app else { return };
                let service = app["metadata"]["labels"]["orchestrator.rtte.com/service"].as_str();
                let service = service.unwrap_or_default().to_owned();
                let seen = Seen { at: Timestamp::now(), service, app };
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            }
        });
        Ok(Self { child, seen })
    }

    /// Ends it; answers what came.
    pub(crate) fn stop(mut self) -> anyhow::Result<Vec<Seen>> {
        // The last version may still be on its way.
        std::thread::sleep(Duration::from_secs(1));
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
