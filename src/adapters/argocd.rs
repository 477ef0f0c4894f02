//! The real Argo CD, driven by its custom resources.
//!
//! `facts` says what an Application tells, `write` what is written to it and when it must not be; both are pure.
//! `watch` keeps what Argo CD shows up to date, `provision` makes the place that a customer is deployed to,
//! `services` says where a customer's services are reached, `inspect` reads what a cluster is judged by.
//! Here they meet the Kubernetes API.
//!
//! Kubernetes' own permissions are all that guards this way: what Argo CD's API server would check (sync windows,
//! automated sync, who may sync) is either seen in the Application's status or decided here.

mod batch;
mod calls;
mod delete;
mod facts;
mod health;
pub mod inspect;
mod objects;
mod parts;
mod provision;
mod resource;
mod rollouts;
mod services;
mod sets;
#[cfg(test)]
mod tests;
mod watch;
mod whole;
mod workloads;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinHandle;

pub use self::objects::KubeObjects;
use self::provision::Provision;
use self::resource::{Application, Automated, GROUP, VERSION};
use self::watch::Seen;
pub use self::whole::PerCustomer;
pub use self::write::Hold;
use self::write::{MANAGER, Manner, Write};
use crate::domain::application::{self, ApplicationSpec};
use crate::domain::manifest::bundle::Maker;
use crate::domain::manifest::{self, Rules, Tenant};
use crate::domain::names::{AppName, CustomerId, RequestId, Revision, SourceName};
use crate::domain::removal::Removal;
use crate::ports::{ApiCalls, ApiTimes, Cluster, ClusterError, SyncRequest};

/// How often a write is tried that somebody else's came before.
const CONFLICTS: usize = 5;

/// For how long an ApplicationSet that was looked at counts as it was.
const CHECKED_FOR: Duration = Duration::from_secs(60);

/// How Argo CD is driven.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which file and which context of it; none for `KUBECONFIG`, the user's own, or the pod's.
    pub kubeconfig: Option<std::path::PathBuf>,
    /// The context; none for the current one.
    pub context: Option<String>,
    /// What objects are made like.
    pub rules: Rules,
    /// Whether projects and namespaces are made here, or by somebody else.
    pub provision: bool,
    /// Who makes the Applications.
    pub makes: Maker,
    /// Whether a sync removes what is not in the commit any more.
    pub prune: bool,
    /// How Applications are held to a commit.
    pub hold: Hold,
    /// What keeps a service at its commit after its verdict; none for nothing.
    pub automated: Option<Upkeep>,
    /// Where each source's repository is, as Argo CD fetches it.
    pub repositories: BTreeMap<SourceName, String>,
}

/// `spec.syncPolicy.automated` of what has had its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Whether what is not in the commit is removed.
    pub prune: bool,
    /// Whether what was changed by hand is changed back.
    pub self_heal: bool,
}

