//! Where traces are told.

use secrecy::SecretString;
use serde::Deserialize;

/// Traces. Without an endpoint none are told.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tracing {
    /// The base URL of a collector that takes OTLP over HTTP, such as `http://otel-collector:4318`.
    pub otlp_endpoint: Option<String>,
    /// Headers that it needs.
    pub headers: Vec<Header>,
    /// Which part of the traces that begin here is told, from 0 to 1. Default 1. Where the sender of a push began the
    /// trace, its word counts.
    pub sample_ratio: f64,
}

impl Default for Tracing {
    fn default() -> Self {
        Self { otlp_endpoint: None, headers: Vec::new(), sample_ratio: 1.0 }
    }
}

/// A header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, as it is or as `${VARIABLE}`.
    pub value: SecretString,
}

impl Tracing {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(("tracing.sample-ratio".into(), format!("{} is not from 0 to 1", self.sample_ratio)));
        }
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(()) };
        let setting = || "tracing.otlp-endpoint".to_owned();
        let url =
            endpoint.parse::<hyper::Uri>().map_err(|error| (setting(), format!("{endpoint:?}: {error}")))?;
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        if !known || url.host().is_none() || url.query().is_some() {
            return Err((
                setting(),
                format!("{endpoint:?} is not a base URL such as http://otel-collector:4318"),
            ));
        }
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err((setting(), "has a password in it: put credentials under `tracing.headers`".into()));
        }
        Ok(())
    }
}
