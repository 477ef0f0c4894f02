//! The device flow (RFC 8628): somebody opens an address, types a code, and this program gets a token.
//!
//! Where it asks is what the server named. It is asked over HTTPS alone, but for one on this machine; it is sent
//! neither the server's token nor the client certificate that is for the server.

use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Certificate, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ANSWER, CONNECT, ClientError, Device, is_loopback, problem, read};

/// The pause between two questions whether somebody has agreed, where it names none; and what is put to it when that
/// is too fast.
const INTERVAL: Duration = Duration::from_secs(5);

/// The shortest such pause, whatever it names.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a login may take, whatever it names.
const LONGEST: Duration = Duration::from_secs(1_800);

/// Questions without an answer, one after the other, before that is told.
const ATTEMPTS: u32 = 5;

/// What gives tokens for a server.
#[derive(Debug)]
pub struct AuthorizationServer {
    http: reqwest::Client,
    device: Device,
}

/// What somebody has to open and type.
#[derive(Debug, Clone, Deserialize)]
pub struct Code {
    device_code: SecretString,
    /// What to type.
    pub user_code: String,
    /// What to open.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// In how many seconds it is worth nothing.
    pub expires_in: u64,
    interval: Option<u64>,
}

/// What was given.
#[derive(Debug, Clone, Deserialize)]
pub struct Tokens {
    /// What the server is sent.
    pub access_token: SecretString,
    /// What a new one is asked for with.
    pub refresh_token: Option<SecretString>,
    /// In how many seconds the first one is worth nothing.
    pub expires_in: Option<u64>,
    token_type: Option<String>,
}

/// Why there is no token (RFC 6749, RFC 8628).
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl AuthorizationServer {
    /// The one that the server at `server` named; nothing is asked yet. `ca` are certificates (PEM) to trust besides
    /// those that this machine trusts.
    ///
    /// # Errors
    /// When it would be asked in plaintext, or a certificate cannot be read.
    pub fn new(device: Device, server: &Url, ca: Option<&[u8]>) -> Result<Self, ClientError> {
        let mut all_here = true;
        let named = [Some(&device.device_authorization_endpoint), Some(&device.token_endpoint)];
        for text in named.into_iter().chain([device.revocation_endpoint.as_ref()]).flatten() {
            let url = endpoint(text, server)?;
            all_here &= is_loopback(&url);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        if all_here {
            builder = builder.no_proxy();
        }
        let wrong = |error: reqwest::Error| {
            ClientError::Setting(format!("--ca is not understood: {}", problem::causes(&error)))
        };
        if let Some(pem) = ca {
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem).map_err(wrong)?);
        }
        Ok(Self { http: builder.build().map_err(wrong)?, device })
    }

    /// Where it is, and who asks.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Asks for a code.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn code(&self) -> Result<Code, ClientError> {
        let scope = self.device.scopes.join(" ");
        let mut fields = vec![("client_id", self.device.client_id.as_str()), ("scope", &scope)];
        fields.extend(self.device.audience.as_deref().map(|audience| ("audience", audience)));
        let answer = self.ask(&self.device.device_authorization_endpoint, &fields).await?;
        answer.map_err(|refusal| refused(&refusal))
    }

    /// Waits until somebody has agreed.
    ///
    /// # Errors
    /// When nobody does in time, somebody refuses, or it does not answer for too often.
    pub async fn tokens(&self, code: &Code) -> Result<Tokens, ClientError> {
        let end = Duration::from_secs(code.expires_in).min(LONGEST);
        match tokio::time::timeout(end, self.poll(code)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late()),
        }
    }

    async fn poll(&self, code: &Code) -> Result<Tokens, ClientError> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", code.device_code.expose_secret()),
            ("client_id", &self.device.client_id),
        ];
        let mut pause = code.interval.map_or(INTERVAL, Duration::from_secs).clamp(SHORTEST, LONGEST_PAUSE);
        let mut failures = 0;
        loop {
            tokio::time::sleep(pause).await;
            match self.ask(&self.device.token_endpoint, &fields).await {
                Ok(Ok(tokens)) => return bearer(tokens),
                Ok(Err(refusal)) => {
                    failures = 0;
                    pause = pause_after(pause, &refusal.error).ok_or_else(|| refused(&refusal))?;
                }
                // RFC 8628, 3.5: slower after a connection that failed.
                Err(ClientError::Unreachable { .. }) if failures < ATTEMPTS => {
                    failures += 1;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for a new token with what is kept for that. An answer without a refresh token leaves the old one good.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Tokens, ClientError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", &self.device.client_id),
        ];
        let answer = self.ask(&self.device.token_endpoint, &fields).await?;
        bearer(answer.map_err(|refusal| refused(&refusal))?)
    }

    /// Gives a token back, so that it is worth nothing any more; false where that cannot be done.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn revoke(&self, token: &SecretString, hint: &str) -> Result<bool, ClientError> {
        let Some(endpoint) = &self.device.revocation_endpoint else { return Ok(false) };
        let fields = [
            ("token", token.expose_secret()),
            ("token_type_hint", hint),
            ("client_id", &self.device.client_id),
        ];
        let (url, status, body) = self.send(endpoint, &fields).await?;
        if status.is_success() {
            return Ok(true);
        }
        Err(refused(&understand(&url, status, &body)?))
    }

    /// One question, and what is answered or refused.
    async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Result<T, Refusal>, ClientError> {
        let (url, status, body) = self.send(endpoint, fields).await?;
        if status.is_success() {
            understand(&url, status, &body).map(Ok)
        } else {
            understand(&url, status, &body).map(Err)
        }
    }

    async fn send(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<(Url, StatusCode, Vec<u8>), ClientError> {
        let url: Url = endpoint.parse().map_err(|_| insecure(endpoint))?;
        let request = self.http.post(url.clone()).header(ACCEPT, "application/json").form(fields);
        let response = request.send().await.map_err(|error| ClientError::unreachable(&url, &error))?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let reason = format!("the login provider answers {status}");
            return Err(ClientError::Unreachable { url, reason });
        }
        let body = read(&url, response).await?;
        Ok((url, status, body))
    }
}

