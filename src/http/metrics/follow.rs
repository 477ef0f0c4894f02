//! Counting what happens, by reading along in the store's own order.

use std::time::Duration;

use jiff::Timestamp;

use super::{ByResult, ByState, Meters};
use crate::domain::deployment::{Deployment, Transition};
use crate::domain::plan::Purpose;
use crate::domain::review::review;
use crate::http::Server;
use crate::store::{Happening, HappeningKind, StoreError};

/// Rows that are read at once.
const ROWS: u32 = 200;

/// How long to wait for a store that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts until the server stops. What happened before it started is not counted.
pub(in crate::http) async fn follow(server: Server) {
    let mut changed = server.app.store.changed();
    let mut after = None;
    loop {
        changed.mark_unchanged();
        let quiet = match catch_up(&server, &mut after).await {
            Ok(quiet) => quiet,
            Err(error) => {
                tracing::warn!(%error, "what happens cannot be counted for now");
                tokio::select! {
                    () = server.stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        };
        if quiet {
            tokio::select! {
                () = server.stop.cancelled() => return,
                moved = changed.changed() => if moved.is_err() { return },
            }
        }
    }
}

/// Counts what happened since; true once nothing more did.
async fn catch_up(server: &Server, after: &mut Option<u64>) -> Result<bool, StoreError> {
    let store = &server.app.store;
    let Some(last) = *after else {
        *after = Some(store.kept().await?.newest);
        return Ok(false);
    };
    let rows = store.happenings(last, ROWS).await?;
    for row in &rows {
        count(server, row).await?;
        // Row by row: what was counted is not counted again when a later one cannot be read.
        *after = Some(row.seq);
    }
    Ok(rows.is_empty())
}

async fn count(server: &Server, row: &Happening) -> Result<(), StoreError> {
    let meters = &server.meters;
    for moved in &row.transitions {
        meters.moved(moved);
    }
    let whole = row.transitions.iter().any(|moved| moved.service.is_none());
    if row.kind == HappeningKind::Moved && !whole {
        return Ok(());
    }
    let Some(deployment) = server.app.store.deployment(&row.deployment).await? else { return Ok(()) };
    let event = server.app.store.event(&deployment.brief.event).await?;
    let arrived = event.map(|event| event.received_at);
    if row.kind == HappeningKind::Created {
        meters.planned(&deployment, arrived);
    }
    // A later row may have brought the end already; it is counted with the row that did.
    if deployment.state().is_finished() && deployment.progress.version == row.version {
        let journal = server.app.store.journal(&row.deployment).await?.value;
        meters.ended(&deployment, &journal, arrived);
    }
    Ok(())
}

impl Meters {
    fn moved(&self, moved: &Transition) {
        match (&moved.service, moved.to.as_str()) {
            (Some(_), "healthy") => self.judged("healthy"),
            (Some(_), "retrying") => {
                self.judged("failed");
                self.retries.inc();
            }
            (Some(_), "failed") => self.judged("failed"),
            (Some(_), "unhealthy") => self.judged("lost"),
            (None, "rolling-back") => {
                self.rollbacks.inc();
            }
            (Some(_) | None, _) => {}
        }
    }

    fn judged(&self, result: &'static str) {
        self.health_checks.get_or_create(&ByResult { result }).inc();
    }

    fn planned(&self, deployment: &Deployment, arrived: Option<Timestamp>) {
        let plan = &deployment.brief.plan;
        let edges: usize = plan.changes.iter().map(|change| change.requires.len()).sum();
        self.dependencies.inc_by(edges as u64);
        if plan.purpose == Purpose::Rollback {
            self.rollbacks.inc();
        }
        if let Some(arrived) = arrived {
            self.cac_sync.observe(between(arrived, deployment.brief.created_at));
        }
    }

    fn ended(
        &self,
        deployment: &Deployment,
        journal: &[crate::domain::deployment::JournalEntry],
        arrived: Option<Timestamp>,
    ) {
        let customer = self.label(&deployment.brief.plan.customer);
        let state = deployment.state();
        self.deployments.get_or_create(&ByState { customer, state: state.word().to_owned() }).inc();
        let Some(started) = deployment.progress.started_at else { return };
        let review = review(&deployment.brief, journal);
        self.makespan.observe(review.makespan_seconds);
        self.critical_path.observe(review.critical_path_seconds);
        for wave in &review.waves {
            if let (Some(from), Some(to)) = (wave.started_seconds, wave.ended_seconds)
                && wave.wave.is_some()
            {
                self.sync_waves.inc();
                self.wave_duration.observe(to - from);
            }
        }
        let Some(arrived) = arrived else { return };
        let first = review.services.iter().filter_map(|service| service.started_seconds).reduce(f64::min);
        if let Some(first) = first {
            self.to_first_sync.observe(between(arrived, started) + first);
        }
        if state.word() == "succeeded"
            && let Some(ended) = state.ended_at()
        {
            self.to_healthy.observe(between(arrived, ended));
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
