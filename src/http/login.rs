//! Login of people by their browsers, and who somebody is.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, HeaderName, LOCATION, SET_COOKIE};
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::{self, Caller, Via};
use super::problem::Problem;
use super::{Server, session};
use crate::config::oidc::Login;
use crate::domain::access::{All, Customers};
use crate::domain::audit;
use crate::oidc::{Attempt, Provider, TokenError};

/// What a browser keeps while it is at the provider.
const ATTEMPT: &str = "orchestrator-login";

/// How long a login at the provider may take, in seconds.
const PATIENCE: i64 = 600;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(ways))
        .routes(routes!(me))
        .routes(routes!(login))
        .routes(routes!(callback))
        .routes(routes!(logout))
}

/// The ways to log in here.
#[derive(Debug, Serialize, ToSchema)]
struct Ways {
    /// Nobody has to: whoever is on this machine may do everything.
    local: bool,
    /// By the browser, at `/auth/login`.
    browser: bool,
    /// How the command line logs in; none where it needs a token.
    device: Option<Device>,
}

/// What the device flow (RFC 8628) needs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct Device {
    client_id: String,
    device_authorization_endpoint: String,
    token_endpoint: String,
    /// Where tokens are given back (RFC 7009); none where the provider cannot do that.
    revocation_endpoint: Option<String>,
    scopes: Vec<String>,
    /// For whom the access token is to be.
    audience: String,
}

/// How to log in.
#[utoipa::path(get, path = "/api/v1/login", tag = "login", security(()), responses(
    (status = 200, description = "The ways that there are", body = Ways),
))]
async fn ways(State(server): State<Server>) -> Result<Json<Ways>, Problem> {
    let oidc = server.settings.oidc.as_ref();
    let device = match (&server.provider, oidc.and_then(|oidc| oidc.device.as_ref())) {
        (Some(provider), Some(device)) => {
            let metadata = provider.metadata().await?;
            metadata.device_authorization_endpoint.map(|endpoint| Device {
                client_id: device.client_id.clone(),
                device_authorization_endpoint: endpoint,
                token_endpoint: metadata.token_endpoint,
                revocation_endpoint: metadata.revocation_endpoint,
                scopes: device.scopes.clone(),
                audience: provider.settings().audience.clone(),
            })
        }
        (Some(_) | None, _) => None,
    };
    let browser = oidc.is_some_and(|oidc| oidc.login.is_some());
    Ok(Json(Ways { local: !server.settings.has_login(), browser, device }))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// The name, as the journal and the audit have it.
    name: String,
    /// `local`, `token`, `certificate`, `access-token` or `session`.
    via: &'static str,
    /// What a write needs as `X-CSRF-Token`; there for a session alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    csrf: Option<String>,
    /// What may be done.
    grants: Vec<Granted>,
}

/// A role, and for whom.
#[derive(Debug, Serialize, ToSchema)]
struct Granted {
    /// `viewer`, `operator`, `approver` or `admin`.
    role: &'static str,
    /// The customers; none where it is for all, also those to come.
    customers: Option<Vec<String>>,
}

/// Who asks, and what that one may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "login", responses(
    (status = 200, description = "Who it is", body = Me),
))]
async fn me(caller: Caller) -> Json<Me> {
    let grants = caller.grants().iter().map(|grant| Granted {
        role: grant.role.word(),
        customers: match &grant.customers {
            Customers::All(All::All) => None,
            Customers::These(these) => Some(these.iter().map(ToString::to_string).collect()),
        },
    });
    let csrf = match &caller.via {
        Via::Session { csrf } => Some(csrf.clone()),
        Via::Local | Via::Token | Via::Certificate | Via::AccessToken => None,
    };
    Json(Me { grants: grants.collect(), via: caller.via.word(), csrf, name: caller.name().to_owned() })
}

/// Where to go after a login.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Return {
    /// A path of this server; its root where it is not given.
    r#return: Option<String>,
}

/// Sends a browser to the provider.
#[utoipa::path(get, path = "/auth/login", tag = "login", security(()), params(Return), responses(
    (status = 303, description = "To the provider"),
    (status = 404, description = "There is no login by the browser", body = Problem,
        content_type = "application/problem+json"),
))]
async fn login(
    State(server): State<Server>,
    headers: HeaderMap,
    Query(asked): Query<Return>,
) -> Result<Response, Problem> {
    shown(&headers, begin(&server, asked).await)
}

async fn begin(server: &Server, asked: Return) -> Result<Response, Problem> {
    let (provider, login) = by_browser(server)?;
    let attempt = Attempt::new();
    let url = provider.login_url(login, &attempt).await?;
    let back = asked.r#return.filter(|path| is_own_path(path)).unwrap_or_else(|| "/".into());
    let kept = kept(&attempt, &back);
    let cookie = session::cookie(login, ATTEMPT, "/auth", &kept, PATIENCE)?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, url)], [(SET_COOKIE, cookie)]).into_response())
}

/// What a browser brings back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Brought {
    /// What the provider gave it.
    code: Option<String>,
    /// What we gave it.
    state: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Takes a browser back from the provider.
#[utoipa::path(get, path = "/auth/callback", tag = "login", security(()), params(Brought), responses(
    (status = 303, description = "Logged in: back to where it began"),
    (status = 401, description = "The login is worth nothing", body = Problem,
        content_type = "application/problem+json"),
    (status = 404, description = "There is no login by the browser", body = Problem,
        content_type = "application/problem+json"),
))]
async fn callback(
    State(server): State<Server>,
    headers: HeaderMap,
    extensions: Extensions,
    Query(brought): Query<Brought>,
) -> Result<Response, Problem> {
    shown(&headers, end(&server, &headers, &extensions, brought).await)
}

