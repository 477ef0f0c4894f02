//! The Kubernetes objects that a customer is deployed by: its project, its namespace, its Applications.
//!
//! Plain JSON, so that what is applied and what `generate` prints is the same. Sources: Argo CD's
//! `AppProject` and `Application` types. [`set`] has the ApplicationSets that make the same Applications, and
//! [`bundle`] everything of several customers.

use serde_json::{Value, json};

use super::application::ApplicationSpec;
use super::names::{BASE, CustomerId, Environment, Namespace, Revision};

pub mod bundle;
pub mod customer;
pub mod set;
#[cfg(test)]
mod tests;

/// The label that everything made here carries, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "argocd-orchestrator");
/// The label with the customer.
pub const CUSTOMER: &str = "orchestrator.rtte.com/customer";
/// The label with the environment.
pub const ENVIRONMENT: &str = "orchestrator.rtte.com/environment";
/// The label with the service; `base` for the part that all services share.
pub const SERVICE: &str = "orchestrator.rtte.com/service";

/// What of these objects an operator decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The namespace of Argo CD.
    pub argo_cd: Namespace,
    /// The cluster that is deployed to, by the address that Argo CD knows it by.
    pub server: String,
    /// Further values files for every chart, relative to it.
    pub value_files: Vec<String>,
    /// `spec.syncPolicy.syncOptions` of every Application.
    pub sync_options: Vec<String>,
    /// Kinds that a customer may deploy into its namespace: group and kind. Nothing outside of it.
    pub allowed_kinds: Vec<(String, String)>,
    /// `spec.hard` of the namespace's ResourceQuota; none for no quota.
    pub quota: Option<Value>,
    /// `spec.limits` of the namespace's LimitRange; none for no limits.
    pub limits: Option<Value>,
    /// Whether other customers' pods are kept out of the namespace.
    pub isolate: bool,
}

/// One customer in one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Whose.
    pub customer: CustomerId,
    /// Which environment.
    pub environment: Environment,
    /// Where it is deployed to.
    pub namespace: Namespace,
    /// Where its charts come from, as Argo CD fetches them.
    pub repository: String,
}

impl Tenant {
    fn labels(&self) -> Value {
        json!({ MANAGED_BY.0: MANAGED_BY.1, CUSTOMER: self.customer, ENVIRONMENT: self.environment })
    }
}

/// The project that keeps a customer's Applications to its own repository and namespace.
pub fn project(tenant: &Tenant, rules: &Rules) -> Value {
    let customer = tenant.customer.as_str();
    let kinds: Vec<Value> =
        rules.allowed_kinds.iter().map(|(group, kind)| json!({ "group": group, "kind": kind })).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": { "name": customer, "namespace": rules.argo_cd, "labels": tenant.labels() },
        "spec": {
            "description": format!("{customer}: its own repository and namespace, nothing else"),
            "sourceRepos": [tenant.repository],
            "destinations": [{ "server": rules.server, "namespace": tenant.namespace }],
            "clusterResourceWhitelist": [],
            "namespaceResourceWhitelist": kinds,
            "roles": [{
                "name": "read-only",
                "description": "sees the customer's Applications",
                "policies": [
                    format!("p, proj:{customer}:read-only, applications, get, {customer}/*, allow"),
                ],
            }],
        },
    })
}

/// The customer's namespace, and what lies in it before any service does.
pub fn namespace(tenant: &Tenant, rules: &Rules) -> Vec<Value> {
    let inside =
        |name: &str| json!({ "name": name, "namespace": tenant.namespace, "labels": tenant.labels() });
    let mut objects = vec![json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": tenant.namespace, "labels": tenant.labels() },
    })];
    if let Some(hard) = &rules.quota {
        objects.push(json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": inside("customer"), "spec": { "hard": hard },
        }));
    }
    if let Some(limits) = &rules.limits {
        objects.push(json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": inside("customer"), "spec": { "limits": limits },
        }));
    }
    if rules.isolate {
        // Its own pods, and namespaces that are no customer's: ingress, monitoring, service meshes.
        let from = json!([
            { "podSelector": {} },
            { "namespaceSelector": { "matchExpressions": [{ "key": CUSTOMER, "operator": "DoesNotExist" }] } },
        ]);
        objects.push(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": inside("no-other-customers"),
            "spec": { "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{ "from": from }] },
        }));
    }
    objects
}

/// The Application of one service (or of the part that all share), with automated sync off.
///
/// Without a revision it is pinned to none: where it exists already, its pin is left as it is.
pub fn application(
    spec: &ApplicationSpec,
    repository: &str,
    revision: Option<&Revision>,
    rules: &Rules,
) -> Value {
    let service = spec.service.as_ref().map_or(BASE, |service| service.as_str());
    Texts { service: Some(service), ..Texts::of(spec, repository, revision) }.application(rules)
}

/// The one Application of a customer in which all of it is rendered: Argo CD's own sync waves order it.
///
/// What the specification says of a service counts for nothing.
pub fn whole(spec: &ApplicationSpec, repository: &str, revision: Option<&Revision>, rules: &Rules) -> Value {
    Texts::of(spec, repository, revision).application(rules)
}

/// What differs between Applications, as texts: names, or the templates that an ApplicationSet makes them from.
#[derive(Debug, Clone, Copy)]
struct Texts<'a> {
    name: &'a str,
    customer: &'a str,
    environment: &'a str,
    namespace: &'a str,
    repository: &'a str,
    path: &'a str,
    revision: Option<&'a Revision>,
    /// The one that is rendered; none for all.
    service: Option<&'a str>,
    values: Option<&'a Value>,
}

impl<'a> Texts<'a> {
    /// Of all services.
    fn of(spec: &'a ApplicationSpec, repository: &'a str, revision: Option<&'a Revision>) -> Self {
        Self {
            name: spec.name.as_str(),
            customer: spec.customer.as_str(),
            environment: spec.environment.as_str(),
            namespace: spec.namespace.as_str(),
            repository,
            path: &spec.path,
            revision,
            service: None,
            values: spec.values.as_ref(),
        }
    }

    fn application(&self, rules: &Rules) -> Value {
        let mut labels = json!({
            MANAGED_BY.0: MANAGED_BY.1,
            CUSTOMER: self.customer,
            ENVIRONMENT: self.environment,
        });
        let mut source = json!({ "repoURL": self.repository, "path": self.path });
        if let Some(service) = self.service {
            labels[SERVICE] = json!(service);
            source["helm"]["parameters"] =
                json!([{ "name": "render.service", "value": service, "forceString": true }]);
        }
        if !rules.value_files.is_empty() {
            source["helm"]["valueFiles"] = json!(rules.value_files);
        }
        if let Some(values) = self.values {
            source["helm"]["valuesObject"] = values.clone();
        }
        if let Some(revision) = self.revision {
            source["targetRevision"] = json!(revision);
        }
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": { "name": self.name, "namespace": rules.argo_cd, "labels": labels },
            "spec": {
                "project": self.customer,
                "source": source,
                "destination": { "server": rules.server, "namespace": self.namespace },
                "syncPolicy": { "syncOptions": rules.sync_options },
            },
        })
    }
}