/// The real Argo CD.
pub struct ArgoCd {
    client: Client,
    calls: calls::Calls,
    applications: Api<Application>,
    seen: Arc<Seen>,
    sets: Api<DynamicObject>,
    /// ApplicationSets that were found to let us drive, by what we write, and when.
    checked: Mutex<HashMap<(String, Option<&'static str>), Instant>>,
    /// What was asked for where nothing is written: somebody else's sync to the commit counts as ours.
    expected: Mutex<HashMap<AppName, (RequestId, Revision)>>,
    provision: Option<Provision>,
    settings: Settings,
    following: JoinHandle<()>,
    /// Where the API server is.
    server: Vec<IpAddr>,
    known_services: services::Known,
    /// All Applications of the customers that are deployed.
    parts: Mutex<HashMap<CustomerId, Vec<ApplicationSpec>>>,
    customer_sets: sets::Sets,
}

impl std::fmt::Debug for ArgoCd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArgoCd").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ArgoCd {
    /// Connects, and begins to watch. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When there is no usable configuration of a cluster. That the cluster does not answer is no error: it is
    /// waited for.
    pub async fn connect(settings: Settings) -> Result<Self, ClusterError> {
        let config = configuration(settings.kubeconfig.as_deref(), settings.context.as_deref()).await?;
        let server = services::addresses(&config).await;
        let calls = calls::Calls::default();
        let client = ClientBuilder::try_from(config).map_err(refused)?.with_layer(&calls).build();
        let namespace = settings.rules.argo_cd.as_str();
        let applications = Api::namespaced(client.clone(), namespace);
        let seen = Arc::new(Seen::new());
        let following = tokio::spawn(watch::follow(Arc::clone(&seen), applications.clone()));
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, "ApplicationSet"));
        let sets = Api::namespaced_with(client.clone(), namespace, &kind);
        let provision = settings.provision.then(|| Provision::new(client.clone(), settings.rules.clone()));
        let (checked, expected) = (Mutex::default(), Mutex::default());
        Ok(Self {
            client,
            calls,
            applications,
            seen,
            sets,
            checked,
            expected,
            provision,
            settings,
            following,
            server,
            known_services: services::Known::default(),
            parts: Mutex::default(),
            customer_sets: sets::Sets::default(),
        })
    }

    /// The Application as it is now: what the watch has seen, or what the server says. That there is none is believed
    /// of the server alone: what was made a moment ago may not have come by the watch yet.
    async fn read(&self, name: &AppName) -> Result<Option<Arc<Application>>, ClusterError> {
        match self.seen.get(name).filter(|_| self.seen.is_complete()) {
            Some(seen) => Ok(Some(seen)),
            None => self.ask(name).await,
        }
    }

    /// The Application as the server has it.
    async fn ask(&self, name: &AppName) -> Result<Option<Arc<Application>>, ClusterError> {
        match self.applications.get_opt(name.as_str()).await.map_err(|error| failure(name, error))? {
            Some(app) => {
                self.seen.put(app);
                Ok(self.seen.get(name))
            }
            None => {
                self.seen.remove(name);
                Ok(None)
            }
        }
    }

    /// Writes what is decided on the Application as it was last seen; where somebody else's write came before, it
    /// is decided again on what there is now.
    async fn write(
        &self,
        name: &AppName,
        mut live: Option<Arc<Application>>,
        decide: impl Fn(Option<&Application>) -> Result<Write, ClusterError>,
    ) -> Result<(), ClusterError> {
        for _ in 0..CONFLICTS {
            let patch = match decide(live.as_deref())? {
                Write::Nothing => return Ok(()),
                Write::Create(made) => {
                    match self.create(&made).await {
                        Ok(()) => return Ok(()),
                        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                        Err(error) => return Err(failure(name, error)),
                    }
                    live = self.ask(name).await?;
                    continue;
                }
                Write::Patch(patch) => patch,
            };
            let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
            match self.applications.patch(name.as_str(), &parameters, &Patch::Merge(&patch)).await {
                Ok(written) => {
                    self.seen.put(written);
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(failure(name, error)),
            }
            live = self.ask(name).await?;
        }
        Err(ClusterError::Unavailable(format!("{name} changes too fast to be written to")))
    }

    async fn create(&self, made: &Value) -> Result<(), kube::Error> {
        let app: DynamicObject = serde_json::from_value(made.clone()).map_err(kube::Error::SerdeError)?;
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let created: Application = self
            .applications
            .clone()
            .into_client()
            .request(
                kube::core::Request::new(self.applications.resource_url())
                    .create(&parameters, serde_json::to_vec(&app).map_err(kube::Error::SerdeError)?)
                    .map_err(kube::Error::BuildRequest)?,
            )
            .await?;
        self.seen.put(created);
        Ok(())
    }

    /// Whether the ApplicationSet that generates an Application lets us drive it. Asked once a minute at most.
    async fn check_set(
        &self,
        set: &str,
        app: &AppName,
        written: Option<&'static str>,
    ) -> Result<(), ClusterError> {
        let mut checked = self.checked.lock().await;
        let key = (set.to_owned(), written);
        if checked.get(&key).is_some_and(|at| at.elapsed() < CHECKED_FOR) {
            return Ok(());
        }
        let Some(found) = self.sets.get_opt(set).await.map_err(|error| failure(app, error))? else {
            return Ok(());
        };
        write::check_set(&found.data, set, app.as_str(), written).map_err(ClusterError::Refused)?;
        checked.insert(key, Instant::now());
        Ok(())
    }

    /// The Application for whoever writes to it, if whatever generates it permits that.
    async fn read_to_write(&self, name: &AppName) -> Result<Option<Arc<Application>>, ClusterError> {
        // That there is none may be believed of the watch here: making one that exists is refused, and then it is read.
        let live = if self.seen.is_complete() { self.seen.get(name) } else { self.ask(name).await? };
        if let Some(live) = live.as_deref()
            && let Some(set) = write::owner_set(live)
        {
            self.check_set(set, name, write::written(live, self.settings.hold)).await?;
        }
        Ok(live)
    }

    /// Makes sure that the customer has its place, where that is for us to do; the repository it is deployed from.
    async fn ready(&self, application: &ApplicationSpec) -> Result<&str, ClusterError> {
        let repository = self.repository(&application.source)?;
        if let Some(provision) = &self.provision {
            provision.ensure(&tenant(application, repository)).await?;
        }
        Ok(repository)
    }

    /// None of a customer's Applications may move by itself. All are looked at before anything is made or written.
    async fn check_automated(&self, customer: &CustomerId) -> Result<(), ClusterError> {
        let parts = self.parts.lock().await.get(customer).cloned().unwrap_or_default();
        for part in parts {
            if let Some(live) = self.read(&part.name).await? {
                write::check_automated(&part.name, &live)?;
            }
        }
        Ok(())
    }

    /// The one Application of the other layout would fight over the same objects.
    fn check_layout(&self, customer: &CustomerId) -> Result<(), ClusterError> {
        let whole = AppName::of_all(customer).map_err(|error| ClusterError::Refused(error.to_string()))?;
        if self.seen.get(&whole).is_none_or(|whole| !write::is_ours(&whole)) {
            return Ok(());
        }
        Err(ClusterError::Refused(format!(
            "{customer} has one Application for all of its services, {whole}, which owns their objects: set \
             cluster.argo-cd.layout to application-per-customer, or delete it without its objects first (`argocd app \
             delete {whole} --cascade=false`)"
        )))
    }

    fn manner(&self) -> Manner {
        let Settings { hold, prune, makes, .. } = &self.settings;
        Manner { hold: *hold, prune: *prune, makes: *makes }
    }

    fn repository(&self, source: &SourceName) -> Result<&str, ClusterError> {
        let found = self.settings.repositories.get(source).map(String::as_str);
        found.ok_or_else(|| ClusterError::Refused(format!("{source} is not a configured source")))
    }
}

