//! One deployment: a state machine over its services.
//!
//! [`step`] takes the deployment, one [`Input`] and the time; it changes the state and returns what is to be
//! done ([`Effect`]) and what moved ([`Transition`]). It waits for nothing and asks nobody. Inputs that moved
//! something are journalled; replaying a journal gives the same state.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::application::Application;
use super::diagnostic::Diagnostic;
use super::names::{DeploymentId, EventId, Fingerprint, RequestId};
use super::plan::Plan;

mod backward;
mod effect;
mod forward;
mod glance;
mod machine;
mod observe;
mod occasion;
mod policy;
mod remove;
mod service;
mod state;
mod tally;
mod why;

use machine::Stepper;
pub use occasion::Occasion;
use service::later;
pub use why::Blocker;

pub use effect::Effect;
pub use glance::{Blocked, Glance};
pub use policy::{OnFailure, Policy, Promotion, Upkeep};
pub use remove::Removing;
pub use service::{Attempt, Checking, Keep, Refresh, Retreat, Run, ServiceState, Skip};
pub use state::{Ending, State};
pub use tally::{Tally, WaveStatus};

/// One run for one customer and environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// What never changes after it was made.
    pub brief: Brief,
    /// What does.
    pub progress: Progress,
}

/// What of a deployment never changes: what it is to do and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// Its id.
    pub id: DeploymentId,
    /// The event that asked for it.
    pub event: EventId,
    /// Who asked: the pusher, or a person's name.
    pub requested_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it is about all of the customer at its commit, so that a newer commit takes its place.
    pub whole: bool,
    /// Hash of all files that the customer's catalogue and charts come from, at the commit.
    pub digest: Fingerprint,
    /// The folder of its chart in the repository.
    pub path: String,
    /// What it does.
    pub plan: Plan,
    /// The rules that it follows.
    pub policy: Policy,
}

/// What of a deployment changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands.
    pub state: State,
    /// Where each change of the plan stands, in the plan's order.
    pub services: Vec<ServiceState>,
    /// How many syncs of each change were requested. What was requested at all is what a rollback takes back,
    /// and the number makes each request's id unique.
    pub requests: Vec<u32>,
    /// Where removals stand, as far as their turn has come, in the plan's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<Removing>,
    /// How many inputs moved something.
    pub version: u64,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// That the cluster does not answer; none while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
}

/// A time in which the cluster does not answer. Nothing is given up meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Since when.
    pub since: Timestamp,
    /// What was said instead of an answer.
    pub reason: String,
}

/// What can happen to a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "kebab-case")]
pub enum Input {
    /// Its turn has come: no other deployment of the customer and environment is active.
    Start,
    /// An Application was read. Taken in only: a look at many Applications is over with the [`Input::Timer`] that
    /// follows it, so that nothing starts on half of what was seen.
    Observed {
        /// Which change of the plan; behind the last one come the removals.
        change: u32,
        /// What was read; none where it does not exist.
        application: Option<Box<Application>>,
    },
    /// Time passed, and all that was seen by now is known: what is due is done, what may start is started.
    Timer,
    /// Somebody looks again, after a time in which nobody did. Nothing starts before that look.
    Resumed,
    /// The cluster does not answer: of all that was to be read, nothing could be.
    Unreachable {
        /// What was said instead of an answer.
        reason: String,
    },
    /// The cluster will never do what was asked for.
    Refused {
        /// Which change of the plan.
        change: u32,
        /// Which request.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// The cluster will never remove what was to be removed.
    NotRemoved {
        /// Which removal of the plan.
        removal: u32,
        /// Why.
        reason: String,
    },
    /// A newer commit of the same customer and environment waits.
    Superseded {
        /// Its deployment.
        by: DeploymentId,
    },
    /// A person (or a program for one) wants something.
    Command {
        /// Who.
        by: String,
        /// What.
        command: Command,
    },
}

/// What people can ask of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Agree to the plan with this hash.
    Approve {
        /// The hash that was looked at; none to agree to whatever the plan is.
        plan: Option<String>,
    },
    /// Refuse the plan.
    Reject {
        /// Why.
        reason: String,
    },
    /// Start nothing new.
    Pause,
    /// Go on.
    Resume,
    /// Stop and leave everything as it is.
    Abort {
        /// Why.
        reason: String,
    },
    /// Try a failed service again, or all failed ones.
    Retry {
        /// Which; none for all.
        service: Option<String>,
    },
    /// Do without a service: those that wait for it go on.
    Skip {
        /// Which.
        service: String,
    },
    /// Take back what was advanced.
    Rollback {
        /// Why.
        reason: String,
    },
}

