//! How a real Argo CD is driven.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::deployment::Upkeep;
use crate::domain::manifest::Rules;
use crate::domain::manifest::bundle::{Layout, Maker};
use crate::domain::names::{AppName, CustomerId, Namespace};
use crate::domain::removal::RemovedServices;

/// How a real Argo CD is driven.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArgoCd {
    /// The kubeconfig file; without one `KUBECONFIG`, the user's own, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context of it; without one the current.
    pub context: Option<String>,
    /// The namespace of the Applications. Default `argocd`.
    pub namespace: String,
    /// The address of Argo CD's own page, which links lead to, such as `https://argocd.example.com`; without one there
    /// are no links.
    pub url: Option<String>,
    /// The cluster that is deployed to, by the address that Argo CD knows it by. Default
    /// `https://kubernetes.default.svc`, the one that Argo CD runs in.
    pub destination: String,
    /// Further values files for every chart, relative to its folder; its own `values.yaml` comes first.
    pub value_files: Vec<String>,
    /// `syncOptions` of every Application that is made here.
    pub sync_options: Vec<String>,
    /// Whether a sync removes objects that are not in the commit any more. Default true; charts mark what must stay
    /// with `Prune=false`.
    pub prune: bool,
    /// How many Applications a customer has: `application-per-service` (default) or `application-per-customer`.
    pub layout: Layout,
    /// What is done about automated sync, which would start on its own as soon as a push is seen. Default `pin`.
    pub auto_sync: AutoSync,
    /// What keeps a service at its commit once it has had a healthy verdict.
    pub automated: Automated,
    /// What is made for each customer beside its Applications.
    pub provision: Provision,
}

impl Default for ArgoCd {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: "argocd".into(),
            url: None,
            destination: "https://kubernetes.default.svc".into(),
            value_files: Vec::new(),
            sync_options: Vec::new(),
            prune: true,
            layout: Layout::default(),
            auto_sync: AutoSync::default(),
            automated: Automated::default(),
            provision: Provision::default(),
        }
    }
}

/// What is done about Argo CD's automated sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoSync {
    /// Applications point at an exact commit that is moved here alone. Automated sync may stay on.
    #[default]
    Pin,
    /// Applications follow their branch. Automated sync of all that a deployment touches is off from its start, and on
    /// again after a service's healthy verdict; after a rollback it stays off.
    Disable,
    /// An Application that follows a branch with automated sync on is refused.
    Refuse,
    /// Nothing is ever written: Argo CD (or somebody else) syncs, and the gate watches.
    Observe,
}

/// Argo CD's automated sync of a service that has had its verdict. It stays pinned to its commit, so a push moves
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Automated {
    /// Whether it is switched on. Default true.
    pub enabled: bool,
    /// Whether it removes objects that are not in the commit. Default false.
    pub prune: bool,
    /// Whether what was changed by hand is changed back. Default true.
    pub self_heal: bool,
}

impl Default for Automated {
    fn default() -> Self {
        Self { enabled: true, prune: false, self_heal: true }
    }
}

/// What is made for each customer beside its Applications.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Provision {
    /// Whether the project and the namespace are made here. Default true; otherwise they must be there.
    pub enabled: bool,
    /// Who makes the Applications: this tool `directly` (default), or Argo CD from an ApplicationSet of each customer
    /// that is applied here (`application-sets`).
    pub applications: Maker,
    /// Kinds that a customer may deploy, as `group/Kind` or `Kind`. Default: those of the base chart.
    pub allowed_kinds: Vec<String>,
    /// `spec.hard` of a ResourceQuota of the namespace; none by default.
    pub quota: Option<Value>,
    /// `spec.limits` of a LimitRange of the namespace; none by default.
    pub limits: Option<Value>,
    /// Whether a NetworkPolicy keeps other customers' pods out. Default true.
    pub isolate: bool,
}

impl Default for Provision {
    fn default() -> Self {
        let kinds = [
            "ConfigMap",
            "Service",
            "PersistentVolumeClaim",
            "ServiceAccount",
            "apps/Deployment",
            "argoproj.io/Rollout",
            "argoproj.io/AnalysisTemplate",
        ];
        Self {
            enabled: true,
            applications: Maker::default(),
            allowed_kinds: kinds.map(str::to_owned).to_vec(),
            quota: None,
            limits: None,
            isolate: true,
        }
    }
}

