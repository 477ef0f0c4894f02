//! Metrics, in the OpenMetrics text format: counters since the start of the server, and gauges as things stand.
//!
//! Labels are bounded: customers up to a configured number, everything else by words of ours.

mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::page;
use super::problem::Problem;
use crate::domain::access::Role;
use crate::domain::deployment::Deployment;
use crate::domain::names::CustomerId;

pub(super) use follow::follow;

/// What all names begin with.
const PREFIX: &str = "argocd_orchestrator";

/// The label of customers that are not told apart.
const OTHER: &str = "other";

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(metrics)).routes(routes!(actuator))
}

/// Why a caller was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// A webhook's signature is missing or wrong.
    Signature,
    /// A webhook's secret is that of another repository.
    Repository,
    /// A sensor's token is missing or wrong.
    Token,
    /// A token does not cover what was asked for.
    Scope,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCustomer {
    customer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    customer: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByBlocker {
    blocker: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
    status: u16,
}

/// What is counted.
pub(super) struct Meters {
    registry: Registry,
    told_apart: Mutex<BTreeSet<CustomerId>>,
    customers: usize,
    requests: Family<ByRoute, Counter>,
    refused: Family<ByReason, Counter>,
    deployments: Family<ByState, Counter>,
    sync_waves: Counter,
    wave_duration: Histogram,
    dependencies: Counter,
    health_checks: Family<ByResult, Counter>,
    rollbacks: Counter,
    retries: Counter,
    cac_sync: Histogram,
    to_first_sync: Histogram,
    to_healthy: Histogram,
    makespan: Histogram,
    critical_path: Histogram,
}

/// From a twentieth of a second to about an hour.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.05, 2.0, 17))
}

impl Meters {
    /// Nothing is counted yet. So many customers are told apart.
    pub(super) fn new(customers: usize) -> Self {
        let mut meters = Self {
            registry: Registry::with_prefix(PREFIX),
            told_apart: Mutex::default(),
            customers,
            requests: Family::default(),
            refused: Family::default(),
            deployments: Family::default(),
            sync_waves: Counter::default(),
            wave_duration: seconds(),
            dependencies: Counter::default(),
            health_checks: Family::default(),
            rollbacks: Counter::default(),
            retries: Counter::default(),
            cac_sync: seconds(),
            to_first_sync: seconds(),
            to_healthy: seconds(),
            makespan: seconds(),
            critical_path: seconds(),
        };
        meters.register();
        meters
    }

    /// The library adds `_total` to the names of counters.
    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("http_requests", "HTTP requests", self.requests.clone());
        registry.register("webhooks_refused", "Webhooks that were refused", self.refused.clone());
        registry.register("deployments", "Deployments that ended", self.deployments.clone());
        registry.register("sync_waves", "Sync waves that became healthy", self.sync_waves.clone());
        let help = "From the first sync of a wave until all of it was healthy";
        registry.register("sync_waves_duration_seconds", help, self.wave_duration.clone());
        registry.register(
            "dependencies_resolved",
            "Dependencies that were planned",
            self.dependencies.clone(),
        );
        registry.register("health_checks", "Verdicts about services", self.health_checks.clone());
        registry.register("rollbacks", "Rollbacks that began", self.rollbacks.clone());
        registry.register(
            "retries",
            "Attempts of services that failed and were repeated",
            self.retries.clone(),
        );
        let help = "From the arrival of an event until its deployment was planned";
        registry.register("cac_sync_duration_seconds", help, self.cac_sync.clone());
        let help = "From the arrival of an event until the first sync was requested";
        registry.register("push_to_first_sync_seconds", help, self.to_first_sync.clone());
        let help = "From the arrival of an event until everything was healthy";
        registry.register("push_to_healthy_seconds", help, self.to_healthy.clone());
        let help = "From the start of a deployment until its end";
        registry.register("makespan_seconds", help, self.makespan.clone());
        let help = "The longest chain of dependencies of a deployment, with the times that it really took";
        registry.register("critical_path_seconds", help, self.critical_path.clone());
    }

    pub(super) fn request(&self, route: &str, status: StatusCode) {
        let labels = ByRoute { route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }

    pub(super) fn refused(&self, reason: Refused) {
        let reason = match reason {
            Refused::Signature => "signature",
            Refused::Repository => "repository",
            Refused::Token => "token",
            Refused::Scope => "scope",
        };
        self.refused.get_or_create(&ByReason { reason }).inc();
    }

    /// The label of a customer: its name for the first ones that are seen.
    fn label(&self, customer: &CustomerId) -> String {
        let Ok(mut told_apart) = self.told_apart.lock() else { return OTHER.to_owned() };
        if told_apart.contains(customer) {
            return customer.to_string();
        }
        if told_apart.len() >= self.customers {
            return OTHER.to_owned();
        }
        told_apart.insert(customer.clone());
        customer.to_string()
    }
}

