//! Requests to the Kubernetes API, counted by what they were and what became of them, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use kube::client::Body;
use tower::{Layer, Service};

use crate::domain::spread::Durations;
use crate::ports::{ApiCalls, ApiTimes};

/// The resources that are told apart: those that this adapter asks for. Others are one, so that a path that
/// somebody makes up does not become a label.
const RESOURCES: [&str; 14] = [
    "applications",
    "applicationsets",
    "appprojects",
    "controllerrevisions",
    "daemonsets",
    "deployments",
    "endpointslices",
    "jobs",
    "namespaces",
    "pods",
    "replicasets",
    "rollouts",
    "services",
    "statefulsets",
];

/// Any other resource, and what is no resource.
const OTHER: &str = "other";

/// The upper bounds of the buckets in seconds: those of Kubernetes' own clients.
const BOUNDS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];

/// Verb and resource.
type Sort = (&'static str, &'static str);

/// Counts requests. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    sorts: Arc<Mutex<BTreeMap<Sort, Counted>>>,
}

/// What is known of one sort.
#[derive(Debug)]
struct Counted {
    outcomes: BTreeMap<&'static str, u64>,
    took: Durations,
}

impl Default for Counted {
    fn default() -> Self {
        Self { outcomes: BTreeMap::new(), took: Durations::new(&BOUNDS) }
    }
}

impl Calls {
    /// What was counted.
    pub(super) fn counted(&self) -> Vec<ApiCalls> {
        let Ok(sorts) = self.sorts.lock() else { return Vec::new() };
        let of = |((verb, resource), counted): (&Sort, &Counted)| -> Vec<ApiCalls> {
            let outcomes = counted.outcomes.iter();
            outcomes.map(|(outcome, count)| ApiCalls { verb, resource, outcome, count: *count }).collect()
        };
        sorts.iter().flat_map(of).collect()
    }

    /// How long those took that were answered.
    pub(super) fn times(&self) -> Vec<ApiTimes> {
        let Ok(sorts) = self.sorts.lock() else { return Vec::new() };
        let times = sorts.iter().map(|((verb, resource), counted)| ApiTimes {
            verb,
            resource,
            took: counted.took.spread(),
        });
        times.filter(|times| times.took.count() > 0).collect()
    }

    /// Counts a request, with how long its answer took if there was one.
    fn count(&self, sort: Sort, outcome: &'static str, took: Option<Duration>) {
        let Ok(mut sorts) = self.sorts.lock() else { return };
        let counted = sorts.entry(sort).or_default();
        *counted.outcomes.entry(outcome).or_default() += 1;
        if let Some(took) = took {
            counted.took.add(took);
        }
    }
}

/// The verb, as Kubernetes calls it, and the resource of a request.
fn asked(method: &hyper::Method, uri: &hyper::Uri) -> (&'static str, &'static str) {
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    // `/api/v1/...` or `/apis/<group>/<version>/...`.
    match parts.next() {
        Some("api") => parts.next(),
        Some("apis") => parts.nth(1),
        Some(_) | None => None,
    };
    let mut rest: Vec<&str> = parts.collect();
    // `namespaces/<name>/<resource>` is about the resource, `namespaces/<name>` about the namespace.
    if rest.first() == Some(&"namespaces") && rest.len() > 2 {
        rest.drain(..2);
    }
    let resource = rest.first().and_then(|name| RESOURCES.into_iter().find(|known| known == name));
    let watches = uri
        .query()
        .is_some_and(|query| query.split('&').any(|part| matches!(part, "watch=true" | "watch=1")));
    let verb = match method.as_str() {
        "GET" if watches => "watch",
        "GET" if rest.len() == 1 => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => OTHER,
    };
    (verb, resource.unwrap_or(OTHER))
}

/// What became of a request that was answered.
fn outcome(status: hyper::StatusCode) -> &'static str {
    match status.as_u16() {
        100..=399 => "ok",
        404 => "not-found",
        409 => "conflict",
        410 => "gone",
        429 => "throttled",
        400..=499 => "refused",
        _ => "failed",
    }
}

impl<S> Layer<S> for Calls {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting { inner, calls: self.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Debug)]
pub(super) struct Counting<S> {
    inner: S,
    calls: Calls,
}

impl<S, B> Service<hyper::Request<Body>> for Counting<S>
where
    S: Service<hyper::Request<Body>, Response = hyper::Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        let sort = asked(request.method(), request.uri());
        let calls = self.calls.clone();
        let began = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let became = answer.as_ref().map_or("unreachable", |answer| outcome(answer.status()));
            calls.count(sort, became, answer.is_ok().then(|| began.elapsed()));
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_its_verb_and_resource() {
        let argo = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
        for (method, uri, expected) in [
            ("GET", argo.to_owned(), ("list", "applications")),
            ("GET", format!("{argo}?&watch=true&timeoutSeconds=290"), ("watch", "applications")),
            ("GET", format!("{argo}/customer-a-web"), ("get", "applications")),
            ("PATCH", format!("{argo}/customer-a-web?&fieldManager=x"), ("patch", "applications")),
            ("POST", format!("{argo}?"), ("create", "applications")),
            ("DELETE", format!("{argo}/customer-a-web"), ("delete", "applications")),
            ("GET", "/api/v1/namespaces".into(), ("list", "namespaces")),
            ("PATCH", "/api/v1/namespaces/customer-a".into(), ("patch", "namespaces")),
            ("GET", "/api/v1/namespaces/customer-a/services/web".into(), ("get", "services")),
            ("GET", "/apis/apps/v1/namespaces/a/deployments/web/status".into(), ("get", "deployments")),
            ("GET", "/api/v1/namespaces/a/secrets".into(), ("list", OTHER)),
            ("GET", "/version".into(), ("get", OTHER)),
            ("OPTIONS", "/".into(), (OTHER, OTHER)),
        ] {
            let asked = asked(&method.parse().unwrap(), &uri.parse().unwrap());
            assert_eq!(asked, expected, "{method} {uri}");
        }
    }

    #[tokio::test]
    async fn what_became_of_requests_is_counted_and_what_never_was_answered_too() {
        let calls = Calls::default();
        for status in [Some(200), Some(200), Some(409), Some(503), None] {
            let inner = tower::service_fn(move |_: hyper::Request<Body>| async move {
                match status {
                    Some(status) => Ok(hyper::Response::builder().status(status).body(()).unwrap()),
                    None => Err("refused"),
                }
            });
            let request = hyper::Request::get("/api/v1/namespaces/a/pods").body(Body::empty()).unwrap();
            let _answer = calls.layer(inner).call(request).await;
        }
        let counted: Vec<_> =
            calls.counted().iter().map(|one| (one.verb, one.resource, one.outcome, one.count)).collect();
        let of = |outcome, count| ("list", "pods", outcome, count);
        assert_eq!(counted, [of("conflict", 1), of("failed", 1), of("ok", 2), of("unreachable", 1)]);
        let times: Vec<_> =
            calls.times().iter().map(|one| (one.verb, one.resource, one.took.count())).collect();
        assert_eq!(times, [("list", "pods", 4)], "what was never answered took no time that says anything");
    }
}
