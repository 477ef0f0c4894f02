//! A login provider on a real port: it publishes what OpenID Connect Discovery says, signs tokens with real keys, and
//! redeems codes as RFC 6749 and RFC 7636 say. What a test wants to be wrong, it makes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use argocd_orchestrator::config::oidc::{Algorithm as Allowed, Device, Group, Login, Oidc};
use argocd_orchestrator::domain::access::{All, Customers, Grant, Role};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::device::{CLI, Devices, Said};

/// For whom access tokens have to be.
pub const AUDIENCE: &str = "deployments";

/// The client that logs people in.
pub const CLIENT: &str = "the-page";

/// A key to sign with.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub algorithm: Algorithm,
    pub signing: EncodingKey,
}

impl Key {
    pub fn elliptic(id: &str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let signing = EncodingKey::from_ec_der(pair.as_ref());
        Self { id: id.into(), algorithm: Algorithm::ES256, signing }
    }

    pub fn rsa(id: &str) -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let wrapped = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // What stands before the key itself (version, algorithm, header) always has this length for 2048 bits.
        let signing = EncodingKey::from_rsa_der(&wrapped.as_ref()[26..]);
        Self { id: id.into(), algorithm: Algorithm::RS256, signing }
    }

    pub fn public(&self) -> Jwk {
        let mut key = Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap();
        key.common.key_id = Some(self.id.clone());
        key
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) }, claims)
    }

    pub fn sign_with(&self, header: Header, claims: &Value) -> String {
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }
}

/// A login that waits for its code to be redeemed.
#[derive(Debug, Clone)]
struct Waiting {
    challenge: String,
    nonce: String,
    callback: String,
    who: String,
    groups: Vec<String>,
}

#[derive(Default)]
struct Kept {
    /// What ID tokens are signed with.
    key: Option<Key>,
    published: Vec<Jwk>,
    issuer: String,
    /// How often the keys were asked for.
    asked: u32,
    /// How often it was asked what it publishes about itself.
    looked: u32,
    /// Whether it answers at all.
    away: bool,
    waiting: BTreeMap<String, Waiting>,
    /// The nonce of ID tokens, where it is to be a wrong one.
    nonce: Option<String>,
    devices: Devices,
}

/// The provider.
pub struct Provider {
    pub issuer: String,
    pub key: Key,
    kept: Arc<Mutex<Kept>>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Key::elliptic("first");
        let kept = Kept {
            key: Some(key.clone()),
            published: vec![key.public()],
            issuer: issuer.clone(),
            ..Kept::default()
        };
        let kept = Arc::new(Mutex::new(kept));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/device", post(device_code))
            .route("/revoke", post(revoke))
            .with_state(Arc::clone(&kept));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, key, kept }
    }

    /// The configuration of a server that believes it.
    pub fn settings(&self) -> Oidc {
        let grant = |role, customers| vec![Grant { role, customers }];
        let a = Customers::These(vec!["customer-a".parse().unwrap()]);
        Oidc {
            issuer: self.issuer.clone(),
            audience: AUDIENCE.into(),
            algorithms: vec![Allowed::ES256, Allowed::RS256],
            name_claim: "sub".into(),
            groups_claim: "groups".into(),
            groups: vec![
                Group { name: "platform".into(), roles: grant(Role::Admin, Customers::All(All::All)) },
                Group { name: "watchers".into(), roles: grant(Role::Viewer, a) },
            ],
            ca: None,
            login: None,
            device: None,
        }
    }

    /// Login by the browser, for a server at this address.
    pub fn login(public_url: &str) -> Login {
        Login {
            public_url: public_url.into(),
            client_id: CLIENT.into(),
            client_secret: Some("the-secret-of-the-client".into()),
            scopes: vec!["openid".into()],
            lasts: SignedDuration::from_hours(1),
        }
    }

    /// Login of the command line by the device flow.
    pub fn device() -> Device {
        Device { client_id: CLI.into(), scopes: vec!["openid".into(), "offline_access".into()] }
    }

    /// Looks at the device flow, or changes how it goes.
    pub fn devices<T>(&self, look: impl FnOnce(&mut Devices) -> T) -> T {
        look(&mut self.kept.lock().unwrap().devices)
    }

    /// The claims of a right access token.
    pub fn claims(&self, who: &str, groups: &[&str]) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": who, "groups": groups, "iat": now, "exp": now + 300,
        })
    }

    pub fn access_token(&self, who: &str, groups: &[&str]) -> String {
        self.key.sign(&self.claims(who, groups))
    }

    /// Publishes these keys from now on, and no others.
    pub fn publish(&self, keys: &[&Key]) {
        self.kept.lock().unwrap().published = keys.iter().map(|key| key.public()).collect();
    }

    pub fn asked(&self) -> u32 {
        self.kept.lock().unwrap().asked
    }

    pub fn looked(&self) -> u32 {
        self.kept.lock().unwrap().looked
    }

    pub fn is_away(&self, away: bool) {
        self.kept.lock().unwrap().away = away;
    }

    pub fn says_it_is(&self, issuer: &str) {
        self.kept.lock().unwrap().issuer = issuer.into();
    }

    pub fn spoils_nonces(&self) {
        self.kept.lock().unwrap().nonce = Some("another".into());
    }

    /// What happens at the provider's own page: somebody logs in, and the browser gets a code to bring back.
    /// Answers the path and query at our server.
    pub fn logs_in(&self, url: &str, who: &str, groups: &[&str]) -> String {
        let url: reqwest::Url = url.parse().unwrap();
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/authorize");
        assert_eq!((&*asked["response_type"], &*asked["client_id"]), ("code", CLIENT));
        assert_eq!(asked["code_challenge_method"], "S256");
        let code = format!("code-of-{who}");
        let waiting = Waiting {
            challenge: asked["code_challenge"].clone(),
            nonce: asked["nonce"].clone(),
            callback: asked["redirect_uri"].clone(),
            who: who.into(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        };
        self.kept.lock().unwrap().waiting.insert(code.clone(), waiting);
        let state = &asked["state"];
        format!("/auth/callback?code={code}&state={state}")
    }

    pub fn id_token(&self, who: &str, nonce: &str) -> String {
        let mut claims = self.claims(who, &["platform"]);
        claims["nonce"] = nonce.into();
        claims["aud"] = CLIENT.into();
        self.key.sign(&claims)
    }
}