/// How things stand.
async fn standing(server: &Server) -> Result<Registry, Problem> {
    let (store, meters) = (&server.app.store, &server.meters);
    let mut registry = Registry::with_prefix(PREFIX);
    let active: Family<ByCustomer, Gauge> = Family::default();
    for count in store.counts(None).await? {
        let labels = ByCustomer { customer: meters.label(&count.customer) };
        // None is a number too: who watches is to see it.
        let number = if count.finished { 0 } else { count.count.cast_signed() };
        active.get_or_create(&labels).inc_by(number);
    }
    registry.register("deployments_active", "Deployments that are not over", active);

    let healthy: Family<ByCustomer, Gauge> = Family::default();
    for (customer, progress) in page::readable(store.progress().await?) {
        let passing = progress.services.iter().filter(|service| service.passes()).count();
        let labels = ByCustomer { customer: meters.label(&customer) };
        healthy.get_or_create(&labels).inc_by(i64::try_from(passing).unwrap_or(i64::MAX));
    }
    let help = "Services that are healthy, by the latest deployment of their customer";
    registry.register("microservices_healthy", help, healthy);

    let (blocked, waited) = blocked(&page::readable(store.unfinished().await?), Timestamp::now());
    registry.register("blocked_services", "Unfinished services, by what they wait for", blocked);
    let help = "Seconds for which unfinished services are where they are, by what they wait for now";
    registry.register("blocked_seconds", help, waited);

    let gauge = |value: i64| {
        let gauge: Gauge<i64, std::sync::atomic::AtomicI64> = Gauge::default();
        gauge.set(value);
        gauge
    };
    let leads = server.epoch > 0 && store.epoch().await? == server.epoch;
    let help = "1 where this process works on the deployments, 0 where another one took over";
    registry.register("leader_election_status", help, gauge(i64::from(leads)));
    let (events, letters) = store.backlog().await?;
    registry.register("events_waiting", "Events that wait to be worked on", gauge(events.cast_signed()));
    registry.register("dead_letters", "Requests that could not succeed", gauge(letters.cast_signed()));
    let queued = i64::try_from(store.stats().queued).unwrap_or(i64::MAX);
    registry.register("writes_waiting", "Writes that wait for the next commit", gauge(queued));
    let stats = store.stats();
    let counter = |value: u64| {
        let counter: Counter<u64, AtomicU64> = Counter::default();
        counter.inc_by(value);
        counter
    };
    registry.register("writes", "Writes to the database", counter(stats.writes));
    registry.register("commits", "Commits of the database", counter(stats.commits));
    Ok(registry)
}

/// How many services wait, and for how long they are where they are, by what they wait for.
fn blocked(
    unfinished: &[Deployment],
    now: Timestamp,
) -> (Family<ByBlocker, Gauge>, Family<ByBlocker, Gauge<f64, AtomicU64>>) {
    let blocked: Family<ByBlocker, Gauge> = Family::default();
    let waited: Family<ByBlocker, Gauge<f64, AtomicU64>> = Family::default();
    for deployment in unfinished {
        let since: BTreeMap<&str, Option<Timestamp>> =
            deployment.services().map(|(change, state)| (change.name(), state.since())).collect();
        for (service, blocker) in deployment.blockers() {
            let labels = ByBlocker { blocker: blocker.word() };
            blocked.get_or_create(&labels).inc();
            let since = since.get(service).copied().flatten().unwrap_or(now);
            waited.get_or_create(&labels).inc_by(now.duration_since(since).as_secs_f64().max(0.0));
        }
    }
    (blocked, waited)
}

type Text = ([(HeaderName, &'static str); 1], String);

async fn text(server: &Server, caller: &Caller) -> Result<Text, Problem> {
    caller.need_for_all(Role::Viewer)?;
    let standing = standing(server).await?;
    let mut text = String::new();
    let written = encode_registry(&mut text, &server.meters.registry)
        .and_then(|()| encode_registry(&mut text, &standing))
        .and_then(|()| encode_eof(&mut text));
    written.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the server"))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text))
}

/// Metrics for scrapers.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
async fn metrics(State(server): State<Server>, caller: Caller) -> Result<Text, Problem> {
    text(&server, &caller).await
}

/// The same metrics.
#[utoipa::path(get, path = "/actuator/metrics", tag = "probes", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
async fn actuator(State(server): State<Server>, caller: Caller) -> Result<Text, Problem> {
    text(&server, &caller).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_customers_are_told_apart() {
        let label = |meters: &Meters, name: &str| meters.label(&name.parse().unwrap());
        let meters = Meters::new(2);
        let labels: Vec<_> = ["a", "b", "c", "a", "d"].iter().map(|name| label(&meters, name)).collect();
        assert_eq!(labels, ["a", "b", OTHER, "a", OTHER]);
        assert_eq!(label(&Meters::new(0), "a"), OTHER);
    }
}
