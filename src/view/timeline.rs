//! How long each service of a deployment was in which state.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::deployment::{Deployment, JournalEntry};
use crate::domain::names::DeploymentId;
use crate::domain::review::{self, WaveReview};
use crate::domain::spans::{self, Row};

/// The timeline of a deployment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeline)]
pub struct TimelineView {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The clock of the server, up to which what lasts is drawn.
    pub now: Timestamp,
    /// From the start until the end, or until the last move.
    pub makespan_seconds: f64,
    /// The longest chain of dependencies, each service with the time it really took.
    pub critical_path_seconds: f64,
    /// The services of that chain, first to last.
    pub critical_path: Vec<String>,
    /// The waves, lowest first, in seconds from the start.
    #[schema(value_type = Vec<Object>)]
    pub waves: Vec<WaveReview>,
    /// The services in the order of their turns, each with its states one after the other.
    #[schema(value_type = Vec<Object>)]
    pub services: Vec<Row>,
}

impl TimelineView {
    /// The timeline that a journal tells.
    pub fn of(deployment: &Deployment, journal: &[JournalEntry], now: Timestamp) -> Self {
        let brief = &deployment.brief;
        let review = review::review(brief, journal);
        let ended_at = deployment.state().ended_at();
        Self {
            deployment: deployment.id().clone(),
            created_at: brief.created_at,
            started_at: deployment.progress.started_at,
            ended_at,
            now,
            makespan_seconds: review.makespan_seconds,
            critical_path_seconds: review.critical_path_seconds,
            critical_path: review.critical_path,
            waves: review.waves,
            services: spans::spans(brief, journal, ended_at),
        }
    }
}
