//! Which services a push touches, and why.
//!
//! A service is compared with what it last ran healthily *here*, not with the commit before the push: pushes
//! that were coalesced, that failed or were rolled back lose nothing that way.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalog::{Catalog, Service};
use super::names::{Fingerprint, Revision, Wave};
use super::plan::{Baseline, Rendering, fingerprint};

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
    /// The cluster runs another revision than the one that was last healthy here.
    Elsewhere {
        /// The commit that its Application is pinned to.
        at: Revision,
    },
    /// Somebody asked for it by name.
    Asked,
    /// Nothing of it changed.
    Unchanged,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New => f.write_str("new here"),
            Self::ImageTag { from, to } => write!(f, "image tag {} -> {}", tag(from), tag(to)),
            Self::Image { from, to } => write!(f, "image {from} -> {to}"),
            Self::Config => f.write_str("values"),
            Self::Chart => f.write_str("chart"),
            Self::Dependencies => f.write_str("dependencies"),
            Self::Elsewhere { at } => write!(f, "the cluster is at {}", at.short()),
            Self::Asked => f.write_str("asked for"),
            Self::Unchanged => f.write_str("unchanged"),
        }
    }
}

/// The part of an image behind the last colon of its last path segment.
fn tag(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').map_or(image, |(_, tag)| tag)
}

/// What a service renders from. `wave` is the one that it has in the graph.
pub fn rendering(catalog: &Catalog, service: &Service, wave: Wave, chart: &Fingerprint) -> Rendering {
    let mut own = serde_json::to_value(service).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut own {
        // These are compared on their own, or (the rollback settings) are read by us alone.
        for field in
            ["image", "followsImageTag", "follows_image_tag", "dependencies", "rollback", "enabled", "wave"]
        {
            fields.remove(field);
        }
    }
    let dependencies: Vec<&str> =
        service.dependencies.iter().map(|dependency| dependency.on.as_str()).collect();
    Rendering {
        image: service.image.clone(),
        follows_image_tag: service.follows_image_tag,
        dependencies: fingerprint(&dependencies),
        config: fingerprint(&json!({ "service": own, "wave": wave, "shared": shared(catalog) })),
        chart: chart.clone(),
    }
}

/// What the part that all services share renders from.
pub fn base_rendering(catalog: &Catalog, chart: &Fingerprint) -> Rendering {
    Rendering {
        image: String::new(),
        follows_image_tag: false,
        dependencies: fingerprint(&Vec::<String>::new()),
        config: fingerprint(&json!({ "configMaps": catalog.config_maps, "shared": shared(catalog) })),
        chart: chart.clone(),
    }
}

/// Values that any template may use. The image tag is not among them: it counts where an image takes it in.
fn shared(catalog: &Catalog) -> Value {
    json!({
        "customer": catalog.customer,
        "environment": catalog.environment,
        "namespace": catalog.namespace,
        "format": catalog.format,
        "extra": catalog.extra,
    })
}

/// What differs between what a service last ran healthily and what it would run now. Empty for nothing.
///
/// `live` is the commit that its Application is pinned to, where that is known: a run that was stopped half-way
/// may have left it elsewhere.
pub fn differences(before: Option<&Baseline>, now: &Rendering, live: Option<&Revision>) -> Vec<Reason> {
    let Some(Baseline { revision, rendering: before, .. }) = before else { return vec![Reason::New] };
    let mut reasons = Vec::new();
    if let Some(at) = live.filter(|live| *live != revision) {
        reasons.push(Reason::Elsewhere { at: at.clone() });
    }
    if before.image != now.image {
        let (from, to) = (before.image.clone(), now.image.clone());
        let of_all = before.follows_image_tag && now.follows_image_tag;
        reasons.push(if of_all { Reason::ImageTag { from, to } } else { Reason::Image { from, to } });
    }
    if before.config != now.config {
        reasons.push(Reason::Config);
    }
    if before.dependencies != now.dependencies {
        reasons.push(Reason::Dependencies);
    }
    if before.chart != now.chart {
        reasons.push(Reason::Chart);
    }
    reasons
}
