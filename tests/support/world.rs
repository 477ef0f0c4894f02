//! The product in one process: repository, store, simulated cluster and worker, wired as `serve` wires them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use argocd_orchestrator::adapters::git::{Git, GitSettings, Repository};
use argocd_orchestrator::adapters::simulated::log::{LogKind, violations_between};
use argocd_orchestrator::adapters::simulated::script::{Behaviour, Exception, Fail, Range, Script, Speed};
use argocd_orchestrator::adapters::simulated::{JournalError, Simulated};
use argocd_orchestrator::app::{self, App, CommandError};
use argocd_orchestrator::config::{Config, Source, SyncWave, Target};
use argocd_orchestrator::domain::audit::Origin;
use argocd_orchestrator::domain::deployment::{Command, Deployment, ServiceState, State};
use argocd_orchestrator::domain::event;
use argocd_orchestrator::domain::names::{DeploymentId, EventId, Revision};
use argocd_orchestrator::ports::{Cluster, Probe};
use argocd_orchestrator::store::{
    DeploymentFilter, EventState, Outcome, Settings, Store, StoreError, StoredEvent,
};
use argocd_orchestrator::{grpc, worker};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::repo::Repo;
use super::{MAIN, REPOSITORY, SOURCE, push, until};

/// How much faster than a real cluster.
const SPEED: f64 = 50.0;

/// What stays when the program ends: the repository, the files, and how everything is to behave.
pub struct World {
    folder: TempDir,
    pub repo: Repo,
    pub config: Config,
    pub script: Script,
    /// Puts something between the worker and the cluster.
    pub between: fn(Arc<Simulated>) -> Arc<dyn Cluster>,
    /// Who asks services whether they are well.
    pub probe: Option<Arc<dyn Probe>>,
}

/// The running program.
pub struct Running {
    pub app: App,
    pub cluster: Arc<Simulated>,
    stop: CancellationToken,
    worker: JoinHandle<Result<(), StoreError>>,
    pushes: AtomicU32,
}

impl World {
    /// A repository with these customers, and fast settings in the proportions of real ones.
    pub fn new(customers: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::create(&folder.path().join("repository"), customers);
        let config = config(folder.path().join("data"), repo.url());
        let default = Behaviour {
            sync: Range::millis(500, 1_000),
            healthy: Range::millis(500, 2_000),
            stale: Range::millis(100, 1_000),
            ..Behaviour::default()
        };
        let script = Script { seed: 7, speed: Speed::try_from(SPEED).unwrap(), default, ..Script::default() };
        Self { folder, repo, config, script, between: |cluster| cluster, probe: None }
    }

    /// Makes a service behave differently.
    pub fn exception(&mut self, service: &str, exception: Exception) {
        self.script.services.insert(service.to_owned(), exception);
    }

    /// Makes a service fail.
    pub fn fail(&mut self, service: &str, fail: Fail) {
        self.exception(service, Exception { fail: Some(Some(fail)), ..Exception::default() });
    }

    /// Makes a service need so long to become healthy, in real time.
    pub fn slow(&mut self, service: &str, takes: Duration) {
        let millis = (takes.as_secs_f64() * SPEED * 1_000.0) as u64;
        self.exception(service, Exception { healthy: Some(Range::fixed(millis)), ..Exception::default() });
    }

    pub fn database(&self) -> PathBuf {
        self.config.data_dir.join("orchestrator.db")
    }

    /// Starts everything but the worker.
    pub async fn parts(&self) -> (App, Arc<Simulated>) {
        std::fs::create_dir_all(&self.config.data_dir).unwrap();
        let store = Store::open(Settings::at(self.database())).await.unwrap();
        let repositories = self.config.sources.iter().map(|source| Repository {
            name: source.name.clone(),
            url: source.url.clone(),
            allow_file: source.allow_file,
            username: None,
            token: None,
            ssh_key: None,
            known_hosts: None,
        });
        let git =
            Git::new(GitSettings::new(self.config.data_dir.join("git"), "no-ssh"), repositories).unwrap();
        let cluster = Arc::new(self.cluster().await);
        let app = App {
            store,
            cluster: (self.between)(Arc::clone(&cluster)),
            probe: self.probe.clone(),
            values: Arc::new(git),
            config: Arc::new(self.config.clone()),
        };
        (app, cluster)
    }