/// Something that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// The service's name, or `base`; none for the deployment as a whole.
    pub service: Option<String>,
    /// The state before.
    pub from: String,
    /// The state now.
    pub to: String,
    /// Why.
    pub cause: String,
}

/// What one input led to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Step {
    /// What moved, in order. Empty where nothing did: then the state is what it was, and nothing need be saved.
    pub transitions: Vec<Transition>,
    /// What is to be done.
    pub effects: Vec<Effect>,
}

/// One line of a deployment's journal: an input that moved something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalEntry {
    /// Position, from 1 without gaps.
    pub seq: u64,
    /// When the input was taken.
    pub at: Timestamp,
    /// The input.
    #[schema(value_type = Object)]
    pub input: Input,
    /// What moved.
    pub transitions: Vec<Transition>,
}

/// Takes one input at the given time.
///
/// A finished deployment never moves. Whoever calls saves the state and the effects in one transaction before
/// any effect is performed.
pub fn step(deployment: &mut Deployment, input: Input, now: Timestamp) -> Step {
    Stepper::new(&deployment.brief, &mut deployment.progress, now).run(input)
}

/// The state that a journal leads to.
///
/// Replaying the journal of a deployment from its brief gives the state that was saved with its last entry.
pub fn replay(brief: Brief, journal: &[JournalEntry]) -> Deployment {
    let mut deployment = Deployment::new(brief);
    for entry in journal {
        step(&mut deployment, entry.input.clone(), entry.at);
    }
    deployment
}

impl Deployment {
    /// A deployment that waits for its turn.
    pub fn new(brief: Brief) -> Self {
        let count = brief.plan.changes.len();
        let waiting = ServiceState::Waiting { since: brief.created_at };
        let progress = Progress {
            state: State::Queued,
            services: vec![waiting; count],
            requests: vec![0; count],
            removals: Vec::new(),
            version: 0,
            started_at: None,
            outage: None,
        };
        Self { brief, progress }
    }

    /// A deployment that ended before it began, because its input was wrong.
    pub fn rejected(brief: Brief, reason: String, diagnostics: Vec<Diagnostic>) -> Self {
        let at = brief.created_at;
        let mut deployment = Self::new(brief);
        deployment.progress.state = State::Rejected { at, reason, diagnostics };
        deployment
    }

    /// Its id.
    pub fn id(&self) -> &DeploymentId {
        &self.brief.id
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.progress.state
    }

    /// The changes of its plan with where each stands, in the plan's order.
    pub fn services(&self) -> impl Iterator<Item = (&super::plan::Change, &ServiceState)> {
        self.brief.plan.changes.iter().zip(&self.progress.services)
    }

    /// Whether a person's command makes sense now.
    ///
    /// # Errors
    /// Why it does not, for that person.
    pub fn accepts(&self, command: &Command) -> Result<(), String> {
        self.brief.accepts(&self.progress, command)
    }

