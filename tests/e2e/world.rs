//! Where a scenario happens: a folder with repository, configuration and database, the real server as a child, and
//! the customers' names, which are the scenario's own so that nothing is left over from another.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::cluster::{self, ARGO_CD, kubectl};
use crate::records::{CUSTOMER, Edges};
use crate::repository::{CAC, CHARTS, Repository};
use crate::scenarios::Scenario;
use crate::server::Server;

/// How long one deployment may take before a scenario gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Values with which all services run as small pods that start fast and fail fast.
pub(crate) const FAST: &str = "\
overrides:
  image: localhost/health:1
  port: 8080
  replicas: 1
  volumes: false
  resources: {requests: {cpu: 1m, memory: 2Mi}}
  healthCheck: {intervalSeconds: 1, timeoutSeconds: 2}
  startupSeconds: 60
  progressDeadlineSeconds: 30
  terminationGracePeriodSeconds: 1
  podSecurityContext: {runAsNonRoot: true, runAsUser: 65532}
  securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  canary: {steps: [{setWeight: 50}, {pause: {duration: 2s}}, {setWeight: 100}]}
  blueGreen: {autoPromotionEnabled: true, scaleDownDelaySeconds: 5}
";

/// All that a scenario works with.
pub(crate) struct World {
    pub(crate) program: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) log: PathBuf,
    folder: PathBuf,
    settings: Value,
    server: Option<Server>,
}

/// Runs one scenario in a world of its own, and takes away what it made.
pub(crate) fn scenario(scenario: &Scenario, program: &Path, keep: bool) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("argocd-orchestrator-e2e-").tempdir()?;
    let path = folder.path().to_owned();
    let mut world = World::new(path.clone(), program)?;
    let outcome = (scenario.run)(&mut world);
    if let Err(error) = &outcome {
        println!("     {error:#}");
        println!("{}", world.command(&["why"]).map_or_else(|error| error.to_string(), |run| run.text));
    }
    let ended = world.stop();
    if keep || outcome.is_err() {
        println!("     kept in {}", folder.keep().display());
    }
    if !keep {
        clean()?;
    }
    outcome.and(ended)
}

/// Takes away all that was made for customers.
pub(crate) fn clean() -> anyhow::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/clean-test-data.sh");
    let status = Command::new(script).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "scripts/clean-test-data.sh: {status}");
    Ok(())
}