async fn end(
    server: &Server,
    headers: &HeaderMap,
    extensions: &Extensions,
    brought: Brought,
) -> Result<Response, Problem> {
    let (provider, login) = by_browser(server)?;
    let began = session::read(headers, ATTEMPT).and_then(|kept| unkept(&kept));
    let began = began.ok_or_else(|| Problem::unauthenticated("this browser began no login; try again"))?;
    let (attempt, back) = began;
    let state = brought.state.unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(attempt.state.expose_secret().as_bytes())) {
        return Err(Problem::unauthenticated("this is the answer to another login; try again"));
    }
    let Some(code) = brought.code else {
        tracing::warn!(error = ?brought.error, "the provider did not log somebody in");
        return Err(Problem::unauthenticated("the provider did not log you in"));
    };
    let person = provider.redeem(login, &attempt, &code).await?;
    tracing::info!(caller = person.name, groups = person.groups.len(), "logged in");
    let cookie = session::begin(server, login, person, extensions, Timestamp::now()).await?;
    let over = session::cookie(login, ATTEMPT, "/auth", &SecretString::from("-"), 0)?;
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response();
    response.headers_mut().append(SET_COOKIE, cookie);
    response.headers_mut().append(SET_COOKIE, over);
    Ok(response)
}

/// Somebody in front of a browser is led to the page, which says that the login did not work; programs get the problem.
/// The address only holds which of the page's own sentences it is: anybody can make somebody follow a link.
fn shown(headers: &HeaderMap, result: Result<Response, Problem>) -> Result<Response, Problem> {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match result {
        Err(problem) if accepts.contains("text/html") => {
            let word = match StatusCode::from_u16(problem.status) {
                Ok(StatusCode::UNAUTHORIZED) => "refused",
                Ok(StatusCode::NOT_FOUND) => "absent",
                _ => "unavailable",
            };
            Ok((StatusCode::SEE_OTHER, [(LOCATION, format!("/#/login?{word}"))]).into_response())
        }
        result => result,
    }
}

/// Ends a login.
#[utoipa::path(post, path = "/auth/logout", tag = "login", security(()), responses(
    (status = 204, description = "It is over, or never was"),
))]
async fn logout(
    State(server): State<Server>,
    method: Method,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, login) = by_browser(&server)?;
    if let Some((id, found)) = session::of(&server, login, &headers).await? {
        session::check_is_ours(login, &found, &method, &headers)?;
        let origin = caller::origin(&extensions, &found.person.name, audit::Via::Http);
        server.app.store.end_session(&id, &origin, Timestamp::now()).await?;
    }
    let over = session::cookie(login, session::name(login), "/", &SecretString::from("-"), 0)?;
    const CLEAR: HeaderName = HeaderName::from_static("clear-site-data");
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, over)], [(CLEAR, "\"cache\"")]).into_response())
}

fn by_browser(server: &Server) -> Result<(&Provider, &Login), Problem> {
    let provider = server.provider.as_ref();
    let found = provider.and_then(|provider| Some((provider, provider.settings().login.as_ref()?)));
    found.ok_or_else(|| Problem::not_found("login by the browser"))
}

/// What the browser keeps. It is its own secret: whoever could read the cookie could log in as well.
fn kept(attempt: &Attempt, back: &str) -> SecretString {
    use base64::Engine;
    let Attempt { state, nonce, verifier } = attempt;
    let back = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(back);
    let (state, nonce, verifier) = (state.expose_secret(), nonce.expose_secret(), verifier.expose_secret());
    SecretString::from(format!("{state}.{nonce}.{verifier}.{back}"))
}

fn unkept(kept: &SecretString) -> Option<(Attempt, String)> {
    use base64::Engine;
    let mut parts = kept.expose_secret().split('.');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (state, nonce, verifier, back) = (next()?, next()?, next()?, next()?);
    let attempt = Attempt { state: state.into(), nonce: nonce.into(), verifier: verifier.into() };
    let back = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(back).ok()?;
    let back = String::from_utf8(back).ok().filter(|path| is_own_path(path))?;
    Some((attempt, back))
}

/// Whether a place to go to is on this server. Browsers take `//host` and `/\host` for other servers.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 1000
        && !path[1..].starts_with(['/', '\\'])
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Refused(reason) => Self::unauthenticated(reason),
            TokenError::Unavailable(reason) => {
                tracing::error!(reason, "the login provider does not answer");
                Self::later("the login provider does not answer now; try again", 5)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_this_server_alone() {
        for (path, own) in [
            ("/", true),
            ("/#/deployments/d-1", true),
            ("/a?b=c", true),
            ("", false),
            ("a", false),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("https://evil.example/", false),
            ("/a\r\nset-cookie: x=y", false),
            ("/\u{e9}", false),
        ] {
            assert_eq!(is_own_path(path), own, "{path:?}");
        }
    }

    #[test]
    fn what_a_browser_keeps_comes_back_as_it_was() {
        let attempt = Attempt::new();
        let (again, back) = unkept(&kept(&attempt, "/a?b=c.d")).unwrap();
        assert_eq!(again.state.expose_secret(), attempt.state.expose_secret());
        assert_eq!(again.verifier.expose_secret(), attempt.verifier.expose_secret());
        assert_eq!(back, "/a?b=c.d");
        for wrong in ["", "a", "a.b.c", "a.b.c.!", "...", "a.b.c.Ly9ldmls"] {
            assert!(unkept(&SecretString::from(wrong)).is_none(), "{wrong}");
        }
    }
}
