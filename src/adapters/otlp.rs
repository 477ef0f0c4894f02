//! A collector of OpenTelemetry, by OTLP over HTTP with JSON (OpenTelemetry Protocol 1.x, `/v1/traces`).

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::domain::trace::Span;
use crate::ports::{Collector, CollectorError};

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`, `STATUS_CODE_OK` and `STATUS_CODE_ERROR` of OTLP.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const OK: u8 = 1;
const ERROR: u8 = 2;

/// A collector.
#[derive(Debug)]
pub struct Otlp {
    client: reqwest::Client,
    url: String,
}

/// Why there is no collector.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// A header cannot be sent.
    #[error("the header {0} cannot be sent")]
    Header(String),
    /// The client for it.
    #[error("requests to it cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl Otlp {
    /// A collector at a base URL, to which `/v1/traces` is added, with headers for each request.
    ///
    /// # Errors
    /// When a header cannot be sent, or no client be made.
    pub fn new(endpoint: &str, headers: &[(String, SecretString)]) -> Result<Self, OtlpError> {
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let wrong = || OtlpError::Header(name.clone());
            let key: HeaderName = name.parse().map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            sent.insert(key, value);
        }
        // Redirects are not followed: they could take the headers elsewhere.
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .default_headers(sent)
            .build()?;
        Ok(Self { client, url: format!("{}/v1/traces", endpoint.trim_end_matches('/')) })
    }
}

#[async_trait]
impl Collector for Otlp {
    async fn take(&self, spans: &[Span]) -> Result<(), CollectorError> {
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json");
        let answer = request.body(message(spans).to_string()).send().await;
        let answer = answer.map_err(|error| CollectorError::Unavailable(error.without_url().to_string()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = format!("the collector answers {status}");
        // As OTLP says: these may pass, all others never will.
        if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            return Err(CollectorError::Unavailable(said));
        }
        Err(CollectorError::Refused(said))
    }
}

/// An `ExportTraceServiceRequest` as JSON.
fn message(spans: &[Span]) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            let attributes: Vec<Value> =
                span.attributes.iter().map(|(key, value)| text(key, value)).collect();
            let status = match &span.error {
                Some(message) => json!({ "code": ERROR, "message": message }),
                None => json!({ "code": OK }),
            };
            json!({
                "traceId": span.trace_id,
                "spanId": span.id,
                "parentSpanId": span.parent.as_deref().unwrap_or_default(),
                "name": span.name,
                "kind": if span.name == "deployment" { SERVER } else { INTERNAL },
                // 64-bit numbers are texts in Protobuf's JSON.
                "startTimeUnixNano": span.start.as_nanosecond().to_string(),
                "endTimeUnixNano": span.end.as_nanosecond().to_string(),
                "attributes": attributes,
                "status": status,
            })
        })
        .collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", env!("CARGO_PKG_NAME")),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ] },
        "scopeSpans": [{ "scope": { "name": env!("CARGO_PKG_NAME") }, "spans": spans }],
    }] })
}
