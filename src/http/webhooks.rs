//! Webhooks: what tells of pushes. Each is stored, or kept as a dead letter, exactly as the trigger does it.
//!
//! Who speaks is settled before anything is understood: a signature of the source's own secret, which the route
//! chooses, or a sensor's token. A push only says that a ref moved, so one that is sent again, or an old one, changes
//! nothing.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actuator::{self, Component};
use super::body::{Body, is_json, unread};
use super::caller;
use super::problem::Problem;
use super::signature::Signature;
use super::{Server, metrics};
use crate::app::receive::{Arrival, Receipt, Refusal, Scope, Taken};
use crate::config::http::SensorToken;
use crate::domain::audit::Via;
use crate::domain::names::SourceName;

/// What the paths of webhooks begin with.
pub(super) const PATH: &str = "/api/v1/webhooks/";

/// How long a delivery's id may be; GitHub's are UUIDs.
const ID_LENGTH: usize = 128;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(github))
        .routes(routes!(github_of))
        .routes(routes!(cac))
        .routes(routes!(argo_events))
        .routes(routes!(health))
}

type Answer = Result<(StatusCode, Json<Receipt>), Problem>;

/// A push to the repository of the default source, signed by GitHub.
#[utoipa::path(post, path = "/api/v1/webhooks/github", tag = "webhooks", security(("signature" = [])),
    request_body(content = Object, description = "GitHub's payload"), responses(
    (status = 200, description = "It was known already", body = Receipt),
    (status = 202, description = "It is stored, and will be worked on", body = Receipt),
))]
async fn github(State(server): State<Server>, request: Request) -> Answer {
    let source = server.settings.webhooks.default_source().cloned();
    signed(&server, source.as_ref(), request).await
}

/// A push to the repository of a source, signed by GitHub with the source's own secret.
#[utoipa::path(post, path = "/api/v1/webhooks/github/{source}", tag = "webhooks", security(("signature" = [])),
    params(("source" = String, Path, description = "The configured source")),
    request_body(content = Object, description = "GitHub's payload"), responses(
    (status = 200, description = "It was known already", body = Receipt),
    (status = 202, description = "It is stored, and will be worked on", body = Receipt),
))]
async fn github_of(State(server): State<Server>, Path(source): Path<SourceName>, request: Request) -> Answer {
    signed(&server, Some(&source), request).await
}

/// A push to the repository with the customers' Config as Code, signed like GitHub's.
#[utoipa::path(post, path = "/api/v1/webhooks/cac", tag = "webhooks", security(("signature" = [])),
    request_body(content = Object, description = "GitHub's payload"), responses(
    (status = 200, description = "It was known already", body = Receipt),
    (status = 202, description = "It is stored, and will be worked on", body = Receipt),
))]
async fn cac(State(server): State<Server>, request: Request) -> Answer {
    let source = server.settings.webhooks.cac_source().cloned();
    signed(&server, source.as_ref(), request).await
}

async fn signed(server: &Server, source: Option<&SourceName>, request: Request) -> Answer {
    let refused = || {
        server.meters.refused(metrics::Refused::Signature);
        // An unknown source and a wrong signature are the same, so that nobody can ask which sources there are.
        Problem::unauthenticated("the signature is missing or wrong")
    };
    let (headers, extensions) = (request.headers().clone(), request.extensions().clone());
    let webhook = server.settings.webhooks.github.iter().find(|webhook| Some(&webhook.source) == source);
    let signature = Signature::of(&headers);
    let (Some(webhook), Some(signature)) = (webhook, signature) else { return Err(refused()) };
    let body = Bytes::from_request(request, server).await.map_err(unread)?;
    if !signature.is_of(&body, &webhook.secrets) {
        return Err(refused());
    }
    if !is_json(&headers) {
        let detail = "choose `application/json` as the webhook's content type";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let repository = server.app.config.source(&webhook.source).map(|source| source.repository.as_str());
    let push = serde_json::from_slice::<Map<String, Value>>(&body).ok();
    let told = push.as_ref().and_then(|push| push.get("repository")?.get("full_name")?.as_str());
    if let (Some(told), Some(repository)) = (told, repository)
        && !told.eq_ignore_ascii_case(repository)
    {
        server.meters.refused(metrics::Refused::Repository);
        return Err(Problem::forbidden("the secret of this webhook is that of another repository"));
    }
    let spec = Map::from_iter([("source".to_owned(), json!(webhook.source))]);
    let payload = match push {
        Some(push) => wrapped(push, &headers).to_string().into_bytes(),
        None => body.to_vec(),
    };
    let resource = Value::Object(spec.clone()).to_string().into_bytes();
    let origin = caller::origin(&extensions, webhook.source.as_str(), Via::Webhook);
    let arrival = Arrival { spec: Ok(spec), resource, payload, origin };
    let receipt = receive(server, Scope::default(), arrival).await?;
    if receipt.status == Taken::DeadLetter {
        // GitHub shows the answer to whoever looks after the webhook, and does not send it again by itself.
        let detail = format!("it can never succeed and was kept as the dead letter {}", receipt.event);
        return Err(Problem::input(detail, receipt.faults));
    }
    Ok(answer(receipt))
}

/// A push as a sensor would send it: with what GitHub says in its headers.
fn wrapped(mut push: Map<String, Value>, headers: &HeaderMap) -> Value {
    let text = |name: &'static str| {
        let value = headers.get(HeaderName::from_static(name))?.to_str().ok()?;
        (value.len() <= ID_LENGTH).then(|| value.to_owned())
    };
    if let Some(event) = text("x-github-event") {
        push.insert("X-GitHub-Event".into(), event.into());
    }
    let mut payload = Map::from_iter([("push".to_owned(), Value::Object(push))]);
    if let Some(delivery) = text("x-github-delivery") {
        payload.insert("delivery".into(), delivery.into());
    }
    Value::Object(payload)
}

