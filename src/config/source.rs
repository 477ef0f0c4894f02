//! A repository, and what its refs deploy.

use std::path::PathBuf;

use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::names::{Environment, SourceName};

/// A repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// Its name here.
    pub name: SourceName,
    /// Where git fetches it from: https or ssh; `file://` where `allow-file` says so.
    pub url: String,
    /// Its `owner/name` in pushes.
    pub repository: String,
    /// Where Argo CD fetches it from, if not from `url`.
    #[serde(default)]
    pub argo_cd_url: Option<String>,
    /// Whether a `file://` URL is right. Default false.
    #[serde(default)]
    pub allow_file: bool,
    /// User name for https; GitHub's for tokens where it is not given.
    #[serde(default)]
    pub username: Option<String>,
    /// Password or token for https: as it is, or `${VARIABLE}`.
    #[serde(default)]
    pub token: Option<SecretString>,
    /// Private key file for ssh.
    #[serde(default)]
    pub ssh_key: Option<PathBuf>,
    /// File with the hosts' keys for ssh; unknown hosts are refused.
    #[serde(default)]
    pub known_hosts: Option<PathBuf>,
    /// How often its refs are looked at, so that a push that nobody told of is found; `0s` for never. Default 3 min.
    #[serde(default = "every_three_minutes")]
    pub poll: SignedDuration,
    /// What its refs deploy. A ref that is not here deploys nothing.
    pub targets: Vec<Target>,
}

/// Repositories are others' machines, and a look is a fetch.
const SHORTEST_POLL: SignedDuration = SignedDuration::from_secs(10);

/// As often as Argo CD looks at repositories.
fn every_three_minutes() -> SignedDuration {
    SignedDuration::from_mins(3)
}

impl Source {
    /// Where Argo CD fetches it from.
    pub fn seen_by_argo_cd(&self) -> &str {
        self.argo_cd_url.as_deref().unwrap_or(&self.url)
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if !self.poll.is_zero() && self.poll < SHORTEST_POLL {
            let reason = format!("{:#} is too often: 10s at least, or 0s for never", self.poll);
            return Err((format!("sources[{}].poll", self.name), reason));
        }
        match self.targets.iter().find(|target| !target.reference.starts_with("refs/")) {
            Some(target) => {
                let reason = format!("{:?} is not a full ref such as `refs/heads/main`", target.reference);
                Err((format!("sources[{}].targets.ref", self.name), reason))
            }
            None => Ok(()),
        }
    }
}

/// What one ref deploys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// The full ref, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The environment that it deploys.
    pub environment: Environment,
    /// The folder of the customers' charts; `helm.charts-path` where it is missing.
    #[serde(default)]
    pub charts_path: Option<String>,
    /// The chart that they share; `helm.base-chart` where it is missing.
    #[serde(default)]
    pub base_chart: Option<String>,
    /// The folder of the customers' Config-as-Code files; none where there are none.
    #[serde(default)]
    pub cac_path: Option<String>,
    /// What the namespace must be, with `{customer}` and `{environment}`. Default `{customer}-{environment}`.
    #[serde(default)]
    pub namespace: Option<String>,
}
