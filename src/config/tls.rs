//! Encryption of what is served, from files.

use std::path::PathBuf;

use serde::Deserialize;

/// Certificate and key, PEM files. They are read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Authorities whose client certificates are believed; none where clients bring none.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused. Default false.
    #[serde(default)]
    pub require_client_certificate: bool,
}

impl Tls {
    pub(super) fn check(&self, setting: &str) -> Result<(), (String, String)> {
        if self.require_client_certificate && self.client_ca.is_none() {
            let reason = "needs `client-ca`: nothing else tells whom to believe";
            return Err((format!("{setting}.require-client-certificate"), reason.to_owned()));
        }
        Ok(())
    }
}
