//! What one deployment will do, in which order and why: decided once, shown, hashed, approved, then run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::{Order, RollbackPolicy};
use super::impact::Reason;
use super::names::{
    AppName, BASE, CustomerId, Environment, Fingerprint, Namespace, Revision, ServiceName, SourceName, Wave,
};

/// What one deployment will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose.
    pub customer: CustomerId,
    /// Where to.
    pub environment: Environment,
    /// The namespace in the cluster.
    pub namespace: Namespace,
    /// The configured repository that it comes from.
    pub source: SourceName,
    /// The commit that touched services are brought to.
    pub revision: Revision,
    /// What it is for.
    pub purpose: Purpose,
    /// In which sense the order is meant.
    pub order: Order,
    /// One entry for the shared part and each enabled service, in the order of their turns.
    pub changes: Vec<Change>,
    /// Services that ran here and are not in the catalogue any more. They are left running.
    pub removed: Vec<ServiceName>,
    /// Stable over everything above: an approval is bound to it.
    pub hash: Fingerprint,
}

/// What a deployment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To bring services to a commit.
    Deploy,
    /// To see, with fresh eyes, whether services are healthy.
    Check,
    /// To take services back to the revision they ran before.
    Rollback,
}

/// What a plan does with one service, or with the shared part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its Application.
    pub app: AppName,
    /// Its service; none for the part that all services share.
    pub service: Option<ServiceName>,
    /// Its wave; none for the shared part, which comes before all waves.
    pub wave: Option<Wave>,
    /// What is done with it.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Its own dependencies, as positions in [`Plan::changes`]; the shared part is one of them.
    pub requires: Vec<u32>,
    /// Seconds of the longest path from its start to the end: among those that are ready, the longest goes first.
    pub remaining_seconds: u64,
    /// What it renders from.
    pub rendering: Rendering,
    /// Where it last ran healthily; what a rollback goes back to.
    pub previous: Option<Baseline>,
    /// When and how far it is rolled back.
    pub rollback: RollbackPolicy,
}

impl Change {
    /// The service's name, or `base` for the shared part.
    pub fn name(&self) -> &str {
        self.service.as_ref().map_or(BASE, ServiceName::as_str)
    }
}

/// What is done with a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// It is synced to the plan's revision.
    Sync,
    /// It is not touched; those that wait for it need to see it healthy.
    Gate,
    /// It is not touched, and nothing waits for it.
    Leave,
    /// It would be synced, but failed with this very content before.
    Hold {
        /// Why it failed then.
        reason: String,
    },
}

impl Action {
    /// Its stable name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Gate => "gate",
            Self::Leave => "leave",
            Self::Hold { .. } => "hold",
        }
    }
}

/// What a service renders from, part by part: each a hash, so that what changed can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendering {
    /// The image, as text.
    pub image: String,
    /// Whether the image takes the customer's image tag in.
    pub follows_image_tag: bool,
    /// Hash of its dependencies.
    pub dependencies: Fingerprint,
    /// Hash of the rest of its values, and of those parts of `global` that any template may use.
    pub config: Fingerprint,
    /// Hash of the chart's files other than the values.
    pub chart: Fingerprint,
}

impl Rendering {
    /// One hash over all of it.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&(&self.image, &self.dependencies, &self.config, &self.chart))
    }
}

/// What a service last ran healthily, here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The commit it was synced to.
    pub revision: Revision,
    /// What that rendered from.
    pub rendering: Rendering,
    /// When it got its verdict.
    pub healthy_at: Timestamp,
}

/// The SHA-256 of a value's canonical JSON (keys sorted, no white space), in hexadecimal.
pub fn fingerprint(value: &impl Serialize) -> Fingerprint {
    // `Value` keeps its keys sorted, which makes the text canonical. What we hash are our own plain types, and
    // those always serialise.
    let text = serde_json::to_value(value).map(|value| value.to_string()).unwrap_or_default();
    let hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    match hex.parse() {
        Ok(fingerprint) => fingerprint,
        Err(_) => unreachable!("64 hexadecimal digits are a fingerprint"),
    }
}

/// The last healthy state of each service of a customer and environment, the shared part under `base`.
pub type Baselines = BTreeMap<String, Baseline>;
