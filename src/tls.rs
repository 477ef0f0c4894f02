//! TLS of what is served, from files that may change while it is: certificates are renewed every few weeks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Tls;

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct CertificateError {
    /// Which file.
    file: PathBuf,
    /// What is wrong with it.
    reason: String,
}

/// When a file was changed last, and how long it is.
type Stamp = Option<(SystemTime, u64)>;

/// What is served with, as the files have it.
#[derive(Debug)]
pub struct Certificates {
    settings: Tls,
    /// The protocols that are offered, the preferred one first.
    protocols: Vec<Vec<u8>>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    stamps: Vec<Stamp>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn read(settings: &Tls, protocols: &[&[u8]]) -> Result<Self, CertificateError> {
        let protocols: Vec<_> = protocols.iter().map(|name| name.to_vec()).collect();
        let (stamps, config) = (stamps(settings), build(settings, &protocols)?);
        let current = Mutex::new(Current { stamps, config: Arc::new(config) });
        Ok(Self { settings: settings.clone(), protocols, current })
    }

    /// What the next connection is served with: the files are read again when they changed. Files that cannot be
    /// used, such as a key that is written before its certificate, change nothing until they can.
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamps(&self.settings);
        if found != current.stamps {
            match build(&self.settings, &self.protocols) {
                Ok(config) => {
                    tracing::info!(certificate = %self.settings.certificate.display(), "the certificate was read again");
                    current.config = Arc::new(config);
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate changed and cannot be used; the old one stays")
                }
            }
            current.stamps = found;
        }
        Arc::clone(&current.config)
    }
}

/// The names that a verified client certificate has: DNS names and URIs.
pub fn names(certificates: &[CertificateDer<'_>]) -> Vec<String> {
    let Some(first) = certificates.first() else { return Vec::new() };
    let Ok(certificate) = webpki::EndEntityCert::try_from(first) else { return Vec::new() };
    certificate.valid_dns_names().chain(certificate.valid_uri_names()).map(str::to_owned).collect()
}

fn stamps(settings: &Tls) -> Vec<Stamp> {
    let Tls { certificate, key, client_ca, require_client_certificate: _ } = settings;
    let stamp = |file: &Path| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [Some(certificate), Some(key), client_ca.as_ref()].into_iter().flatten().map(|file| stamp(file)).collect()
}

fn build(settings: &Tls, protocols: &[Vec<u8>]) -> Result<ServerConfig, CertificateError> {
    let Tls { certificate, key, client_ca, require_client_certificate } = settings;
    let wrong = |file: &Path, reason: String| CertificateError { file: file.to_owned(), reason };
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, said(&error)))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, error.to_string()))?;
    let clients = match client_ca {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(file)? {
                roots.add(authority).map_err(|error| wrong(file, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier =
                if *require_client_certificate { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| wrong(file, error.to_string()))?;
            versions.with_client_cert_verifier(verifier)
        }
        None => versions.with_no_client_auth(),
    };
    let mut config =
        clients.with_single_cert(chain, secret).map_err(|error| wrong(certificate, error.to_string()))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let wrong = |reason: String| CertificateError { file: file.to_owned(), reason };
    let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(said(&error)))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(said(&error)))?;
    if found.is_empty() {
        return Err(wrong("has no certificate".into()));
    }
    Ok(found)
}

fn said(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    #[allow(clippy::wildcard_enum_match_arm, reason = "the library may add to what can be wrong")]
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "has nothing of the kind that is needed".into(),
        other => other.to_string(),
    }
}
