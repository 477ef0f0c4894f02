//! An authority that issues certificates to servers and to whoever calls them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argocd_orchestrator::config::Tls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tempfile::TempDir;

/// An authority, and a folder with what it issued.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a DNS name or a URI.
    pub fn issue(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = name.to_owned();
        params.subject_alt_names.push(match name.contains("://") {
            true => SanType::URI(name.try_into().unwrap()),
            false => SanType::DnsName(name.try_into().unwrap()),
        });
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes a file for its owner alone.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// Writes what the server is to show.
    pub fn serve(&self, pair: &Pair) -> Tls {
        Tls {
            certificate: self.write("server.pem", &pair.certificate),
            key: self.write("server-key.pem", &pair.key),
            client_ca: Some(self.write("ca.pem", &self.issuer.pem())),
            require_client_certificate: false,
        }
    }

    pub fn file(&self, name: &str) -> &Path {
        Box::leak(self.folder.path().join(name).into_boxed_path())
    }
}
