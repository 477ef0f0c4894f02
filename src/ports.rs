//! What the decisions need of the world: small traits in our own words.
//!
//! Each has a real implementation and one for tests; nothing else is a trait.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::domain::application::{Application, ApplicationSpec};
use crate::domain::names::{AppName, Namespace, RequestId, Revision, SourceName};
use crate::domain::probe::address::Service;
use crate::domain::probe::{Outcome, Question};
use crate::domain::removal::Removal;
use crate::domain::spread::Spread;
use crate::domain::trace::Span;

/// The Applications of an Argo CD.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Reads one Application; none where it does not exist.
    async fn application(&self, name: &AppName) -> Result<Option<Application>, ClusterError>;

    /// Says which Applications one deployment is about, all of a customer's in one environment, before any of them is
    /// asked for.
    async fn prepare(&self, parts: Vec<ApplicationSpec>) {
        // Only matters where several of them are one.
        drop(parts);
    }

    /// Pins an Application to a commit and requests its sync, in one write. The Application is made where it does
    /// not exist, and changed where it is not as given.
    ///
    /// Idempotent in `request`: an Application that carries it already is left alone. An Application with
    /// another operation pending or running is left alone too, and answers [`ClusterError::Busy`].
    async fn sync(&self, application: &ApplicationSpec, request: &SyncRequest) -> Result<(), ClusterError>;

    /// Asks for a fresh comparison. Returns once it is asked for, not once it is done.
    async fn refresh(&self, name: &AppName) -> Result<(), ClusterError>;

    /// Stops the running operation if it is the given one; does nothing otherwise.
    async fn terminate(&self, name: &AppName, request: &RequestId) -> Result<(), ClusterError>;

    /// Keeps the cluster from moving an Application by itself, until [`Cluster::automate`]: automated sync of one that
    /// follows a branch, where that is configured. Does nothing where there is none. Idempotent.
    async fn take_over(&self, name: &AppName) -> Result<(), ClusterError> {
        // What is pinned moves nowhere.
        let _pinned = name;
        Ok(())
    }

    /// Lets the cluster keep an Application at the commit that it is pinned to, from now on: automated sync, where
    /// that is configured. Idempotent.
    async fn automate(&self, name: &AppName) -> Result<(), ClusterError>;

    /// Lets the paused Rollout of a service go on. Does nothing where there is none, or none is paused.
    async fn promote(&self, application: &ApplicationSpec) -> Result<(), ClusterError>;

    /// Stops the Rollout of a service that is under way, so that its traffic goes back to the stable pods. Does nothing
    /// where there is none, or it is through.
    async fn abort_rollout(&self, application: &ApplicationSpec) -> Result<(), ClusterError>;

    /// Deletes the Application of a service that is not wanted any more, so that its objects go before it does. Does
    /// nothing where it is gone or going, and never deletes one that is not labelled as that service's.
    async fn delete(&self, removal: &Removal) -> Result<(), ClusterError>;

    /// Names of Applications as they change. A receiver that lags must read the Applications again: what is
    /// sent says only that there is something to read.
    fn changes(&self) -> broadcast::Receiver<AppName>;

    /// The requests that were made to it since the program started, where they are counted.
    fn calls(&self) -> Vec<ApiCalls> {
        Vec::new()
    }

    /// How long those that were answered took, where it is measured.
    fn times(&self) -> Vec<ApiTimes> {
        Vec::new()
    }
}

/// How many requests of one sort were made to a cluster. All words are of a fixed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiCalls {
    /// What was asked for: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, or `other`.
    pub verb: &'static str,
    /// Of which resource, in the plural; `other` for those that are not told apart.
    pub resource: &'static str,
    /// What became of it: `ok`, `conflict`, `gone`, `not-found`, `refused`, `throttled`, `failed`, `unreachable`.
    pub outcome: &'static str,
    /// How many.
    pub count: u64,
}

/// How long requests of one sort took that were answered, whatever the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiTimes {
    /// What was asked for, as in [`ApiCalls`].
    pub verb: &'static str,
    /// Of which resource.
    pub resource: &'static str,
    /// From the request until the answer began, which is all that a watch has of an end.
    pub took: Spread,
}

/// A sync to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// Which Application.
    pub app: AppName,
    /// Our id for it.
    pub request: RequestId,
    /// The commit to pin and sync.
    pub revision: Revision,
    /// Why, for people who look at the operation.
    pub reason: String,
    /// The fencing token of the worker that asks.
    pub epoch: u64,
}

/// Why the cluster did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// It cannot be reached, or answered with something that may pass.
    #[error("the cluster cannot be reached: {0}")]
    Unavailable(String),
    /// Another operation is pending or running on it.
    #[error("another operation is running on {0}")]
    Busy(AppName),
    /// There is no such Application.
    #[error("there is no Application {0}")]
    Missing(AppName),
    /// It never will, for the reason given.
    #[error("{0}")]
    Refused(String),
}

/// Whoever asks services whether they are well.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Asks once. Ends within the time given, whatever happens.
    async fn ask(&self, question: &Question, within: Duration) -> Outcome;
}

