//! Why a server did not do what it was asked.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::diagnostic::{Diagnostic, Place};

/// What a server says of a request that it does not fulfil (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The status in words.
    #[serde(default)]
    pub title: String,
    /// What is wrong, in one sentence.
    #[serde(default)]
    pub detail: String,
    /// All that is wrong with the input, as far as this program knows the words for it.
    #[serde(default, deserialize_with = "understood")]
    pub diagnostics: Vec<Diagnostic>,
    /// The id of the request, for whoever looks into the server's logs.
    #[serde(default)]
    pub request_id: String,
}

impl Problem {
    /// Where the answer says nothing that is understood: something between may have answered.
    pub(super) fn of_status(status: u16) -> Self {
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        Self {
            title: title.unwrap_or("Problem").to_owned(),
            detail: String::new(),
            diagnostics: Vec::new(),
            request_id: String::new(),
        }
    }

    /// What people are told.
    fn said(&self) -> String {
        let words = if self.detail.is_empty() { self.title.to_lowercase() } else { self.detail.clone() };
        plain(&words)
    }
}

/// The diagnostics that are understood: a newer server may have words that this program does not know.
fn understood<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Diagnostic>, D::Error> {
    let all: Vec<Value> = Vec::deserialize(from)?;
    let known = all.into_iter().filter_map(|one| serde_json::from_value::<Diagnostic>(one).ok());
    Ok(known.map(|one| printable(&one)).collect())
}

fn printable(one: &Diagnostic) -> Diagnostic {
    Diagnostic {
        message: plain(&one.message),
        place: Place { file: plain(&one.place.file), ..one.place },
        help: one.help.as_deref().map(plain),
        ..*one
    }
}

/// Why a server did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// An option is wrong.
    #[error("{0}")]
    Setting(String),
    /// There is no token to be had.
    #[error("{0}")]
    Login(String),
    /// Nothing answers there.
    #[error("{} does not answer: {reason}", host(.url))]
    Unreachable {
        /// Where.
        url: Url,
        /// Why.
        reason: String,
    },
    /// It points elsewhere, and the token stays here.
    #[error("{} answers from elsewhere: give --server as it is in {to:?}, if you trust that", host(.url))]
    Redirect {
        /// Where.
        url: Url,
        /// Where it points.
        to: String,
    },
    /// It answers something else than this program expects.
    #[error("{url} answers what is not understood: {reason}; is it of another version?")]
    Unreadable {
        /// Where.
        url: Url,
        /// What is wrong.
        reason: String,
    },
    /// It refuses, or cannot.
    #[error("{}{}", problem.said(), advice(*.status, .url))]
    Refused {
        /// Where.
        url: Url,
        /// The HTTP status.
        status: u16,
        /// What it says.
        problem: Box<Problem>,
        /// How long to wait before the next attempt, where it says so.
        retry_after: Option<Duration>,
    },
}

impl ClientError {
    pub(super) fn unreachable(url: &Url, error: &reqwest::Error) -> Self {
        Self::Unreachable { url: url.clone(), reason: plain(&causes(error)) }
    }

    /// Whether there is no such thing at the server.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// All that an error says, without the address, which is told already.
pub(super) fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".into();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// What helps against a refusal, where that is not in it.
fn advice(status: u16, url: &Url) -> String {
    match status {
        401 => format!(" ({}: give --token-file, or `login`)", host(url)),
        429 | 500..=599 => format!(" ({} answers {status})", host(url)),
        _ => String::new(),
    }
}

/// A text without anything that could move a terminal's cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
