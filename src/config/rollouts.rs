//! What is done about the pauses of Argo Rollouts.

use serde::Deserialize;

use crate::domain::deployment::Promotion;

/// What is done about the pauses of Argo Rollouts, once all else about a service is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rollouts {
    /// Of blue-green ones. Default `promote`.
    pub blue_green: Pause,
    /// Of canaries, where a pause has no duration. Default `wait`.
    pub canary: Pause,
}

impl Default for Rollouts {
    fn default() -> Self {
        Self { blue_green: Pause::Promote, canary: Pause::Wait }
    }
}

/// What is done about a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// It is ended.
    Promote,
    /// Somebody has to end it.
    Wait,
}

impl Rollouts {
    /// The same, for the state machine.
    pub fn promotion(self) -> Promotion {
        Promotion { blue_green: self.blue_green == Pause::Promote, canary: self.canary == Pause::Promote }
    }
}
