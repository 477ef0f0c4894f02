//! Where a scenario happens: a folder with the repository, the configuration, the database and the cluster.

use std::path::{Path, PathBuf};

use anyhow::Context;
use argocd_orchestrator::adapters::simulated::script::{At, Exception, Fail, How, Script, Speed};
use argocd_orchestrator::domain::names::Environment;
use serde_json::json;

use crate::repository::{FRAGILE, Repository};

/// The name of the configured repository, here and in the sensor's `spec`.
pub(crate) const SOURCE: &str = "examples";

/// `owner/name` in the pushes.
pub(crate) const REPOSITORY: &str = "rtte/argocd-orchestrator";

const ENVIRONMENT: &str = "production";

/// How much faster than a real cluster the simulated one is: 55 services take two to four seconds.
const SPEED: f64 = 100.0;

/// All that a scenario works with.
pub(crate) struct World {
    /// The server's program.
    pub(crate) program: PathBuf,
    /// Where chance comes from.
    pub(crate) seed: u64,
    /// The server's data.
    pub(crate) data: PathBuf,
    /// Where a dead server's database is looked at.
    pub(crate) copy: PathBuf,
    /// The server's configuration.
    pub(crate) config: PathBuf,
    /// All that the servers logged.
    pub(crate) log: PathBuf,
    /// What is deployed.
    pub(crate) repository: Repository,
}

impl World {
    /// Makes the repository with its first commit, and the configuration.
    pub(crate) fn create(folder: &Path, program: PathBuf, seed: u64) -> anyhow::Result<Self> {
        let world = Self {
            program,
            seed,
            data: folder.join("data"),
            copy: folder.join("copy"),
            config: folder.join("config.yaml"),
            log: folder.join("server.log"),
            repository: Repository::create(&folder.join("repository"))?,
        };
        world.configure(&world.script(true))?;
        Ok(world)
    }

    /// Writes the configuration; it holds from the next start on.
    pub(crate) fn configure(&self, script: &Script) -> anyhow::Result<()> {
        // Time runs faster in the cluster, and so do our pauses: the proportions are those of a real one.
        let scaled = |seconds: f64| format!("{}ms", (seconds * 1_000.0 / SPEED).round());
        // JSON is YAML too.
        let config = json!({
            "data-dir": self.data,
            "sources": [{
                "name": SOURCE,
                "url": self.repository.url(),
                "repository": REPOSITORY,
                "allow-file": true,
                // Each push is to be told by a sensor.
                "poll": "0s",
                "targets": [{ "ref": "refs/heads/main", "environment": ENVIRONMENT }],
            }],
            "sync-wave": {
                "health-check-timeout": scaled(600.0),
                "degraded-grace": scaled(30.0),
                "refresh-pause": scaled(1.0),
                "dependency-resolution": { "retry-delay": scaled(30.0) },
            },
            "cluster": { "simulated": script },
        });
        std::fs::write(&self.config, format!("{config:#}\n"))
            .with_context(|| format!("cannot write {}", self.config.display()))
    }

    /// What the cluster does: some services need another attempt now and then, and (until the end) one fails
    /// at every revision but its first, so that deployments which touch it are rolled back.
    pub(crate) fn script(&self, fragile: bool) -> Script {
        let failing = |fail| Exception { fail: Some(Some(fail)), ..Exception::default() };
        let mut script = Script { seed: self.seed, ..Script::default() };
        script.speed = Speed::try_from(SPEED).unwrap_or_default();
        script.default.early_verdicts = 50;
        for (service, how) in [("user-service", How::Degraded), ("cart-service", How::SyncFailed)] {
            let once = Fail { attempts: Some(1), ..Fail::always(how) };
            script.services.insert(service.into(), failing(once));
        }
        if fragile {
            let fail = Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) };
            script.services.insert(FRAGILE.into(), failing(fail));
        }
        script
    }

    /// Where everything is deployed.
    pub(crate) fn environment(&self) -> anyhow::Result<Environment> {
        Ok(ENVIRONMENT.parse()?)
    }

    /// The cluster's own file.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.data.join("simulated-cluster.jsonl")
    }

    /// The server's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("orchestrator.db")
    }
}
