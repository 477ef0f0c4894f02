//! How long each service was in which state, told from a deployment's journal: what a timeline draws.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::deployment::{Brief, JournalEntry};
use super::names::Wave;

/// A stretch of time in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The state's word.
    pub state: String,
    /// Since when.
    pub from: Timestamp,
    /// Until when; none while it lasts.
    pub to: Option<Timestamp>,
    /// What brought it there.
    pub cause: String,
}

/// All states that a service was in, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The service, or `base`.
    pub service: String,
    /// Its wave; none for the shared part.
    pub wave: Option<Wave>,
    /// What is done with it, by its word.
    pub action: &'static str,
    /// Its states. Each begins where the one before it ended.
    pub spans: Vec<Span>,
}

/// The states of all services of a deployment, in the plan's order. `ended_at` closes those that lasted to its end.
pub fn spans(brief: &Brief, journal: &[JournalEntry], ended_at: Option<Timestamp>) -> Vec<Row> {
    let mut found: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for entry in journal {
        for moved in &entry.transitions {
            let Some(service) = moved.service.as_deref() else { continue };
            let spans = found.entry(service).or_insert_with(|| {
                let cause = "the deployment was made".to_owned();
                vec![Span { state: moved.from.clone(), from: brief.created_at, to: None, cause }]
            });
            if spans.last().is_some_and(|last| last.state == moved.to) {
                continue;
            }
            if let Some(last) = spans.last_mut() {
                last.to = Some(entry.at);
            }
            let (state, cause) = (moved.to.clone(), moved.cause.clone());
            spans.push(Span { state, from: entry.at, to: None, cause });
        }
    }
    let row = |change: &super::plan::Change| {
        let mut spans = found.remove(change.name()).unwrap_or_default();
        if let Some(last) = spans.last_mut() {
            last.to = ended_at.map(|ended| ended.max(last.from));
        }
        Row { service: change.name().to_owned(), wave: change.wave, action: change.action.word(), spans }
    };
    brief.plan.changes.iter().map(row).collect()
}
