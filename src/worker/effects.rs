//! Performing what was decided: each effect until the cluster has taken it, or it is not wanted any more.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::app::inline_values::{self, Values};
use crate::domain::application::ApplicationSpec;
use crate::domain::deployment::{Brief, Deployment, Effect, Input};
use crate::domain::names::{AppName, Revision};
use crate::ports::{ClusterError, SyncRequest};

/// Effects that are performed at once.
const AT_ONCE: usize = 16;

/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What waits to be performed for one deployment.
pub(super) struct Effects {
    waiting: Vec<Waiting>,
    timeout: Duration,
    epoch: u64,
    /// Values that stand in Applications themselves, by commit.
    values: Mutex<HashMap<Revision, Option<Values>>>,
}

struct Waiting {
    id: i64,
    effect: Effect,
    failures: u32,
    due: Instant,
}

/// What became of the effects that were due.
#[derive(Default)]
pub(super) struct Performed {
    /// Ids that are done with.
    pub(super) settled: Vec<i64>,
    /// What the cluster refused.
    pub(super) inputs: Vec<Input>,
}

enum Outcome {
    Done,
    Refused(String),
    Later(ClusterError),
}

impl Effects {
    pub(super) fn new(pending: Vec<(i64, Effect)>, timeout: Duration, epoch: u64) -> Self {
        let mut effects = Self { waiting: Vec::new(), timeout, epoch, values: Mutex::default() };
        effects.add(pending);
        effects
    }

    pub(super) fn add(&mut self, effects: impl IntoIterator<Item = (i64, Effect)>) {
        let due = Instant::now();
        let waiting = effects.into_iter().map(|(id, effect)| Waiting { id, effect, failures: 0, due });
        self.waiting.extend(waiting);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// An Application has changed: what it was too busy for may be taken now.
    pub(super) fn nudge(&mut self, app: &AppName) {
        for waiting in &mut self.waiting {
            if app_of(&waiting.effect) == Some(app) {
                waiting.due = Instant::now();
            }
        }
    }

    /// Performs what is due.
    pub(super) async fn perform(&mut self, app: &App, deployment: &Deployment) -> Performed {
        let now = Instant::now();
        let mut performed = Performed::default();
        let (due, mut later): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|waiting| waiting.due <= now);
        let (wanted, unwanted): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|waiting| deployment.wants(&waiting.effect));
        performed.settled.extend(unwanted.into_iter().map(|waiting| waiting.id));
        let (epoch, timeout, values) = (self.epoch, self.timeout, &self.values);
        let work = wanted.into_iter().map(|waiting| async move {
            let work = perform(app, &deployment.brief, &waiting.effect, epoch, values);
            let outcome = match tokio::time::timeout(timeout, work).await {
                Ok(outcome) => outcome,
                // Whether it was taken is unknown; doing it again is safe.
                Err(_) => Outcome::Later(ClusterError::Unavailable("it does not answer".into())),
            };
            (waiting, outcome)
        });
        let outcomes: Vec<_> = futures_util::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        for (mut waiting, outcome) in outcomes {
            match outcome {
                Outcome::Done => performed.settled.push(waiting.id),
                Outcome::Refused(reason) => {
                    performed.settled.push(waiting.id);
                    tracing::warn!(deployment = %deployment.id(), reason, "the cluster refuses");
                    match waiting.effect {
                        Effect::Sync { change, request, .. } => {
                            performed.inputs.push(Input::Refused { change, request, reason });
                        }
                        Effect::Remove { removal, .. } => {
                            performed.inputs.push(Input::NotRemoved { removal, reason });
                        }
                        Effect::Refresh { .. }
                        | Effect::Terminate { .. }
                        | Effect::Promote { .. }
                        | Effect::AbortRollout { .. }
                        | Effect::TakeOver { .. }
                        | Effect::Automate { .. }
                        | Effect::Remember { .. }
                        | Effect::Quarantine { .. }
                        | Effect::Forget { .. } => {}
                    }
                }
                Outcome::Later(error) => {
                    let pause = FIRST_PAUSE.saturating_mul(1 << waiting.failures.min(10)).min(LONGEST_PAUSE);
                    // Not all at the same moment: a share of the pause is left to chance.
                    let pause = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
                    waiting.failures += 1;
                    waiting.due = Instant::now() + pause;
                    tracing::debug!(deployment = %deployment.id(), %error, "an effect is put off");
                    later.push(waiting);
                }
            }
        }
        self.waiting = later;
        performed
    }
}

