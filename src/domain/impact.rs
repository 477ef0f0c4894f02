//! Which services a push touches, and why.
//!
//! A service is compared with what it last ran healthily *here*, not with the commit before the push: pushes
//! that were coalesced, that failed or were rolled back lose nothing that way.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::catalog::{Catalog, Service};
use super::names::{Fingerprint, Revision, Wave};
use super::plan::{Baseline, Rendering, fingerprint};

/// Why a service is touched, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
        #[schema(value_type = String)]
        at: Revision,
    },
    /// It ran here, and its Application is not there any more.
    Gone,
    /// Somebody asked for it by name.
    Asked,
    /// All of a customer in one Application, after its services.
    Whole,
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
            Self::Gone => f.write_str("its Application is gone"),
            Self::Asked => f.write_str("asked for"),
            Self::Whole => f.write_str("the whole, at the end"),
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

/// What the cluster has of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// Its Application is pinned to this commit.
    Pinned(Revision),
    /// Its Application does not exist.
    Gone,
}

/// What differs between what a service last ran healthily and what it would run now. Empty for nothing.
///
/// `live` is what the cluster has of it, where that is known: a run that was stopped half-way may have left it
/// elsewhere, and somebody may have deleted it.
pub fn differences(before: Option<&Baseline>, now: &Rendering, live: Option<&Live>) -> Vec<Reason> {
    let Some(Baseline { revision, rendering: before, .. }) = before else { return vec![Reason::New] };
    let mut reasons = Vec::new();
    match live {
        Some(Live::Pinned(at)) if at != revision => reasons.push(Reason::Elsewhere { at: at.clone() }),
        Some(Live::Gone) => reasons.push(Reason::Gone),
        Some(Live::Pinned(_)) | None => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalog::Dependency;
    use crate::domain::graph::tests::catalog;

    fn shop() -> Catalog {
        let mut shop = catalog("db 0\n user 1 db\n web 2 user");
        for service in &mut shop.services[1..] {
            service.image = format!("registry:5000/shop/{}:1.0", service.name);
            service.follows_image_tag = true;
        }
        shop
    }

    fn chart(word: &str) -> Fingerprint {
        word.parse().unwrap()
    }

    /// What a change of the catalogue touches, and why; what is not named is not touched.
    fn check(what: &str, change: impl FnOnce(&mut Catalog), files: &str, expected: &[&str]) {
        let before = shop();
        let mut after = shop();
        change(&mut after);
        let baseline = |service: &Service| Baseline {
            revision: "a".repeat(40).parse().unwrap(),
            rendering: rendering(&before, service, service.wave.unwrap(), &chart("files")),
            healthy_at: jiff::Timestamp::UNIX_EPOCH,
            health_check: None,
        };
        let mut found = Vec::new();
        for service in after.enabled() {
            let before = before.service(&service.name).map(baseline);
            let now = rendering(&after, service, service.wave.unwrap(), &chart(files));
            let reasons = differences(before.as_ref(), &now, None);
            if !reasons.is_empty() {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                found.push(format!("{}: {}", service.name, reasons.join(", ")));
            }
        }
        assert_eq!(found, expected, "{what}");
    }

    #[test]
    fn a_push_touches_what_renders_differently_and_nothing_else() {
        check("nothing", |_| {}, "files", &[]);
        check(
            "the image tag of all",
            |shop| {
                for service in &mut shop.services[1..] {
                    service.image = service.image.replace(":1.0", ":1.1");
                }
                shop.image_tag = Some("1.1".into());
            },
            "files",
            &["user: image tag 1.0 -> 1.1", "web: image tag 1.0 -> 1.1"],
        );
        check(
            "one image",
            |shop| shop.services[0].image = "example/db:2".into(),
            "files",
            &["db: image example/db:1 -> example/db:2"],
        );
        check(
            "an image that follows no more",
            |shop| {
                shop.services[1].image = "shop/user:7".into();
                shop.services[1].follows_image_tag = false;
            },
            "files",
            &["user: image registry:5000/shop/user:1.0 -> shop/user:7"],
        );
        check("its values", |shop| shop.services[1].replicas = 3, "files", &["user: values"]);
        check(
            "values that all templates may use",
            |shop| drop(shop.extra.insert("region".into(), json!("eu"))),
            "files",
            &["db: values", "user: values", "web: values"],
        );
        check(
            "what it depends on",
            |shop| {
                let db = shop.services[1].dependencies[0].clone();
                shop.services[2].dependencies.push(Dependency { ..db });
            },
            "files",
            &["web: dependencies"],
        );
        check("another wave", |shop| shop.services[2].wave = Some(Wave(3)), "files", &["web: values"]);
        check("rollback settings are ours", |shop| shop.services[2].rollback.enabled = false, "files", &[]);
        check("the chart", |_| {}, "others", &["db: chart", "user: chart", "web: chart"]);
        check(
            "a new service",
            |shop| {
                let mut cache = shop.services[0].clone();
                cache.name = "cache".parse().unwrap();
                shop.services.push(cache);
            },
            "files",
            &["cache: new here"],
        );
        check("one that is switched off", |shop| shop.services[2].enabled = false, "files", &[]);
    }

    #[test]
    fn what_the_cluster_runs_counts_more_than_what_was_last_healthy() {
        let shop = shop();
        let now = rendering(&shop, &shop.services[0], Wave(0), &chart("files"));
        let [a, c]: [Revision; 2] = ["a", "c"].map(|digit| digit.repeat(40).parse().unwrap());
        let before = Baseline {
            revision: a.clone(),
            rendering: now.clone(),
            healthy_at: jiff::Timestamp::UNIX_EPOCH,
            health_check: None,
        };
        assert_eq!(differences(Some(&before), &now, Some(&Live::Pinned(a))), []);
        let pinned = Live::Pinned(c.clone());
        assert_eq!(differences(Some(&before), &now, Some(&pinned)), [Reason::Elsewhere { at: c.clone() }]);
        assert_eq!(differences(Some(&before), &now, Some(&Live::Gone)), [Reason::Gone]);
        assert_eq!(differences(None, &now, Some(&Live::Gone)), [Reason::New], "it never ran here");
        assert_eq!(differences(None, &now, Some(&pinned)), [Reason::New]);
    }

    #[test]
    fn the_shared_part_changes_with_its_config_maps_and_not_with_the_image_tag() {
        let base = |change: fn(&mut Catalog)| {
            let mut shop = shop();
            change(&mut shop);
            base_rendering(&shop, &chart("files"))
        };
        let before = base(|_| {});
        assert_eq!(base(|shop| shop.image_tag = Some("9".into())), before);
        assert_eq!(base(|shop| shop.services.clear()), before);
        assert_ne!(base(|shop| drop(shop.config_maps.insert("common".into(), "c".into()))), before);
    }
}
