//! Traces: one from the push to the last healthy service, made of what the journal tells.
//!
//! All ids follow from what they stand for, so that a span that is told again after a crash is the same span.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::deployment::{Brief, JournalEntry, State};
use super::names::EventId;
use super::spans::spans as rows;

/// What a `traceparent` says (W3C Trace Context).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The span that it is part of, 16 hexadecimal digits; none where the trace begins here.
    pub parent: Option<String>,
    /// Whether the sender records its spans.
    pub sampled: bool,
}

/// Why a text is no `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not `00-<32 hexadecimal digits>-<16>-<2>`")]
pub struct TraceContextError;

impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |part: &str, length: usize| hex(part, length) && part.bytes().any(|byte| byte != b'0');
        let parts: Vec<&str> = text.trim().split('-').collect();
        let (version, trace_id, parent, flags) = match parts.as_slice() {
            [version, trace_id, parent, flags] => (*version, *trace_id, *parent, *flags),
            // Later versions may say more.
            [version, trace_id, parent, flags, ..] if *version != "00" => {
                (*version, *trace_id, *parent, *flags)
            }
            _ => return Err(TraceContextError),
        };
        if !hex(version, 2) || version == "ff" || !is_id(trace_id, 32) || !is_id(parent, 16) || !hex(flags, 2)
        {
            return Err(TraceContextError);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| TraceContextError)?;
        Ok(Self { trace_id: trace_id.into(), parent: Some(parent.into()), sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self.parent.as_deref().unwrap_or("0000000000000000");
        write!(f, "00-{}-{parent}-{:02x}", self.trace_id, u8::from(self.sampled))
    }
}

impl TraceContext {
    /// The trace of an event whose sender said nothing of one.
    pub fn begun_by(event: &EventId) -> Self {
        Self { trace_id: digits(&["trace", event.as_str()], 16), parent: None, sampled: true }
    }

