//! Facts about an Argo CD Application, as far as a decision needs them.
//!
//! Source: Argo CD's `Application` type and the behaviour of its controller. An Application is desired
//! state (`spec`), one pending request (`operation`) and what the controller last wrote (`status`). The three
//! change at different moments, which is why a fact here never says more than what was written.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{AppName, RequestId, Revision};
use super::probe::Verdict;

/// One Application as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: AppName,
    /// `metadata.resourceVersion`, as a number that only grows. Older facts than those seen are stale.
    pub resource_version: u64,
    /// The commit that `spec.source.targetRevision` is pinned to.
    pub pinned: Option<Revision>,
    /// `operation`: what was requested and is not finished.
    pub requested: Option<Requested>,
    /// `status.operationState`: the running or the last operation.
    pub operation: Option<Operation>,
    /// `status.sync`: the last comparison.
    pub sync: Comparison,
    /// `status.health`.
    pub health: Health,
    /// `status.reconciledAt`, whole seconds: when the controller last *began* a full comparison that it finished.
    pub reconciled_at: Option<Timestamp>,
    /// Whether a refresh was asked for and is not done.
    pub refresh_pending: bool,
    /// `ComparisonError` or `InvalidSpecError`: any sync would end in an error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub condition: Option<String>,
    /// What the service's own health check says; none where it has none, or none is made. Argo CD knows nothing of
    /// it: who reads the Application adds it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub check: Option<Verdict>,
}

impl Application {
    /// Whether an operation is requested or running, so that another one cannot be requested.
    pub fn is_busy(&self) -> bool {
        self.requested.is_some() || self.operation.as_ref().is_some_and(|operation| !operation.is_finished())
    }

    /// Whether this request of ours is the one that is pending, running or last finished.
    pub fn carries(&self, request: &RequestId) -> bool {
        let requested = self.requested.as_ref().and_then(|requested| requested.request.as_ref());
        let operation = self.operation.as_ref().and_then(|operation| operation.request.as_ref());
        requested == Some(request) || operation == Some(request)
    }
}

/// `operation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Our id in `operation.info`; none when somebody else asked.
    pub request: Option<RequestId>,
    /// The commit asked for.
    pub revision: Option<Revision>,
}

/// `status.operationState`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Our id in `operationState.operation.info`; none when somebody else asked.
    pub request: Option<RequestId>,
    /// Where it stands.
    pub phase: Phase,
    /// What the controller says of it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub message: String,
    /// Whole seconds.
    pub started_at: Timestamp,
    /// Whole seconds. Also set while `Running` waits for a retry.
    pub finished_at: Option<Timestamp>,
    /// `syncResult.revision`: what was really synced.
    pub revision: Option<Revision>,
}

impl Operation {
    /// Whether it is over for good. `Running` with a `finishedAt` waits for a retry and is not.
    pub fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::Terminating => false,
            Phase::Succeeded | Phase::Failed | Phase::Error => true,
        }
    }

    /// Whether it is between two attempts of Argo CD's own retry.
    pub fn is_retrying(&self) -> bool {
        self.phase == Phase::Running && self.finished_at.is_some()
    }
}

/// `operationState.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Running, or waiting for a retry.
    Running,
    /// Being stopped.
    Terminating,
    /// Everything was applied.
    Succeeded,
    /// The sync failed.
    Failed,
    /// The sync could not be run.
    Error,
}

/// `status.sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the comparison gave.
    pub status: SyncStatus,
    /// The commit that the live state was compared with.
    pub revision: Option<Revision>,
    /// Whether `comparedTo` equals the current spec.
    pub current: bool,
}

/// `status.sync.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncStatus {
    /// The live state is the desired one.
    Synced,
    /// It is not.
    OutOfSync,
    /// It could not be compared.
    Unknown,
}

/// `status.health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The worst of its resources.
    pub status: HealthStatus,
    /// Why, where the controller says so.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub message: String,
}

/// `status.health.status`, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HealthStatus {
    /// All is well.
    Healthy,
    /// Paused on purpose: a Rollout in a pause.
    Suspended,
    /// On its way.
    Progressing,
    /// Nothing of it is there.
    Missing,
    /// Failed, or not getting there.
    Degraded,
    /// Could not be assessed.
    Unknown,
}

impl std::fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        })
    }
}

/// Words that Argo CD puts into the message of an operation that a sync window holds back; the operation
/// then stays `Running` until the window opens.
pub const BLOCKED_BY_WINDOW: &str = "blocked by sync window";

/// What an Application should be, as far as this tool decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationSpec {
    /// Its name.
    pub name: AppName,
    /// The customer it belongs to.
    pub customer: super::names::CustomerId,
    /// The environment.
    pub environment: super::names::Environment,
    /// The service, or none for the part that all services share.
    pub service: Option<super::names::ServiceName>,
    /// The namespace it deploys to.
    pub namespace: super::names::Namespace,
    /// The configured repository.
    pub source: super::names::SourceName,
    /// The folder of the chart in the repository.
    pub path: String,
    /// Values that stand in the Application itself, where that folder has none of the customer's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub values: Option<serde_json::Value>,
}
