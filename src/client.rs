//! A client of the HTTP interface: what the command line is with `--server`.
//!
//! It reads the same [views](crate::view) that the server writes. A read is tried again, within bounds; a write
//! carries an `Idempotency-Key`, so that trying it again does it once. A redirect is never followed: the token goes
//! to the server that was named and nowhere else, and over plaintext only to this machine, unless it is allowed.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Identity, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

mod authorization_server;
mod calls;
mod endpoint;
mod feed;
mod health;
mod login;
mod problem;
mod retry;

pub use authorization_server::{AuthorizationServer, Code, Tokens};
pub use calls::{Asked, AuditQuery, DeploymentQuery, Page, Wanted};
pub use endpoint::{ENDPOINTS, Endpoint};
pub use feed::Feed;
pub use health::{Health, ServerStatus};
pub use login::{Device, Granted, Me, Ways};
pub use problem::{ClientError, Problem};

use endpoint::Arguments;

/// How long it may take until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);

/// How long one answer may take, all of it; the server itself gives up sooner.
const ANSWER: Duration = Duration::from_secs(30);

/// After such a silence a stream is taken for dead; the server says something every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// Says that a change was made before, and that this is its answer.
const REPLAYED: &str = "idempotency-replayed";

/// The largest answer that is read.
const LARGEST: usize = 64 << 20;

/// Where the server is, and how it is reached.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// Its address, such as `https://orchestrator.example.com`; a path in it is kept.
    pub server: String,
    /// What is sent as `Authorization: Bearer`.
    pub token: Option<SecretString>,
    /// Certificates (PEM) that the server's may be signed by, instead of those that this machine trusts.
    pub ca: Option<Vec<u8>>,
    /// A certificate and its key (PEM, one after the other) that the server may ask for.
    pub identity: Option<SecretString>,
    /// Whether plaintext to another machine is right.
    pub allow_plaintext: bool,
}

/// A client of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// When the address is none, is plaintext to another machine, or a certificate cannot be read.
    pub fn new(connection: Connection) -> Result<Self, ClientError> {
        let base = address(&connection.server, connection.allow_plaintext)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let wrong = |what: &str, error: reqwest::Error| {
            ClientError::Setting(format!("{what} is not understood: {}", problem::causes(&error)))
        };
        if let Some(pem) = &connection.ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| wrong("--ca", error))?;
            if certificates.is_empty() {
                return Err(ClientError::Setting("--ca has no certificate in it".into()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(pem) = &connection.identity {
            let identity = Identity::from_pem(pem.expose_secret().as_bytes());
            builder = builder
                .identity(identity.map_err(|error| wrong("--client-certificate or --client-key", error))?);
        }
        let http = builder.build().map_err(|error| wrong("TLS", error))?;
        Ok(Self { http, base, token: connection.token })
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// The server's address.
    pub fn server(&self) -> &Url {
        &self.base
    }

    /// Asks for something, and understands the answer.
    async fn get<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        arguments: Arguments<'_>,
    ) -> Result<T, ClientError> {
        let url = endpoint.url(&self.base, &arguments)?;
        let response = retry::retrying(|| self.once(endpoint, url.clone(), None, None)).await?;
        understand(&url, response).await
    }

    /// Asks for a change, and understands the answer.
    async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        arguments: Arguments<'_>,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        // The same in each attempt: the server does it once.
        let key = Uuid::now_v7().to_string();
        Ok(self.post_once(endpoint, arguments, body, &key).await?.0)
    }

    /// The same with a key of the caller's: also in another process, the server does it once. Says whether it had been
    /// done before.
    async fn post_once<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        arguments: Arguments<'_>,
        body: &impl Serialize,
        key: &str,
    ) -> Result<(T, bool), ClientError> {
        let url = endpoint.url(&self.base, &arguments)?;
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Setting(error.to_string()))?;
        let attempt = || self.once(endpoint, url.clone(), Some(&body), Some(key));
        let response = retry::retrying(attempt).await?;
        let replayed = response.headers().contains_key(REPLAYED);
        Ok((understand(&url, response).await?, replayed))
    }

    /// One attempt.
    async fn once(
        &self,
        endpoint: &Endpoint,
        url: Url,
        body: Option<&[u8]>,
        key: Option<&str>,
    ) -> Result<Response, ClientError> {
        let method = if endpoint.writes { Method::POST } else { Method::GET };
        let mut request = self
            .request(method, url.clone())
            .header(ACCEPT, "application/json, application/problem+json")
            .timeout(ANSWER);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        answered(&url, request.send().await).await
    }

    fn request(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }
}

