//! The HTTP interface: where it listens, what it allows, and who may call.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytesize::ByteSize;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::access::Grant;
use crate::domain::names::{CustomerId, SourceName};

use super::metrics::MetricsListener;
use super::oidc::Oidc;
use super::{Source, Tls};

/// How many secrets of a webhook count at once: the one in use, and the one before or after it.
const SECRETS: usize = 2;

/// The HTTP interface. Served where this section is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// Address to listen on. Default `127.0.0.1:8080`; others need TLS or `allow-plaintext`, and a way to log in.
    pub listen: SocketAddr,
    /// Certificate and key; none for plaintext. The files are read again when they change.
    pub tls: Option<Tls>,
    /// Whether plaintext is right although the address is not loopback (a mesh or an ingress encrypts). Default
    /// false.
    pub allow_plaintext: bool,
    /// The largest body that is read. Default 1 MiB; GitHub's pushes may need more.
    pub max_body: ByteSize,
    /// How long one request may take, its body included. Default 10 s.
    pub timeout: SignedDuration,
    /// Requests that are worked on at once; more are refused. Default 256.
    pub max_concurrent: usize,
    /// Connections that are open at once; more wait. Default 1024.
    pub max_connections: usize,
    /// Event streams that are open at once; more are refused. Default 100.
    pub max_streams: usize,
    /// How many requests one address may send. Default 200 a second, 1000 at once.
    pub rate_limit: RateLimit,
    /// Programs that may call, each by a token. Without them, `oidc` and `certificates`, whoever is on this machine
    /// may do everything, which only a loopback address may have.
    pub tokens: Vec<AccessToken>,
    /// Programs that may call, each by a client certificate of `tls.client-ca`.
    pub certificates: Vec<ClientCertificate>,
    /// People and programs that may call, by a token of a provider.
    pub oidc: Option<Oidc>,
    /// Who may tell of pushes.
    pub webhooks: Webhooks,
    /// A port for scrapers alone; none for none: `/metrics` is served here in any case.
    pub metrics: Option<MetricsListener>,
    /// How many customers metrics tell apart; the others are counted as `other`, and 0 tells none apart. Default
    /// 200.
    pub metrics_customers: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            allow_plaintext: false,
            max_body: ByteSize::mib(1),
            timeout: SignedDuration::from_secs(10),
            max_concurrent: 256,
            max_connections: 1024,
            max_streams: 100,
            rate_limit: RateLimit::default(),
            tokens: Vec::new(),
            certificates: Vec::new(),
            oidc: None,
            webhooks: Webhooks::default(),
            metrics: None,
            metrics_customers: 200,
        }
    }
}

/// How many requests one address may send, over all of its connections. An IPv6 address stands for its /64.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RateLimit {
    /// In the long run, each second; 0 for no limit.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 200, burst: 1000 }
    }
}

/// A client certificate, and what its owner may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientCertificate {
    /// One of its alternative names: a DNS name, or a URI such as a SPIFFE id. It is the caller's name as well.
    pub name: String,
    /// Its roles. None allow nothing.
    #[serde(default)]
    pub roles: Vec<Grant>,
}

/// A token that a caller carries as `Authorization: Bearer`, and what it may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessToken {
    /// A name for logs, and for who asked.
    pub name: String,
    /// The SHA-256 of the token.
    pub sha256: Digest,
    /// Its roles. None allow nothing.
    #[serde(default)]
    pub roles: Vec<Grant>,
}

/// A SHA-256, written as 64 hexadecimal digits. Of a long random token it tells nothing; short ones can be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "is not a SHA-256: 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (position, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(position * 2..position * 2 + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// Who may tell of pushes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhooks {
    /// Webhooks of GitHub, each with the secrets of one source.
    pub github: Vec<SignedWebhook>,
    /// The source of `/webhooks/github` where no source is named; the first of `github` where it is not given.
    pub default_source: Option<SourceName>,
    /// The source of `/webhooks/cac`; the default source where it is not given.
    pub cac_source: Option<SourceName>,
    /// Tokens of sensors that call by HTTP.
    pub argo_events: Vec<SensorToken>,
}

/// A webhook that signs what it sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignedWebhook {
    /// The source that it tells of.
    pub source: SourceName,
    /// Its secret, as it is or as `${VARIABLE}`; two while it is being changed.
    pub secrets: Vec<SecretString>,
}

/// A sensor's token, and what it may touch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SensorToken {
    /// A name for logs.
    pub name: String,
    /// The SHA-256 of the token.
    pub sha256: Digest,
    /// The sources that it may speak for; none for all.
    #[serde(default)]
    pub sources: Vec<SourceName>,
    /// The customers that it may touch; none for all.
    #[serde(default)]
    pub customers: Vec<CustomerId>,
}

impl Webhooks {
    /// The source of a route without one.
    pub fn default_source(&self) -> Option<&SourceName> {
        self.default_source.as_ref().or_else(|| self.github.first().map(|webhook| &webhook.source))
    }

    /// The source of `/webhooks/cac`.
    pub fn cac_source(&self) -> Option<&SourceName> {
        self.cac_source.as_ref().or_else(|| self.default_source())
    }
}

