//! How a deployment went.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::deployment::{Brief, JournalEntry};
use crate::domain::review::{self, Review};

/// How a deployment went: in numbers, and move by move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Story {
    /// In numbers.
    pub review: Review,
    /// Move by move, from the beginning.
    pub journal: Vec<JournalEntry>,
}

impl Story {
    /// The story that a journal tells.
    pub fn of(brief: &Brief, journal: Vec<JournalEntry>) -> Self {
        Self { review: review::review(brief, &journal), journal }
    }
}
