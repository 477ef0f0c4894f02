//! A collector of OpenTelemetry, by OTLP over HTTP with Protobuf (OpenTelemetry Protocol 1.x, `/v1/traces`).
//!
//! The messages are those of `opentelemetry-proto`, the client is the one that everything else uses. The exporter of
//! `opentelemetry-otlp` is not used: it takes spans from a running program's tracer, gives up on those that it cannot
//! send for a while, and says of none whether it arrived, while these are made of the journal, and told until they are
//! taken.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Message, Status};
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::trace::Span;
use crate::ports::{Collector, CollectorError};

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read. One that says nothing, as most do, has none.
const MOST_READ: usize = 64 * 1024;

/// Characters of what a collector says that are shown.
const SHOWN: usize = 200;

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
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/x-protobuf");
        let away = |error: reqwest::Error| CollectorError::Unavailable(error.without_url().to_string());
        let mut answer = request.body(request_of(spans).encode_to_vec()).send().await.map_err(away)?;
        let status = answer.status();
        if status.is_success() {
            return accepted(&read(&mut answer).await);
        }
        let said = format!("the collector answers {status}");
        // As OTLP says: these may pass, all others never will.
        if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            return Err(CollectorError::Unavailable(said));
        }
        Err(CollectorError::Refused(said))
    }
}

/// The body of an answer that came, as far as it is there and no longer than it may be. What it says is an extra: the
/// spans were taken.
async fn read(answer: &mut reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        if body.len() + piece.len() > MOST_READ {
            return Vec::new();
        }
        body.extend_from_slice(&piece);
    }
    body
}

/// Whether all spans of a request were taken. Those that were not must not be sent again.
fn accepted(body: &[u8]) -> Result<(), CollectorError> {
    let partly = ExportTraceServiceResponse::decode(body).ok().and_then(|said| said.partial_success);
    match partly {
        Some(partly) if partly.rejected_spans > 0 => {
            let said = partly.error_message.chars().map(|c| if c.is_control() { ' ' } else { c });
            Err(CollectorError::Refused(format!(
                "the collector took all but {} spans: {}",
                partly.rejected_spans,
                said.take(SHOWN).collect::<String>()
            )))
        }
        Some(_) | None => Ok(()),
    }
}

fn request_of(spans: &[Span]) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            attribute("service.name", env!("CARGO_PKG_NAME")),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(message).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn message(span: &Span) -> Message {
    let kind = if span.name == "deployment" { SpanKind::Server } else { SpanKind::Internal };
    let status = match &span.error {
        Some(message) => Status { code: StatusCode::Error.into(), message: message.clone() },
        None => Status { code: StatusCode::Ok.into(), message: String::new() },
    };
    Message {
        trace_id: bytes(&span.trace_id),
        span_id: bytes(&span.id),
        parent_span_id: span.parent.as_deref().map(bytes).unwrap_or_default(),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        status: Some(status),
        ..Message::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// What hexadecimal digits say. Ids are made of nothing else.
fn bytes(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len() / 2).map(|pair| digits.get(2 * pair..2 * pair + 2));
    pairs.map_while(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Since 1970; there are no times before.
fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn an_answer_is_no_refusal_but_where_it_says_that_spans_were_left_out() {
        let partly = |rejected_spans, text: &str| {
            let partly = ExportTracePartialSuccess { rejected_spans, error_message: text.into() };
            ExportTraceServiceResponse { partial_success: Some(partly) }.encode_to_vec()
        };
        for (body, refusal) in [
            (Vec::new(), None),
            (b"{}".to_vec(), None),
            (b"not what it should be".to_vec(), None),
            (partly(0, "mind the limit"), None),
            (partly(2, "too\nold"), Some("the collector took all but 2 spans: too old")),
        ] {
            let expected = refusal.map_or(Ok(()), |text| Err(CollectorError::Refused(text.into())));
            assert_eq!(accepted(&body), expected, "{body:?}");
        }
    }

    #[test]
    fn ids_are_bytes() {
        assert_eq!(bytes("00f067aa0ba902b7"), [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!(bytes(""), [0_u8; 0]);
    }
}