/// What a command printed.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl World {
    fn new(folder: PathBuf, program: &Path) -> anyhow::Result<Self> {
        let kubeconfig = folder.join("kubeconfig");
        cluster::service_account(&kubeconfig)?;
        let settings = json!({
            "data-dir": folder.join("data"),
            "sync-wave": {
                "health-check-timeout": "60s",
                "degraded-grace": "2s",
                "rollback-threshold": 1,
                "dependency-resolution": { "retry-delay": "1s" },
            },
            "microservices": { "health-check": { "interval": "10s", "timeout": "10s" } },
            "cluster": { "argo-cd": { "kubeconfig": kubeconfig, "value-files": [crate::repository::OVERLAY] } },
        });
        Ok(Self {
            program: program.to_owned(),
            config: folder.join("config.yaml"),
            log: folder.join("server.log"),
            folder,
            settings,
            server: None,
        })
    }

    /// The folder for the repository.
    pub(crate) fn place(&self) -> PathBuf {
        self.folder.join("repository")
    }

    /// Changes a setting, by its JSON pointer; it holds from the next start on.
    pub(crate) fn set(&mut self, pointer: &str, value: Value) -> anyhow::Result<()> {
        let (parent, key) = pointer.rsplit_once('/').context("no pointer")?;
        let parent = self.settings.pointer_mut(parent).with_context(|| format!("no setting {parent}"))?;
        parent[key] = value;
        Ok(())
    }

    /// Starts the server on a repository.
    pub(crate) fn start(&mut self, repository: &Repository) -> anyhow::Result<()> {
        self.settings["sources"] = json!([{
            "name": "customers",
            "url": repository.url(),
            "repository": "rtte/customers",
            "allow-file": true,
            // What a scenario commits it asks for itself.
            "poll": "0s",
            "targets": [{
                "ref": "refs/heads/main",
                "environment": "production",
                "charts-path": format!("{CHARTS}/customers"),
                "base-chart": format!("{CHARTS}/base"),
                "cac-path": CAC,
            }],
        }]);
        // JSON is YAML too.
        std::fs::write(&self.config, format!("{:#}\n", self.settings))?;
        self.serve()
    }

    /// Starts the server again as it was.
    pub(crate) fn serve(&mut self) -> anyhow::Result<()> {
        let mut server = Server::start(self)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(server.ready())?;
        self.server = Some(server);
        Ok(())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.server.take().context("no server runs")?.kill().map(drop)
    }

    /// Forgets all that was deployed: the next start begins from nothing.
    pub(crate) fn forget(&mut self) -> anyhow::Result<()> {
        let data = self.folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let Some(server) = self.server.take() else { return Ok(()) };
        let (status, took, _) = server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        ensure!(took < Duration::from_secs(10), "the server took {} s to stop", took.as_secs());
        Ok(())
    }

    /// Runs a command of the program beside the server.
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<Run> {
        let output = Command::new(&self.program)
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = if output.status.success() { text } else { format!("{text}{errors}") };
        Ok(Run { code: output.status.code().unwrap_or(-1), text })
    }

    /// Runs a command and reads what it prints for programs.
    pub(crate) fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut all = vec!["--output", "json"];
        all.extend(arguments);
        let run = self.command(&all)?;
        ensure!(run.code == 0, "{}: {}", arguments.join(" "), run.text);
        Ok(serde_json::from_str(&run.text)?)
    }

    /// Asks for the newest commit of a customer; answers the deployment's id once there is one.
    pub(crate) fn deploy(&self, customer: &str, more: &[&str]) -> anyhow::Result<String> {
        let before = self.newest(customer)?;
        let mut all = vec!["deploy", customer];
        all.extend(more);
        let run = self.command(&all)?;
        ensure!(run.code == 0, "deploy {customer}: {}", run.text);
        cluster::until(&format!("{customer} has a deployment"), Duration::from_secs(30), || {
            Ok(self.newest(customer)?.filter(|id| before.as_ref() != Some(id)))
        })
    }

    fn newest(&self, customer: &str) -> anyhow::Result<Option<String>> {
        let found = self.json(&["status", "--customer", customer, "--limit", "1"])?;
        Ok(found[0]["id"].as_str().map(str::to_owned))
    }

    /// One deployment as `status` tells it.
    pub(crate) fn status(&self, id: &str) -> anyhow::Result<Value> {
        self.json(&["status", id])
    }

    /// Waits until a deployment is over; answers it.
    pub(crate) fn ended(&self, id: &str) -> anyhow::Result<Value> {
        cluster::until(&format!("deployment {id} is over"), PATIENCE, || {
            let status = self.status(id)?;
            let state = status["state"].as_str().unwrap_or_default();
            let over = ["succeeded", "failed", "rejected", "aborted", "superseded"].contains(&state);
            Ok(over.then_some(status))
        })
    }

    /// Deploys the newest commit of a customer, and demands that it ends in a state.
    pub(crate) fn deployed(&self, customer: &str, state: &str, more: &[&str]) -> anyhow::Result<Value> {
        let id = self.deploy(customer, more)?;
        let ended = self.ended(&id)?;
        if ended["state"] != state {
            bail!("{customer} ended {} instead of {state}: {}", ended["state"], ended["reason"]);
        }
        Ok(ended)
    }

    /// Where one service of a deployment stands, and its blocker's text.
    pub(crate) fn service(&self, id: &str, service: &str) -> anyhow::Result<(String, String)> {
        let status = self.status(id)?;
        let services = status["services"].as_array().cloned().unwrap_or_default();
        let found = services.iter().find(|found| found["service"] == service);
        let found = found.with_context(|| format!("{id} has no {service}"))?;
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        Ok((text("state"), format!("{}", found["blocker"])))
    }

    /// The graph of a customer: what needs what, and the waves.
    pub(crate) fn graph(
        &self,
        repository: &Repository,
        customer: &str,
    ) -> anyhow::Result<(Edges, Vec<Vec<String>>)> {
        let values = repository.values(customer);
        let graph = self.json(&["graph", &values.to_string_lossy()])?;
        let mut edges = Edges::new();
        for edge in graph["edges"].as_array().context("no edges")? {
            let text = |key: &str| edge[key].as_str().unwrap_or_default().to_owned();
            edges.entry(text("service")).or_default().insert(text("depends_on"));
        }
        Ok((edges, serde_json::from_value(graph["waves"].clone())?))
    }
}

/// Waits until the namespace of a customer has been seen by all: nothing is left of an earlier one.
pub(crate) fn fresh(customers: &[&str]) -> anyhow::Result<()> {
    for customer in customers {
        let namespace = format!("{customer}-production");
        let left = kubectl(&[
            "-n",
            ARGO_CD,
            "get",
            "applications",
            "-l",
            &format!("{CUSTOMER}={customer}"),
            "-o",
            "name",
        ])?;
        ensure!(left.trim().is_empty(), "Applications of {customer} are left: {left}");
        ensure!(cluster::get("namespace", "default", &namespace)?.is_none(), "namespace {namespace} is left");
    }
    Ok(())
}
