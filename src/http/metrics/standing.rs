//! How things stand, read from the store for each scrape.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64};

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::spread::{Counted, CountedCalls};
use super::{ByBlocker, ByCall, ByCustomer, ByCustomerAndBlocker, ByNotification, Meters, PREFIX};
use crate::domain::deployment::Deployment;
use crate::http::problem::Problem;
use crate::http::{Server, page};
use crate::ports::{ApiCalls, ApiTimes};
use crate::store::{Notified, Stats, StoreError, Waiting};

/// How things stand.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Deployments that are not over, by customer. None is a number too: who watches is to see it.
    pub(super) active: BTreeMap<String, u64>,
    /// Services that are healthy, by customer.
    pub(super) healthy: BTreeMap<String, u64>,
    /// Services that wait, by blocker.
    pub(super) blocked: BTreeMap<&'static str, u64>,
    /// The longest that a service is where it is, in seconds, by customer and blocker.
    pub(super) longest: BTreeMap<(String, &'static str), f64>,
    /// Time waited, in seconds, by blocker.
    pub(super) waited: BTreeMap<&'static str, f64>,
    /// Whether this process works on the deployments.
    pub(super) leads: bool,
    pub(super) waiting: Waiting,
    /// How long the oldest event waits, in seconds.
    pub(super) oldest_event: f64,
    pub(super) stats: Stats,
    /// What became of notifications.
    pub(super) notified: Vec<Notified>,
    pub(super) calls: Vec<ApiCalls>,
    pub(super) times: Vec<ApiTimes>,
}

impl Standing {
    /// Reads how things stand.
    pub(super) async fn read(server: &Server) -> Result<Self, Problem> {
        let (store, meters, now) = (&server.app.store, &server.meters, Timestamp::now());
        let mut standing = Self::default();
        for count in store.counts(None).await? {
            let number = if count.finished { 0 } else { count.count };
            *standing.active.entry(meters.label(&count.customer)).or_default() += number;
        }
        for (customer, progress) in page::readable(store.progress().await?) {
            let passing = progress.services.iter().filter(|service| service.passes()).count();
            *standing.healthy.entry(meters.label(&customer)).or_default() += passing as u64;
        }
        for deployment in page::readable(store.unfinished().await?) {
            standing.add_blocked(meters, &deployment, now);
        }
        if let Ok(mut waits) = meters.waits.lock() {
            standing.waited = waits.told(now);
        }
        standing.leads = leads(server).await?;
        standing.waiting = store.waiting().await?;
        standing.oldest_event = standing.waiting.oldest_event.map_or(0.0, |at| since(at, now));
        standing.notified = store.notified().await?;
        standing.stats = store.stats();
        standing.calls = server.app.cluster.calls();
        standing.times = server.app.cluster.times();
        Ok(standing)
    }

    fn add_blocked(&mut self, meters: &Meters, deployment: &Deployment, now: Timestamp) {
        let since_when: BTreeMap<&str, Option<Timestamp>> =
            deployment.services().map(|(change, state)| (change.name(), state.since())).collect();
        let customer = meters.label(&deployment.brief.plan.customer);
        for (service, blocker) in deployment.blockers() {
            *self.blocked.entry(blocker.word()).or_default() += 1;
            let seconds = since_when.get(service).copied().flatten().map_or(0.0, |at| since(at, now));
            let longest = self.longest.entry((customer.clone(), blocker.word())).or_default();
            *longest = longest.max(seconds);
        }
    }

