//! The operator's Prometheus: instant queries, and nothing else.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use hyper::http::uri::Scheme;
use hyper::{Method, Uri};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::exchange::{self, Answer, exchange};
use crate::domain::probe::{Outcome, answer};

/// Bytes of an answer.
const MOST_READ: usize = 1024 * 1024;

/// Where Prometheus is.
#[derive(Clone)]
pub struct Prometheus {
    host: String,
    port: u16,
    /// The path before `/api/v1/query`, without a slash at its end.
    path: String,
    tls: Option<TlsConnector>,
}

/// Why a text does not say where Prometheus is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrometheusError {
    /// It is no URL of HTTP.
    #[error("is not a URL such as http://prometheus.monitoring:9090, without user name, query and fragment")]
    NoUrl,
    /// TLS cannot be used.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("path", &self.path)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl FromStr for Prometheus {
    type Err = PrometheusError;

    fn from_str(text: &str) -> Result<Self, PrometheusError> {
        let uri: Uri = text.parse().map_err(|_| PrometheusError::NoUrl)?;
        let authority = uri.authority().ok_or(PrometheusError::NoUrl)?;
        if uri.query().is_some() || text.contains(['#', '@']) || authority.host().is_empty() {
            return Err(PrometheusError::NoUrl);
        }
        let encrypted = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) | None => return Err(PrometheusError::NoUrl),
        };
        let tls = if encrypted {
            let config = ClientConfig::with_platform_verifier()
                .map_err(|error| PrometheusError::Tls(error.to_string()))?;
            Some(TlsConnector::from(Arc::new(config)))
        } else {
            None
        };
        Ok(Self {
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            path: uri.path().trim_end_matches('/').to_owned(),
            tls,
        })
    }
}

impl Prometheus {
    /// Asks one query, as of now.
    pub(super) async fn ask(&self, query: &str) -> Outcome {
        match self.answer(query).await {
            Ok(found) if found.cut => {
                Outcome::Silent { reason: format!("Prometheus answered with more than {MOST_READ} bytes") }
            }
            Ok(found) => answer::outcome(found.status, &found.body),
            Err(reason) => Outcome::Silent { reason: format!("Prometheus: {reason}") },
        }
    }

    async fn answer(&self, query: &str) -> Result<Answer, String> {
        let path = format!("{}/api/v1/query?query={}", self.path, encoded(query));
        let path: Uri = path.parse().map_err(|_| "the query is too long".to_owned())?;
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| exchange::plain(&error))?;
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let host = format!("{host}:{}", self.port);
        let answer = match &self.tls {
            None => exchange(stream, Method::GET, path, &host, MOST_READ).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
                let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
                exchange(stream, Method::GET, path, &host, MOST_READ).await
            }
        };
        answer.map_err(|error| error.to_string())
    }
}

/// A text as the value of a query parameter.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text never fails.
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, u16, &str)>) {
        let parsed = url.parse::<Prometheus>().ok();
        let found = parsed.as_ref().map(|found| (found.host.as_str(), found.port, found.path.as_str()));
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn a_url_says_where_prometheus_is_and_nothing_more() {
        check("http://prometheus.monitoring:9090", Some(("prometheus.monitoring", 9090, "")));
        check("http://prometheus/", Some(("prometheus", 80, "")));
        check("http://proxy/prometheus/", Some(("proxy", 80, "/prometheus")));
        check("http://[::1]:9090", Some(("::1", 9090, "")));
        for wrong in [
            "",
            "prometheus:9090",
            "ftp://prometheus",
            "http://user:secret@prometheus",
            "http://prometheus?x=1",
            "http://prometheus/#x",
            "file:///etc/passwd",
            "/api",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_query_is_one_parameter_whatever_is_in_it() {
        assert_eq!(
            encoded("up{job=\"a&b\"} > 0 #\r\nü"),
            "up%7Bjob%3D%22a%26b%22%7D%20%3E%200%20%23%0D%0A%C3%BC"
        );
    }
}
