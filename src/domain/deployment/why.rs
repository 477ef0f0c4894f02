//! Why is it waiting: for each unfinished service exactly one named blocker, at any moment.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forward::rank;
use super::{Deployment, Retreat, Run, ServiceState, State};
use crate::domain::application::HealthStatus;
use crate::domain::catalog::Order;
use crate::domain::gate::{Doubt, SyncSeen};
use crate::domain::names::Wave;
use crate::domain::plan::Action;

/// The one thing that a service waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "blocker", rename_all = "kebab-case")]
pub enum Blocker {
    /// Another deployment of the same customer and environment is active.
    Turn,
    /// Somebody has to agree to the plan.
    Approval {
        /// Since when.
        since: Timestamp,
    },
    /// Somebody paused the deployment.
    Paused {
        /// Who.
        by: String,
        /// Since when.
        since: Timestamp,
    },
    /// The deployment is stopping and starts nothing.
    Stopping {
        /// How it will end.
        towards: String,
    },
    /// Something that it depends on is not healthy at the target.
    Dependency {
        /// What.
        on: String,
        /// The state that it is in.
        state: String,
        /// Since when.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// An earlier wave is not healthy.
    Wave {
        /// Which; none for the shared part.
        #[schema(value_type = Option<u32>)]
        wave: Option<Wave>,
        /// The first of those that it waits for.
        on: String,
        /// How many more.
        more: usize,
    },
    /// As many as allowed are under way.
    Concurrency {
        /// How many.
        limit: u32,
    },
    /// The pause before its next attempt.
    Retry {
        /// When it comes.
        at: Timestamp,
        /// How many failed.
        failed: u32,
        /// Why the last one did.
        reason: String,
    },
    /// Its sync has not ended.
    Sync {
        /// What is seen of it.
        #[schema(value_type = serde_json::Value)]
        seen: SyncSeen,
        /// Since when.
        since: Timestamp,
        /// When the attempt counts as failed.
        until: Timestamp,
    },
    /// Its sync succeeded; the verdict is not in.
    Verdict {
        /// What keeps it open.
        #[schema(value_type = serde_json::Value)]
        doubt: Doubt,
        /// When it counts as failed.
        until: Timestamp,
    },
    /// The cluster does not answer, so nobody knows how it goes. Nothing is given up meanwhile.
    Unreachable {
        /// What was said instead of an answer.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// It lost its health after the verdict.
    Unhealthy {
        /// What Argo CD says.
        #[schema(value_type = String)]
        health: HealthStatus,
        /// How its own health check fails, where it is that which does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check: Option<String>,
        /// Since when.
        since: Timestamp,
        /// When it counts as failed.
        until: Timestamp,
    },
    /// What depends on it has to go back first.
    Dependant {
        /// The first of them.
        on: String,
    },
    /// It is not wanted any more: its Application is being deleted, and its objects go first.
    Removal {
        /// Since when.
        since: Timestamp,
        /// When it is not waited for any longer.
        until: Timestamp,
    },
    /// Its forward sync has to stop before it can be taken back.
    Termination {
        /// When the rollback is tried regardless.
        until: Timestamp,
    },
}

impl Blocker {
    /// Its stable name, for metrics and filters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Approval { .. } => "approval",
            Self::Paused { .. } => "paused",
            Self::Stopping { .. } => "stopping",
            Self::Dependency { .. } => "dependency",
            Self::Wave { .. } => "wave",
            Self::Concurrency { .. } => "concurrency-limit",
            Self::Retry { .. } => "retry",
            Self::Sync { seen: SyncSeen::WindowClosed, .. } => "sync-window",
            Self::Sync { seen: SyncSeen::OtherOperation, .. } => "other-operation",
            Self::Sync { .. } => "sync",
            Self::Verdict { doubt: Doubt::Stale, .. } => "stale-health",
            Self::Verdict { doubt: Doubt::Unchecked { .. } | Doubt::CheckFails { .. }, .. } => "health-check",
            Self::Verdict { .. } => "health",
            Self::Unreachable { .. } => "cluster-unreachable",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Dependant { .. } => "dependant",
            Self::Removal { .. } => "removal",
            Self::Termination { .. } => "termination",
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turn => f.write_str("another deployment of this customer and environment goes first"),
            Self::Approval { since } => write!(f, "waits for an approval since {}", Clock(*since)),
            Self::Paused { by, since } => write!(f, "paused by {by} since {}", Clock(*since)),
            Self::Stopping { towards } => write!(f, "nothing is started any more: {towards}"),
            Self::Dependency { on, state, since: Some(since) } => {
                write!(f, "waits for {on}, which is {state} since {}", Clock(*since))
            }
            Self::Dependency { on, state, since: None } => write!(f, "waits for {on}, which is {state}"),
            Self::Wave { wave, on, more } => {
                match wave {
                    Some(wave) => write!(f, "waits for wave {wave}: {on}")?,
                    None => write!(f, "waits for the shared part: {on}")?,
                }
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::Concurrency { limit } => write!(f, "{limit} services are under way, which is the limit"),
            Self::Retry { at, failed, reason } => {
                write!(f, "attempt {} starts at {} ({reason})", failed + 1, Clock(*at))
            }
            Self::Sync { seen: seen @ SyncSeen::WindowClosed, since, .. } => {
                write!(f, "{seen} since {}, and waited for", Clock(*since))
            }
            Self::Sync { seen, since, until } => {
                write!(f, "{seen} since {}, given up at {}", Clock(*since), Clock(*until))
            }
            Self::Verdict { doubt, until } => write!(f, "{doubt}, given up at {}", Clock(*until)),
            Self::Unreachable { reason, since } => {
                write!(f, "the cluster does not answer since {}: {reason}", Clock(*since))
            }
            Self::Unhealthy { check: Some(reason), since, until, .. } => {
                write!(
                    f,
                    "its health check fails since {}, after its verdict, given up at {}: {reason}",
                    Clock(*since),
                    Clock(*until)
                )
            }
            Self::Unhealthy { health, since, until, check: None } => {
                write!(
                    f,
                    "turned {health} at {} after its verdict, given up at {}",
                    Clock(*since),
                    Clock(*until)
                )
            }
            Self::Dependant { on } => write!(f, "goes back after {on}"),
            Self::Removal { since, until } => write!(
                f,
                "its Application is being deleted since {}, not waited for after {}: its objects go first",
                Clock(*since),
                Clock(*until)
            ),
            Self::Termination { until } => {
                write!(f, "its sync is being stopped, not waited for after {}", Clock(*until))
            }
        }
    }
}

/// A time of day, for people who look at something that runs now.
struct Clock(Timestamp);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0.strftime("%H:%M:%S"))
    }
}

