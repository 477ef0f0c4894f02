//! The layout with one Application for a customer: its services are synced by partial syncs.
//!
//! `parts` says what the Application tells of each service, `batch` which of them share an operation; both are pure.
//! To everybody else each service still has an Application of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex as AsyncMutex, broadcast, oneshot};
use tokio::task::JoinHandle;

use super::batch::{self, Answer, Decision, Member};
use super::parts::{self, Division, Ended};
use super::resource::{self, Automated};
use super::workloads::{Moment, Workloads};
use super::write::{self, Write};
use super::{ArgoCd, Hold, facts};
use crate::domain::application::{Application, ApplicationSpec, SyncStatus};
use crate::domain::manifest::{self, CUSTOMER, SERVICE};
use crate::domain::names::{AppName, BASE, CustomerId, Namespace, RequestId};
use crate::domain::removal::Removal;
use crate::ports::{ApiCalls, ApiTimes, Cluster, ClusterError, SyncRequest};

/// How long the first of a batch waits for others that are ready in the same moment.
const GATHER: Duration = Duration::from_millis(10);

/// How many changed names wait for a slow receiver before it is told that it lags.
const CHANGES: usize = 16_384;

/// A real Argo CD where each customer has one Application.
pub struct PerCustomer {
    argo_cd: Arc<ArgoCd>,
    workloads: Workloads,
    groups: Arc<Mutex<Groups>>,
    changes: broadcast::Sender<AppName>,
    following: JoinHandle<()>,
}

impl std::fmt::Debug for PerCustomer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerCustomer").field("argo_cd", &self.argo_cd).finish_non_exhaustive()
    }
}

/// The customers that are known, by their Application and by the names of its parts.
#[derive(Debug, Default)]
struct Groups {
    wholes: HashMap<AppName, Arc<Group>>,
    parts: HashMap<AppName, (Arc<Group>, String)>,
}

/// One customer.
#[derive(Debug)]
struct Group {
    whole: AppName,
    customer: CustomerId,
    namespace: Namespace,
    names: BTreeSet<AppName>,
    division: Division,
    /// What outlives a new plan of the customer.
    state: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    ended: Mutex<Ended>,
    waiting: Mutex<Vec<Waiting>>,
    /// Who holds it writes.
    turn: AsyncMutex<()>,
    /// Requests that are to be stopped. An operation is stopped when all of its requests are.
    unwanted: Mutex<BTreeSet<RequestId>>,
}

/// Somebody who waits for the next batch.
#[derive(Debug)]
struct Waiting {
    spec: ApplicationSpec,
    member: Member,
    answer: oneshot::Sender<Result<(), ClusterError>>,
}

impl PerCustomer {
    /// Drives it in this layout.
    pub fn new(argo_cd: Arc<ArgoCd>) -> Self {
        let workloads = Workloads::new(argo_cd.client.clone());
        let groups = Arc::new(Mutex::new(Groups::default()));
        let changes = broadcast::Sender::new(CHANGES);
        let following =
            tokio::spawn(relay(argo_cd.changes(), workloads.changes(), Arc::clone(&groups), changes.clone()));
        Self { argo_cd, workloads, groups, changes, following }
    }

    /// The customer that a name belongs to, and the service; the whole's own name goes with no service.
    fn place(&self, name: &AppName) -> Option<(Arc<Group>, Option<String>)> {
        let groups = lock(&self.groups);
        let part = groups.parts.get(name).map(|(group, service)| (Arc::clone(group), Some(service.clone())));
        part.or_else(|| groups.wholes.get(name).map(|group| (Arc::clone(group), None)))
    }

    fn known(&self, name: &AppName) -> Result<(Arc<Group>, Option<String>), ClusterError> {
        self.place(name).ok_or_else(|| ClusterError::Missing(name.clone()))
    }

