//! The server of the custom trigger: where it listens, what it allows, and who may call.

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
    /// Who may call. None means anybody, which only a loopback address may have.
    pub tokens: Vec<Token>,
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

impl Grpc {
    /// Whether the address is safe to listen on.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_listener(&self) -> Result<(), String> {
        let Self { listen, tls, allow_plaintext, tokens, .. } = self;
        if listen.ip().is_loopback() {
            return Ok(());
        }
        if tls.is_none() && !allow_plaintext {
            return Err(format!(
                "{listen} is not a loopback address: set `grpc.tls`, or `grpc.allow-plaintext: true` where a mesh \
                 encrypts"
            ));
        }
        if tokens.is_empty() {
            return Err(format!(
                "{listen} is not a loopback address, and without `grpc.tokens` anybody could deploy"
            ));
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        self.check_listener().map_err(|reason| ("grpc.listen".to_owned(), reason))?;
        self.tls.as_ref().map_or(Ok(()), |tls| tls.check("grpc.tls"))
    }
}
