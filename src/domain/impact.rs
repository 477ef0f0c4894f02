//! Which services a push touches, and why.

use serde::{Deserialize, Serialize};

/// Why a service is touched, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// It never ran healthily here.
    New,
    /// The image tag of all services moved.
    ImageTag {
        /// Image before.
        from: String,
        /// Image now.
        to: String,
    },
    /// Its own image moved.
    Image {
        /// Image before.
        from: String,
        /// Image now.
        to: String,
    },
    /// Its other values changed, or values that all templates may use.
    Config,
    /// The chart's files changed.
    Chart,
    /// Only what it depends on changed.
    Dependencies,
    /// Somebody asked for it by name.
    Asked,
    /// Nothing of it changed.
    Unchanged,
}
