//! How far services are, counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Deployment, ServiceState};

/// How far some services are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    /// `waiting`, `running`, `healthy` or `failed`.
    pub status: WaveStatus,
    /// How many services there are.
    pub services: usize,
    /// How many are healthy, or rightly left alone.
    pub passed: usize,
    /// How many are in each state, by its word.
    pub states: BTreeMap<String, usize>,
}

/// How far a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaveStatus {
    /// None of its services has begun.
    #[default]
    Waiting,
    /// Some have begun, and none has failed.
    Running,
    /// All have passed.
    Healthy,
    /// Some failed, were taken back or lost their health.
    Failed,
}

impl Tally {
    /// How far the services of a deployment are, the shared part among them.
    pub fn of_deployment(deployment: &Deployment) -> Self {
        Self::of(deployment.progress.services.iter())
    }

    /// How far these services are.
    pub fn of<'a>(states: impl Iterator<Item = &'a ServiceState>) -> Self {
        let mut tally = Self::default();
        let (mut begun, mut failed) = (false, false);
        for state in states {
            tally.services += 1;
            tally.passed += usize::from(state.passes());
            *tally.states.entry(state.word().to_owned()).or_default() += 1;
            begun |= !matches!(state, ServiceState::Waiting { .. });
            failed |= is_failure(state);
        }
        tally.status = if failed {
            WaveStatus::Failed
        } else if tally.services > 0 && tally.passed == tally.services {
            WaveStatus::Healthy
        } else if begun {
            WaveStatus::Running
        } else {
            WaveStatus::Waiting
        };
        tally
    }

    /// Counts others in.
    pub fn add(&mut self, other: &Self) {
        self.status = match (self.services, self.status, other.status) {
            (0, _, other) => other,
            (_, WaveStatus::Failed, _) | (_, _, WaveStatus::Failed) => WaveStatus::Failed,
            (_, one, other) if one == other => one,
            (..) => WaveStatus::Running,
        };
        self.services += other.services;
        self.passed += other.passed;
        for (word, count) in &other.states {
            *self.states.entry(word.clone()).or_default() += count;
        }
    }
}

fn is_failure(state: &ServiceState) -> bool {
    match state {
        ServiceState::Failed { .. }
        | ServiceState::Unhealthy { .. }
        | ServiceState::Retreating(_)
        | ServiceState::RolledBack { .. }
        | ServiceState::RollbackFailed { .. }
        | ServiceState::Kept { .. } => true,
        ServiceState::Waiting { .. }
        | ServiceState::Checking(_)
        | ServiceState::Advancing(_)
        | ServiceState::Healthy { .. }
        | ServiceState::Skipped { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::Skip;
    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn waiting() -> ServiceState {
        ServiceState::Waiting { since: AT }
    }

    fn healthy() -> ServiceState {
        ServiceState::Healthy { since: AT }
    }

    fn failed() -> ServiceState {
        ServiceState::Failed { at: AT, reason: "no".into() }
    }

    fn untouched() -> ServiceState {
        ServiceState::Skipped { at: AT, reason: Skip::Untouched }
    }

    #[test]
    fn a_wave_is_as_far_as_its_services_are() {
        use WaveStatus::{Failed, Healthy, Running, Waiting};
        for (states, status, passed) in [
            (vec![], Waiting, 0),
            (vec![waiting(), waiting()], Waiting, 0),
            (vec![waiting(), healthy()], Running, 1),
            (vec![healthy(), untouched()], Healthy, 2),
            (vec![waiting(), untouched()], Running, 1),
            (vec![healthy(), failed()], Failed, 1),
        ] {
            let tally = Tally::of(states.iter());
            assert_eq!(
                (tally.status, tally.passed, tally.services),
                (status, passed, states.len()),
                "{states:?}"
            );
        }
    }

    #[test]
    fn places_together_are_healthy_only_where_each_is() {
        use WaveStatus::{Failed, Healthy, Running, Waiting};
        for (places, status) in [
            (vec![], Waiting),
            (vec![vec![healthy()], vec![healthy()]], Healthy),
            (vec![vec![waiting()], vec![waiting()]], Waiting),
            (vec![vec![healthy()], vec![waiting()]], Running),
            (vec![vec![failed()], vec![healthy()]], Failed),
            (vec![vec![waiting()], vec![failed()], vec![healthy()]], Failed),
        ] {
            let mut overall = Tally::default();
            for states in &places {
                overall.add(&Tally::of(states.iter()));
            }
            assert_eq!(overall.status, status, "{places:?}");
            assert_eq!(overall.states.values().sum::<usize>(), places.len());
        }
    }
}
