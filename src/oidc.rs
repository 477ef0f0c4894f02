//! An OpenID Connect provider: whether a token is its own, and the login of people by their browsers.
//!
//! What it publishes about itself is asked for when it is first needed, and again every hour. Nothing here is asked on
//! the word of a token: addresses and keys in a token's header (`jku`, `x5u`, `jwk`, `x5c`) are not looked at.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use reqwest::{Certificate, Client, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use crate::config::oidc::{self, Login, Oidc};
use crate::domain::claims::{self, Person};

mod keys;

use keys::Keys;

/// How long one request to the provider may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer of the provider is read.
const ANSWER_BYTES: usize = 1024 * 1024;

/// How long a token may be. Groups make them long; a request's head is limited anyway.
const TOKEN_BYTES: usize = 24 * 1024;

/// How long what the provider publishes about itself is believed.
const FRESH: Duration = Duration::from_secs(3600);

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: u64 = 30;

/// Why a token does not let in.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not one of the provider for this interface.
    #[error("{0}")]
    Refused(String),
    /// The provider does not tell what is needed to judge it.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
}

/// Why the provider cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificates of its authority.
    #[error("http.oidc.ca: {file}: {reason}")]
    Authority {
        /// Which file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client for it.
    #[error("requests to the login provider cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// What the provider publishes about itself (OpenID Connect Discovery 1.0; RFC 8628 for the device flow).
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    /// Where tokens are had.
    pub token_endpoint: String,
    /// Where the command line begins a login; none where the provider cannot do that.
    #[serde(default)]
    pub device_authorization_endpoint: Option<String>,
    /// Where tokens are given back (RFC 7009); none where the provider cannot do that.
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
}

/// A provider. What it said is kept.
#[derive(Debug)]
pub struct Provider {
    settings: Oidc,
    client: Client,
    metadata: Mutex<Option<(Instant, Metadata)>>,
    keys: RwLock<Keys>,
    /// Held by whoever asks for keys.
    asking: Mutex<()>,
}

/// What a browser has to bring back from a login.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Proves that the answer belongs to this browser's question.
    pub state: SecretString,
    /// Proves that the ID token was made for it.
    pub nonce: SecretString,
    /// Proves to the provider that who asked is who takes the token (PKCE, RFC 7636).
    pub verifier: SecretString,
}

impl Attempt {
    /// A new one; nobody can guess any of it.
    pub fn new() -> Self {
        Self { state: random(), nonce: random(), verifier: random() }
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self::new()
    }
}

fn unknown_key() -> TokenError {
    TokenError::Refused("the token's key is none of the provider's".into())
}

/// 256 bits from the operating system, as a text that can stand in a URL and a cookie.
pub fn random() -> SecretString {
    // Two random UUIDs have 244 bits of the system's generator between them; hashed, they show none of their fixed ones.
    let mut digest = Sha256::new();
    digest.update(uuid::Uuid::new_v4().as_bytes());
    digest.update(uuid::Uuid::new_v4().as_bytes());
    SecretString::from(URL_SAFE_NO_PAD.encode(digest.finalize()))
}

