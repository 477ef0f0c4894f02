//! The kinds of objects that are used: whether the API server serves them, in the version that is used.

use std::collections::BTreeSet;

use super::{Check, Finding};

/// What the API server serves of the group `argoproj.io`, which all of them are of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kinds {
    /// The versions that are served of it; none where there is no such group.
    pub versions: Vec<String>,
    /// The names of the resources in [`VERSION`], such as `applications`.
    pub resources: BTreeSet<String>,
}

/// The group.
pub const GROUP: &str = "argoproj.io";

/// The version that is used of it.
pub const VERSION: &str = "v1alpha1";

/// What belongs together, and what is not possible without it.
struct Product {
    check: Check,
    name: &'static str,
    resources: &'static [&'static str],
    /// Whether nothing works without it, and otherwise what does not.
    without: Option<&'static str>,
    remedy: &'static str,
}

const PRODUCTS: [Product; 4] = [
    Product {
        check: Check::ARGO_CD_KINDS,
        name: "Argo CD",
        resources: &["applications", "applicationsets", "appprojects"],
        without: None,
        remedy: "install Argo CD 3.0 or newer",
    },
    Product {
        check: Check::ARGO_ROLLOUTS_KINDS,
        name: "Argo Rollouts",
        resources: &["rollouts", "analysistemplates"],
        without: Some("services cannot be rolled out step by step"),
        remedy: "install Argo Rollouts where services are Rollouts",
    },
    Product {
        check: Check::ARGO_EVENTS_KINDS,
        name: "Argo Events",
        resources: &["eventbus", "eventsources", "sensors"],
        without: None,
        remedy: "install Argo Events 1.9 or newer",
    },
    Product {
        check: Check::ARGO_WORKFLOWS_KINDS,
        name: "Argo Workflows",
        resources: &["workflows", "workflowtemplates", "cronworkflows"],
        without: Some("deployments cannot be steps of a Workflow"),
        remedy: "install Argo Workflows 3.6 or newer where pipelines are Workflows",
    },
];

/// All that there is to say.
pub fn findings(facts: &Kinds) -> Vec<Finding> {
    PRODUCTS.iter().map(|product| of(product, facts)).collect()
}

fn of(product: &Product, facts: &Kinds) -> Finding {
    let Product { check, name, resources, without, remedy } = product;
    let missing: Vec<&str> =
        resources.iter().copied().filter(|resource| !facts.resources.contains(*resource)).collect();
    if missing.is_empty() {
        let all = resources.join(", ");
        return Finding::fine(*check, format!("{name}: {all} are served as {GROUP}/{VERSION}"));
    }
    let served = if facts.versions.is_empty() || facts.versions.iter().any(|version| version == VERSION) {
        String::new()
    } else {
        format!(" (served of {GROUP}: {})", facts.versions.join(", "))
    };
    let missing = missing.join(", ");
    let text = format!("{name}: {missing} are not served as {GROUP}/{VERSION}{served}");
    match without {
        None => Finding::wrong(*check, text, *remedy),
        Some(without) => Finding::warning(*check, format!("{text}: {without}"), *remedy),
    }
}