    /// All of it, ready to be written.
    pub(super) fn registry(self) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        self.register_services(&mut registry);
        self.register_queues(&mut registry);
        self.register_notified(&mut registry);
        self.register_calls(&mut registry);
        let help = "How long requests to the Kubernetes API took until the answer began";
        registry.register_with_unit(
            "kubernetes_request_duration",
            help,
            Unit::Seconds,
            CountedCalls(self.times),
        );
        let Stats { writes, commits, committing, reading, .. } = self.stats;
        registry.register("writes", "Writes to the database", counter(writes));
        registry.register("commits", "Commits of the database", counter(commits));
        let help = "How long transactions of the database took, their fsync included";
        registry.register_with_unit("store_commit_duration", help, Unit::Seconds, Counted(committing));
        let help = "How long reads of the database took, the wait for a free connection included";
        registry.register_with_unit("store_read_duration", help, Unit::Seconds, Counted(reading));
        registry
    }

    fn register_services(&self, registry: &mut Registry) {
        let by_customer = |numbers: &BTreeMap<String, u64>| {
            let family: Family<ByCustomer, Gauge> = Family::default();
            for (customer, number) in numbers {
                let labels = ByCustomer { customer: customer.clone() };
                family.get_or_create(&labels).set(number.cast_signed());
            }
            family
        };
        registry.register("deployments_active", "Deployments that are not over", by_customer(&self.active));
        let help = "Services that are healthy, by the latest deployment of their customer";
        registry.register("microservices_healthy", help, by_customer(&self.healthy));
        let blocked: Family<ByBlocker, Gauge> = Family::default();
        for (blocker, number) in &self.blocked {
            blocked.get_or_create(&ByBlocker { blocker }).set(number.cast_signed());
        }
        registry.register("blocked_services", "Unfinished services, by what they wait for", blocked);
        let longest: Family<ByCustomerAndBlocker, Gauge<f64, AtomicU64>> = Family::default();
        for ((customer, blocker), seconds) in &self.longest {
            let labels = ByCustomerAndBlocker { customer: customer.clone(), blocker };
            longest.get_or_create(&labels).set(*seconds);
        }
        let help = "The longest that an unfinished service is where it is, by what it waits for now";
        registry.register_with_unit("blocked_longest", help, Unit::Seconds, longest);
        let waited: Family<ByBlocker, Counter<f64, AtomicU64>> = Family::default();
        for (blocker, seconds) in &self.waited {
            waited.get_or_create(&ByBlocker { blocker }).inc_by(*seconds);
        }
        let help = "Time that services waited, each for itself, by what they waited for";
        registry.register_with_unit("blocked", help, Unit::Seconds, waited);
    }

    fn register_queues(&self, registry: &mut Registry) {
        let Self { waiting, stats, .. } = self;
        let help = "1 where this process works on the deployments, 0 where another one took over";
        registry.register("leader_election_status", help, gauge(u64::from(self.leads)));
        registry.register("events_waiting", "Events that wait to be worked on", gauge(waiting.events));
        let oldest: Gauge<f64, AtomicU64> = Gauge::default();
        oldest.set(self.oldest_event);
        let help = "How long the oldest event that waits to be worked on does so; 0 where none waits";
        registry.register_with_unit("events_oldest", help, Unit::Seconds, oldest);
        registry.register(
            "deployments_queued",
            "Deployments that wait for their turn",
            gauge(waiting.queued),
        );
        let help = "Inputs from people and newer deployments that the worker has not taken yet";
        registry.register("inputs_waiting", help, gauge(waiting.inputs));
        registry.register("dead_letters", "Requests that could not succeed", gauge(waiting.dead_letters));
        registry.register(
            "writes_waiting",
            "Writes that wait for the next commit",
            gauge(stats.queued as u64),
        );
    }

    fn register_notified(&self, registry: &mut Registry) {
        let notified: Family<ByNotification, Counter> = Family::default();
        for Notified { target, trigger, outcome, count } in &self.notified {
            let labels =
                ByNotification { target: target.clone(), trigger: trigger.clone(), outcome: outcome.clone() };
            notified.get_or_create(&labels).inc_by(*count);
        }
        let help = "Notifications, by what became of them, since the database was made";
        registry.register("notifications", help, notified);
    }

    fn register_calls(&self, registry: &mut Registry) {
        let calls: Family<ByCall, Counter> = Family::default();
        for ApiCalls { verb, resource, outcome, count } in &self.calls {
            calls.get_or_create(&ByCall { verb, resource, outcome }).inc_by(*count);
        }
        let help = "Requests to the Kubernetes API, by what became of them";
        registry.register("kubernetes_requests", help, calls);
    }
}

/// Whether the worker of this process is the one in force.
async fn leads(server: &Server) -> Result<bool, StoreError> {
    Ok(server.epoch > 0 && server.app.store.epoch().await? == server.epoch)
}

fn since(at: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(at).as_secs_f64().max(0.0)
}

fn gauge(value: u64) -> impl Metric {
    let gauge: Gauge<i64, AtomicI64> = Gauge::default();
    gauge.set(value.cast_signed());
    gauge
}

fn counter(value: u64) -> impl Metric {
    let counter: Counter<u64, AtomicU64> = Counter::default();
    counter.inc_by(value);
    counter
}
