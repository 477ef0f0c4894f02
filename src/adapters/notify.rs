//! Places that take messages by HTTP: a Slack-compatible webhook, or any other.
//!
//! A request is signed as Standard Webhooks says (standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`, which is `v1,` and the HMAC-SHA256 of id, time and body in Base64.
//!
//! The address is a secret, as Slack's is: it stands in no text that leaves here.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;

use crate::ports::{Message, Notifier, NotifierError};

/// How long one message may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a secret that is Base64 begins with.
const ENCODED: &str = "whsec_";

/// How many bytes a key has at least, and at most, by Standard Webhooks.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;

/// How many bytes a secret has at most that is its own key.
const LONGEST_KEY: usize = 256;

/// Where a place is, and what it needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its address.
    pub url: SecretString,
    /// What its messages are signed with: `whsec_` and Base64, or the key itself.
    pub secret: Option<SecretString>,
    /// Headers for each request.
    pub headers: Vec<(String, SecretString)>,
    /// Whether plaintext to another machine is right.
    pub allow_plaintext: bool,
}

impl Settings {
    /// Whether they can be used.
    ///
    /// # Errors
    /// When the address, the secret or a header cannot be.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.understood().map(|_| ())
    }

    fn understood(&self) -> Result<(Url, Option<Key>, HeaderMap), SettingsError> {
        let url = address(self.url.expose_secret(), self.allow_plaintext)?;
        let key = self.secret.as_ref().map(Key::of).transpose()?;
        Ok((url, key, headers(&self.headers)?))
    }
}

/// A place that takes messages.
pub struct Hook {
    client: reqwest::Client,
    url: Url,
    key: Option<Key>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

/// Why settings cannot be used. No text has a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The address is none.
    #[error("url: {0}")]
    Url(&'static str),
    /// The secret cannot be a key.
    #[error("secret: {0}")]
    Secret(String),
    /// A header cannot be sent.
    #[error("headers: {0:?} cannot be sent: a name has letters, digits and '-', a value no line break")]
    Header(String),
    /// A header is made here.
    #[error("headers: {0:?} is made for each message: leave it out")]
    Reserved(String),
    /// The client for it.
    #[error("requests to it cannot be made")]
    Client,
}

impl Hook {
    /// A place; nothing is sent yet.
    ///
    /// # Errors
    /// When the address, the secret or a header cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let (url, key, headers) = settings.understood()?;
        // Redirects are not followed: they could take the message and its headers elsewhere.
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .default_headers(headers);
        if is_here(&url) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|_| SettingsError::Client)?;
        Ok(Self { client, url, key })
    }
}

#[async_trait]
impl Notifier for Hook {
    async fn tell(&self, message: &Message, now: Timestamp) -> Result<(), NotifierError> {
        let seconds = now.as_second();
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds);
        if let Some(key) = &self.key {
            request = request.header("webhook-signature", key.signature(&message.id, seconds, &message.body));
        }
        match request.body(message.body.clone()).send().await {
            // What it says is not read: nothing depends on it, and it may be long.
            Ok(response) => judged(&response, now),
            Err(error) => Err(NotifierError::Unavailable { reason: told(error), after: None }),
        }
    }
}

fn judged(response: &Response, now: Timestamp) -> Result<(), NotifierError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    if passes {
        let after = response.headers().get(RETRY_AFTER).and_then(|after| wait(after.to_str().ok()?, now));
        return Err(NotifierError::Unavailable { reason: format!("it answers {status}"), after });
    }
    let hint =
        if status.is_redirection() { ", and redirects are not followed: give its new address" } else { "" };
    Err(NotifierError::Refused(format!("it answers {status}{hint}")))
}

/// How long a `Retry-After` asks to wait: a number of seconds, or a date.
fn wait(after: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = after.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(after.trim()).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// What went wrong with an exchange, without the address.
fn told(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it does not answer within {} s", TIMEOUT.as_secs());
    }
    let error = error.without_url();
    // The innermost says most: that a connection was refused, or a certificate not believed.
    let mut innermost = error.source();
    while let Some(source) = innermost.and_then(|inner| inner.source()) {
        innermost = Some(source);
    }
    let cause = innermost.map(|cause| format!(": {cause}")).unwrap_or_default();
    let what = if error.is_connect() { "it cannot be connected to" } else { "the exchange broke off" };
    format!("{what}{cause}")
}