/// What a sensor sends by HTTP, where it cannot call the trigger.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FromSensor {
    /// As the custom trigger's `spec`, all texts, without the token.
    #[serde(default)]
    #[schema(value_type = Object)]
    spec: Map<String, Value>,
    /// As the custom trigger's payload: `push`, `event` and `delivery`, or the body of a push.
    #[serde(default)]
    #[schema(value_type = Object)]
    payload: Map<String, Value>,
}

/// What a sensor sends with its token: events, and those that it could not deliver otherwise (`dlqTrigger`).
#[utoipa::path(post, path = "/api/v1/webhooks/argo-events", tag = "webhooks", request_body = FromSensor, responses(
    (status = 200, description = "It was known already, or can never succeed and was kept", body = Receipt),
    (status = 202, description = "It is stored, and will be worked on", body = Receipt),
))]
async fn argo_events(
    State(server): State<Server>,
    sensor: Sensor,
    extensions: Extensions,
    Body(sent): Body<FromSensor>,
) -> Answer {
    let FromSensor { mut spec, payload } = sent;
    // As it would stand in the trigger's `spec`; a credential is no part of what is kept.
    spec.remove("token");
    let resource = Value::Object(spec.clone()).to_string().into_bytes();
    let payload =
        if payload.is_empty() { Vec::new() } else { Value::Object(payload).to_string().into_bytes() };
    let Sensor(token) = sensor;
    let scope = Scope { sources: &token.sources, customers: &token.customers };
    let origin = caller::origin(&extensions, &token.name, Via::Webhook);
    Ok(answer(receive(&server, scope, Arrival { spec: Ok(spec), resource, payload, origin }).await?))
}

/// A sensor that has shown its token.
struct Sensor(SensorToken);

impl axum::extract::FromRequestParts<Server> for Sensor {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        server: &Server,
    ) -> Result<Self, Problem> {
        let tokens = &server.settings.webhooks.argo_events;
        let known = tokens.iter().map(|token| (&token.sha256, token));
        let found = caller::bearer(&parts.headers).and_then(|given| caller::find(known, given));
        match found {
            Ok(token) => {
                tracing::Span::current().record("caller", &token.name);
                Ok(Self(token.clone()))
            }
            Err(problem) => {
                server.meters.refused(metrics::Refused::Token);
                Err(problem)
            }
        }
    }
}

async fn receive(server: &Server, scope: Scope<'_>, arrival: Arrival) -> Result<Receipt, Problem> {
    server.app.receive(scope, arrival, Timestamp::now()).await.map_err(|refusal| match refusal {
        Refusal::NotCovered => {
            server.meters.refused(metrics::Refused::Scope);
            Problem::forbidden(Refusal::NotCovered.to_string())
        }
        Refusal::Store(error) => error.into(),
    })
}

fn answer(receipt: Receipt) -> (StatusCode, Json<Receipt>) {
    let fresh = receipt.status == Taken::Accepted && !receipt.duplicate;
    (if fresh { StatusCode::ACCEPTED } else { StatusCode::OK }, Json(receipt))
}

/// Whether webhooks are taken.
#[utoipa::path(get, path = "/api/v1/webhooks/health", tag = "webhooks", security(()), responses(
    (status = 200, description = "They are", body = Component),
    (status = 503, description = "Not now", body = Component),
))]
async fn health(State(server): State<Server>) -> (StatusCode, Json<Component>) {
    actuator::ready(&server).await.answer()
}
