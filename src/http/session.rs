//! A login by the browser: its cookie, and what a write needs beside it.
//!
//! A browser sends cookies on its own, also with what a page of somebody else makes it send. So a write needs a text
//! that only a page of ours can have read, and must not come from another origin.

use axum::http::header::{COOKIE, HeaderName, ORIGIN};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use super::{Server, caller};
use crate::config::oidc::Login;
use crate::domain::audit::Via;
use crate::domain::claims::Person;
use crate::oidc;
use crate::store::Session;

/// The header that a page of ours sends with each write.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// The name of the cookie. With the prefix a browser takes it from this very host and over HTTPS only.
pub(super) fn name(login: &Login) -> &'static str {
    if login.is_secure() { "__Host-orchestrator" } else { "orchestrator" }
}

/// Begins a login, and gives its cookie.
pub(super) async fn begin(
    server: &Server,
    login: &Login,
    person: Person,
    extensions: &Extensions,
    now: Timestamp,
) -> Result<HeaderValue, Problem> {
    let token = oidc::random();
    let expires_at = now.checked_add(login.lasts).unwrap_or(Timestamp::MAX);
    let csrf = oidc::random().expose_secret().to_owned();
    let origin = caller::origin(extensions, &person.name, Via::Http);
    let session = Session { person, csrf, expires_at };
    server.app.store.begin_session(&id(token.expose_secret()), &session, &origin, now).await?;
    cookie(login, name(login), "/", &token, login.lasts.as_secs())
}

/// The login that a request belongs to, with the hash under which it is stored.
pub(super) async fn of(
    server: &Server,
    login: &Login,
    headers: &HeaderMap,
) -> Result<Option<(String, Session)>, Problem> {
    let Some(token) = read(headers, name(login)) else { return Ok(None) };
    let id = id(token.expose_secret());
    let found = server.app.store.session(&id, Timestamp::now()).await?;
    Ok(found.map(|session| (id, session)))
}

/// Refuses a write that no page of ours has sent.
pub(super) fn check_is_ours(
    login: &Login,
    session: &Session,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    if origin.is_some_and(|origin| origin != login.origin().as_bytes()) {
        return Err(Problem::forbidden("this comes from a page of somebody else"));
    }
    let given = headers.get(CSRF).map(HeaderValue::as_bytes).unwrap_or_default();
    if !bool::from(given.ct_eq(session.csrf.as_bytes())) {
        let detail =
            "a write with a login cookie needs the header `X-CSRF-Token`; `/api/v1/me` tells its value";
        return Err(Problem::forbidden(detail));
    }
    Ok(())
}

/// What a cookie is stored by.
fn id(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))
}

/// A cookie that no script can read, and that other sites' pages do not make a browser send with a write.
pub(super) fn cookie(
    login: &Login,
    name: &str,
    path: &str,
    value: &SecretString,
    seconds: i64,
) -> Result<HeaderValue, Problem> {
    let secure = if login.is_secure() { "; Secure" } else { "" };
    let value = value.expose_secret();
    let text = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie =
        HeaderValue::from_str(&text).map_err(|_| Problem::bad_request("no cookie can hold this"))?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// A cookie of a request. One that is there twice is not believed: a neighbouring host may have set the other.
pub(super) fn read(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok());
    let mut found = all.flat_map(|header| header.split(';')).filter_map(|pair| {
        let (given, value) = pair.trim().split_once('=')?;
        (given == name).then_some(value)
    });
    let value = found.next().filter(|value| !value.is_empty())?;
    found.next().is_none().then(|| SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_only_where_it_is_there_once() {
        for (given, expected) in [
            (&["a=1; orchestrator=x; b=2"][..], Some("x")),
            (&["a=1", "orchestrator=x"], Some("x")),
            (&["orchestrator=x; orchestrator=y"], None),
            (&["orchestrator=x", "orchestrator=x"], None),
            (&["orchestrator="], None),
            (&["xorchestrator=x; orchestratorx=y; orchestrator"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for header in given {
                headers.append(COOKIE, HeaderValue::from_static(header));
            }
            let found = read(&headers, "orchestrator");
            assert_eq!(found.as_ref().map(ExposeSecret::expose_secret), expected, "{given:?}");
        }
    }
}
