//! The steps by name: which options each takes, and what it hands on.

use std::fmt;
use std::str::FromStr;

use crate::domain::nearest::nearest;

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// Whether the server answers, and this token may do what is asked of it.
    ValidatePrerequisites,
    /// Whether Argo Events is set up, or setting it up.
    SetupArgoEvents,
    /// Whether the orchestrator runs, or deploying it.
    DeployOrchestrator,
    /// Whether the customer's values are right, and what they lead to.
    ValidateHelmValues,
    /// Asks for the deployment.
    TriggerApplicationSet,
    /// Follows a deployment to its end.
    MonitorSyncWaves,
    /// Whether all services are healthy, with fresh eyes.
    ValidateDeployment,
    /// Tells people how it ended.
    NotifyCompletion,
    /// The waves of a customer, for a workflow that runs each as a step.
    ResolveWaves,
    /// The customers that are known, for a workflow that fans out.
    ListCustomers,
    /// Writes an image tag to Git.
    WriteImageTag,
    /// Takes services back to what they ran before.
    RollBack,
    /// Stops a deployment.
    Abort,
}

/// Options that all steps take, so that workflows can give them to each.
const COMMON: [&str; 8] =
    ["customer-id", "environment", "source", "revision", "image-tag", "workflow-uid", "attempt", "timeout"];

impl Name {
    /// All steps, in the order of a deployment, then the others.
    pub const ALL: [Self; 13] = [
        Self::ValidatePrerequisites,
        Self::SetupArgoEvents,
        Self::DeployOrchestrator,
        Self::ValidateHelmValues,
        Self::TriggerApplicationSet,
        Self::MonitorSyncWaves,
        Self::ValidateDeployment,
        Self::NotifyCompletion,
        Self::ResolveWaves,
        Self::ListCustomers,
        Self::WriteImageTag,
        Self::RollBack,
        Self::Abort,
    ];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::ValidatePrerequisites => "validate-prerequisites",
            Self::SetupArgoEvents => "setup-argo-events",
            Self::DeployOrchestrator => "deploy-orchestrator",
            Self::ValidateHelmValues => "validate-helm-values",
            Self::TriggerApplicationSet => "trigger-application-set",
            Self::MonitorSyncWaves => "monitor-sync-waves",
            Self::ValidateDeployment => "validate-deployment",
            Self::NotifyCompletion => "notify-completion",
            Self::ResolveWaves => "resolve-waves",
            Self::ListCustomers => "list-customers",
            Self::WriteImageTag => "write-image-tag",
            Self::RollBack => "roll-back",
            Self::Abort => "abort",
        }
    }

    /// What it hands on: each output's name, and what that is where the step did not get so far.
    pub fn outputs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::ValidatePrerequisites => &[("version", "")],
            Self::SetupArgoEvents => &[("changed", "false")],
            Self::DeployOrchestrator => &[("version", ""), ("changed", "false")],
            Self::ValidateHelmValues => &[
                ("revision", ""),
                ("image-tag", ""),
                ("services", "0"),
                ("waves", "[]"),
                ("changes", "false"),
            ],
            Self::TriggerApplicationSet => &[("event-id", ""), ("deployment-id", ""), ("revision", "")],
            Self::MonitorSyncWaves => {
                &[("state", ""), ("reason", ""), ("healthy", "0"), ("total", "0"), ("seconds", "0")]
            }
            Self::ValidateDeployment => &[("healthy", "0"), ("total", "0"), ("unhealthy", "[]")],
            Self::NotifyCompletion => &[("sent", "0")],
            Self::ResolveWaves => &[("revision", ""), ("waves", "[]"), ("last-wave", "")],
            Self::ListCustomers => &[("customers", "[]")],
            Self::WriteImageTag => &[("revision", "")],
            Self::RollBack => &[("event-id", ""), ("deployment-id", ""), ("state", "")],
            Self::Abort => &[("aborted", "false")],
        }
    }

    /// The options that it takes beside those of all steps.
    pub fn own_options(self) -> &'static [&'static str] {
        match self {
            Self::ValidatePrerequisites
            | Self::ValidateHelmValues
            | Self::ResolveWaves
            | Self::ListCustomers => &[],
            Self::SetupArgoEvents | Self::DeployOrchestrator => &["namespace", "apply", "force-conflicts"],
            Self::TriggerApplicationSet => &["wave", "force"],
            Self::MonitorSyncWaves | Self::ValidateDeployment => &["deployment-id"],
            Self::NotifyCompletion => &["deployment-id", "status", "failures"],
            Self::WriteImageTag => &["author"],
            Self::RollBack => &["service", "wait"],
            Self::Abort => &["deployment-id", "reason"],
        }
    }

    /// All options that it takes.
    pub fn options(self) -> impl Iterator<Item = &'static str> {
        COMMON.into_iter().chain(self.own_options().iter().copied())
    }

    /// Whether it asks a server and nobody else, so that the executor plugin can run it.
    pub fn needs_a_server_only(self) -> bool {
        match self {
            Self::ValidatePrerequisites
            | Self::ValidateHelmValues
            | Self::TriggerApplicationSet
            | Self::MonitorSyncWaves
            | Self::ValidateDeployment
            | Self::ResolveWaves
            | Self::ListCustomers
            | Self::RollBack
            | Self::Abort => true,
            Self::SetupArgoEvents
            | Self::DeployOrchestrator
            | Self::NotifyCompletion
            | Self::WriteImageTag => false,
        }
    }

    /// Whether it needs a server, or can do with a database of its own (`--standalone`).
    pub fn may_stand_alone(self) -> bool {
        match self {
            Self::ValidateHelmValues
            | Self::TriggerApplicationSet
            | Self::MonitorSyncWaves
            | Self::ValidateDeployment
            | Self::RollBack
            | Self::Abort => true,
            Self::ValidatePrerequisites
            | Self::SetupArgoEvents
            | Self::DeployOrchestrator
            | Self::NotifyCompletion
            | Self::ResolveWaves
            | Self::ListCustomers
            | Self::WriteImageTag => false,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// There is no such step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no step {given:?}{hint}")]
pub struct BadName {
    given: String,
    hint: String,
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|name| name.word() == text).ok_or_else(|| {
            let given: String = text.chars().take(80).collect();
            let near = nearest(&given, Self::ALL.iter().map(|name| name.word()));
            let all = || Self::ALL.map(Self::word).join(", ");
            let hint = near.map_or_else(|| format!("; there are {}", all()), |near| format!("; `{near}`?"));
            BadName { given, hint }
        })
    }
}
