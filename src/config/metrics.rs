//! A port for scrapers alone.

use std::net::SocketAddr;

use serde::Deserialize;

use super::http::Digest;

/// A listener for scrapers: `/metrics` in plaintext, and nothing else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MetricsListener {
    /// Address to listen on, such as `127.0.0.1:9090`; others than loopback need `allow-plaintext`.
    pub listen: SocketAddr,
    /// The SHA-256 of the token that a scraper carries; none where whoever reaches the port may read.
    #[serde(default)]
    pub token_sha256: Option<Digest>,
    /// Whether plaintext is right although the address is not loopback: a NetworkPolicy or a mesh says who reaches it.
    /// Default false.
    #[serde(default)]
    pub allow_plaintext: bool,
}

impl MetricsListener {
    /// Whether the address is safe to listen on.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if self.listen.ip().is_loopback() || self.allow_plaintext {
            return Ok(());
        }
        let reason = format!(
            "{} is not a loopback address: set `http.metrics.allow-plaintext: true` where a NetworkPolicy or a mesh \
             says who reaches it",
            self.listen
        );
        Err(("http.metrics.listen".into(), reason))
    }
}