impl Deployment {
    /// For each unfinished service (and the shared part) what it waits for, in the plan's order.
    pub fn blockers(&self) -> Vec<(&str, Blocker)> {
        if self.progress.state.is_finished() {
            return Vec::new();
        }
        let changes = self.brief.plan.changes.iter().enumerate();
        changes
            .filter_map(|(position, change)| self.blocker(position).map(|blocker| (change.name(), blocker)))
            .chain(self.removal_blockers())
            .collect()
    }

    fn blocker(&self, position: usize) -> Option<Blocker> {
        let state = &self.progress.services[position];
        if let Some(outage) = &self.progress.outage
            && state.is_watched()
            && !matches!(state, ServiceState::Healthy { .. })
        {
            return Some(Blocker::Unreachable { reason: outage.reason.clone(), since: outage.since });
        }
        let by_deployment = match &self.progress.state {
            State::Queued => Some(Blocker::Turn),
            State::AwaitingApproval { since } => Some(Blocker::Approval { since: *since }),
            State::Paused { since, by } => Some(Blocker::Paused { by: by.clone(), since: *since }),
            State::Stopping { towards, .. } => Some(Blocker::Stopping { towards: towards.to_string() }),
            State::Running
            | State::RollingBack { .. }
            | State::Succeeded { .. }
            | State::Failed { .. }
            | State::Rejected { .. }
            | State::Aborted { .. }
            | State::Superseded { .. } => None,
        };
        match state {
            // The plan's first words: what will not be touched waits for nothing.
            ServiceState::Waiting { .. } if self.brief.plan.changes[position].action == Action::Leave => None,
            ServiceState::Waiting { .. } => Some(by_deployment.unwrap_or_else(|| self.before_it(position))),
            ServiceState::Advancing(Run::Retrying { failed, at, reason }) => Some(
                by_deployment
                    // A dependency that lost its health may hold it back for longer than its pause.
                    .or_else(|| self.held_back_by(position))
                    .unwrap_or_else(|| Blocker::Retry { at: *at, failed: *failed, reason: reason.clone() }),
            ),
            ServiceState::Retreating(Retreat::Running(Run::Retrying { failed, at, reason })) => {
                let retry = Blocker::Retry { at: *at, failed: *failed, reason: reason.clone() };
                Some(by_deployment.unwrap_or(retry))
            }
            ServiceState::Advancing(Run::Syncing { attempt, seen })
            | ServiceState::Retreating(Retreat::Running(Run::Syncing { attempt, seen })) => {
                Some(Blocker::Sync {
                    seen: seen.clone(),
                    since: attempt.requested_at,
                    until: attempt.deadline,
                })
            }
            ServiceState::Advancing(Run::Verifying { attempt, doubt, .. })
            | ServiceState::Retreating(Retreat::Running(Run::Verifying { attempt, doubt, .. })) => {
                Some(Blocker::Verdict { doubt: doubt.clone(), until: attempt.deadline })
            }
            ServiceState::Checking(checking) => {
                Some(Blocker::Verdict { doubt: checking.doubt.clone(), until: checking.deadline })
            }
            ServiceState::Unhealthy { since, deadline, health, check } => Some(Blocker::Unhealthy {
                health: *health,
                check: check.clone(),
                since: *since,
                until: *deadline,
            }),
            ServiceState::Retreating(Retreat::Stopping { deadline, .. }) => {
                Some(Blocker::Termination { until: *deadline })
            }
            ServiceState::Retreating(Retreat::Waiting { .. }) => Some(self.behind_it(position)),
            ServiceState::Healthy { .. }
            | ServiceState::Failed { .. }
            | ServiceState::Skipped { .. }
            | ServiceState::RolledBack { .. }
            | ServiceState::RollbackFailed { .. }
            | ServiceState::Kept { .. } => None,
        }
    }

