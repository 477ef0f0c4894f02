//! Reading what happened, and keeping for each target what it is to be told.

use std::collections::BTreeMap;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{FIRST_PAUSE, Target};
use crate::domain::deployment::{Deployment, JournalEntry, replay};
use crate::domain::notification::{Notice, Trigger};
use crate::store::{Happening, Store, StoreError};
use crate::view::deployment::DeploymentView;
use crate::view::story::Story;

/// Rows that are read at once.
const ROWS: u32 = 200;

/// After so many rows in which nobody was told of anything, it is noted up to where they were read: every write wakes
/// everybody, and a start reads again what was not noted.
const NOTED: u64 = 1_000;

/// One who reads what happened.
pub(super) struct Follower<'a> {
    store: &'a Store,
    targets: &'a [(Target, Notify)],
    link: Option<&'a str>,
    /// Up to where it was read for each target.
    places: BTreeMap<String, u64>,
    /// Up to where it was read.
    after: u64,
    noted: u64,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        store: &'a Store,
        targets: &'a [(Target, Notify)],
        link: Option<&'a str>,
        places: BTreeMap<String, u64>,
    ) -> Self {
        let after = places.values().min().copied().unwrap_or(0);
        Self { store, targets, link, places, after, noted: after }
    }

    /// Reads until `stop` is cancelled.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut changed = self.store.changed();
        loop {
            changed.mark_unchanged();
            let quiet = match self.catch_up().await {
                Ok(quiet) => quiet,
                Err(error) => {
                    tracing::warn!(%error, "nobody can be notified for now");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(FIRST_PAUSE) => continue,
                    }
                }
            };
            if quiet {
                tokio::select! {
                    () = stop.cancelled() => return,
                    moved = changed.changed() => if moved.is_err() { return },
                }
            }
        }
    }

    /// Reads what happened since; true once nothing more did.
    async fn catch_up(&mut self) -> Result<bool, StoreError> {
        let rows = self.store.happenings(self.after, ROWS).await?;
        for row in &rows {
            let notices = match self.notices(row).await {
                Ok(notices) => notices,
                // One record that cannot be read must not keep everybody from all others.
                Err(error @ StoreError::Data { .. }) => {
                    tracing::warn!(deployment = %row.deployment, %error, "nobody is notified of this");
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            if !notices.is_empty() || row.seq >= self.noted.saturating_add(NOTED) {
                let everybody = self.targets.iter().map(|(target, _)| target.name.clone()).collect();
                self.store.keep_notices(everybody, row.seq, &notices).await?;
                self.noted = row.seq;
                for (target, wake) in self.targets {
                    if notices.iter().any(|(name, _)| *name == target.name) {
                        wake.notify_one();
                    }
                }
            }
            self.after = row.seq;
        }
        Ok(rows.is_empty())
    }

    /// What each target is to be told of a row.
    async fn notices(&self, row: &Happening) -> Result<Vec<(String, Notice)>, StoreError> {
        let mut found = Vec::new();
        let mut past: Option<Past> = None;
        for trigger in Trigger::of(&row.state, &row.transitions) {
            let wants = |target: &&Target| {
                let place = self.places.get(&target.name).copied().unwrap_or(0);
                let (customer, environment) = (row.customer.as_str(), row.environment.as_str());
                row.seq > place && target.interest.covers(trigger, customer, environment)
            };
            let wanted: Vec<_> = self.targets.iter().map(|(target, _)| target).filter(wants).collect();
            if wanted.is_empty() {
                continue;
            }
            if past.is_none() {
                past = Past::read(self.store, row).await?;
            }
            let Some(past) = &past else { break };
            if trigger == Trigger::UnhealthyAfter && past.was_unhealthy_before(row) {
                continue;
            }
            let notice = past.notice(trigger, row, self.link);
            // What is said may be less: a rollback that had nothing to take back is a failure.
            let wanted = wanted.into_iter().filter(|target| target.interest.wants(&notice));
            found.extend(wanted.map(|target| (target.name.clone(), notice.clone())));
        }
        Ok(found)
    }
}

/// A deployment as it stood after a row.
struct Past {
    deployment: Deployment,
    journal: Vec<JournalEntry>,
}

impl Past {
    /// None where the deployment is gone.
    async fn read(store: &Store, row: &Happening) -> Result<Option<Self>, StoreError> {
        let Some(deployment) = store.deployment(&row.deployment).await? else { return Ok(None) };
        let mut journal = store.journal(&row.deployment).await?.value;
        journal.retain(|entry| entry.seq <= row.version);
        // It may have moved on since.
        let deployment = if deployment.progress.version == row.version {
            deployment
        } else {
            replay(deployment.brief, &journal)
        };
        Ok(Some(Self { deployment, journal }))
    }

    /// Whether all services that lost their health in this row had lost it before: then it was told.
    fn was_unhealthy_before(&self, row: &Happening) -> bool {
        let lost = |entry: &JournalEntry, service: &Option<String>| {
            entry.transitions.iter().any(|moved| moved.to == "unhealthy" && moved.service == *service)
        };
        let now = row.transitions.iter().filter(|moved| moved.to == "unhealthy");
        let before = || self.journal.iter().filter(|entry| entry.seq < row.version);
        now.into_iter().all(|moved| before().any(|entry| lost(entry, &moved.service)))
    }

    fn notice(&self, trigger: Trigger, row: &Happening, link: Option<&str>) -> Notice {
        let brief = &self.deployment.brief;
        let (view, story) = (DeploymentView::of(&self.deployment), Story::of(brief, self.journal.clone()));
        let event = Some(brief.event.to_string());
        Notice { event, ..Notice::of_view(trigger, row.at, &view, &story, link) }
    }
}
