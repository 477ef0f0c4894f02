//! Sync waves: how far each is, of one place and of all.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::deployment::ServiceView;
use crate::domain::deployment::{Deployment, ServiceState};
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision, Wave};

/// One wave of a customer and environment, as its latest deployment left it or has it now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SyncWave)]
pub struct WaveView {
    /// Which.
    #[schema(value_type = u32)]
    pub wave: Wave,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Its commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// How far it is.
    #[serde(flatten)]
    pub tally: Tally,
}

/// How far some services are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Tally {
    /// `waiting`, `running`, `healthy` or `failed`.
    pub status: WaveStatus,
    /// How many services there are.
    pub services: usize,
    /// How many are healthy, or rightly left alone.
    pub passed: usize,
    /// How many are in each state, by its word.
    pub states: BTreeMap<&'static str, usize>,
}

/// How far a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
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

/// One wave with its services.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncWaveDetail)]
pub struct WaveDetail {
    /// The wave.
    #[serde(flatten)]
    pub wave: WaveView,
    /// Its services, in the order of their turns.
    #[schema(value_type = Vec<ServiceView>)]
    pub details: serde_json::Value,
}

/// One wave number over all places.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncWaveStatus)]
pub struct WaveOverall {
    /// Which.
    #[schema(value_type = u32)]
    pub wave: Wave,
    /// How far it is, all places together.
    #[serde(flatten)]
    pub tally: Tally,
    /// How far it is in each place.
    pub places: Vec<WaveView>,
}

impl Tally {
    /// How far the services of a deployment are, the shared part among them.
    pub fn of_deployment(deployment: &Deployment) -> Self {
        Self::of(deployment.progress.services.iter())
    }

    fn of<'a>(states: impl Iterator<Item = &'a ServiceState>) -> Self {
        let mut tally = Self::default();
        let (mut begun, mut failed) = (false, false);
        for state in states {
            tally.services += 1;
            tally.passed += usize::from(state.passes());
            *tally.states.entry(state.word()).or_default() += 1;
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

    fn add(&mut self, other: &Self) {
        self.status = match (self.services, self.status, other.status) {
            (0, _, other) => other,
            (_, WaveStatus::Failed, _) | (_, _, WaveStatus::Failed) => WaveStatus::Failed,
            (_, one, other) if one == other => one,
            (..) => WaveStatus::Running,
        };
        self.services += other.services;
        self.passed += other.passed;
        for (word, count) in &other.states {
            *self.states.entry(word).or_default() += count;
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

/// The waves of a deployment, lowest first. The shared part is in none.
pub fn waves(deployment: &Deployment) -> Vec<WaveView> {
    let mut by_wave: BTreeMap<Wave, Vec<&ServiceState>> = BTreeMap::new();
    for (change, state) in deployment.services() {
        if let Some(wave) = change.wave {
            by_wave.entry(wave).or_default().push(state);
        }
    }
    let plan = &deployment.brief.plan;
    let view = |(wave, states): (Wave, Vec<&ServiceState>)| WaveView {
        wave,
        customer: plan.customer.clone(),
        environment: plan.environment.clone(),
        deployment: deployment.id().clone(),
        revision: plan.revision.clone(),
        tally: Tally::of(states.into_iter()),
    };
    by_wave.into_iter().map(view).collect()
}

/// One wave of a deployment with its services; none where it has no such wave.
pub fn detail(deployment: &Deployment, wave: Wave) -> Option<WaveDetail> {
    let found = waves(deployment).into_iter().find(|view| view.wave == wave)?;
    let blockers = deployment.blockers();
    let services: Vec<_> = deployment
        .services()
        .filter(|(change, _)| change.wave == Some(wave))
        .map(|(change, state)| ServiceView::of(change, state, &blockers))
        .collect();
    // What is shown here are plain types of ours, and those always serialise.
    Some(WaveDetail { wave: found, details: serde_json::to_value(services).unwrap_or_default() })
}

impl WaveOverall {
    /// One wave number over all places.
    pub fn new(wave: Wave, places: Vec<WaveView>) -> Self {
        let mut tally = Tally::default();
        for place in &places {
            tally.add(&place.tally);
        }
        Self { wave, tally, places }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::deployment::Skip;

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