fn address(text: &str, allow_plaintext: bool) -> Result<Url, SettingsError> {
    let wrong = |reason| Err(SettingsError::Url(reason));
    let Ok(url) = text.trim().parse::<Url>() else {
        return wrong("is no address such as https://hooks.example.com/deployments");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return wrong("has to begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("has a password in it: put credentials under `headers`");
    }
    if url.scheme() == "http" && !allow_plaintext && !is_here(&url) {
        return wrong(
            "is plaintext to another machine: use https://, or set `allow-plaintext: true` where something between \
             encrypts",
        );
    }
    Ok(url)
}

/// Whether an address is this machine.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn headers(given: &[(String, SecretString)]) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong = || SettingsError::Header(name.clone());
        let key: HeaderName = name.parse().map_err(|_| wrong())?;
        let made = ["content-type", "content-length", "host", "transfer-encoding", "connection"];
        if made.contains(&key.as_str()) || key.as_str().starts_with("webhook-") {
            return Err(SettingsError::Reserved(name.clone()));
        }
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// What messages are signed with.
struct Key(SecretBox<Vec<u8>>);

impl Key {
    fn of(secret: &SecretString) -> Result<Self, SettingsError> {
        let wrong = |reason: String| Err(SettingsError::Secret(reason));
        let text = secret.expose_secret();
        let bytes = match text.strip_prefix(ENCODED) {
            Some(encoded) => match BASE64_STANDARD.decode(encoded) {
                Ok(bytes) if KEY.contains(&bytes.len()) => bytes,
                Ok(bytes) => {
                    let (least, most) = KEY.into_inner();
                    return wrong(format!(
                        "has {} bytes behind `{ENCODED}`: it has to have {least} to {most}",
                        bytes.len()
                    ));
                }
                Err(_) => return wrong(format!("is not Base64 behind `{ENCODED}`")),
            },
            None if text.len() < *KEY.start() || text.len() > LONGEST_KEY => {
                return wrong(format!(
                    "has {} bytes: it has to have {} to {LONGEST_KEY}",
                    text.len(),
                    KEY.start()
                ));
            }
            None => text.as_bytes().to_vec(),
        };
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }

    fn signature(&self, id: &str, seconds: i64, body: &str) -> String {
        // A key of any length is one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            return String::new();
        };
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Standard Webhooks' own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let key = Key::of(&SECRET.into()).unwrap_or_else(|error| panic!("{error}"));
        let signature =
            key.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    fn check(given: &Settings, said: &str) {
        match Hook::new(given) {
            Ok(hook) => {
                assert_eq!(said, "");
                assert_eq!(format!("{hook:?}"), "Hook { .. }", "nothing of it is shown");
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!said.is_empty() && error.contains(said), "{error}");
                assert!(!error.contains("hush"), "{error}");
            }
        }
    }

    fn settings(url: &str) -> Settings {
        Settings { url: url.into(), secret: None, headers: Vec::new(), allow_plaintext: false }
    }

    #[test]
    fn an_address_has_to_be_https_unless_it_is_this_machine_or_plaintext_is_allowed() {
        for (url, said) in [
            ("https://hooks.example.com/services/hush", ""),
            ("http://127.0.0.1:8080/hush", ""),
            ("http://[::1]:8080/hush", ""),
            ("http://localhost/hush", ""),
            ("http://hooks.example.com/hush", "allow-plaintext: true"),
            ("http://127.0.0.1.example.com/hush", "allow-plaintext: true"),
            ("https://alice:hush@example.com", "under `headers`"),
            ("ftp://example.com/hush", "https://"),
            ("hooks.example.com/hush", "is no address such as"),
            ("", "is no address such as"),
        ] {
            check(&settings(url), said);
        }
        check(&Settings { allow_plaintext: true, ..settings("http://hooks.example.com/hush") }, "");
    }

    #[test]
    fn a_secret_is_long_enough_or_refused_and_a_header_can_be_sent_or_is_refused() {
        for (secret, said) in [
            (SECRET, ""),
            ("hush-hush-hush-hush-hush", ""),
            ("hush-hush-hush-hush-hus", "has 23 bytes"),
            (&"hush".repeat(65), "has 260 bytes"),
            ("whsec_hush!", "is not Base64"),
            ("whsec_aHVzaA==", "has 4 bytes behind `whsec_`: it has to have 24 to 64"),
        ] {
            let given = settings("https://example.com");
            check(&Settings { secret: Some(secret.into()), ..given }, said);
        }
        for (name, value, said) in [
            ("X-Api-Key", "hush", ""),
            ("X Api Key", "hush", "cannot be sent"),
            ("X-Api-Key", "hush\nhush", "cannot be sent"),
            ("Webhook-Signature", "hush", "is made for each message"),
            ("Content-Type", "hush", "is made for each message"),
        ] {
            let headers = vec![(name.to_owned(), value.into())];
            check(&Settings { headers, ..settings("https://example.com") }, said);
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        for (after, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:26:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(wait(after, now).map(|wait| wait.as_secs()), expected, "{after}");
        }
    }
}
