//! What the orchestrator must be allowed to do, by its configuration, and whether it is.
//!
//! What is granted is in `k8s/rbac`; a test holds this against it.

use std::collections::BTreeSet;

use super::{Check, Finding};

/// The part of the configuration that rights follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The namespace of the Applications.
    pub argo_cd: String,
    /// Whether anything is ever written.
    pub writes: bool,
    /// Whether projects and namespaces are made.
    pub provisions: bool,
    /// Whether ApplicationSets are applied.
    pub application_sets: bool,
    /// Whether Applications of removed services are deleted.
    pub prunes: bool,
    /// Whether customers have one Application each, so that workloads are looked at.
    pub per_customer: bool,
    /// Whether Services are read, to check the health of what is behind them.
    pub health_checks: bool,
    /// Whether there are Rollouts in the cluster.
    pub rollouts: bool,
}

/// Where a right has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In Argo CD's namespace.
    ArgoCd,
    /// In each customer's namespace.
    Customers,
    /// In the cluster.
    Cluster,
}

/// Verbs on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The group; empty for the core.
    pub group: &'static str,
    /// The resource, `name/status` for a part of it.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: Vec<&'static str>,
    /// Where.
    pub scope: Scope,
    /// The file that grants it; none where it is for who installs.
    pub file: Option<&'static str>,
}

const ARGO: &str = "argoproj.io";

fn need(
    group: &'static str,
    resource: &'static str,
    verbs: &[&'static str],
    scope: Scope,
    file: &'static str,
) -> Need {
    Need { group, resource, verbs: verbs.to_vec(), scope, file: Some(file) }
}

/// What the orchestrator does.
pub fn needs(wanted: &Wanted) -> Vec<Need> {
    let driver = "driver.yaml";
    let verbs: &[&str] =
        if wanted.writes { &["get", "list", "watch", "create", "patch"] } else { &["get", "list", "watch"] };
    let mut all = vec![need(ARGO, "applications", verbs, Scope::ArgoCd, driver)];
    if wanted.writes {
        all.push(need(ARGO, "applicationsets", &["get"], Scope::ArgoCd, driver));
    }
    if wanted.writes && wanted.rollouts {
        all.push(need(ARGO, "rollouts", &["get"], Scope::Customers, driver));
        all.push(need(ARGO, "rollouts/status", &["patch"], Scope::Customers, driver));
    }
    if wanted.health_checks {
        all.push(need("", "services", &["get"], Scope::Customers, driver));
    }
    if wanted.provisions {
        let (file, verbs) = ("provisioner.yaml", &["get", "create", "patch"]);
        all.push(need(ARGO, "appprojects", verbs, Scope::ArgoCd, file));
        for resource in ["namespaces", "resourcequotas", "limitranges"] {
            all.push(need("", resource, verbs, Scope::Cluster, file));
        }
        all.push(need("networking.k8s.io", "networkpolicies", verbs, Scope::Cluster, file));
    }
    if wanted.application_sets {
        all.push(need(ARGO, "applicationsets", &["create", "patch"], Scope::ArgoCd, "application-sets.yaml"));
    }
    if wanted.prunes {
        all.push(need(ARGO, "applications", &["delete"], Scope::ArgoCd, "pruner.yaml"));
    }
    if wanted.per_customer {
        let file = "per-customer.yaml";
        for resource in ["deployments", "statefulsets", "daemonsets"] {
            all.push(need("apps", resource, &["list", "watch"], Scope::Customers, file));
        }
        if wanted.rollouts {
            all.push(need(ARGO, "rollouts", &["list", "watch"], Scope::Customers, file));
        }
    }
    all
}

/// What whoever installs it does, by server-side apply.
pub fn installation() -> Vec<Need> {
    let rbac = "rbac.authorization.k8s.io";
    let kinds = [
        ("", "namespaces"),
        ("", "serviceaccounts"),
        ("", "configmaps"),
        ("", "services"),
        ("apps", "statefulsets"),
        (rbac, "roles"),
        (rbac, "rolebindings"),
        (rbac, "clusterroles"),
        (rbac, "clusterrolebindings"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        (ARGO, "eventbus"),
        (ARGO, "eventsources"),
        (ARGO, "sensors"),
    ];
    let of = |(group, resource)| Need {
        group,
        resource,
        verbs: vec!["create", "patch"],
        scope: Scope::Cluster,
        file: None,
    };
    kinds.into_iter().map(of).collect()
}

/// What the API server says of one verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The verb.
    pub verb: &'static str,
    /// The customers' namespaces where it is not allowed; one empty name where that is everywhere that it was asked for.
    pub denied: BTreeSet<String>,
}

/// What is said of one need, whose verbs were asked for.
///
/// `who` is the account: `you`, or the name of another.
pub fn finding(who: &str, argo_cd: &str, need: &Need, answers: &[Answer]) -> Finding {
    let resource = match need.group {
        "" => need.resource.to_owned(),
        group => match need.resource.split_once('/') {
            Some((name, part)) => format!("{name}.{group}/{part}"),
            None => format!("{}.{group}", need.resource),
        },
    };
    let place = match need.scope {
        Scope::ArgoCd => format!(" in {argo_cd}"),
        Scope::Customers => " in the customers' namespaces".to_owned(),
        Scope::Cluster => String::new(),
    };
    let denied: Vec<&Answer> = answers.iter().filter(|answer| !answer.denied.is_empty()).collect();
    if denied.is_empty() {
        let text = format!("{who} may {} {resource}{place}", need.verbs.join(", "));
        return Finding::fine(Check::PERMISSIONS, text);
    }
    let verbs: Vec<&str> = denied.iter().map(|answer| answer.verb).collect();
    let places: BTreeSet<&str> = denied
        .iter()
        .flat_map(|answer| &answer.denied)
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    let place = if places.is_empty() {
        place
    } else {
        format!(" in {}", places.into_iter().collect::<Vec<_>>().join(", "))
    };
    let text = format!("{who} may not {} {resource}{place}", verbs.join(", "));
    let remedy = match (need.file, need.scope) {
        (Some(file), Scope::Customers) => {
            format!("kubectl apply -f k8s/rbac/{file}, or bind its ClusterRole in each customer's namespace")
        }
        (Some(file), Scope::ArgoCd | Scope::Cluster) => format!("kubectl apply -f k8s/rbac/{file}"),
        (None, _) => "install with an account that may, such as cluster-admin".to_owned(),
    };
    Finding::wrong(Check::PERMISSIONS, text, remedy)
}

/// The API server does not say what an account may do.
pub fn unknown(who: &str, reason: &str) -> Finding {
    Finding::warning(
        Check::PERMISSIONS,
        format!("what {who} may do is not told: {reason}"),
        "ask with an account that may create subjectaccessreviews.authorization.k8s.io",
    )
}
