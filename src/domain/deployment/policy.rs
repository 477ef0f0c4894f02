//! The rules that a deployment follows.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The rules of a deployment, from the configuration at the time it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What a failed service means for the rest.
    pub on_failure: OnFailure,
    /// Whether somebody has to approve the plan.
    pub needs_approval: bool,
    /// How many services may be between the request for their sync and their verdict at once.
    pub max_in_flight: u32,
    /// Failed attempts until a service counts as failed, where its own values say nothing.
    pub rollback_threshold: u32,
    /// How often a failed attempt is repeated at most, whatever the threshold.
    pub max_retries: u32,
    /// Pause before the next attempt.
    pub retry_delay: SignedDuration,
    /// From the request for a sync until an attempt without a verdict counts as failed.
    pub health_timeout: SignedDuration,
    /// How long Degraded must last until an attempt counts as failed.
    pub degraded_grace: SignedDuration,
    /// How long Healthy must hold until it counts.
    pub stabilisation: SignedDuration,
    /// From the end of an operation until a fresh comparison is asked for (Argo CD's clock has whole seconds).
    pub refresh_pause: SignedDuration,
    /// When the cluster is told to keep a service at its commit.
    #[serde(default)]
    pub upkeep: Upkeep,
    /// Which Argo Rollouts are promoted once all else about them is proven.
    #[serde(default)]
    pub promotion: Promotion,
}

/// Which Argo Rollouts are promoted, when a pause is all that keeps them from being healthy at the target revision.
/// The others wait for somebody to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Promotion {
    /// Blue-green ones, whose new pods are ready and get no traffic.
    pub blue_green: bool,
    /// Canaries, which end their pauses with a duration by themselves; this is about those without.
    pub canary: bool,
}

impl Default for Promotion {
    fn default() -> Self {
        Self { blue_green: true, canary: false }
    }
}

/// When the cluster is told to keep a service at its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upkeep {
    /// Never.
    #[default]
    Never,
    /// After a verdict on the way forward. What went back would be taken forward again. Until that verdict the cluster
    /// is to leave it alone, from the start of the deployment on.
    Forward,
    /// After every verdict: it is pinned, so nothing moves it.
    Always,
}

/// What a failed service means for the rest of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Everything that this deployment advanced is taken back, dependants first.
    #[default]
    Rollback,
    /// Nothing new is started; all stays as it is.
    Stop,
    /// What does not depend on it goes on.
    Continue,
}
