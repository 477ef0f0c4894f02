//! Who calls: a bearer token of the configuration, or whoever is on this machine where there are none.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Server;
use super::problem::Problem;
use crate::config::http;
use crate::domain::access::{Access, Decision, Role};
use crate::domain::names::CustomerId;

/// The name of whoever is on this machine.
const LOCAL: &str = "local";

/// Who calls, and what that one may do.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The token's name.
    pub(super) name: String,
    /// Whether it is whoever is on this machine, where nobody else can call.
    pub(super) is_local: bool,
    access: Access,
}

impl Caller {
    /// The customers that are visible; none where all are.
    pub(super) fn visible(&self) -> Option<Vec<CustomerId>> {
        self.access.visible()
    }

    pub(super) fn sees(&self, customer: &CustomerId) -> bool {
        self.access.sees(customer)
    }

    /// Asks for a role with a customer. An unknown customer and an invisible one are the same.
    pub(super) fn need(&self, role: Role, customer: &CustomerId, what: &str) -> Result<(), Problem> {
        match self.access.decide(role, customer) {
            Decision::Allowed => Ok(()),
            Decision::Hidden => Err(Problem::not_found(what)),
            Decision::Forbidden => {
                tracing::warn!(caller = self.name, %customer, role = role.word(), "a role is missing");
                Err(Problem::forbidden(format!("this needs the role {} for {customer}", role.word())))
            }
        }
    }

    /// Asks for a role with all customers, for what belongs to none.
    pub(super) fn need_for_all(&self, role: Role) -> Result<(), Problem> {
        if self.access.covers_all(role) {
            return Ok(());
        }
        tracing::warn!(caller = self.name, role = role.word(), "a role for all is missing");
        Err(Problem::forbidden(format!("this needs the role {} for all customers", role.word())))
    }
}

impl FromRequestParts<Server> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Problem> {
        let tokens = &server.settings.tokens;
        let caller = if tokens.is_empty() {
            // Only a loopback address may be without tokens: see `Http::check_listener`.
            Self { name: LOCAL.to_owned(), is_local: true, access: Access::full() }
        } else {
            let known = tokens.iter().map(|token| (&token.sha256, token));
            let token = find(known, bearer(&parts.headers)?)?;
            Self { name: token.name.clone(), is_local: false, access: Access::new(token.roles.clone()) }
        };
        tracing::Span::current().record("caller", &caller.name);
        Ok(caller)
    }
}

/// The token of a request, whatever it is worth.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(Problem::unauthenticated("one `Authorization: Bearer` header is needed"));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Problem::unauthenticated("the `Authorization` header is not a bearer token"))
}

/// Whose token it is. All are compared, each in constant time and by its hash, so that time tells nothing of any.
pub(super) fn find<'a, T>(
    known: impl Iterator<Item = (&'a http::Digest, &'a T)>,
    given: &str,
) -> Result<&'a T, Problem> {
    let given = Sha256::digest(given.as_bytes());
    let mut found = None;
    for (digest, owner) in known {
        if bool::from(digest.bytes().ct_eq(given.as_slice())) {
            found = Some(owner);
        }
    }
    found.ok_or_else(|| Problem::unauthenticated("the token is not known"))
}