    /// The cluster outlives the program. Its last owner may still be about to let go of its file.
    async fn cluster(&self) -> Simulated {
        let file = self.folder.path().join("cluster.jsonl");
        for _ in 0..1_000 {
            match Simulated::open(self.script.clone(), Some(&file)) {
                Ok(cluster) => return cluster,
                Err(JournalError::InUse) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the cluster's file is never free")
    }

    pub async fn start(&self) -> Running {
        let (app, cluster) = self.parts().await;
        let lease = app.store.acquire_worker("the test", Timestamp::now()).await.unwrap();
        let stop = CancellationToken::new();
        let worker = tokio::spawn(worker::run(app.clone(), lease, stop.clone()));
        Running { app, cluster, stop, worker, pushes: AtomicU32::default() }
    }

    /// Starts, and brings every customer to the first commit.
    pub async fn deployed(&self) -> Running {
        let running = self.start().await;
        for deployment in running.deploy(&self.repo.head()).await {
            assert_eq!(deployment.state().word(), "succeeded", "{:?}", deployment.state());
        }
        running
    }
}

fn config(data_dir: PathBuf, url: String) -> Config {
    let defaults = SyncWave::default();
    let mut sync_wave = SyncWave {
        // Generous: only what fails for good is to fail, however slow the machine is.
        health_check_timeout: SignedDuration::from_secs(20),
        degraded_grace: SignedDuration::from_millis(100),
        refresh_pause: SignedDuration::from_millis(20),
        rollback_threshold: 2,
        ..defaults
    };
    sync_wave.dependency_resolution.retry_delay = SignedDuration::from_millis(50);
    let target = Target {
        reference: MAIN.into(),
        environment: "production".parse().unwrap(),
        charts_path: Some(super::repo::CUSTOMERS.into()),
        base_chart: Some("charts/base".into()),
        cac_path: None,
        namespace: None,
    };
    let source = Source {
        name: SOURCE.parse().unwrap(),
        url,
        repository: REPOSITORY.into(),
        argo_cd_url: None,
        allow_file: true,
        username: None,
        token: None,
        ssh_key: None,
        known_hosts: None,
        poll: SignedDuration::ZERO,
        targets: vec![target],
    };
    Config { data_dir, sources: vec![source], sync_wave, ..Config::default() }
}

impl Running {
    /// Stops as SIGTERM does.
    pub async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap().unwrap();
        self.app.store.close().await;
    }

    /// Accepts a request as the trigger would.
    pub async fn submit(&self, spec: &[(&str, &str)], payload: &Value) -> EventId {
        let spec: Map<String, Value> =
            spec.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
        let payload = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
        let understood = event::parse(&spec, &payload, &self.app.config.known_sources()).unwrap();
        self.app
            .submit(understood.request, grpc::new_id(), Origin::cli("somebody"), Timestamp::now())
            .await
            .unwrap()
            .event
    }

    /// Tells of a push to the main branch.
    pub async fn pushed(&self, before: Option<&Revision>, after: &Revision) -> EventId {
        self.submit(&[], &push(MAIN, before, Some(after))).await
    }

    /// Asks for something by hand.
    pub async fn ask(&self, spec: &[(&str, &str)]) -> EventId {
        let id = format!("request-{}", self.pushes.fetch_add(1, Ordering::Relaxed));
        let mut spec = spec.to_vec();
        spec.push(("id", &id));
        self.submit(&spec, &Value::Null).await
    }

    /// What became of an event.
    pub async fn settled(&self, id: &EventId) -> StoredEvent {
        until(&self.app.store, "the event is settled", async || {
            let event = self.app.store.event(id).await.unwrap()?;
            matches!(event.state, EventState::Settled { .. }).then_some(event)
        })
        .await
    }

    /// Why an event deployed nothing.
    pub async fn ignored(&self, id: &EventId) -> String {
        let event = self.settled(id).await;
        let EventState::Settled { outcome: Outcome::Ignored { reason }, .. } = &event.state else {
            panic!("not ignored: {:?} {:?}", event.state, event.deployments)
        };
        reason.clone()
    }

    /// Waits until a deployment is as wanted.
    pub async fn when(
        &self,
        id: &DeploymentId,
        what: &str,
        wanted: impl Fn(&Deployment) -> bool,
    ) -> Deployment {
        until(&self.app.store, &format!("{id}: {what}"), async || {
            self.app.store.deployment(id).await.unwrap().filter(|deployment| wanted(deployment))
        })
        .await
    }

    pub async fn ended(&self, id: &DeploymentId) -> Deployment {
        self.when(id, "it has ended", |deployment| deployment.state().is_finished()).await
    }

    /// The first deployment of an event.
    pub async fn first_of(&self, event: &EventId) -> DeploymentId {
        let event = self.settled(event).await;
        event.deployments.first().unwrap_or_else(|| panic!("no deployment: {:?}", event.state)).clone()
    }

    /// The deployments of an event, when all of them are over, by customer.
    pub async fn all_of(&self, event: &EventId) -> Vec<Deployment> {
        let mut ended = Vec::new();
        for id in self.settled(event).await.deployments {
            ended.push(self.ended(&id).await);
        }
        ended.sort_by(|one, other| one.brief.plan.customer.cmp(&other.brief.plan.customer));
        ended
    }

    /// Pushes a commit, as if everything was new in it, and waits for the end.
    pub async fn deploy(&self, after: &Revision) -> Vec<Deployment> {
        let event = self.pushed(None, after).await;
        self.all_of(&event).await
    }

    /// As [`Running::deploy`], where there is one customer.
    pub async fn deploy_one(&self, after: &Revision) -> Deployment {
        let mut all = self.deploy(after).await;
        assert_eq!(all.len(), 1, "{}", super::summary(&self.app.store).await);
        all.remove(0)
    }

    /// Asks for something by hand that leads to one deployment, and waits for its end.
    pub async fn ask_and_wait(&self, spec: &[(&str, &str)]) -> Deployment {
        let event = self.ask(spec).await;
        let id = self.first_of(&event).await;
        self.ended(&id).await
    }

    /// All deployments, oldest first.
    pub async fn deployments(&self) -> Vec<Deployment> {
        let found = self.app.store.deployments(&DeploymentFilter::default(), 1_000).await.unwrap();
        let mut all = Vec::new();
        for row in found.value.into_iter().rev() {
            all.push(self.app.store.deployment(&row.id).await.unwrap().unwrap());
        }
        all
    }

    /// How often a sync of each Application to a commit was requested of the cluster.
    pub fn syncs(&self, revision: &Revision) -> BTreeMap<String, usize> {
        let mut syncs = BTreeMap::new();
        for entry in self.cluster.log() {
            if matches!(entry.kind, LogKind::Requested { .. }) && entry.revision.as_ref() == Some(revision) {
                *syncs.entry(entry.app.to_string()).or_default() += 1;
            }
        }
        syncs
    }

    /// The commit that an Application is pinned to.
    pub async fn pinned(&self, app: &str) -> Revision {
        let application = self.app.cluster.application(&app.parse().unwrap()).await.unwrap();
        application.unwrap_or_else(|| panic!("no {app}")).pinned.unwrap()
    }

    /// What the cluster itself saw start before its time.
    pub fn violations(&self, deployment: &Deployment) -> usize {
        let from = deployment.progress.started_at.unwrap_or(deployment.brief.created_at);
        let until = deployment.state().ended_at().unwrap_or_else(Timestamp::now);
        let plan = &deployment.brief.plan;
        violations_between(&self.cluster.log(), &plan.requirements(), &plan.revision, from, until).len()
    }
}

/// A command as another process gives it: with nothing but the database.
pub async fn command(world: &World, id: &DeploymentId, wanted: Command) -> Result<(), CommandError> {
    let store = Store::open(Settings::at(world.database())).await.unwrap();
    let sent = app::command(&store, id, &Origin::cli("bob"), wanted, Timestamp::now()).await;
    store.close().await;
    sent.map(|_| ())
}

/// The names of what a plan syncs, sorted.
pub fn touched(deployment: &Deployment) -> Vec<&str> {
    let mut names: Vec<&str> = deployment.brief.plan.touched().map(|change| change.name()).collect();
    names.sort_unstable();
    names
}

/// Where a service stands.
pub fn state_of<'a>(deployment: &'a Deployment, service: &str) -> &'a ServiceState {
    let found = deployment.services().find(|(change, _)| change.name() == service);
    found.unwrap_or_else(|| panic!("no {service}")).1
}

/// How often a sync of a service was requested.
pub fn requests(deployment: &Deployment, service: &str) -> u32 {
    let position = deployment.brief.plan.changes.iter().position(|change| change.name() == service);
    deployment.progress.requests[position.unwrap()]
}

/// The state's word and why.
pub fn end_of(state: &State) -> (&'static str, String) {
    (state.word(), state.reason().unwrap_or_default())
}
