//! The OpenAPI document, made from the routes themselves.

use std::sync::LazyLock;

use axum::Json;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
    Schema,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{MEDIA_TYPE, Problem};
use super::{Server, idempotency};

/// The name of the way to log in.
const BEARER: &str = "bearer";

/// The name of what webhooks do instead; their routes name it themselves.
const SIGNATURE: &str = "signature";

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "probes", security(()), responses(
    (status = 200, description = "The OpenAPI document of this server", body = Object),
))]
async fn openapi() -> Json<&'static OpenApi> {
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(super::openapi);
    Json(&DOCUMENT)
}

/// Adds what is the same for every operation: who may call, and the problems that it may answer.
pub(super) fn document(mut api: OpenApi) -> OpenApi {
    api.info = InfoBuilder::new()
        .title("argocd-orchestrator")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Deploys services in dependency order through Argo CD."))
        .build();
    let components = api.components.get_or_insert_with(Components::new);
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let signature =
        ApiKeyValue::with_description("X-Hub-Signature-256", "GitHub's HMAC-SHA256 over the body");
    components.add_security_scheme(SIGNATURE, SecurityScheme::ApiKey(ApiKey::Header(signature)));
    components.add_security_scheme(BEARER, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for (path, item) in &mut api.paths.paths {
        let operations = [(&mut item.get, "get"), (&mut item.post, "post"), (&mut item.put, "put")];
        for (operation, method) in operations {
            if let Some(operation) = operation {
                complete(path, operation, method);
            }
        }
    }
    api
}

fn complete(path: &str, operation: &mut Operation, method: &'static str) {
    let writes = method != "get";
    // The names of functions are those of their modules, and not unique.
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    operation.operation_id = Some(std::iter::once(method).chain(words).collect::<Vec<_>>().join("_"));
    let open =
        operation.security.as_ref().is_some_and(|needed| needed.contains(&SecurityRequirement::default()));
    let mut problems = vec![429, 503];
    if !open {
        let bearer = || vec![SecurityRequirement::new(BEARER, Vec::<String>::new())];
        operation.security.get_or_insert_with(bearer);
        problems.extend([401, 403]);
    }
    // What is put is the same when it is put again.
    if method == "post" && idempotency::applies(path) {
        add_header(operation, "Idempotency-Key", "The same key again is the same request, for a day");
    }
    if writes && path.starts_with("/api/v1/deployments/") {
        add_header(operation, "If-Match", "The `ETag` of the deployment that was looked at");
    }
    let parameters: Vec<_> = operation.parameters.iter().flatten().filter_map(own).collect();
    if parameters.iter().any(|parameter| parameter.parameter_in != ParameterIn::Header) {
        problems.push(400);
    }
    if path.contains('{') || parameters.iter().any(|parameter| parameter.name == "customer") {
        problems.push(404);
    }
    if writes {
        problems.extend([400, 404, 409, 412, 413, 415, 422]);
    }
    for status in problems {
        operation.responses.responses.entry(status.to_string()).or_insert_with(|| problem(status));
    }
}

fn add_header(operation: &mut Operation, name: &str, description: &str) {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

/// A parameter that stands here, and not in the components.
fn own(parameter: &RefOr<Parameter>) -> Option<&Parameter> {
    if let RefOr::T(parameter) = parameter { Some(parameter) } else { None }
}

fn problem(status: u16) -> RefOr<utoipa::openapi::Response> {
    let said = axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let schema: RefOr<Schema> = Ref::from_schema_name(Problem::name()).into();
    ResponseBuilder::new()
        .description(said.unwrap_or("Problem"))
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(schema)).build())
        .build()
        .into()
}
