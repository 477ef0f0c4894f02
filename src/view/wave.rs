//! Sync waves: how far each is, of one place and of all.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::deployment::ServiceView;
use crate::domain::deployment::{Deployment, ServiceState, Tally};
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