    /// What keeps a waiting service from starting: its own dependency, its wave, or the limit.
    fn before_it(&self, position: usize) -> Blocker {
        self.held_back_by(position).unwrap_or(Blocker::Concurrency { limit: self.brief.policy.max_in_flight })
    }

    /// The first of those before it that do not let it go on: its own dependency, or its wave.
    fn held_back_by(&self, position: usize) -> Option<Blocker> {
        let changes = &self.brief.plan.changes;
        let services = &self.progress.services;
        let change = &changes[position];
        let required = change.requires.iter().map(|&required| required as usize);
        if let Some(required) = required.into_iter().find(|&required| !services[required].passes()) {
            let state = &services[required];
            return Some(Blocker::Dependency {
                on: changes[required].name().into(),
                state: state.word().into(),
                since: state.since(),
            });
        }
        if self.brief.plan.order == Order::Waves {
            let mut open = changes
                .iter()
                .zip(services)
                .filter(|(other, state)| rank(other) < rank(change) && !state.passes())
                .map(|(other, _)| other);
            if let Some(first) = open.next() {
                return Some(Blocker::Wave { wave: first.wave, on: first.name().into(), more: open.count() });
            }
        }
        None
    }

    /// What keeps a service from going back: something after it that is not back, or the limit.
    fn behind_it(&self, position: usize) -> Blocker {
        let changes = &self.brief.plan.changes;
        let own = rank(&changes[position]);
        let retreating = |other: usize| matches!(self.progress.services[other], ServiceState::Retreating(_));
        let mut reached = vec![false; changes.len()];
        reached[position] = true;
        for other in position + 1..changes.len() {
            reached[other] = changes[other].requires.iter().any(|&required| reached[required as usize]);
            let later_wave = self.brief.plan.order == Order::Waves && rank(&changes[other]) > own;
            if (reached[other] || later_wave) && retreating(other) {
                return Blocker::Dependant { on: changes[other].name().into() };
            }
        }
        Blocker::Concurrency { limit: self.brief.policy.max_in_flight }
    }
}