/// The Kubernetes Services that services are reached by.
#[async_trait]
pub trait Services: Send + Sync {
    /// Reads one; none where it does not exist.
    async fn service(&self, namespace: &Namespace, name: &AppName) -> Result<Option<Service>, ClusterError>;
}

/// The repositories that values and charts come from.
#[async_trait]
pub trait ValuesSource: Send + Sync {
    /// Brings the repository up to date: afterwards all commits of its refs can be read.
    async fn fetch(&self, source: &SourceName) -> Result<(), SourceError>;

    /// The commit that a full ref name (`refs/heads/main`) points at, as of the last fetch.
    async fn head(&self, source: &SourceName, reference: &str) -> Result<Option<Revision>, SourceError>;

    /// Whether the commit is there.
    async fn contains(&self, source: &SourceName, revision: &Revision) -> Result<bool, SourceError>;

    /// Whether `ancestor` is an ancestor of (or equal to) `descendant`.
    async fn is_ancestor(
        &self,
        source: &SourceName,
        ancestor: &Revision,
        descendant: &Revision,
    ) -> Result<bool, SourceError>;

    /// Paths that differ between two commits; all paths of the second where there is no first.
    async fn changed(
        &self,
        source: &SourceName,
        from: Option<&Revision>,
        to: &Revision,
    ) -> Result<Vec<String>, SourceError>;

    /// All regular files below a folder at a commit (or the one file of that path): path to content id (git's
    /// blob id). Symbolic links are listed with the id of the link itself.
    async fn list(
        &self,
        source: &SourceName,
        revision: &Revision,
        folder: &str,
    ) -> Result<BTreeMap<String, String>, SourceError>;

    /// The content of a regular file at a commit; none where there is no such file.
    async fn read(
        &self,
        source: &SourceName,
        revision: &Revision,
        path: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, SourceError>;
}

/// Why a repository did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It cannot be reached, or took too long. May pass.
    #[error("repository {source_name} cannot be read: {reason}")]
    Unavailable {
        /// Which.
        source_name: SourceName,
        /// Why, without credentials.
        reason: String,
    },
    /// The commit is not in it.
    #[error("repository {source_name} has no commit {revision}")]
    MissingRevision {
        /// Which repository.
        source_name: SourceName,
        /// Which commit.
        revision: Revision,
    },
    /// A file is larger than allowed.
    #[error("{path} has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// Which file.
        path: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The repository is not configured, or its configuration is refused.
    #[error("{0}")]
    Refused(String),
}

/// Whoever collects traces.
#[async_trait]
pub trait Collector: Send + Sync {
    /// Takes spans, all or none. The same spans may come again.
    async fn take(&self, spans: &[Span]) -> Result<(), CollectorError>;
}

/// Why spans were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectorError {
    /// It cannot be reached, or says that it may be later.
    #[error("the collector cannot be reached: {0}")]
    Unavailable(String),
    /// It never will.
    #[error("{0}")]
    Refused(String),
}

/// A kind of object in Kubernetes, all of which belong to a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKind {
    /// The group; empty for the core.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The kind, as manifests have it.
    pub kind: &'static str,
    /// The same in addresses; not always what a rule of grammar gives.
    pub plural: &'static str,
}

/// Objects of a cluster, as JSON: for those who set something up, or look whether it is.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Reads an object; none where it does not exist.
    async fn read(
        &self,
        kind: &ObjectKind,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<serde_json::Value>, ObjectError>;

    /// All objects of a kind in a namespace, 500 at most.
    async fn list(
        &self,
        kind: &ObjectKind,
        namespace: &Namespace,
    ) -> Result<Vec<serde_json::Value>, ObjectError>;

    /// Applies an object by server-side apply; `force` takes fields over that others set. Answers whether that changed
    /// it.
    async fn apply(
        &self,
        kind: &ObjectKind,
        namespace: &Namespace,
        name: &str,
        object: &serde_json::Value,
        force: bool,
    ) -> Result<bool, ObjectError>;
}

/// Why the cluster did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// It cannot be reached, or answered with something that may pass.
    #[error("the cluster cannot be reached: {0}")]
    Unavailable(String),
    /// It knows no such kind.
    #[error("the cluster knows no {0}: its CRD is not installed")]
    NoSuchKind(&'static str),
    /// It is not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// Others set these fields.
    #[error("{0}")]
    Conflict(String),
    /// The object is wrong.
    #[error("{0}")]
    Invalid(String),
}

/// Whoever is told what happened: one place that takes messages.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tells it once. The same message may come again, under the same id. `now` is when it is told.
    async fn tell(&self, message: &Message, now: Timestamp) -> Result<(), NotifierError>;
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, the same each time that it is told.
    pub id: String,
    /// What is said, as JSON.
    pub body: String,
}

/// Why a message was not taken. No text has anything of the address in it, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifierError {
    /// It cannot be reached, or says that it may be later.
    #[error("{reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
        /// When it wants to be asked again at the earliest, from now on.
        after: Option<Duration>,
    },
    /// It never will.
    #[error("{0}")]
    Refused(String),
}