    /// Writes one batch; the answers are in the order of the members.
    async fn write(
        &self,
        group: &Group,
        spec: &ApplicationSpec,
        members: &[Member],
    ) -> Result<Vec<Answer>, ClusterError> {
        let argo_cd = &self.argo_cd;
        let repository = argo_cd.ready(spec).await?;
        self.check_layout(&group.customer)?;
        let spec = ApplicationSpec { name: group.whole.clone(), service: None, ..spec.clone() };
        let manifest = manifest::whole(&spec, repository, None, &argo_cd.settings.rules);
        let manner = argo_cd.manner();
        let live = argo_cd.read_to_write(&group.whole).await?;
        let answers = Mutex::new(Vec::new());
        let decide = |live: Option<&resource::Application>| {
            if let Some(live) = live {
                lock(&group.state.ended).take(live);
            }
            let Decision { write, answers: decided } =
                batch::decide(&group.whole, live, &manifest, members, &group.division, manner)?;
            *lock(&answers) = decided;
            Ok(write)
        };
        argo_cd.write(&group.whole, live, decide).await?;
        Ok(answers.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The other layout's Applications would fight over the same objects.
    fn check_layout(&self, customer: &CustomerId) -> Result<(), ClusterError> {
        let other = self.argo_cd.seen.find(|app| {
            let labels = app.metadata.labels.as_ref();
            let label = |name| labels.and_then(|labels| labels.get(name)).map(String::as_str);
            write::is_ours(app) && label(CUSTOMER) == Some(customer.as_str()) && label(SERVICE).is_some()
        });
        let Some(other) = other else { return Ok(()) };
        Err(ClusterError::Refused(format!(
            "{customer} has an Application for each service, among them {other}: they own the objects that its one \
             Application would. Delete them without their objects first (`argocd app delete NAME --cascade=false`)"
        )))
    }

    /// Takes the turn, unless somebody else's batch has done it already.
    async fn lead(&self, group: &Group) {
        let _turn = group.state.turn.lock().await;
        if lock(&group.state.waiting).is_empty() {
            return;
        }
        tokio::time::sleep(GATHER).await;
        let mut waiting = std::mem::take(&mut *lock(&group.state.waiting));
        // Who does not wait any more does not want it any more.
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let Some(first) = waiting.first() else { return };
        let members: Vec<Member> = waiting.iter().map(|waiting| waiting.member.clone()).collect();
        let outcome = self.write(group, &first.spec.clone(), &members).await;
        for (place, waiting) in waiting.into_iter().enumerate() {
            let request = &waiting.member.request;
            let answer = match &outcome {
                Err(error) => Err(error.clone()),
                Ok(answers) => match answers.get(place) {
                    Some(Answer::Taken) => Ok(()),
                    Some(Answer::Nothing) => {
                        let done = parts::nothing_to_do(request, Timestamp::now());
                        lock(&group.state.ended).put(&waiting.member.service, done);
                        let _receivers = self.changes.send(request.app.clone());
                        Ok(())
                    }
                    Some(Answer::Refused(reason)) => Err(ClusterError::Refused(reason.clone())),
                    Some(Answer::Later) | None => Err(ClusterError::Busy(request.app.clone())),
                },
            };
            // Who has gone meanwhile asks again.
            let _gone = waiting.answer.send(answer);
        }
    }
}

impl Drop for PerCustomer {
    fn drop(&mut self) {
        self.following.abort();
    }
}

#[async_trait]
impl Cluster for PerCustomer {
    fn calls(&self) -> Vec<ApiCalls> {
        self.argo_cd.calls()
    }

    fn times(&self) -> Vec<ApiTimes> {
        self.argo_cd.times()
    }

    async fn prepare(&self, parts: Vec<ApplicationSpec>) {
        let Some(first) = parts.first() else { return };
        let Ok(whole) = AppName::of_all(&first.customer) else { return };
        let services: BTreeMap<AppName, String> = parts
            .iter()
            .filter(|part| part.name != whole)
            .map(|part| {
                let service = part.service.as_ref().map_or(BASE, |service| service.as_str());
                (part.name.clone(), service.to_owned())
            })
            .collect();
        let mut groups = lock(&self.groups);
        let state = groups.wholes.get(&whole).map(|known| Arc::clone(&known.state)).unwrap_or_default();
        let group = Arc::new(Group {
            whole: whole.clone(),
            customer: first.customer.clone(),
            namespace: first.namespace.clone(),
            names: parts.iter().map(|part| part.name.clone()).collect(),
            division: Division::new(first.customer.clone(), services.values().cloned()),
            state,
        });
        groups.parts.retain(|_, (known, _)| known.whole != whole);
        let named = services.into_iter().map(|(name, service)| (name, (Arc::clone(&group), service)));
        groups.parts.extend(named);
        groups.wholes.insert(whole, group);
    }

    async fn application(&self, name: &AppName) -> Result<Option<Application>, ClusterError> {
        // Who is not told apart yet is asked about by its real name.
        let Some((group, Some(service))) = self.place(name) else {
            return self.argo_cd.application(name).await;
        };
        let Some(live) = self.argo_cd.read(&group.whole).await? else { return Ok(None) };
        lock(&group.state.ended).take(&live);
        let shelf = self.workloads.of(&group.namespace, moment(&live)).await?;
        let health = |kind, name: &str| shelf.health(kind, name);
        let ended = lock(&group.state.ended);
        Ok(parts::facts(name, &live, &group.division, &service, &ended, health))
    }

    async fn sync(&self, application: &ApplicationSpec, request: &SyncRequest) -> Result<(), ClusterError> {
        let (group, service) = self.known(&application.name)?;
        let Some(service) = service else { return self.argo_cd.sync_whole(application, request).await };
        let member = Member { service, request: request.clone() };
        let (answer, mut decided) = oneshot::channel();
        lock(&group.state.waiting).push(Waiting { spec: application.clone(), member, answer });
        self.lead(&group).await;
        match decided.try_recv() {
            Ok(outcome) => outcome,
            // Whoever led the batch was stopped in the middle of it.
            Err(_) => Err(ClusterError::Unavailable(format!("{} was not written to in time", group.whole))),
        }
    }

    async fn refresh(&self, name: &AppName) -> Result<(), ClusterError> {
        let (group, _) = self.known(name)?;
        // One is enough for all that ask in the same moment.
        let _turn = group.state.turn.lock().await;
        let live = self.argo_cd.read(&group.whole).await?;
        let is_asked = live.is_some_and(|live| facts::facts(&group.whole, &live).refresh_pending);
        if is_asked { Ok(()) } else { self.argo_cd.refresh(&group.whole).await }
    }

    async fn terminate(&self, name: &AppName, request: &RequestId) -> Result<(), ClusterError> {
        let (group, service) = self.known(name)?;
        if service.is_none() {
            return self.argo_cd.terminate(name, request).await;
        }
        let Some(live) = self.argo_cd.read(&group.whole).await? else { return Ok(()) };
        let running = live.operation.as_ref();
        let all_unwanted = {
            let mut unwanted = lock(&group.state.unwanted);
            let asked: Vec<&str> =
                running.iter().flat_map(|operation| operation.parts().map(|(_, id)| id)).collect();
            unwanted.retain(|id| asked.contains(&id.as_str()));
            if asked.contains(&request.as_str()) {
                unwanted.insert(request.clone());
            }
            asked.iter().all(|id| unwanted.iter().any(|unwanted| unwanted.as_str() == *id))
        };
        // The others of the same operation are still wanted: it runs on, and what it does to this one is undone.
        if all_unwanted { self.argo_cd.terminate(&group.whole, request).await } else { Ok(()) }
    }

    async fn automate(&self, name: &AppName) -> Result<(), ClusterError> {
        let (group, _) = self.known(name)?;
        let Some(upkeep) = self.argo_cd.settings.automated else { return Ok(()) };
        let automated = Automated { enabled: Some(true), prune: upkeep.prune, self_heal: upkeep.self_heal };
        let live = self.argo_cd.read(&group.whole).await?;
        self.argo_cd
            .write(&group.whole, live, |live| {
                let live = live.ok_or_else(|| ClusterError::Missing(group.whole.clone()))?;
                let shown = facts::facts(&group.whole, live);
                // Where all is synced there is nothing that it could take before its turn.
                let is_synced = shown.sync.status == SyncStatus::Synced
                    && shown.sync.current
                    && shown.sync.revision == shown.pinned
                    && !shown.is_busy();
                // Whoever made it: what was switched off here is switched on again.
                Ok(if is_synced { write::automate(live, automated, Hold::Disable) } else { Write::Nothing })
            })
            .await
    }

    async fn promote(&self, application: &ApplicationSpec) -> Result<(), ClusterError> {
        self.argo_cd.promote(application).await
    }

    async fn abort_rollout(&self, application: &ApplicationSpec) -> Result<(), ClusterError> {
        self.argo_cd.abort_rollout(application).await
    }

    async fn delete(&self, removal: &Removal) -> Result<(), ClusterError> {
        // The configuration does not ask for it.
        Err(ClusterError::Refused(format!("{} has no Application of its own", removal.service)))
    }

    fn changes(&self) -> broadcast::Receiver<AppName> {
        self.changes.subscribe()
    }
}

impl ArgoCd {
    /// The sync of a whole Application whose services are synced already, for Argo CD to remember it.
    async fn sync_whole(&self, spec: &ApplicationSpec, request: &SyncRequest) -> Result<(), ClusterError> {
        let repository = self.ready(spec).await?;
        let spec = ApplicationSpec { service: None, ..spec.clone() };
        let manifest = manifest::whole(&spec, repository, None, &self.settings.rules);
        let manner = self.manner();
        let live = self.read_to_write(&request.app).await?;
        self.write(&request.app, live, |live| {
            let live = live.ok_or_else(|| ClusterError::Missing(request.app.clone()))?;
            let mut write = write::sync(live, &manifest, request, manner)?;
            if let Write::Patch(patch) = &mut write {
                write::only_what_differs(patch);
            }
            Ok(write)
        })
        .await
    }
}

/// What the workloads must not be older than.
fn moment(live: &resource::Application) -> Moment {
    let status = live.status.as_ref();
    Moment {
        compared: status.and_then(|status| status.reconciled_at),
        finished: status.and_then(|status| status.operation_state.as_ref()?.finished_at),
    }
}

/// Tells of the parts what is told of the whole, and of its namespace.
async fn relay(
    mut apps: broadcast::Receiver<AppName>,
    mut namespaces: broadcast::Receiver<Namespace>,
    groups: Arc<Mutex<Groups>>,
    changes: broadcast::Sender<AppName>,
) {
    let tell = |wanted: &dyn Fn(&Group) -> bool| {
        let groups = lock(&groups);
        for group in groups.wholes.values().filter(|group| wanted(group)) {
            for name in &group.names {
                // Nobody listening is fine.
                let _receivers = changes.send(name.clone());
            }
        }
    };
    loop {
        let lagged = tokio::select! {
            app = apps.recv() => match app {
                Ok(app) => { tell(&|group| group.whole == app); continue }
                Err(error) => error,
            },
            namespace = namespaces.recv() => match namespace {
                Ok(namespace) => { tell(&|group| group.namespace == namespace); continue }
                Err(error) => error,
            },
        };
        match lagged {
            RecvError::Lagged(_) => tell(&|_| true),
            RecvError::Closed => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