async fn perform(
    app: &App,
    brief: &Brief,
    effect: &Effect,
    epoch: u64,
    values: &Mutex<HashMap<Revision, Option<Values>>>,
) -> Outcome {
    let cluster = app.cluster.as_ref();
    let result = match effect {
        Effect::Sync { change, app: name, request, revision, reason } => {
            let sync = SyncRequest {
                app: name.clone(),
                request: request.clone(),
                revision: revision.clone(),
                reason: reason.clone(),
                epoch,
            };
            match (spec(brief, *change as usize), of_commit(app, brief, revision, values).await) {
                (Some(application), Ok(values)) => {
                    let values = values.and_then(|values| values.of(name).cloned());
                    cluster.sync(&ApplicationSpec { values, ..application }, &sync).await
                }
                (_, Err(error)) => Err(error),
                (None, Ok(_)) => Err(ClusterError::Missing(name.clone())),
            }
        }
        Effect::Refresh { app, .. } => cluster.refresh(app).await,
        Effect::Terminate { app, request, .. } => cluster.terminate(app, request).await,
        Effect::Promote { change, app } => match spec(brief, *change as usize) {
            Some(application) => cluster.promote(&application).await,
            None => Err(ClusterError::Missing(app.clone())),
        },
        Effect::AbortRollout { change, app } => match spec(brief, *change as usize) {
            Some(application) => cluster.abort_rollout(&application).await,
            None => Err(ClusterError::Missing(app.clone())),
        },
        Effect::TakeOver { app, .. } => cluster.take_over(app).await,
        Effect::Automate { app, .. } => cluster.automate(app).await,
        Effect::Remove { removal, app } => match brief.plan.removals.get(*removal as usize) {
            Some(removal) => cluster.delete(removal).await,
            None => Err(ClusterError::Missing(app.clone())),
        },
        Effect::Remember { .. } | Effect::Quarantine { .. } | Effect::Forget { .. } => Ok(()),
    };
    match result {
        Ok(()) => Outcome::Done,
        Err(error @ (ClusterError::Unavailable(_) | ClusterError::Busy(_))) => Outcome::Later(error),
        Err(error @ (ClusterError::Missing(_) | ClusterError::Refused(_))) => {
            Outcome::Refused(error.to_string())
        }
    }
}

/// The values of a commit, read once.
async fn of_commit(
    app: &App,
    brief: &Brief,
    revision: &Revision,
    known: &Mutex<HashMap<Revision, Option<Values>>>,
) -> Result<Option<Values>, ClusterError> {
    let mut known = known.lock().await;
    if let Some(values) = known.get(revision) {
        return Ok(values.clone());
    }
    let values = inline_values::values(app, brief, revision).await?;
    known.insert(revision.clone(), values.clone());
    Ok(values)
}

fn app_of(effect: &Effect) -> Option<&AppName> {
    match effect {
        Effect::Sync { app, .. }
        | Effect::Refresh { app, .. }
        | Effect::Terminate { app, .. }
        | Effect::Promote { app, .. }
        | Effect::AbortRollout { app, .. }
        | Effect::TakeOver { app, .. }
        | Effect::Automate { app, .. }
        | Effect::Remove { app, .. } => Some(app),
        Effect::Remember { .. } | Effect::Quarantine { .. } | Effect::Forget { .. } => None,
    }
}

/// All Applications of a deployment, as they should be.
pub(super) fn specs(brief: &Brief) -> Vec<ApplicationSpec> {
    (0..brief.plan.changes.len()).filter_map(|change| spec(brief, change)).collect()
}

/// The Application of a change, as it should be.
fn spec(brief: &Brief, change: usize) -> Option<ApplicationSpec> {
    let plan = &brief.plan;
    let change = plan.changes.get(change)?;
    Some(ApplicationSpec {
        name: change.app.clone(),
        customer: plan.customer.clone(),
        environment: plan.environment.clone(),
        service: change.service.clone(),
        namespace: plan.namespace.clone(),
        source: plan.source.clone(),
        path: brief.path.clone(),
        values: None,
    })
}
