//! What the orchestrator's service account may do, and what not, as the API server itself says.

use std::process::Command;

use anyhow::ensure;

use crate::cluster::ARGO_CD;
use crate::world::World;

const WHO: &str = "--as=system:serviceaccount:argocd-orchestrator:argocd-orchestrator";

/// Verb, resource, namespace (`-` for none or all), and whether it is allowed.
const RIGHTS: &[(&str, &str, &str, bool)] = &[
    ("list", "applications.argoproj.io", ARGO_CD, true),
    ("watch", "applications.argoproj.io", ARGO_CD, true),
    ("create", "applications.argoproj.io", ARGO_CD, true),
    ("patch", "applications.argoproj.io", ARGO_CD, true),
    ("get", "applicationsets.argoproj.io", ARGO_CD, true),
    ("patch", "appprojects.argoproj.io", ARGO_CD, true),
    ("patch", "namespaces", "-", true),
    ("patch", "networkpolicies.networking.k8s.io", "customer-a-production", true),
    ("get", "rollouts.argoproj.io", "customer-a-production", true),
    ("get", "services", "customer-a-production", true),
    ("delete", "applications.argoproj.io", ARGO_CD, false),
    ("delete", "appprojects.argoproj.io", ARGO_CD, false),
    ("patch", "applicationsets.argoproj.io", ARGO_CD, false),
    ("list", "applications.argoproj.io", "-", false),
    ("get", "secrets", ARGO_CD, false),
    ("get", "secrets", "customer-a-production", false),
    ("get", "configmaps", ARGO_CD, false),
    ("delete", "namespaces", "-", false),
    ("create", "pods", "customer-a-production", false),
    ("patch", "deployments.apps", "customer-a-production", false),
    ("patch", "rollouts.argoproj.io", "customer-a-production", false),
    ("create", "rolebindings.rbac.authorization.k8s.io", "-", false),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", "-", false),
    ("impersonate", "users", "-", false),
];

pub(crate) fn least(_: &mut World) -> anyhow::Result<()> {
    for (verb, resource, namespace, allowed) in RIGHTS {
        let mut command = Command::new("kubectl");
        command.args(["auth", "can-i", verb, resource, WHO]);
        if *namespace == "-" {
            command.arg("--all-namespaces");
        } else {
            command.args(["-n", namespace]);
        }
        let output = command.output()?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let found = answer.lines().last().unwrap_or_default().trim() == "yes";
        ensure!(found == *allowed, "{verb} {resource} in {namespace}: {answer}");
        println!("     {} {verb} {resource} ({namespace})", if found { "may    " } else { "may not" });
    }
    Ok(())
}
