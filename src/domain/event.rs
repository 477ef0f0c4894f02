//! A request as it arrives: what the sensor's trigger says (`spec`), and what happened (`payload`).

use serde::{Deserialize, Serialize};

use super::catalog::Order;
use super::names::{CustomerId, Environment, Revision, ServiceName, SourceName, Wave};

/// A request that can be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is asked for.
    pub kind: Kind,
    /// The configured repository.
    pub source: SourceName,
    /// Only this customer; none for all that the push touches.
    pub customer: Option<CustomerId>,
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only this service (and what it has to wait for).
    pub service: Option<ServiceName>,
    /// Only this wave.
    pub wave: Option<Wave>,
    /// The order mode asked for; none for the configured one.
    pub order: Option<Order>,
    /// Who asked.
    pub requested_by: String,
    /// What made it happen.
    pub trigger: Trigger,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Deploy what the push touches.
    #[default]
    Deployment,
    /// Sync one wave.
    SyncWave,
    /// See whether services are healthy.
    HealthCheck,
    /// Take services back.
    Rollback,
}

/// What made a request happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trigger", rename_all = "kebab-case")]
pub enum Trigger {
    /// A push to a repository.
    Push(Push),
    /// A person, or another system, by hand.
    Manual {
        /// The commit; none for the head of the configured ref.
        revision: Option<Revision>,
        /// Whether what failed before is tried again, and unchanged services are synced as well.
        force: bool,
        /// The id of the request; the same id is the same request.
        id: String,
    },
}

/// The part of GitHub's push payload that decides something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// `repository.full_name`.
    pub repository: String,
    /// Full ref name, such as `refs/heads/main`.
    pub reference: String,
    /// The commit before; none when the ref was created.
    pub before: Option<Revision>,
    /// The commit after; none when the ref was deleted.
    pub after: Option<Revision>,
    /// Whether commits were dropped.
    pub forced: bool,
    /// Delivery id of the webhook, where known.
    pub delivery: Option<String>,
    /// Event id of the bus, where known.
    pub event: Option<String>,
}