    /// Whether an effect that was not performed yet is still wanted: a request that was given up must not
    /// reach the cluster late, and one that was seen there must not reach it again.
    pub fn wants(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Sync { change, request, .. } => {
                !self.progress.state.is_aborting() && self.outstanding(*change) == Some(request)
            }
            // Stopping what was given up stays right, and so does remembering.
            Effect::Promote { change, .. } => self.is_suspended(*change),
            Effect::Remove { removal, .. } => self.wants_removal(*removal),
            // The request for its sync does the same, and once it has its verdict it is the cluster's again.
            Effect::TakeOver { change, .. } => {
                let service = self.progress.services.get(*change as usize);
                !self.progress.state.is_finished() && matches!(service, Some(ServiceState::Waiting { .. }))
            }
            Effect::Terminate { .. }
            | Effect::AbortRollout { .. }
            | Effect::Automate { .. }
            | Effect::Remember { .. }
            | Effect::Quarantine { .. }
            | Effect::Forget { .. } => true,
            Effect::Refresh { .. } => !self.progress.state.is_finished(),
        }
    }

    /// Whether a pause of its Rollout is all that keeps it from its verdict.
    fn is_suspended(&self, change: u32) -> bool {
        let state = self.progress.services.get(change as usize);
        matches!(state.and_then(ServiceState::run), Some(Run::Verifying { doubt, .. }) if doubt.is_suspended())
    }

    /// The request of a change that was not seen on its Application yet.
    fn outstanding(&self, change: u32) -> Option<&RequestId> {
        match self.progress.services.get(change as usize)?.run()? {
            Run::Syncing { attempt, seen } if !seen.is_ours() => Some(&attempt.request),
            Run::Syncing { .. } | Run::Verifying { .. } | Run::Retrying { .. } => None,
        }
    }

    /// The next moment after `now` at which an [`Input::Timer`] may move something.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.progress.state.is_active() {
            return None;
        }
        let removals = self.progress.removals.iter().filter_map(|removal| match removal {
            Removing::Asked { deadline, .. } => (*deadline > now).then_some(*deadline),
            Removing::Gone { .. } | Removing::Left { .. } => None,
        });
        self.progress.services.iter().filter_map(|state| self.wake_of(state, now)).chain(removals).min()
    }

    fn wake_of(&self, state: &ServiceState, now: Timestamp) -> Option<Timestamp> {
        let policy = &self.brief.policy;
        let due = |refresh: &Refresh, wanted: bool| wanted.then_some(refresh.due);
        let moments: [Option<Timestamp>; 4] = match state {
            ServiceState::Advancing(run) | ServiceState::Retreating(Retreat::Running(run)) => match run {
                Run::Syncing { attempt, .. } => [Some(attempt.deadline), None, None, None],
                Run::Verifying { attempt, refresh, healthy_since, degraded_since, doubt, .. } => [
                    Some(attempt.deadline),
                    due(refresh, doubt.wants_refresh()),
                    healthy_since.map(|since| later(since, policy.stabilisation)),
                    degraded_since.map(|since| later(since, policy.degraded_grace)),
                ],
                Run::Retrying { at, .. } => [Some(*at), None, None, None],
            },
            ServiceState::Checking(checking) => {
                [Some(checking.deadline), due(&checking.refresh, checking.doubt.wants_refresh()), None, None]
            }
            ServiceState::Unhealthy { deadline, .. }
            | ServiceState::Retreating(Retreat::Stopping { deadline, .. }) => {
                [Some(*deadline), None, None, None]
            }
            ServiceState::Waiting { .. }
            | ServiceState::Healthy { .. }
            | ServiceState::Failed { .. }
            | ServiceState::Skipped { .. }
            | ServiceState::Retreating(Retreat::Waiting { .. })
            | ServiceState::RolledBack { .. }
            | ServiceState::RollbackFailed { .. }
            | ServiceState::Kept { .. } => [None; 4],
        };
        moments.into_iter().flatten().filter(|moment| *moment > now).min()
    }
}

impl Brief {
    fn accepts(&self, progress: &Progress, command: &Command) -> Result<(), String> {
        let word = progress.state.word();
        let only = |fine: bool, when: &str| {
            if fine {
                Ok(())
            } else {
                Err(format!("the deployment is {word}; this needs one that is {when}"))
            }
        };
        let known = |service: &str| {
            let names = || self.plan.changes.iter().map(super::plan::Change::name);
            if names().any(|name| name == service) {
                Ok(())
            } else {
                Err(format!("the deployment has no service {service:?}"))
            }
        };
        let going = matches!(progress.state, State::Running | State::Paused { .. });
        match command {
            Command::Approve { plan } => {
                only(matches!(progress.state, State::AwaitingApproval { .. }), "awaiting approval")?;
                match plan {
                    Some(hash) if !self.plan.hash.as_str().starts_with(hash.as_str()) || hash.len() < 8 => {
                        Err(format!("the plan is {}, not {hash}: look at it again", self.plan.hash))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Command::Reject { .. } => {
                only(matches!(progress.state, State::AwaitingApproval { .. }), "awaiting approval")
            }
            Command::Pause => only(progress.state == State::Running, "running"),
            Command::Resume => only(matches!(progress.state, State::Paused { .. }), "paused"),
            Command::Abort { .. } => {
                let stopping = matches!(progress.state, State::Stopping { .. });
                only(!stopping && !progress.state.is_finished(), "not over and not stopping")
            }
            Command::Retry { service } => {
                only(going, "running or paused (a finished one is repeated by a new deployment)")?;
                let Some(service) = service else { return Ok(()) };
                known(service)?;
                let changes = self.plan.changes.iter().zip(&progress.services);
                let found = changes.into_iter().find(|(change, _)| change.name() == service);
                match found {
                    Some((_, state)) if !state.can_be_retried() => {
                        Err(format!("{service} is {}; only what failed can be tried again", state.word()))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Command::Skip { service } => {
                only(going, "running or paused")?;
                known(service)
            }
            Command::Rollback { .. } => only(going, "running or paused"),
        }
    }
}

#[cfg(test)]
mod tests;
