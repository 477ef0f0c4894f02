//! Counting what happens, by reading along in the store's own order.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::dora::{Dora, between};
use super::{ByResult, ByVerdict, Meters};
use crate::domain::deployment::{Deployment, JournalEntry, Transition};
use crate::domain::names::DeploymentId;
use crate::domain::plan::Purpose;
use crate::domain::review::{lags, review};
use crate::http::Server;
use crate::http::page;
use crate::store::{Ended, Happening, HappeningKind, StoreError};

/// Rows that are read at once.
const ROWS: u32 = 200;

/// How long to wait for a store that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts until the server stops. Of what happened before it started, only what the store still tells is counted.
pub(in crate::http) async fn follow(server: Server) {
    let mut changed = server.app.store.changed();
    let mut following = None;
    loop {
        changed.mark_unchanged();
        let quiet = match catch_up(&server, &mut following).await {
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

/// Where counting stands.
struct Following {
    /// The last row that was counted.
    after: u64,
    dora: Dora,
}

impl Following {
    /// Counts what the store tells of before.
    async fn begin(server: &Server) -> Result<Self, StoreError> {
        let (store, meters) = (&server.app.store, &server.meters);
        let newest = store.kept().await?.newest;
        let mut dora = Dora::default();
        // After a failure it begins anew.
        dora.forget(meters);
        let told = store.ended(|ended| dora.ended(meters, ended)).await?;
        let now = Timestamp::now();
        let unfinished = page::readable(store.unfinished().await?);
        for deployment in &unfinished {
            meters.expect(&deployment.brief.plan.customer);
        }
        if let Ok(mut waits) = meters.waits.lock() {
            for deployment in &unfinished {
                waits.moved(deployment, now);
            }
        }
        Ok(Self { after: told.unwrap_or(newest), dora })
    }
}

/// Counts what happened since; true once nothing more did.
async fn catch_up(server: &Server, following: &mut Option<Following>) -> Result<bool, StoreError> {
    let Some(following) = following else {
        *following = Some(Following::begin(server).await?);
        return Ok(false);
    };
    let rows = server.app.store.happenings(following.after, ROWS).await?;
    // Read once for all rows: what is read is at least as new as the newest of them.
    let mut deployments = BTreeMap::new();
    for row in &rows {
        count(server, following, &mut deployments, row).await?;
        // Row by row: what was counted is not counted again when a later one cannot be read.
        following.after = row.seq;
    }
    Ok(rows.is_empty())
}

async fn count(
    server: &Server,
    following: &mut Following,
    deployments: &mut BTreeMap<DeploymentId, Option<Deployment>>,
    row: &Happening,
) -> Result<(), StoreError> {
    let (meters, store) = (&server.meters, &server.app.store);
    if !deployments.contains_key(&row.deployment) {
        deployments.insert(row.deployment.clone(), store.deployment(&row.deployment).await?);
    }
    let Some(Some(deployment)) = deployments.get(&row.deployment) else { return Ok(()) };
    // A later row may have brought the end already; it is counted with the row that did.
    let ends = deployment.state().is_finished() && deployment.progress.version == row.version;
    let created = row.kind == HappeningKind::Created;
    let arrived = if created || ends {
        store.event(&deployment.brief.event).await?.map(|event| event.received_at)
    } else {
        None
    };
    let journal = if ends { store.journal(&row.deployment).await?.value } else { Vec::new() };
    // All that may fail is behind: from here on each is counted exactly once.
    for moved in &row.transitions {
        meters.moved(&row.deployment, moved);
    }
    if let Ok(mut waits) = meters.waits.lock() {
        waits.moved(deployment, row.at);
    }
    if created {
        meters.planned(deployment, arrived);
    }
    if ends {
        let plan = &deployment.brief.plan;
        following.dora.ended(
            meters,
            Ended {
                customer: plan.customer.clone(),
                environment: plan.environment.clone(),
                state: deployment.state().word().to_owned(),
                arrived_at: arrived,
                started_at: deployment.progress.started_at,
                ended_at: deployment.state().ended_at(),
            },
        );
        meters.ended(deployment, &journal, arrived);
    }
    Ok(())
}

impl Meters {
    fn moved(&self, deployment: &DeploymentId, moved: &Transition) {
        let Some(service) = &moved.service else {
            if moved.to == "rolling-back" {
                self.rollbacks.inc();
            }
            return;
        };
        let judged = match moved.to.as_str() {
            "healthy" => Some(("healthy", "passed")),
            "retrying" | "failed" => Some(("failed", "failed")),
            "unhealthy" => Some(("lost", "lost")),
            _ => None,
        };
        if moved.to == "retrying" {
            self.retries.inc();
        }
        if let Some((result, verdict)) = judged {
            self.judged(result);
            let waits = self.waits.lock().ok();
            let doubt = waits.and_then(|waits| waits.doubt(deployment, service)).unwrap_or("none");
            self.verdicts.get_or_create(&ByVerdict { verdict, doubt }).inc();
        }
    }

    fn judged(&self, result: &'static str) {
        self.health_checks.get_or_create(&ByResult { result }).inc();
    }

    fn planned(&self, deployment: &Deployment, arrived: Option<Timestamp>) {
        let plan = &deployment.brief.plan;
        self.expect(&plan.customer);
        let edges: usize = plan.changes.iter().map(|change| change.requires.len()).sum();
        self.dependencies.inc_by(edges as u64);
        if plan.purpose == Purpose::Rollback {
            self.rollbacks.inc();
        }
        if let Some(arrived) = arrived {
            self.cac_sync.observe(between(arrived, deployment.brief.created_at));
        }
    }

    fn ended(&self, deployment: &Deployment, journal: &[JournalEntry], arrived: Option<Timestamp>) {
        let state = deployment.state();
        let Some(started) = deployment.progress.started_at else { return };
        let review = review(&deployment.brief, journal);
        self.makespan.observe(review.makespan_seconds);
        self.critical_path.observe(review.critical_path_seconds);
        for lag in lags(&deployment.brief, &review) {
            self.lag.observe(lag);
        }
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