    /// What a payload says of its trace: a sensor passes on no header of its own, so it stands in the payload, as
    /// `traceparent`, or as the event source has it, in `headers.Traceparent.0`. What is no `traceparent` says nothing.
    pub fn in_payload(payload: &Map<String, Value>) -> Option<Self> {
        let named = |map: &Map<String, Value>| -> Option<Self> {
            let found = map.iter().find(|(key, _)| key.eq_ignore_ascii_case("traceparent"))?.1;
            found.as_str().or_else(|| found.get(0)?.as_str())?.parse().ok()
        };
        let headers = || match payload.get("headers")? {
            Value::Object(headers) => named(headers),
            // Without `useRawData` a sensor makes a text of everything.
            Value::String(text) => named(&serde_json::from_str(text).ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        };
        named(payload).or_else(headers)
    }

    /// Whether it is recorded, where so many of all (0 to 1) are. The sender's word counts where there is one.
    pub fn is_recorded(&self, ratio: f64) -> bool {
        if self.parent.is_some() {
            return self.sampled;
        }
        let first = self.trace_id.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        f64::from(first.unwrap_or(0)) < ratio * (f64::from(u32::MAX) + 1.0)
    }
}

/// A hash in hexadecimal digits, of so many bytes.
fn digits(parts: &[&str], bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// Something that took time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Of which trace.
    pub trace_id: String,
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    /// The span that it is part of.
    pub parent: Option<String>,
    /// What it was.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What else is known.
    pub attributes: Vec<(&'static str, String)>,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// A deployment that is over, as far as its trace tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// What it was to do.
    pub brief: &'a Brief,
    /// How it ended.
    pub state: &'a State,
    /// What happened.
    pub journal: &'a [JournalEntry],
    /// When its event arrived.
    pub arrived_at: Timestamp,
}

/// The spans of a deployment that is over: itself from the arrival of its event to its end, the way until it was
/// planned, the wait for its turn, and each service's syncs and verifications.
pub fn spans(context: &TraceContext, past: Past<'_>) -> Vec<Span> {
    let Past { brief, state, journal, arrived_at } = past;
    let id = brief.id.as_str();
    let end = state.ended_at().or(journal.last().map(|entry| entry.at)).unwrap_or(brief.created_at);
    let whole = digits(&["deployment", id], 8);
    let span = |name: &str, key: &str, parent: &str, start: Timestamp, end: Timestamp| Span {
        trace_id: context.trace_id.clone(),
        id: digits(&["span", id, key], 8),
        parent: Some(parent.to_owned()),
        name: name.to_owned(),
        start,
        end: end.max(start),
        attributes: Vec::new(),
        error: None,
    };
    let plan = &brief.plan;
    let mut spans = vec![Span {
        id: whole.clone(),
        parent: context.parent.clone(),
        attributes: vec![
            ("deployment.id", id.to_owned()),
            ("deployment.customer", plan.customer.to_string()),
            ("deployment.environment", plan.environment.to_string()),
            ("deployment.revision", plan.revision.to_string()),
            ("deployment.state", state.word().to_owned()),
            ("deployment.event", brief.event.to_string()),
            ("deployment.requested_by", brief.requested_by.clone()),
        ],
        error: matches!(state, State::Failed { .. } | State::Rejected { .. })
            .then(|| state.reason().unwrap_or_default()),
        ..span("deployment", "", "", arrived_at, end)
    }];
    spans.push(span("intake", "intake", &whole, arrived_at, brief.created_at));
    let started = journal
        .iter()
        .find(|entry| entry.transitions.iter().any(|moved| moved.service.is_none() && moved.to == "running"));
    if let Some(started) = started {
        spans.push(span("queued", "queued", &whole, brief.created_at, started.at));
    }
    for row in rows(brief, journal, Some(end)) {
        let name = row.service.as_str();
        let busy: Vec<_> = row.spans.iter().enumerate().filter(|(_, stay)| is_busy(&stay.state)).collect();
        let (Some((_, first)), Some((_, last)), Some(at_the_end)) =
            (busy.first(), busy.last(), row.spans.last())
        else {
            continue;
        };
        let mut service = span(&format!("service {name}"), name, &whole, first.from, last.to.unwrap_or(end));
        service.attributes.push(("deployment.service", name.to_owned()));
        if let Some(wave) = row.wave {
            service.attributes.push(("deployment.wave", wave.0.to_string()));
        }
        service.attributes.push(("deployment.service.state", at_the_end.state.clone()));
        // One that failed and was taken back has failed all the same.
        let verdict = row.spans.iter().rev().find(|stay| stay.state == "healthy" || is_failure(&stay.state));
        service.error = verdict.filter(|stay| is_failure(&stay.state)).map(|stay| stay.cause.clone());
        let parent = service.id.clone();
        spans.push(service);
        for (number, stay) in busy {
            let mut span =
                span(&stay.state, &format!("{name}/{number}"), &parent, stay.from, stay.to.unwrap_or(end));
            span.attributes.push(("deployment.service", name.to_owned()));
            let next = row.spans.get(number + 1).filter(|next| is_failure(&next.state));
            span.error = next.map(|next| next.cause.clone());
            spans.push(span);
        }
    }
    spans
}

/// Whether something is done for a service in a state with this word, and not only waited for others.
fn is_busy(state: &str) -> bool {
    !matches!(
        state,
        "waiting"
            | "healthy"
            | "failed"
            | "skipped"
            | "rollback-waiting"
            | "rolled-back"
            | "rollback-failed"
            | "kept"
    )
}

fn is_failure(state: &str) -> bool {
    matches!(state, "failed" | "retrying" | "unhealthy" | "rollback-failed" | "rollback-retrying")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_traceparent_is_taken_only_as_the_standard_writes_it() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for (text, fine) in [
            (format!("00-{trace}-{parent}-01"), true),
            (format!("00-{trace}-{parent}-00"), true),
            (format!("cc-{trace}-{parent}-01-what-comes-later"), true),
            (format!("00-{trace}-{parent}-01-more"), false),
            (format!("ff-{trace}-{parent}-01"), false),
            (format!("00-{}-{parent}-01", trace.to_uppercase()), false),
            (format!("00-{}-{parent}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{trace}-{parent}"), false),
            (String::new(), false),
            ("é-é-é-é".into(), false),
        ] {
            let read = text.parse::<TraceContext>();
            assert_eq!(read.is_ok(), fine, "{text}");
            if let (true, Ok(read)) = (text.starts_with("00-"), read) {
                assert_eq!(read.to_string(), text);
            }
        }
    }

    #[test]
    fn a_payload_tells_of_its_trace_where_a_sensor_can_put_it() {
        let said = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (payload, found) in [
            (json!({"traceparent": said, "push": {}}), true),
            (json!({"headers": {"Traceparent": [said]}, "body": {}}), true),
            (json!({"headers": {"traceparent": said}}), true),
            (json!({"headers": json!({"Traceparent": [said]}).to_string()}), true),
            (json!({"traceparent": "<no value>", "headers": {"Traceparent": [said]}}), true),
            (json!({"traceparent": "<no value>"}), false),
            (json!({"traceparent": []}), false),
            (json!({"headers": null}), false),
            (json!({"headers": "{"}), false),
        ] {
            let read = TraceContext::in_payload(payload.as_object().unwrap());
            assert_eq!(read.map(|context| context.to_string()), found.then(|| said.to_owned()), "{payload}");
        }
    }

    #[test]
    fn what_is_recorded_is_the_senders_word_or_a_part_of_all() {
        let event = |number: u32| format!("e-{number}").parse().unwrap();
        let begun: Vec<TraceContext> =
            (0..1000).map(|number| TraceContext::begun_by(&event(number))).collect();
        let recorded = |ratio: f64| begun.iter().filter(|context| context.is_recorded(ratio)).count();
        assert_eq!((recorded(0.0), recorded(1.0)), (0, 1000));
        assert!((200..300).contains(&recorded(0.25)), "{}", recorded(0.25));
        let sent = |flags: &str| {
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")
                .parse::<TraceContext>()
                .unwrap()
        };
        assert!(sent("01").is_recorded(0.0) && !sent("00").is_recorded(1.0));
    }
}