impl Provider {
    /// Prepares a provider; it is not asked anything yet.
    ///
    /// # Errors
    /// When the certificates of its authority cannot be used.
    pub fn new(settings: Oidc) -> Result<Self, SetupError> {
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("argocd-orchestrator/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &settings.ca {
            let wrong = |reason: String| SetupError::Authority { file: file.display().to_string(), reason };
            let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
            if found.is_empty() {
                return Err(wrong("has no certificate".into()));
            }
            client = client.tls_certs_merge(found);
        }
        let client = client.build()?;
        Ok(Self {
            settings,
            client,
            metadata: Mutex::default(),
            keys: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// What was configured.
    pub fn settings(&self) -> &Oidc {
        &self.settings
    }

    /// Who the owner of an access token is.
    ///
    /// # Errors
    /// Why the token does not count, or that nobody can say so now.
    pub async fn verify(&self, token: &str) -> Result<Person, TokenError> {
        let refused = |error: claims::ClaimError| TokenError::Refused(error.to_string());
        let data = self.decode(token, &self.settings.audience).await?;
        claims::check_is_access_token(data.header.typ.as_deref(), &data.claims).map_err(refused)?;
        self.person(&data.claims)
    }

    fn person(&self, given: &Map<String, Value>) -> Result<Person, TokenError> {
        let Oidc { name_claim, groups_claim, .. } = &self.settings;
        claims::person(given, name_claim, groups_claim)
            .map_err(|error| TokenError::Refused(error.to_string()))
    }

    /// What a token says, when signature, algorithm, issuer, audience and times are right.
    async fn decode(&self, token: &str, audience: &str) -> Result<TokenData<Map<String, Value>>, TokenError> {
        let refused = |reason: &str| TokenError::Refused(reason.to_owned());
        if token.len() > TOKEN_BYTES {
            return Err(refused("the token is too long"));
        }
        if token.split('.').count() != 3 {
            return Err(refused(
                "the token is opaque: this server can only judge signed access tokens (JWT); ask the provider for one \
                 by the audience of this interface",
            ));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| refused("the token's header is not one of a signed token"))?;
        let allowed: Vec<Algorithm> = self.settings.algorithms.iter().map(|one| algorithm(*one)).collect();
        if !allowed.contains(&header.alg) {
            return Err(refused("the token is signed by an algorithm that is not allowed"));
        }
        if header.crit.is_some() {
            return Err(refused("the token asks for something that is not understood (`crit`)"));
        }
        let key = self.key(header.kid.as_deref(), header.alg).await?;
        let mut validation = Validation::new(header.alg);
        validation.algorithms = vec![header.alg];
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode(token, &key, &validation).map_err(|error| TokenError::Refused(words(&error)))
    }

    /// The key that a token names. One that is not known is looked for once more, because providers change keys.
    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, TokenError> {
        let known = {
            let keys = self.keys.read().await;
            let known = keys.find(id, algorithm);
            if keys.are_fresh() && (known.is_some() || !keys.may_ask()) {
                return known.ok_or_else(unknown_key);
            }
            known
        };
        // One asks, however many tokens come meanwhile: those whose key is known go on with it.
        let _asking = match (self.asking.try_lock(), known) {
            (Ok(asking), _) => asking,
            (Err(_), Some(key)) => return Ok(key),
            (Err(_), None) => self.asking.lock().await,
        };
        if self.keys.read().await.wants(id, algorithm) {
            self.keys.write().await.asked();
            let published = self.published().await;
            let mut keys = self.keys.write().await;
            // A provider that takes its time is left alone after it as well.
            keys.asked();
            match published {
                Ok(found) => keys.keep(found),
                // Old keys go on to count while the provider is away.
                Err(error) if keys.is_empty() => return Err(error),
                Err(error) => tracing::warn!(%error, "the provider's keys could not be read again"),
            }
        }
        let keys = self.keys.read().await;
        if keys.is_empty() {
            return Err(TokenError::Unavailable("it was asked for its keys a moment ago, in vain".into()));
        }
        keys.find(id, algorithm).ok_or_else(unknown_key)
    }

    async fn published(&self) -> Result<jsonwebtoken::jwk::JwkSet, TokenError> {
        let metadata = self.metadata().await?;
        let answer = self.client.get(&metadata.jwks_uri).send().await.map_err(away)?;
        read(answer).await
    }

    /// What the provider publishes about itself.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`] when it does not, or speaks for another issuer.
    pub async fn metadata(&self) -> Result<Metadata, TokenError> {
        let mut known = self.metadata.lock().await;
        if let Some((read_at, metadata)) = &*known
            && read_at.elapsed() < FRESH
        {
            return Ok(metadata.clone());
        }
        let issuer = &self.settings.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let answer = self.client.get(url).send().await.map_err(away)?;
        let metadata: Metadata = read(answer).await?;
        if &metadata.issuer != issuer {
            // Whoever answers there could otherwise bring in the keys of somebody else.
            return Err(TokenError::Unavailable("it names another issuer than `http.oidc.issuer`".into()));
        }
        *known = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    /// Where a browser goes to log in.
    ///
    /// # Errors
    /// When the provider does not say so.
    pub async fn login_url(&self, login: &Login, attempt: &Attempt) -> Result<String, TokenError> {
        let wrong = |_| TokenError::Unavailable("its authorization endpoint is not a URL".into());
        let endpoint = self.metadata().await?.authorization_endpoint;
        let endpoint = endpoint
            .ok_or_else(|| TokenError::Unavailable("it has no authorization endpoint for browsers".into()))?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.expose_secret()));
        let mut url = endpoint.parse::<reqwest::Url>().map_err(wrong)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &login.client_id)
            .append_pair("redirect_uri", &login.callback())
            .append_pair("scope", &login.scopes.join(" "))
            .append_pair("state", attempt.state.expose_secret())
            .append_pair("nonce", attempt.nonce.expose_secret())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who came back from the provider with a code.
    ///
    /// # Errors
    /// When the code is not worth anything, or the ID token was not made for this login.
    pub async fn redeem(&self, login: &Login, attempt: &Attempt, code: &str) -> Result<Person, TokenError> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: SecretString,
        }
        let endpoint = self.metadata().await?.token_endpoint;
        let callback = login.callback();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("client_id", &login.client_id),
            ("code_verifier", attempt.verifier.expose_secret()),
        ];
        if let Some(secret) = &login.client_secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        let answer = self.client.post(endpoint).form(&form).send().await.map_err(away)?;
        if answer.status().is_client_error() {
            return Err(TokenError::Refused("the provider does not take the code of this login".into()));
        }
        let Tokens { id_token } = read(answer).await?;
        let claims = self.decode(id_token.expose_secret(), &login.client_id).await?.claims;
        let nonce = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
        if !bool::from(nonce.as_bytes().ct_eq(attempt.nonce.expose_secret().as_bytes())) {
            return Err(TokenError::Refused("the ID token was not made for this login".into()));
        }
        self.person(&claims)
    }
}

