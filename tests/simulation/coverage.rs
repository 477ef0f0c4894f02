//! What the schedules came across, so that they cannot silently stop to.

use std::collections::BTreeMap;

use argocd_orchestrator::domain::deployment::Effect;

use crate::driver::Run;

/// How many schedules came across what.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) schedules: u64,
    pub(crate) crashes: u64,
    pub(crate) repeated: u64,
    steps: u64,
    events: u64,
    seen: BTreeMap<&'static str, u64>,
}

/// What a transition tells: the state before, the state now, words of its cause; empty for any.
const TALES: &[(&str, &str, &str, &str)] = &[
    ("a retry", "", "retrying", ""),
    ("a second attempt", "retrying", "syncing", ""),
    ("a failure for good", "", "failed", ""),
    ("a stale verdict held back", "", "verifying", "before the sync"),
    ("an OutOfSync held back", "", "verifying", "OutOfSync"),
    ("a sync window", "", "", "sync window"),
    ("Argo CD's own retry", "", "", "Argo CD retries it"),
    ("somebody else's operation in the way", "", "", "somebody else's operation"),
    ("an overtaken operation", "", "", "overtaken"),
    ("a sync not in time", "", "", "not synced in time"),
    ("health not in time", "", "", "not healthy in time"),
    ("degraded for good", "", "", "stayed Degraded"),
    ("a refusal", "", "", "refused:"),
    ("health lost after the verdict", "healthy", "unhealthy", ""),
    ("health found again", "unhealthy", "healthy", ""),
    ("health lost for good", "unhealthy", "failed", ""),
    ("a check passed", "checking", "healthy", ""),
    ("a check failed", "checking", "failed", ""),
    ("stabilising", "", "", "not for long enough"),
    ("blocked behind a failure", "", "skipped", "is not healthy"),
    ("skipped by a person", "", "skipped", "skipped by"),
    ("tried again by a person", "", "waiting", "tried again by"),
    ("quarantined before", "", "skipped", "quarantined"),
    ("rolled back", "rollback-verifying", "rolled-back", ""),
    ("a forward sync stopped first", "", "rollback-stopping", ""),
    ("a rollback retried", "", "rollback-retrying", ""),
    ("a rollback that failed", "", "rollback-failed", ""),
    ("kept: nothing earlier", "", "kept", "no earlier healthy"),
    ("kept: switched off", "", "kept", "switched off"),
    ("the cluster away", "", "", "does not answer"),
    ("the cluster back", "", "", "answers again"),
    ("an approval", "awaiting-approval", "running", ""),
    ("a pause", "", "paused", ""),
    ("a resume", "paused", "running", ""),
    ("a stop", "", "stopping", ""),
    ("a turn around", "", "rolling-back", ""),
    ("ended succeeded", "", "succeeded", ""),
    ("ended failed, all back", "rolling-back", "failed", ""),
    ("ended failed, stopped", "stopping", "failed", ""),
    ("ended failed, all tried", "running", "failed", ""),
    ("ended aborted", "", "aborted", ""),
    ("ended superseded", "", "superseded", ""),
    ("ended rejected", "", "rejected", ""),
];

impl Coverage {
    pub(crate) fn add(&mut self, run: &Run) {
        self.schedules += 1;
        self.crashes += u64::from(run.crashes);
        self.repeated += u64::from(run.repeated);
        self.steps += run.stored.journal.len() as u64;
        self.events += run.model.log().len() as u64;
        let mut told = [false; TALES.len()];
        for moved in run.stored.journal.iter().flat_map(|entry| &entry.transitions) {
            let of_all = moved.service.is_none();
            for (told, (what, from, to, cause)) in told.iter_mut().zip(TALES) {
                let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
                let about_all = what.starts_with("ended");
                if !*told && fits(to, &moved.to) && fits(from, &moved.from) && (!about_all || of_all) {
                    *told = cause.is_empty() || moved.cause.contains(cause);
                }
            }
        }
        for (told, (what, ..)) in told.into_iter().zip(TALES) {
            *self.seen.entry(what).or_default() += u64::from(told);
        }
        let quarantined =
            run.stored.effects.iter().any(|(_, effect)| matches!(effect, Effect::Quarantine { .. }));
        for (what, seen) in [
            ("a crash", run.crashes > 0),
            ("an effect performed again after a crash", run.repeated > 0),
            ("a quarantine", quarantined),
        ] {
            *self.seen.entry(what).or_default() += u64::from(seen);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.crashes += other.crashes;
        self.repeated += other.repeated;
        self.steps += other.steps;
        self.events += other.events;
        for (what, count) in other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }

    /// What too few schedules came across.
    pub(crate) fn missing(&self, least: u64) -> Vec<(&'static str, u64)> {
        self.seen.iter().filter(|(_, count)| **count < least).map(|(what, count)| (*what, *count)).collect()
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { schedules, crashes, repeated, steps, events, seen } = self;
        writeln!(
            f,
            "{schedules} schedules, {steps} journalled steps, {events} events in the clusters' logs, {crashes} crashes, \
             {repeated} effects performed again"
        )?;
        for (what, count) in seen {
            writeln!(f, "{count:>8}  {what}")?;
        }
        Ok(())
    }
}