/// An answer that is a success.
async fn answered(url: &Url, sent: Result<Response, reqwest::Error>) -> Result<Response, ClientError> {
    let response = sent.map_err(|error| ClientError::unreachable(url, &error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        return Err(ClientError::Redirect { url: url.clone(), to: to.unwrap_or("nowhere").to_owned() });
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    Err(refused(url, response, status, after).await)
}

async fn refused(url: &Url, response: Response, status: StatusCode, after: Option<u64>) -> ClientError {
    let body = read(url, response).await.unwrap_or_default();
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem::of_status(status.as_u16()));
    ClientError::Refused {
        url: url.clone(),
        status: status.as_u16(),
        problem: Box::new(problem),
        retry_after: after.map(Duration::from_secs),
    }
}

async fn understand<T: DeserializeOwned>(url: &Url, response: Response) -> Result<T, ClientError> {
    let body = read(url, response).await?;
    serde_json::from_slice(&body)
        .map_err(|error| ClientError::Unreadable { url: url.clone(), reason: error.to_string() })
}

/// The body of an answer, up to a bound.
async fn read(url: &Url, mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ClientError::unreachable(url, &error))? {
        if body.len() + chunk.len() > LARGEST {
            let reason = format!("it is longer than {} MiB", LARGEST >> 20);
            return Err(ClientError::Unreadable { url: url.clone(), reason });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The address of a server, fit to have paths put behind it.
fn address(text: &str, allow_plaintext: bool) -> Result<Url, ClientError> {
    let wrong = |reason: &str| ClientError::Setting(format!("--server {text:?} {reason}"));
    let mut url: Url =
        text.parse().map_err(|_| wrong("is not an address such as https://orchestrator.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("has to begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Setting("--server has a password in it: use --token-file".into()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has more than host and path"));
    }
    if url.scheme() == "http" && !allow_plaintext && !is_loopback(&url) {
        return Err(wrong(
            "is plaintext to another machine: use https://, or --allow-plaintext where something between encrypts",
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Whether an address is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_to_another_machine_has_to_be_allowed() {
        for (server, allowed, fits) in [
            ("http://127.0.0.1:8080", false, true),
            ("http://[::1]:8080/", false, true),
            ("http://localhost:8080", false, true),
            ("https://orchestrator.example.com", false, true),
            ("https://orchestrator.example.com/deploy/", false, true),
            ("http://orchestrator.example.com", false, false),
            ("http://orchestrator.example.com", true, true),
            ("http://localhost.example.com", false, false),
            ("http://127.0.0.1@example.com", false, false),
            ("http://127.0.0.1.example.com", false, false),
            ("https://alice:secret@example.com", true, false),
            ("https://example.com/?a=b", true, false),
            ("ftp://example.com", true, false),
            ("example.com", true, false),
            ("", true, false),
        ] {
            let found = address(server, allowed);
            assert_eq!(found.is_ok(), fits, "{server}: {found:?}");
            if let Err(error) = found {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
    }

    #[test]
    fn a_path_in_the_address_is_kept() {
        let base = address("https://example.com/deploy/", false).unwrap();
        let arguments = Arguments::new().path("id", "d-1");
        let url = endpoint::DEPLOYMENT.url(&base, &arguments).unwrap();
        assert_eq!(url.as_str(), "https://example.com/deploy/api/v1/deployments/d-1");
    }
}
