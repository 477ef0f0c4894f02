//! Who asked for which change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::audit::AuditRecord;

/// A write that somebody asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditRecord)]
pub struct AuditView {
    /// Its place in the order of all.
    pub seq: u64,
    /// When it was stored.
    pub at: Timestamp,
    /// The name of a person, or of the token that a program has.
    pub actor: String,
    /// `cli`, `http`, `trigger`, `webhook` or `poll`.
    pub via: String,
    /// The address of whoever connected, where there is one; a proxy's, where one stands between.
    pub address: Option<String>,
    /// The id of the request, as logs have it.
    pub request_id: Option<String>,
    /// The word of a command, what an event asks for, `login` or `logout`.
    pub action: String,
    /// Whose services it is about; none where it is about no single customer.
    pub customer: Option<String>,
    /// Where.
    pub environment: Option<String>,
    /// The deployment that it is about.
    pub deployment: Option<String>,
    /// The event that it made.
    pub event: Option<String>,
    /// The state of the deployment before; none for what made something new.
    pub before: Option<String>,
    /// And once the worker had taken it, or the outcome of the event; none until then.
    pub after: Option<String>,
    /// All of it in one line.
    pub summary: String,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub detail: Value,
}

impl AuditView {
    /// A record as it is shown.
    pub fn of(record: AuditRecord) -> Self {
        let summary = summary(&record);
        let AuditRecord { seq, at, origin, action, customer, environment, deployment, event, .. } = record;
        Self {
            seq,
            at,
            actor: origin.actor,
            via: origin.via.word().to_owned(),
            address: origin.address,
            request_id: origin.request,
            action,
            customer: customer.map(|name| name.to_string()),
            environment: environment.map(|name| name.to_string()),
            deployment: deployment.map(|id| id.to_string()),
            event: event.map(|id| id.to_string()),
            before: record.before,
            after: record.after,
            summary,
            detail: if record.detail.is_null() {
                Value::Object(serde_json::Map::new())
            } else {
                record.detail
            },
        }
    }
}

/// `jane: pause d-1 (customer-a production): running, then paused`.
fn summary(record: &AuditRecord) -> String {
    let mut text = format!("{}: {}", record.origin.actor, record.action);
    if let Some(deployment) = &record.deployment {
        text.push_str(&format!(" {deployment}"));
    }
    match (&record.customer, &record.environment) {
        (Some(customer), Some(environment)) => text.push_str(&format!(" ({customer} {environment})")),
        (Some(customer), None) => text.push_str(&format!(" ({customer})")),
        (None, _) => {}
    }
    let reason = record.detail.get("command").and_then(|command| command.get("reason")?.as_str());
    if let Some(reason) = reason {
        text.push_str(&format!(", because {reason}"));
    }
    match (&record.before, &record.after) {
        (Some(before), Some(after)) => text.push_str(&format!(": {before}, then {after}")),
        (Some(before), None) => text.push_str(&format!(": {before}, not taken yet")),
        (None, Some(after)) => text.push_str(&format!(": {after}")),
        (None, None) => {}
    }
    text
}
