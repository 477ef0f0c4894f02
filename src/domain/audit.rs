//! Who asked for a change, from where, and what came of it.

use jiff::Timestamp;
use serde::Serialize;

use super::names::{CustomerId, DeploymentId, Environment, EventId};

/// The way by which somebody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The command line, on the machine that has the database.
    Cli,
    /// The HTTP interface.
    Http,
    /// The custom trigger of a sensor.
    Trigger,
    /// A webhook.
    Webhook,
    /// Nobody: the refs were looked at.
    Poll,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cli, Self::Http, Self::Trigger, Self::Webhook, Self::Poll];

    /// Its stable name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Http => "http",
            Self::Trigger => "trigger",
            Self::Webhook => "webhook",
            Self::Poll => "poll",
        }
    }
}

/// Who asks, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of a person, or of the token that a program has.
    pub actor: String,
    /// By which way.
    pub via: Via,
    /// The address of whoever connected, where there is one. Behind a proxy it is the proxy's.
    pub address: Option<String>,
    /// The id of the request, as the log has it.
    pub request: Option<String>,
}

impl Origin {
    /// Somebody at the command line of this machine.
    pub fn cli(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), via: Via::Cli, address: None, request: None }
    }
}

/// A write that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the order of all.
    pub seq: u64,
    /// When it was stored.
    pub at: Timestamp,
    /// Who, and from where.
    pub origin: Origin,
    /// What: the word of a command or of what was asked for, `login`, `logout`, `replay`, `dead-letter` or `log-level`.
    pub action: String,
    /// Whose services it is about; none where it is about no single customer.
    pub customer: Option<CustomerId>,
    /// Where.
    pub environment: Option<Environment>,
    /// The deployment that it is about.
    pub deployment: Option<DeploymentId>,
    /// The event that it made.
    pub event: Option<EventId>,
    /// What was asked for, as JSON.
    pub detail: serde_json::Value,
    /// What it was about before: the state of the deployment. None for what made something new.
    pub before: Option<String>,
    /// And after: its state once the worker had taken it, or the outcome of the event. None until then.
    pub after: Option<String>,
}
