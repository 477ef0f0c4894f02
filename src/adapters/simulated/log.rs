//! What really happened in the simulated cluster, with exact times: the independent witness for the promises
//! about order and about repeated syncs. It knows nothing of plans, gates and deployments.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::application::Phase;
use crate::domain::names::{AppName, RequestId, Revision};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When, to the nanosecond.
    pub at: Timestamp,
    /// To which Application.
    pub app: AppName,
    /// What.
    pub kind: LogKind,
    /// The operation behind it; none when somebody else asked for it.
    pub request: Option<RequestId>,
    /// The revision being synced, or that health speaks of.
    pub revision: Option<Revision>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogKind {
    /// An operation was accepted, with the fencing token of who asked (none for somebody else).
    Requested {
        /// The token.
        epoch: Option<u64>,
    },
    /// It began to apply. Once for each operation, whatever Argo CD itself retries.
    Started,
    /// It ended.
    Finished(Phase),
    /// The service was not healthy and is now.
    BecameHealthy,
    /// The service was healthy and is not any more.
    BecameUnhealthy,
}

/// A sync that started too early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When it started.
    pub at: Timestamp,
    /// What started.
    pub app: AppName,
    /// What it should have waited for.
    pub dependency: AppName,
    /// What was wrong with that.
    pub fault: Fault,
}

/// Why a dependency was not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It was never healthy, or had become unhealthy.
    NotHealthy,
    /// It is synced to the revision in this run, but was healthy at another one only.
    HealthyBefore,
}

/// All syncs of a revision that started before what they require was healthy.
///
/// A dependency must be healthy at the moment of the start; one that is synced to the same revision anywhere
/// in the log must be healthy *at* that revision, after such a sync succeeded.
pub fn violations(
    log: &[LogEntry],
    requires: &BTreeMap<AppName, Vec<AppName>>,
    revision: &Revision,
) -> Vec<Violation> {
    violations_between(log, requires, revision, Timestamp::MIN, Timestamp::MAX)
}

/// As [`violations`], for a run that lasted from one time to another: starts outside of it are not looked at
/// (a later rollback to the same revision goes in the reverse order), and what is touched is what is synced
/// within it. The log must reach back to the beginning, for the health of what the run does not touch.
pub fn violations_between(
    log: &[LogEntry],
    requires: &BTreeMap<AppName, Vec<AppName>>,
    revision: &Revision,
    from: Timestamp,
    until: Timestamp,
) -> Vec<Violation> {
    let within = |entry: &LogEntry| entry.at >= from && entry.at <= until;
    let mut dependencies: HashMap<&AppName, Dependency<'_>> = HashMap::new();
    for entry in log.iter().filter(|entry| within(entry) && entry.revision.as_ref() == Some(revision)) {
        if let LogKind::Requested { .. } = entry.kind {
            dependencies.entry(&entry.app).or_default().touched = true;
        }
    }
    let mut found = Vec::new();
    for entry in log.iter().take_while(|entry| entry.at <= until) {
        match entry.kind {
            LogKind::Requested { .. } | LogKind::Finished(_) => {}
            LogKind::BecameHealthy => {
                dependencies.entry(&entry.app).or_default().healthy_at = Some(entry.revision.as_ref());
            }
            LogKind::BecameUnhealthy => dependencies.entry(&entry.app).or_default().healthy_at = None,
            LogKind::Started if within(entry) && entry.revision.as_ref() == Some(revision) => {
                for name in requires.get(&entry.app).into_iter().flatten() {
                    let fault = dependencies.get(name).copied().unwrap_or_default().fault(revision);
                    found.extend(fault.map(|fault| Violation {
                        at: entry.at,
                        app: entry.app.clone(),
                        dependency: name.clone(),
                        fault,
                    }));
                }
            }
            LogKind::Started => {}
        }
    }
    found
}

#[derive(Clone, Copy, Default)]
struct Dependency<'a> {
    /// Synced to the revision in this run.
    touched: bool,
    /// Healthy, and at which revision. Health at a revision can only be logged after the sync that brought it.
    healthy_at: Option<Option<&'a Revision>>,
}

impl Dependency<'_> {
    fn fault(self, revision: &Revision) -> Option<Fault> {
        match self.healthy_at {
            None => Some(Fault::NotHealthy),
            Some(healthy) if self.touched && healthy != Some(revision) => Some(Fault::HealthyBefore),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[(&str, LogKind, &str)], expected: &[Fault]) {
        let log: Vec<LogEntry> = (0..)
            .zip(entries)
            .map(|(second, (app, kind, revision))| LogEntry {
                at: Timestamp::from_second(second).unwrap(),
                app: app.parse().unwrap(),
                kind: *kind,
                request: None,
                revision: Some(revision.repeat(40).parse().unwrap()),
            })
            .collect();
        let requires = BTreeMap::from([("web".parse().unwrap(), vec!["db".parse().unwrap()])]);
        let faults: Vec<Fault> = violations(&log, &requires, &"b".repeat(40).parse().unwrap())
            .into_iter()
            .map(|violation| violation.fault)
            .collect();
        assert_eq!(faults, expected, "{entries:?}");
    }

    #[test]
    fn a_start_before_its_dependency_is_healthy_at_the_revision_is_found() {
        use LogKind::{BecameHealthy, BecameUnhealthy, Finished, Started};
        let requested = LogKind::Requested { epoch: Some(1) };
        let done = Finished(Phase::Succeeded);
        let start = ("web", Started, "b");
        let other = ("web", Started, "a");
        check(&[other], &[]);
        check(&[start], &[Fault::NotHealthy]);
        check(&[("db", BecameHealthy, "a"), start], &[]);
        check(&[("db", BecameHealthy, "a"), ("db", BecameUnhealthy, "a"), start], &[Fault::NotHealthy]);
        check(&[("db", BecameHealthy, "a"), ("db", requested, "b"), start], &[Fault::HealthyBefore]);
        check(&[("db", BecameHealthy, "a"), start, ("db", requested, "b")], &[Fault::HealthyBefore]);
        check(
            &[("db", requested, "b"), ("db", Started, "b"), ("db", done, "b"), start],
            &[Fault::NotHealthy],
        );
        check(&[("db", requested, "b"), ("db", done, "b"), ("db", BecameHealthy, "b"), start], &[]);
    }
}
