//! Who calls: by a token of the configuration or of the login provider, by a client certificate, by a login of the
//! browser; or whoever is on this machine, where nobody has to say so.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Server;
use super::connection::Peer;
use super::problem::Problem;
use super::session;
use crate::config::http;
use crate::domain::access::{Access, Decision, Grant, Role};
use crate::domain::audit::{self, Origin};
use crate::domain::names::CustomerId;

/// The name of whoever is on this machine.
const LOCAL: &str = "local";

/// How somebody has said who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Via {
    /// Nobody has to: whoever is on this machine.
    Local,
    /// A token of the configuration.
    Token,
    /// A client certificate.
    Certificate,
    /// An access token of the provider.
    AccessToken,
    /// A login by the browser, and what its writes need.
    Session { csrf: String },
}

impl Via {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::AccessToken => "access-token",
            Self::Session { .. } => "session",
        }
    }
}

/// Who calls, and what that one may do.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Its name (the token's, the certificate's, or the one that the provider gives), and from where it calls.
    origin: Origin,
    /// How that is known.
    pub(super) via: Via,
    access: Access,
}

impl Caller {
    /// Whether it is whoever is on this machine, where nobody else can call.
    pub(super) fn is_local(&self) -> bool {
        self.via == Via::Local
    }

    /// A key for what belongs to one caller: names of different ways may be the same.
    pub(super) fn key(&self) -> String {
        let way = match &self.via {
            Via::AccessToken | Via::Session { .. } => "person",
            Via::Local | Via::Token | Via::Certificate => self.via.word(),
        };
        format!("{way}:{}", self.name())
    }

    /// Everything that was granted.
    pub(super) fn grants(&self) -> &[Grant] {
        self.access.grants()
    }

    pub(super) fn name(&self) -> &str {
        &self.origin.actor
    }

    /// Who it is and from where, for the audit.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

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
                tracing::warn!(caller = self.name(), %customer, role = role.word(), "a role is missing");
                Err(Problem::forbidden(format!("this needs the role {} for {customer}", role.word())))
            }
        }
    }

    /// Asks for a role with all customers, for what belongs to none.
    pub(super) fn need_for_all(&self, role: Role) -> Result<(), Problem> {
        if self.access.covers_all(role) {
            return Ok(());
        }
        tracing::warn!(caller = self.name(), role = role.word(), "a role for all is missing");
        Err(Problem::forbidden(format!("this needs the role {} for all customers", role.word())))
    }
}

impl FromRequestParts<Server> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Problem> {
        // Asked for more than once for a request, and settled once.
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let caller = identify(parts, server).await?;
        tracing::Span::current().record("caller", caller.name());
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

async fn identify(parts: &Parts, server: &Server) -> Result<Caller, Problem> {
    let settings = &server.settings;
    let make = |name: &str, via: Via, access: Access| Caller {
        origin: origin(&parts.extensions, name, audit::Via::Http),
        via,
        access,
    };
    if !settings.has_login() {
        // Only a loopback address may be without login: see `Http::check_listener`.
        return Ok(make(LOCAL, Via::Local, Access::full()));
    }
    if !parts.headers.contains_key(AUTHORIZATION) {
        let login = settings.oidc.as_ref().and_then(|oidc| Some((oidc, oidc.login.as_ref()?)));
        if let Some((oidc, login)) = login
            && let Some((_, found)) = session::of(server, login, &parts.headers).await?
        {
            session::check_is_ours(login, &found, &parts.method, &parts.headers)?;
            let access = oidc.access(&found.person.groups);
            return Ok(make(&found.person.name, Via::Session { csrf: found.csrf }, access));
        }
        let names = parts.extensions.get::<Peer>().map(|peer| peer.names.as_slice()).unwrap_or_default();
        if let Some(known) = settings.certificates.iter().find(|known| names.contains(&known.name)) {
            return Ok(make(&known.name, Via::Certificate, Access::new(known.roles.clone())));
        }
    }
    let given = bearer(&parts.headers)?;
    let known = settings.tokens.iter().map(|token| (&token.sha256, token));
    match (find(known, given), &server.provider) {
        (Ok(token), _) => Ok(make(&token.name, Via::Token, Access::new(token.roles.clone()))),
        (Err(_), Some(provider)) => {
            let person = provider.verify(given).await?;
            let access = provider.settings().access(&person.groups);
            Ok(make(&person.name, Via::AccessToken, access))
        }
        (Err(problem), None) => Err(problem),
    }
}

/// Who asks, and from where. The name of a webhook is that of its source or token.
pub(super) fn origin(extensions: &Extensions, name: &str, via: audit::Via) -> Origin {
    Origin {
        actor: name.to_owned(),
        via,
        address: extensions.get::<Peer>().map(|peer| peer.address.to_string()),
        request: extensions.get::<RequestId>().map(|id| id.0.clone()),
    }
}

/// The id of a request, as its answer and the log have it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

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
