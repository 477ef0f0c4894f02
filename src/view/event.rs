//! Events and dead letters.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::diagnostic::Diagnostic;
use crate::domain::event::Request;
use crate::domain::names::{DeploymentId, EventId};
use crate::store::{EventState, Outcome, StoredEvent, StoredLetter};

/// An event, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: EventId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What is asked for.
    #[schema(value_type = Object)]
    pub request: Request,
    /// `accepted` while it is to be worked on, else what it led to: `planned`, `ignored`, `rejected` or
    /// `superseded`.
    pub state: String,
    /// When it is worked on next, or was settled.
    pub at: Timestamp,
    /// Why it is where it is, where there is something to explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All that is wrong with a rejected one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub diagnostics: Vec<Diagnostic>,
    /// The deployments that it led to.
    #[schema(value_type = Vec<String>)]
    pub deployments: Vec<DeploymentId>,
}

impl EventView {
    /// An event as it is shown to whoever may know all of it.
    pub fn of(event: StoredEvent) -> Self {
        let (state, at, reason, diagnostics) = match event.state {
            EventState::Accepted { due_at, reason, .. } => ("accepted", due_at, reason, Vec::new()),
            EventState::Settled { at, outcome } => {
                let word = outcome.word();
                let (reason, diagnostics) = match outcome {
                    Outcome::Planned => (None, Vec::new()),
                    Outcome::Ignored { reason } | Outcome::Superseded { reason } => {
                        (Some(reason), Vec::new())
                    }
                    Outcome::Rejected { reason, diagnostics } => (Some(reason), diagnostics),
                };
                (word, at, reason, diagnostics)
            }
        };
        Self {
            id: event.id,
            received_at: event.received_at,
            request: event.request,
            state: state.to_owned(),
            at,
            reason,
            diagnostics,
            deployments: event.deployments,
        }
    }

    /// The same for somebody who sees some customers only: without what may name others.
    #[must_use]
    pub fn without_others(mut self, visible: impl Fn(&DeploymentId) -> bool) -> Self {
        self.request.scope.clear();
        if self.request.customer.is_none() {
            self.reason = None;
            self.diagnostics.clear();
        }
        self.deployments.retain(visible);
        self
    }
}

/// A request that could not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct LetterView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: EventId,
    /// When it first arrived.
    pub received_at: Timestamp,
    /// When it last arrived.
    pub last_at: Timestamp,
    /// How often.
    pub count: u64,
    /// All that is wrong with it.
    pub faults: Vec<Diagnostic>,
    /// The trigger's resource, as text.
    pub resource: String,
    /// The payload, as text.
    pub payload: String,
}

impl LetterView {
    /// A dead letter as it is shown.
    pub fn of(stored: StoredLetter) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            received_at: stored.letter.received_at,
            last_at: stored.last_at,
            count: stored.count,
            resource: text(&stored.letter.resource),
            payload: text(&stored.letter.payload),
            faults: stored.letter.faults,
            id: stored.letter.id,
        }
    }
}