impl Http {
    /// Whether the address is safe to listen on.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_listener(&self) -> Result<(), String> {
        let Self { listen, allow_plaintext, tls, .. } = self;
        if listen.ip().is_loopback() {
            return Ok(());
        }
        if tls.is_none() && !allow_plaintext {
            return Err(format!(
                "{listen} is not a loopback address: set `http.tls`, or `http.allow-plaintext: true` where a mesh or \
                 an ingress encrypts"
            ));
        }
        if !self.has_login() {
            return Err(format!(
                "{listen} is not a loopback address, and without `http.tokens`, `http.oidc` or `http.certificates` \
                 anybody could deploy"
            ));
        }
        Ok(())
    }

    /// Whether callers have to say who they are. Where not, only this machine may call.
    pub fn has_login(&self) -> bool {
        !self.tokens.is_empty() || self.oidc.is_some() || !self.certificates.is_empty()
    }

    pub(super) fn check(&self, sources: &[Source]) -> Result<(), (String, String)> {
        self.check_listener().map_err(|reason| ("http.listen".to_owned(), reason))?;
        if self.timeout <= SignedDuration::ZERO {
            return Err(("http.timeout".into(), "must be longer than nothing".into()));
        }
        if self.rate_limit.per_second > 0 && self.rate_limit.burst == 0 {
            return Err((
                "http.rate-limit.burst".into(),
                "must be 1 at least: nothing could be asked".into(),
            ));
        }
        if let Some(metrics) = &self.metrics {
            metrics.check()?;
        }
        if let Some(tls) = &self.tls {
            tls.check("http.tls")?;
        }
        if let Some(oidc) = &self.oidc {
            oidc.check()?;
        }
        let client_ca = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        if let (Some(first), None) = (self.certificates.first(), client_ca) {
            let setting = format!("http.certificates[{}]", first.name);
            return Err((setting, "needs `http.tls.client-ca`: nothing else tells whom to believe".into()));
        }
        let mut names = BTreeSet::new();
        for certificate in &self.certificates {
            if !names.insert(&certificate.name) {
                return Err((format!("http.certificates[{}]", certificate.name), "is there twice".into()));
            }
        }
        let mut digests = BTreeSet::new();
        for token in &self.tokens {
            let setting = || format!("http.tokens[{}]", token.name);
            if !names.insert(&token.name) {
                return Err((setting(), "is there twice".into()));
            }
            if !digests.insert(token.sha256.bytes()) {
                return Err((setting(), "has the token of another one".into()));
            }
        }
        self.check_webhooks(sources)
    }

    fn check_webhooks(&self, sources: &[Source]) -> Result<(), (String, String)> {
        let known = |name: &SourceName, setting: String| {
            if sources.iter().any(|source| &source.name == name) {
                Ok(())
            } else {
                Err((setting, format!("{name} is not under `sources`")))
            }
        };
        let signs = |name: &SourceName, setting: &str| {
            known(name, setting.to_owned())?;
            if self.webhooks.github.iter().any(|webhook| &webhook.source == name) {
                Ok(())
            } else {
                Err((setting.to_owned(), format!("{name} has no secret under `http.webhooks.github`")))
            }
        };
        let mut named = BTreeSet::new();
        for webhook in &self.webhooks.github {
            let setting = || format!("http.webhooks.github[{}]", webhook.source);
            known(&webhook.source, setting())?;
            if !named.insert(&webhook.source) {
                return Err((setting(), "is there twice".into()));
            }
            if webhook.secrets.is_empty() || webhook.secrets.len() > SECRETS {
                return Err((setting(), "needs one secret, or two while it is being changed".into()));
            }
        }
        if let Some(name) = &self.webhooks.default_source {
            signs(name, "http.webhooks.default-source")?;
        }
        if let Some(name) = &self.webhooks.cac_source {
            signs(name, "http.webhooks.cac-source")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn check(cases: &[(&str, &str)]) {
        let sources =
            "sources: [{name: shop, url: 'https://example.com/shop', repository: rtte/shop, targets: []}]";
        for (http, said) in cases {
            let text = format!("{sources}\nhttp: {http}\n");
            let answer = Config::parse("c.yaml", &text, &|name| (name == "SET").then(|| "secret".to_owned()));
            match answer {
                Ok(_) => assert_eq!(*said, "", "{http} is taken"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!said.is_empty() && error.contains(said), "{http}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_anybody_could_reach_needs_tokens_and_encryption_by_somebody() {
        let digest = "a".repeat(64);
        let token = format!("tokens: [{{name: ci, sha256: {digest}}}]");
        let oidc = "oidc: {issuer: 'https://login.example.com', audience: api}";
        check(&[
            ("{}", ""),
            ("{listen: '127.0.0.1:1'}", ""),
            ("{metrics: {listen: '127.0.0.1:1'}}", ""),
            ("{metrics: {}}", "listen"),
            ("{metrics: {listen: '0.0.0.0:1'}}", "http.metrics.allow-plaintext"),
            ("{metrics: {listen: '0.0.0.0:1', allow-plaintext: true}}", ""),
            (&format!("{{metrics: {{listen: '0.0.0.0:1', token-sha256: {digest}}}}}"), "allow-plaintext"),
            ("{listen: '[::1]:1'}", ""),
            ("{listen: '0.0.0.0:1'}", "http.allow-plaintext"),
            ("{listen: '0.0.0.0:1', allow-plaintext: true}", "without `http.tokens`, `http.oidc`"),
            (&format!("{{listen: '0.0.0.0:1', {token}}}"), "http.allow-plaintext"),
            (&format!("{{listen: '0.0.0.0:1', allow-plaintext: true, {token}}}"), ""),
            (&format!("{{listen: '0.0.0.0:1', tls: {{certificate: c, key: k}}, {token}}}"), ""),
            (&format!("{{listen: '0.0.0.0:1', tls: {{certificate: c, key: k}}, {oidc}}}"), ""),
            ("{certificates: [{name: ci}]}", "needs `http.tls.client-ca`"),
            ("{tls: {certificate: c, key: k, require-client-certificate: true}}", "needs `client-ca`"),
            (
                "{tls: {certificate: c, key: k, client-ca: a}, certificates: [{name: x}, {name: x}]}",
                "there twice",
            ),
            ("{rate-limit: {per-second: 1, burst: 0}}", "must be 1 at least"),
            ("{rate-limit: {per-second: 0, burst: 0}}", ""),
        ]);
    }

    #[test]
    fn a_provider_that_would_let_in_too_many_is_refused() {
        let oidc =
            |more: &str| format!("{{oidc: {{issuer: 'https://login.example.com', audience: api, {more}}}}}");
        let login =
            |url: &str, more: &str| oidc(&format!("login: {{public-url: '{url}', client-id: page{more}}}"));
        let here = "https://deploy.example.com";
        let cases = [
            (oidc("groups: [{name: ops, roles: [{role: admin, customers: all}]}]"), ""),
            (oidc("groups: [{name: ops, roles: []}, {name: ops, roles: []}]"), "groups[ops]: is there twice"),
            (oidc("algorithms: [HS256]"), "HS256"),
            (oidc("algorithms: [none]"), "none"),
            (oidc("algorithms: []"), "no token could be taken"),
            (login(here, ""), ""),
            (login("http://localhost:8080", ""), ""),
            (login("http://deploy.example.com", ""), "login.public-url: is not an https:// URL"),
            (login("https://example.com/deploy", ""), "has a path"),
            (login(here, ", client-secret: '${UNSET}'"), "UNSET is not set"),
            (login(here, ", client-secret: '${SET}'"), ""),
            (login(here, ", scopes: [profile]"), "lacks `openid`"),
            (login(here, ", lasts: 0s"), "must be longer than nothing"),
            ("{oidc: {issuer: 'http://login.example.com', audience: api}}".into(), "is not an https:// URL"),
            ("{oidc: {issuer: 'https://login.example.com', audience: ''}}".into(), "any token of the issuer"),
            (
                "{oidc: {issuer: 'https://x.example', audience: page, login: {public-url: 'https://d.example', \
                 client-id: page}}}"
                    .into(),
                "an ID token would pass",
            ),
        ];
        let cases: Vec<_> = cases.iter().map(|(http, said)| (http.as_str(), *said)).collect();
        check(&cases);
    }

    #[test]
    fn tokens_and_secrets_that_cannot_work_are_refused() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let roles = "roles: [{role: operator, customers: [customer-a]}, {role: viewer, customers: all}]";
        check(&[
            ("{timeout: 0s}", "must be longer than nothing"),
            (&format!("{{tokens: [{{name: ci, sha256: {a}, {roles}}}]}}"), ""),
            ("{tokens: [{name: ci, sha256: abc}]}", "64 hexadecimal digits"),
            (&format!("{{tokens: [{{name: ci, sha256: {a}, roles: [{{role: operator}}]}}]}}"), "customers"),
            (
                &format!("{{tokens: [{{name: ci, sha256: {a}, roles: [{{role: root, customers: all}}]}}]}}"),
                "root",
            ),
            (&format!("{{tokens: [{{name: x, sha256: {a}}}, {{name: x, sha256: {b}}}]}}"), "is there twice"),
            (
                &format!("{{tokens: [{{name: x, sha256: {a}}}, {{name: y, sha256: {a}}}]}}"),
                "the token of another",
            ),
            ("{webhooks: {github: [{source: shop, secrets: ['${SET}', two]}]}}", ""),
            ("{webhooks: {github: [{source: shop, secrets: ['${UNSET}']}]}}", "UNSET is not set"),
            ("{webhooks: {github: [{source: shop, secrets: []}]}}", "needs one secret"),
            ("{webhooks: {github: [{source: shop, secrets: [a, b, c]}]}}", "needs one secret"),
            ("{webhooks: {github: [{source: other, secrets: [a]}]}}", "other is not under `sources`"),
            ("{webhooks: {cac-source: shop}}", "shop has no secret"),
        ]);
    }
}
