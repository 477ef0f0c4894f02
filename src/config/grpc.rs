//! The server of the custom trigger: where it listens, what it allows, and who may call.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytesize::ByteSize;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;

use super::Tls;
use crate::app::receive::Scope;
use crate::domain::names::{CustomerId, SourceName};

/// The server of the custom trigger.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grpc {
    /// Address to listen on. Default `127.0.0.1:50051`; others need TLS or `allow-plaintext`, and tokens.
    pub listen: SocketAddr,
    /// Certificate and key; none for plaintext.
    pub tls: Option<Tls>,
    /// Whether plaintext is right although the address is not loopback (a mesh encrypts). Default false.
    pub allow_plaintext: bool,
    /// The largest message that is read. Default 8 MiB.
    pub max_message: ByteSize,
    /// How long one call may take. Default 10 s.
    pub timeout: SignedDuration,
    /// Calls that are worked on at once; more are refused. Default 256.
    pub max_concurrent: usize,
    /// Who may call, each by a token. Without them and `certificates` anybody may, which only a loopback address may
    /// have.
    pub tokens: Vec<Token>,
    /// Who may call without a token, each by a client certificate of `tls.client-ca`.
    pub certificates: Vec<SenderCertificate>,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            tls: None,
            allow_plaintext: false,
            max_message: ByteSize::mib(8),
            timeout: SignedDuration::from_secs(10),
            max_concurrent: 256,
            tokens: Vec::new(),
            certificates: Vec::new(),
        }
    }
}

/// A credential that a Sensor carries in its `spec`, and what it may touch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    /// A name for logs.
    pub name: String,
    /// The secret: as it is, or `${VARIABLE}` for one from the environment.
    pub token: SecretString,
    /// The sources that it may speak for; none for all.
    #[serde(default)]
    pub sources: Vec<SourceName>,
    /// The customers that it may touch; none for all.
    #[serde(default)]
    pub customers: Vec<CustomerId>,
}

impl Token {
    /// What it covers.
    pub fn scope(&self) -> Scope<'_> {
        Scope { sources: &self.sources, customers: &self.customers }
    }
}

/// A client certificate that a mesh or another client brings, and what its owner may touch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SenderCertificate {
    /// One of its alternative names: a DNS name, or a URI such as a SPIFFE id. It is the sender's name as well.
    pub name: String,
    /// The sources that it may speak for; none for all.
    #[serde(default)]
    pub sources: Vec<SourceName>,
    /// The customers that it may touch; none for all.
    #[serde(default)]
    pub customers: Vec<CustomerId>,
}

impl SenderCertificate {
    /// What it covers.
    pub fn scope(&self) -> Scope<'_> {
        Scope { sources: &self.sources, customers: &self.customers }
    }
}

impl Grpc {
    /// Whether callers have to say who they are.
    pub fn has_login(&self) -> bool {
        !self.tokens.is_empty() || !self.certificates.is_empty()
    }

    /// Whether the address is safe to listen on.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_listener(&self) -> Result<(), String> {
        let Self { listen, tls, allow_plaintext, .. } = self;
        if listen.ip().is_loopback() {
            return Ok(());
        }
        if tls.is_none() && !allow_plaintext {
            return Err(format!(
                "{listen} is not a loopback address: set `grpc.tls`, or `grpc.allow-plaintext: true` where a mesh \
                 encrypts"
            ));
        }
        if !self.has_login() {
            return Err(format!(
                "{listen} is not a loopback address, and without `grpc.tokens` or `grpc.certificates` anybody could \
                 deploy"
            ));
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        self.check_listener().map_err(|reason| ("grpc.listen".to_owned(), reason))?;
        if let Some(tls) = &self.tls {
            tls.check("grpc.tls")?;
        }
        let client_ca = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        let mut names: BTreeSet<_> = self.tokens.iter().map(|token| &token.name).collect();
        for certificate in &self.certificates {
            let setting = || format!("grpc.certificates[{}]", certificate.name);
            if client_ca.is_none() {
                return Err((
                    setting(),
                    "needs `grpc.tls.client-ca`: nothing else tells whom to believe".into(),
                ));
            }
            if !names.insert(&certificate.name) {
                return Err((setting(), "is there twice".into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn check(cases: &[(&str, &str)]) {
        for (grpc, said) in cases {
            let answer = Config::parse("c.yaml", &format!("grpc: {grpc}\n"), &|_| None);
            match answer {
                Ok(_) => assert_eq!(*said, "", "{grpc} is taken"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!said.is_empty() && error.contains(said), "{grpc}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_certificate_is_believed_where_an_authority_is_named_and_lets_in_as_a_token_does() {
        let tls = "tls: {certificate: c, key: k, client-ca: a}";
        let mesh = "certificates: [{name: mesh.example.com, customers: [customer-a]}]";
        check(&[
            (&format!("{{{tls}, {mesh}}}"), ""),
            (&format!("{{listen: '0.0.0.0:1', {tls}, {mesh}}}"), ""),
            (&format!("{{listen: '0.0.0.0:1', {tls}}}"), "without `grpc.tokens` or `grpc.certificates`"),
            (&format!("{{{mesh}}}"), "grpc.certificates[mesh.example.com]: needs `grpc.tls.client-ca`"),
            (&format!("{{tls: {{certificate: c, key: k}}, {mesh}}}"), "needs `grpc.tls.client-ca`"),
            (&format!("{{{tls}, certificates: [{{name: x}}, {{name: x}}]}}"), "is there twice"),
            (
                &format!("{{{tls}, tokens: [{{name: x, token: t}}], certificates: [{{name: x}}]}}"),
                "grpc.certificates[x]: is there twice",
            ),
            (&format!("{{{tls}, certificates: [{{name: x, roles: []}}]}}"), "roles"),
        ]);
    }
}