type Answer = Result<Json<Value>, StatusCode>;

async fn metadata(State(kept): State<Arc<Mutex<Kept>>>) -> Answer {
    let mut kept = kept.lock().unwrap();
    kept.looked += 1;
    if kept.away {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let issuer = &kept.issuer;
    Ok(Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/keys"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "revocation_endpoint": format!("{issuer}/revoke"),
    })))
}

async fn keys(State(kept): State<Arc<Mutex<Kept>>>) -> Result<Json<JwkSet>, StatusCode> {
    let mut kept = kept.lock().unwrap();
    kept.asked += 1;
    if kept.away {
        return Err(StatusCode::BAD_GATEWAY);
    }
    Ok(Json(JwkSet { keys: kept.published.clone() }))
}

fn form(body: &str) -> BTreeMap<String, String> {
    let url: reqwest::Url = format!("http://localhost/?{body}").parse().unwrap();
    url.query_pairs().into_owned().collect()
}

async fn token(State(kept): State<Arc<Mutex<Kept>>>, body: String) -> Response {
    let form = form(&body);
    let mut kept = kept.lock().unwrap();
    if form.get("client_id").map(String::as_str) != Some(CLI) {
        return redeem(&mut kept, &form).into_response();
    }
    if kept.away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let (key, issuer) = (kept.key.clone().unwrap(), kept.issuer.clone());
    let now = Timestamp::now().as_second();
    let sign = |who: &str, groups: &[String]| {
        key.sign(&json!({
            "iss": issuer, "aud": AUDIENCE, "sub": who, "groups": groups, "iat": now, "exp": now + 300,
            "jti": uuid::Uuid::new_v4().to_string(),
        }))
    };
    said(kept.devices.token(form, sign))
}

fn said((status, body): Said) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    if body.is_null() { status.into_response() } else { (status, Json(body)).into_response() }
}

async fn device_code(State(kept): State<Arc<Mutex<Kept>>>, body: String) -> Response {
    let mut kept = kept.lock().unwrap();
    if kept.away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let issuer = kept.issuer.clone();
    said(kept.devices.code(&issuer, form(&body)))
}

async fn revoke(State(kept): State<Arc<Mutex<Kept>>>, body: String) -> Response {
    let mut kept = kept.lock().unwrap();
    if kept.away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    said(kept.devices.revoke(&form(&body)))
}

fn redeem(kept: &mut Kept, form: &BTreeMap<String, String>) -> Answer {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    // A code counts once.
    let Some(waiting) = kept.waiting.remove(field("code")) else { return Err(StatusCode::BAD_REQUEST) };
    let verified = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier"))) == waiting.challenge;
    let right = field("grant_type") == "authorization_code"
        && field("client_id") == CLIENT
        && field("client_secret") == "the-secret-of-the-client"
        && field("redirect_uri") == waiting.callback;
    if !verified || !right {
        return Err(StatusCode::BAD_REQUEST);
    }
    let key = kept.key.clone().unwrap();
    let now = Timestamp::now().as_second();
    let nonce = kept.nonce.clone().unwrap_or(waiting.nonce);
    let id_token = key.sign(&json!({
        "iss": kept.issuer, "aud": CLIENT, "sub": waiting.who, "groups": waiting.groups, "nonce": nonce,
        "iat": now, "exp": now + 300,
    }));
    Ok(Json(json!({"id_token": id_token, "access_token": "opaque", "token_type": "Bearer"})))
}