fn understand<T: DeserializeOwned>(url: &Url, status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Unreadable {
        url: url.clone(),
        // Without the text: it may have a token in it.
        reason: format!("status {status}, {:?} at column {}", error.classify(), error.column()),
    })
}

/// An address that secrets may be sent to. One on this machine is no other's, if the server is on it as well.
fn endpoint(text: &str, server: &Url) -> Result<Url, ClientError> {
    let url: Url = text.parse().map_err(|_| insecure(text))?;
    let here = url.scheme() == "http" && is_loopback(&url) && is_loopback(server);
    if (url.scheme() == "https" && url.has_host()) || here { Ok(url) } else { Err(insecure(text)) }
}

fn insecure(endpoint: &str) -> ClientError {
    let endpoint = problem::plain(endpoint);
    ClientError::Login(format!("the server names {endpoint:?} for the login, which is not https://"))
}

/// The pause after such an answer; none where it is the last one.
fn pause_after(pause: Duration, error: &str) -> Option<Duration> {
    match error {
        "authorization_pending" => Some(pause),
        "slow_down" => Some(pause + INTERVAL),
        _ => None,
    }
}

fn bearer(tokens: Tokens) -> Result<Tokens, ClientError> {
    match tokens.token_type.as_deref() {
        Some(other) if !other.eq_ignore_ascii_case("bearer") => {
            let other = problem::plain(other);
            Err(ClientError::Login(format!("the provider gives a token of the type {other:?}, not Bearer")))
        }
        Some(_) | None => Ok(tokens),
    }
}

fn late() -> ClientError {
    ClientError::Login("nobody agreed in time; `login` again".into())
}

fn refused(refusal: &Refusal) -> ClientError {
    let what = match refusal.error.as_str() {
        "access_denied" => "the login was refused".to_owned(),
        "expired_token" => return late(),
        "invalid_grant" => "the login is over; `login` again".to_owned(),
        other => format!("the login provider refuses: {other}"),
    };
    let more = refusal.error_description.as_deref().map(|more| format!(" ({more})")).unwrap_or_default();
    ClientError::Login(problem::plain(&format!("{what}{more}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_asked_for_at_safe_addresses_alone() {
        let (here, there) = ("http://127.0.0.1:8080", "https://deploy.example.com");
        for (text, server, safe) in [
            ("https://login.example.com/token", there, true),
            ("https://login.example.com/token", here, true),
            ("http://127.0.0.1:9000/token", here, true),
            ("http://localhost:9000/token", here, true),
            ("http://127.0.0.1:9000/token", there, false),
            ("http://login.example.com/token", here, false),
            ("http://login.example.com/token", there, false),
            ("http://127.0.0.1.example.com/token", here, false),
            ("file:///etc/passwd", here, false),
            ("/token", here, false),
            ("", here, false),
        ] {
            assert_eq!(endpoint(text, &server.parse().unwrap()).is_ok(), safe, "{text} of {server}");
        }
    }

    #[test]
    fn who_is_too_fast_asks_five_seconds_later_and_any_other_word_is_the_end() {
        let pause = Duration::from_secs(7);
        for (error, after) in [
            ("authorization_pending", Some(7)),
            ("slow_down", Some(12)),
            ("access_denied", None),
            ("expired_token", None),
            ("invalid_grant", None),
            ("Slow_Down", None),
            ("", None),
        ] {
            assert_eq!(pause_after(pause, error), after.map(Duration::from_secs), "{error}");
        }
    }

    #[test]
    fn what_somebody_else_says_moves_no_cursor() {
        let refusal = Refusal { error: "a\u{1b}[2J".into(), error_description: Some("b\r\nc".into()) };
        let said = refused(&refusal).to_string();
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}
