//! Login of people and programs by an OpenID Connect provider.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::access::{Access, Grant};

/// The provider, what its tokens must be, and what its groups may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Oidc {
    /// The issuer, exactly as its tokens name it; `/.well-known/openid-configuration` is asked below it.
    pub issuer: String,
    /// The audience that an access token must be for: this API, and not the client that logs people in.
    pub audience: String,
    /// The algorithms by which tokens may be signed. Default RS256 and ES256; none with a shared secret.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that names who it is. Default `sub`; another one must not be up to the people themselves, because
    /// who asked for a deployment is told by it.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim that lists the groups. Default `groups`.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// What each group may do. Who is in none of them may do nothing.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Certificates of authorities to trust besides the system's, a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Login by the browser; none where only access tokens are taken.
    #[serde(default)]
    pub login: Option<Login>,
    /// Login of the command line by the device flow; none where it uses token files.
    #[serde(default)]
    pub device: Option<Device>,
}

/// What a group may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// Its name, as the provider has it.
    pub name: String,
    /// The roles of whoever is in it.
    pub roles: Vec<Grant>,
}

/// Login by the browser: the authorization code flow with PKCE.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Login {
    /// Where browsers reach this server. The provider must know `<public-url>/auth/callback`.
    pub public_url: String,
    /// The client's id at the provider.
    pub client_id: String,
    /// The client's secret, as it is or as `${VARIABLE}`; none for a public client.
    #[serde(default)]
    pub client_secret: Option<SecretString>,
    /// The scopes that are asked for. Default `openid`, `profile` and `groups`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// How long a login lasts. Default 8 h.
    #[serde(default = "lasts")]
    pub lasts: SignedDuration,
}

impl Login {
    /// Whether cookies travel over HTTPS only.
    pub fn is_secure(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// Where the provider sends browsers back to.
    pub fn callback(&self) -> String {
        format!("{}/auth/callback", self.origin())
    }

    /// The origin of our own pages.
    pub fn origin(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }
}

/// Login of the command line by the device flow (RFC 8628).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Device {
    /// The id of a public client at the provider.
    pub client_id: String,
    /// The scopes that are asked for. Default `openid`, `profile` and `groups`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
}

/// An algorithm by which a token is signed with a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[allow(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256]
}

fn name_claim() -> String {
    "sub".into()
}

fn groups_claim() -> String {
    "groups".into()
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "groups"].map(str::to_owned).into()
}

fn lasts() -> SignedDuration {
    SignedDuration::from_hours(8)
}

impl Oidc {
    /// What somebody in these groups may do.
    pub fn access(&self, groups: &[String]) -> Access {
        let theirs = self.groups.iter().filter(|group| groups.contains(&group.name));
        Access::new(theirs.flat_map(|group| group.roles.iter().cloned()).collect())
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |setting: &str, reason: &str| Err((format!("http.oidc.{setting}"), reason.to_owned()));
        if !is_safe(&self.issuer) {
            return fault("issuer", "is not an https:// URL (http:// is taken for this machine alone)");
        }
        if self.audience.trim().is_empty() {
            return fault("audience", "is empty: any token of the issuer would do");
        }
        if self.algorithms.is_empty() {
            return fault("algorithms", "is empty: no token could be taken");
        }
        let mut names = BTreeSet::new();
        for group in &self.groups {
            if !names.insert(&group.name) {
                return fault(&format!("groups[{}]", group.name), "is there twice");
            }
        }
        if let Some(login) = &self.login {
            if !is_safe(&login.public_url) {
                return fault(
                    "login.public-url",
                    "is not an https:// URL (http:// is taken for this machine alone)",
                );
            }
            if login.public_url.matches('/').count() > 2 + usize::from(login.public_url.ends_with('/')) {
                return fault("login.public-url", "has a path: the page is served at the root of a host");
            }
            if login.client_id == self.audience {
                let reason = "is the audience too: then an ID token would pass for an access token";
                return fault("login.client-id", reason);
            }
            if login.lasts <= SignedDuration::ZERO {
                return fault("login.lasts", "must be longer than nothing");
            }
            if !login.scopes.iter().any(|scope| scope == "openid") {
                return fault("login.scopes", "lacks `openid`: the provider would not say who it is");
            }
        }
        Ok(())
    }
}

/// Whether what is sent there cannot be read on the way.
fn is_safe(url: &str) -> bool {
    let Ok(parsed) = url.parse::<axum::http::Uri>() else { return false };
    let host = parsed.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let here =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match parsed.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => here,
        _ => false,
    }
}