impl Drop for ArgoCd {
    fn drop(&mut self) {
        self.following.abort();
    }
}

#[async_trait]
impl Cluster for ArgoCd {
    fn calls(&self) -> Vec<ApiCalls> {
        self.calls.counted()
    }

    fn times(&self) -> Vec<ApiTimes> {
        self.calls.times()
    }

    async fn application(&self, name: &AppName) -> Result<Option<application::Application>, ClusterError> {
        let Some(live) = self.read(name).await? else { return Ok(None) };
        let mut shown = facts::facts(name, &live);
        if self.settings.hold == Hold::Observe
            && let Some((request, revision)) = self.expected.lock().await.get(name)
        {
            facts::adopt(&mut shown, request, revision);
        }
        Ok(Some(shown))
    }

    async fn prepare(&self, parts: Vec<ApplicationSpec>) {
        let Some(first) = parts.first() else { return };
        self.parts.lock().await.insert(first.customer.clone(), parts);
    }

    async fn sync(&self, application: &ApplicationSpec, request: &SyncRequest) -> Result<(), ClusterError> {
        if self.settings.hold == Hold::Observe {
            self.expected
                .lock()
                .await
                .insert(request.app.clone(), (request.request.clone(), request.revision.clone()));
            // It may be there already, and then nothing changes any more.
            self.seen.tell(request.app.clone());
            return Ok(());
        }
        if self.settings.hold == Hold::Refuse {
            self.check_automated(&application.customer).await?;
        }
        let repository = self.ready(application).await?;
        self.check_layout(&application.customer)?;
        let manifest = manifest::application(application, repository, None, &self.settings.rules);
        let manner = self.manner();
        let live = self.read_to_write(&request.app).await?;
        if let (Maker::ApplicationSets, Some(provision)) = (self.settings.makes, &self.provision) {
            self.ensure_set(provision, &tenant(application, repository), application, live.as_deref())
                .await?;
        }
        self.write(&request.app, live, |live| match live {
            Some(live) => write::sync(live, &manifest, request, manner),
            // The controller of ApplicationSets makes it in a moment.
            None if self.settings.makes == Maker::ApplicationSets => {
                Err(ClusterError::Busy(request.app.clone()))
            }
            None => Ok(Write::Create(write::create(&manifest, request, manner))),
        })
        .await
    }