/// Reads an answer of the provider, up to a limit.
async fn read<T: DeserializeOwned>(mut answer: reqwest::Response) -> Result<T, TokenError> {
    let status = answer.status();
    if !status.is_success() {
        return Err(TokenError::Unavailable(format!("it answers {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(TokenError::Unavailable("it answers too much".into()));
        }
        body.extend_from_slice(&chunk);
    }
    // What it says may be secret, and is in no message.
    serde_json::from_slice(&body)
        .map_err(|_| TokenError::Unavailable("its answer is not what OpenID Connect says".into()))
}

fn away(error: reqwest::Error) -> TokenError {
    // Without the URL: its query may hold a code.
    TokenError::Unavailable(error.without_url().to_string())
}

fn algorithm(configured: oidc::Algorithm) -> Algorithm {
    match configured {
        oidc::Algorithm::RS256 => Algorithm::RS256,
        oidc::Algorithm::RS384 => Algorithm::RS384,
        oidc::Algorithm::RS512 => Algorithm::RS512,
        oidc::Algorithm::PS256 => Algorithm::PS256,
        oidc::Algorithm::PS384 => Algorithm::PS384,
        oidc::Algorithm::PS512 => Algorithm::PS512,
        oidc::Algorithm::ES256 => Algorithm::ES256,
        oidc::Algorithm::ES384 => Algorithm::ES384,
        oidc::Algorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// What is wrong with a token, in words that help whoever has a right one.
fn words(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    #[allow(clippy::wildcard_enum_match_arm, reason = "the library may add to what can be wrong")]
    match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired".into(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".into(),
        ErrorKind::InvalidAudience => "the token is for another audience".into(),
        ErrorKind::InvalidIssuer => "the token is of another issuer".into(),
        ErrorKind::InvalidSignature => "the token's signature is wrong".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token has no `{claim}`"),
        _ => "the token is not a right one".into(),
    }
}
