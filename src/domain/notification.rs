//! What people are told of a deployment where they are: what happened, which waves, how long, what failed and why.
//!
//! A [`Notice`] is what is said, whoever is told; [`slack`] and [`webhook`] write it for those who read it. Who wants
//! which is an [`Interest`].

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::deployment::Transition;
use super::plan::Purpose;

pub mod slack;
pub mod template;
pub mod webhook;
mod words;
mod workflow;

pub use template::Template;
pub use workflow::Workflow;

/// Entries of a list that a notice has at most; how many there are is told beside it.
pub const MOST: usize = 50;

/// Characters that one reason has at most.
const LONGEST: usize = 500;

/// What somebody can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A deployment began.
    Started,
    /// It succeeded.
    Succeeded,
    /// It failed, and nothing was taken back.
    Failed,
    /// It failed, and what was advanced was taken back.
    RolledBack,
    /// Its input was wrong, or somebody refused its plan.
    Rejected,
    /// Somebody stopped it.
    Aborted,
    /// A newer commit took its place.
    Superseded,
    /// Somebody has to agree to its plan.
    AwaitingApproval,
    /// A service lost its health after its verdict, while the deployment was under way.
    UnhealthyAfter,
}

impl Trigger {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Started,
        Self::Succeeded,
        Self::Failed,
        Self::RolledBack,
        Self::Rejected,
        Self::Aborted,
        Self::Superseded,
        Self::AwaitingApproval,
        Self::UnhealthyAfter,
    ];

    /// What is told to whoever says nothing else.
    pub const USUAL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::RolledBack, Self::AwaitingApproval];

    /// Its stable name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Rejected => "rejected",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
            Self::AwaitingApproval => "awaiting-approval",
            Self::UnhealthyAfter => "unhealthy-after",
        }
    }

    /// What is to be told of when something moved; none where nothing is. `state` is the deployment's since then;
    /// one that was refused when it was made moved nothing.
    pub fn of(state: &str, transitions: &[Transition]) -> Vec<Self> {
        let mut found = Vec::new();
        if transitions.is_empty() && state == "rejected" {
            found.push(Self::Rejected);
        }
        for moved in transitions.iter().filter(|moved| moved.from != moved.to) {
            let trigger = match &moved.service {
                None => Self::of_move(&moved.from, &moved.to),
                Some(_) => (moved.to == "unhealthy").then_some(Self::UnhealthyAfter),
            };
            found.extend(trigger.filter(|trigger| !found.contains(trigger)));
        }
        found
    }

    /// Whether a deployment is over with it.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Succeeded
            | Self::Failed
            | Self::RolledBack
            | Self::Rejected
            | Self::Aborted
            | Self::Superseded => true,
            Self::Started | Self::AwaitingApproval | Self::UnhealthyAfter => false,
        }
    }

    fn of_move(from: &str, to: &str) -> Option<Self> {
        match (from, to) {
            ("queued" | "awaiting-approval", "running" | "rolling-back") => Some(Self::Started),
            (_, "succeeded") => Some(Self::Succeeded),
            ("rolling-back", "failed") => Some(Self::RolledBack),
            (_, "failed") => Some(Self::Failed),
            (_, "rejected") => Some(Self::Rejected),
            (_, "aborted") => Some(Self::Aborted),
            (_, "superseded") => Some(Self::Superseded),
            (_, "awaiting-approval") => Some(Self::AwaitingApproval),
            (_, _) => None,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What is said. As JSON it is the `data` of a webhook; fields are added and never change their meaning within one
/// [`webhook::VERSION`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub trigger: Trigger,
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub customer: String,
    /// Where.
    pub environment: String,
    /// The deployment's state since then, or the workflow's.
    pub state: String,
    /// Whether it only shows that whoever is told can be.
    #[serde(default, skip_serializing_if = "is_false")]
    pub test: bool,
    /// The deployment; none where a workflow ended without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The deployment's version since then: how many inputs had moved something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_version: Option<u64>,
    /// The workflow, where it is one that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// What the deployment is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The hash of the plan; an approval is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Who asked: the pusher, or a person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The event that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Why it is so, where there is something to explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From the start to the end; from the making where it never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// How many services there are; the shared part does not count, here and below.
    pub services: usize,
    /// How many of them are synced.
    pub synced: usize,
    /// How many of them are healthy, or rightly left alone.
    pub healthy: usize,
    /// What is synced, and why: the first [`MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
    /// The waves, lowest first; the shared part is in none. The first [`MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<WaveNotice>,
    /// What failed, or lost its health, and why: the first [`MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// How many failures there are.
    #[serde(default)]
    pub failures_total: usize,
    /// What was taken back, in the order in which it was back: the first [`MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolled_back: Vec<String>,
    /// How many were taken back.
    #[serde(default)]
    pub rolled_back_total: usize,
    /// How many were to be taken back and could not be.
    #[serde(default)]
    pub rollback_failures: usize,
    /// Where people see more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A service that is synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub service: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// How far a wave is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaveNotice {
    /// Which.
    pub wave: u32,
    /// How many services it has.
    pub services: usize,
    /// How many of them are synced.
    pub synced: usize,
    /// How many of them are healthy, or rightly left alone.
    pub healthy: usize,
    /// From its first sync to its last verdict; none where nothing of it got that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The service; a workflow's step where there is no deployment.
    pub service: String,
    /// Its wave; none for the shared part, and for steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u32>,
    /// Why, in at most 500 characters.
    pub reason: String,
}

impl Failure {
    /// A failure, its reason on one line and cut.
    pub fn new(service: &str, wave: Option<u32>, reason: &str) -> Self {
        Self { service: cut(service, LONGEST), wave, reason: cut(reason, LONGEST) }
    }
}

impl Notice {
    /// A notice that says no more than what happened, where and when.
    pub fn new(trigger: Trigger, at: Timestamp, customer: &str, environment: &str) -> Self {
        Self {
            trigger,
            at,
            customer: cut(customer, LONGEST),
            environment: cut(environment, LONGEST),
            state: trigger.word().to_owned(),
            test: false,
            deployment: None,
            deployment_version: None,
            workflow: None,
            purpose: None,
            revision: None,
            plan: None,
            requested_by: None,
            event: None,
            reason: None,
            duration_seconds: None,
            services: 0,
            synced: 0,
            healthy: 0,
            changes: Vec::new(),
            waves: Vec::new(),
            failures: Vec::new(),
            failures_total: 0,
            rolled_back: Vec::new(),
            rolled_back_total: 0,
            rollback_failures: 0,
            link: None,
        }
    }

    /// Says why, on one line and cut.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Self {
        self.reason = reason.map(|reason| cut(reason, 4 * LONGEST));
        self
    }

    /// Says what failed.
    #[must_use]
    pub fn with_failures(mut self, failures: Vec<Failure>) -> Self {
        self.failures_total = failures.len();
        self.failures = failures.into_iter().take(MOST).collect();
        self
    }

    /// The id under which a target gets it: the same whenever the same is told again, by whoever does.
    pub fn id(&self, target: &str) -> String {
        let occurrence = match self.trigger {
            // The only thing that can happen to a deployment more than once.
            Trigger::UnhealthyAfter => self.deployment_version.unwrap_or(0).to_string(),
            _ if self.test => self.at.to_string(),
            Trigger::Started
            | Trigger::Succeeded
            | Trigger::Failed
            | Trigger::RolledBack
            | Trigger::Rejected
            | Trigger::Aborted
            | Trigger::Superseded
            | Trigger::AwaitingApproval => String::new(),
        };
        let about = self.deployment.as_deref().or(self.workflow.as_deref()).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [about, self.trigger.word(), target, &occurrence, &self.customer, &self.environment] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("msg_{digits}")
    }
}

/// The address of a deployment's page; `base` is that of the page as a whole.
pub fn link(base: &str, deployment: &str) -> String {
    format!("{}/#/deployments/{deployment}", base.trim_end_matches('/'))
}

/// A text on one line, in at most so many characters.
fn cut(text: &str, most: usize) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut kept: String = one_line.clone().take(most).collect();
    if one_line.count() > most {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// Which notices somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// Of what. Who wants what failed wants what was rolled back as well.
    pub on: Vec<Trigger>,
    /// Of whose deployments; none for all.
    pub customers: Vec<String>,
    /// Of which environments; none for all.
    pub environments: Vec<String>,
}

impl Interest {
    /// Whether something that happened there is wanted.
    pub fn covers(&self, trigger: Trigger, customer: &str, environment: &str) -> bool {
        let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
        let wanted = self.on.contains(&trigger)
            || (trigger == Trigger::RolledBack && self.on.contains(&Trigger::Failed));
        wanted && among(&self.customers, customer) && among(&self.environments, environment)
    }

    /// Whether a notice is wanted.
    pub fn wants(&self, notice: &Notice) -> bool {
        self.covers(notice.trigger, &notice.customer, &notice.environment)
    }
}