    async fn refresh(&self, name: &AppName) -> Result<(), ClusterError> {
        if self.settings.hold == Hold::Observe {
            return Ok(());
        }
        let patch = write::refresh(Timestamp::now());
        self.write(name, self.read(name).await?, |live| match live {
            Some(_) => Ok(Write::Patch(patch.clone())),
            None => Err(ClusterError::Missing(name.clone())),
        })
        .await
    }

    async fn terminate(&self, name: &AppName, request: &RequestId) -> Result<(), ClusterError> {
        self.write(name, self.read(name).await?, |live| match live {
            Some(live) => Ok(write::terminate(live, request)),
            None => Err(ClusterError::Missing(name.clone())),
        })
        .await
    }

    async fn take_over(&self, name: &AppName) -> Result<(), ClusterError> {
        let live = self.read_to_write(name).await?;
        self.write(name, live, |live| {
            Ok(live.map_or(Write::Nothing, |live| write::take_over(live, self.settings.hold)))
        })
        .await
    }

    async fn automate(&self, name: &AppName) -> Result<(), ClusterError> {
        let Some(upkeep) = self.settings.automated else { return Ok(()) };
        let automated = Automated { enabled: Some(true), prune: upkeep.prune, self_heal: upkeep.self_heal };
        self.write(name, self.read(name).await?, |live| match live {
            Some(live) => Ok(write::automate(live, automated, self.settings.hold)),
            None => Err(ClusterError::Missing(name.clone())),
        })
        .await
    }

    async fn promote(&self, application: &ApplicationSpec) -> Result<(), ClusterError> {
        if self.settings.hold == Hold::Observe {
            return Ok(());
        }
        rollouts::change(&self.client, application, rollouts::promote).await
    }

    async fn abort_rollout(&self, application: &ApplicationSpec) -> Result<(), ClusterError> {
        if self.settings.hold == Hold::Observe {
            return Ok(());
        }
        rollouts::change(&self.client, application, rollouts::abort).await
    }

    async fn delete(&self, removal: &Removal) -> Result<(), ClusterError> {
        self.remove(removal).await
    }

    fn changes(&self) -> broadcast::Receiver<AppName> {
        self.seen.changes()
    }
}

/// What an Application says, given as the JSON that Kubernetes has of it; none where it has no name that could be one
/// of ours.
pub fn understand(json: &Value) -> Option<application::Application> {
    let app: Application = serde_json::from_value(json.clone()).ok()?;
    let name = facts::name(&app)?;
    Some(facts::facts(&name, &app))
}

fn tenant(application: &ApplicationSpec, repository: &str) -> Tenant {
    Tenant {
        customer: application.customer.clone(),
        environment: application.environment.clone(),
        namespace: application.namespace.clone(),
        repository: repository.to_owned(),
    }
}

fn refused(error: impl std::fmt::Display) -> ClusterError {
    ClusterError::Refused(format!("no cluster is configured: {error}"))
}

async fn configuration(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<kube::Config, ClusterError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = match (kubeconfig, context) {
        (Some(file), _) => {
            let read = Kubeconfig::read_from(file).map_err(refused)?;
            kube::Config::from_custom_kubeconfig(read, &options).await.map_err(refused)?
        }
        (None, Some(_)) => kube::Config::from_kubeconfig(&options).await.map_err(refused)?,
        (None, None) => kube::Config::infer().await.map_err(refused)?,
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(config)
}

/// The one place where an answer of the Kubernetes API becomes ours.
fn failure(name: &AppName, error: kube::Error) -> ClusterError {
    let kube::Error::Api(status) = error else { return ClusterError::Unavailable(innermost(&error)) };
    match status.code {
        404 => ClusterError::Missing(name.clone()),
        // What it says is wrong with the request will be wrong next time too.
        400 | 403 | 422 => ClusterError::Refused(format!("{name}: {}", status.message)),
        _ => ClusterError::Unavailable(format!("{name}: {}", status.message)),
    }
}

/// What an error is about at its root: the layers above it only say that a request failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