impl ArgoCd {
    /// When Argo CD is told to keep a service at its commit.
    pub fn upkeep(&self) -> Upkeep {
        match self.auto_sync {
            AutoSync::Pin if self.automated.enabled => Upkeep::Always,
            // Also where it is not switched on again: it is to be off from the start of a deployment.
            AutoSync::Disable => Upkeep::Forward,
            AutoSync::Pin | AutoSync::Refuse | AutoSync::Observe => Upkeep::Never,
        }
    }

    /// Whether the settings go together.
    ///
    /// # Errors
    /// The setting that does not, and why.
    pub fn check(&self, removed: RemovedServices) -> Result<(), (String, String)> {
        self.rules()?;
        if removed == RemovedServices::Prune {
            let why = match (self.layout, self.auto_sync) {
                (Layout::PerCustomer, _) => {
                    Some("where a customer has one Application (layout application-per-customer)")
                }
                (Layout::PerService, AutoSync::Observe) => {
                    Some("where nothing is ever written (auto-sync: observe)")
                }
                (Layout::PerService, AutoSync::Pin | AutoSync::Disable | AutoSync::Refuse) => None,
            };
            if let Some(why) = why {
                return Err(("sync-wave.removed-services".into(), format!("must be `keep` {why}")));
            }
        }
        if self.provision.applications == Maker::ApplicationSets {
            let why = match (self.layout, self.auto_sync, self.provision.enabled) {
                (Layout::PerCustomer, _, _) => Some("with the layout application-per-customer"),
                (_, AutoSync::Observe, _) => Some("where nothing is ever written (auto-sync: observe)"),
                (_, _, false) => Some("where nothing is provisioned (provision.enabled: false)"),
                (Layout::PerService, AutoSync::Pin | AutoSync::Disable | AutoSync::Refuse, true) => None,
            };
            if let Some(why) = why {
                return Err((
                    "cluster.argo-cd.provision.applications".into(),
                    format!("must be `directly` {why}"),
                ));
            }
        }
        if self.layout == Layout::PerCustomer && self.auto_sync != AutoSync::Pin {
            let reason = "must be `pin` where a customer has one Application (layout application-per-customer): its \
                          services are compared with the commit that it is pinned to";
            return Err(("cluster.argo-cd.auto-sync".into(), reason.into()));
        }
        // A link that is followed by a click must not be a script.
        if let Some(url) = &self.url
            && !url.starts_with("https://")
            && !url.starts_with("http://")
        {
            return Err((
                "cluster.argo-cd.url".into(),
                format!("{url:?} must begin with https:// or http://"),
            ));
        }
        Ok(())
    }

    /// Where Argo CD shows an Application; none where it is not known where its page is.
    pub fn link(&self, customer: &CustomerId, application: &AppName) -> Option<String> {
        let url = self.url.as_ref()?.trim_end_matches('/');
        let application = match self.layout {
            Layout::PerService => application.clone(),
            Layout::PerCustomer => AppName::of_all(customer).ok()?,
        };
        Some(format!("{url}/applications/{}/{application}", self.namespace))
    }

    /// What objects are made like.
    ///
    /// # Errors
    /// The setting that makes no sense, and why.
    pub fn rules(&self) -> Result<Rules, (String, String)> {
        let argo_cd: Namespace =
            self.namespace.parse().map_err(|error: crate::domain::names::NameError| {
                ("cluster.argo-cd.namespace".to_owned(), error.to_string())
            })?;
        for (setting, value) in [("quota", &self.provision.quota), ("limits", &self.provision.limits)] {
            let fits = match (setting, value) {
                (_, None) => true,
                ("quota", Some(value)) => value.is_object(),
                (_, Some(value)) => value.is_array(),
            };
            if !fits {
                let wanted = if setting == "quota" { "a map of resources" } else { "a list of limits" };
                return Err((format!("cluster.argo-cd.provision.{setting}"), format!("is not {wanted}")));
            }
        }
        let kind = |text: &String| match text.rsplit_once('/') {
            Some((group, kind)) => (group.to_owned(), kind.to_owned()),
            None => (String::new(), text.clone()),
        };
        Ok(Rules {
            argo_cd,
            server: self.destination.clone(),
            value_files: self.value_files.clone(),
            sync_options: self.sync_options.clone(),
            allowed_kinds: self.provision.allowed_kinds.iter().map(kind).collect(),
            quota: self.provision.quota.clone(),
            limits: self.provision.limits.clone(),
            isolate: self.provision.isolate,
        })
    }
}
