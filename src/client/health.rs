//! How a server is: whether it works, and which version it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::header::DATE;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::endpoint::{Arguments, HEALTH, READINESS, STATUS};
use super::{ANSWER, Client, ClientError, answered, read};

/// The health of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its parts by name, and whether each works.
    pub parts: BTreeMap<String, bool>,
    /// What time it had: the whole second of its `Date` header.
    pub date: Option<Timestamp>,
}

/// How a server is doing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerStatus {
    /// Its version.
    pub version: String,
    /// Whether writes are taken.
    pub writable: bool,
}

/// What a probe answers.
#[derive(Deserialize)]
struct Probe {}

#[derive(Deserialize)]
struct Answer {
    components: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Component {
    status: String,
}

impl Client {
    /// How the server is, asked once and without a token.
    ///
    /// # Errors
    /// When it does not answer, or answers something else.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let url = HEALTH.url(&self.base, &Arguments::new())?;
        let sent = self.http.request(Method::GET, url.clone()).timeout(ANSWER).send().await;
        let response = match sent {
            // It says there what does not work.
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => response,
            sent => answered(&url, sent).await?,
        };
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let body = read(&url, response).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| ClientError::Unreadable { url: url.clone(), reason: error.to_string() })?;
        let parts = answer.components.into_iter().map(|(name, part)| (name, part.status == "UP")).collect();
        Ok(Health { parts, date })
    }

    /// How the server is doing.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn status(&self) -> Result<ServerStatus, ClientError> {
        self.get(&STATUS, Arguments::new()).await
    }

    /// Asks whether the server takes requests. Nobody has to log in for that.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self) -> Result<(), ClientError> {
        let Probe {} = self.get(&READINESS, Arguments::new()).await?;
        Ok(())
    }
}
