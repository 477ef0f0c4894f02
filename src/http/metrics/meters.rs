//! What is counted since the server started, and what is counted since ever and read from the store when it starts.

use std::collections::BTreeSet;
use std::sync::Mutex;

use axum::http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::waits::Waits;
use super::{ByCustomer, ByReason, ByResult, ByRoute, ByState, ByVerdict, OTHER, PREFIX};
use crate::domain::names::CustomerId;

/// Why a caller was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Refused {
    /// A webhook's signature is missing or wrong.
    Signature,
    /// A webhook's secret is that of another repository.
    Repository,
    /// A sensor's token is missing or wrong.
    Token,
    /// A token does not cover what was asked for.
    Scope,
}

impl Refused {
    const ALL: [Self; 4] = [Self::Signature, Self::Repository, Self::Token, Self::Scope];

    fn word(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Repository => "repository",
            Self::Token => "token",
            Self::Scope => "scope",
        }
    }
}

type Times = Family<ByCustomer, Histogram, fn() -> Histogram>;

/// What is counted.
pub(in crate::http) struct Meters {
    pub(super) registry: Registry,
    told_apart: Mutex<BTreeSet<CustomerId>>,
    customers: usize,
    pub(super) waits: Mutex<Waits>,
    requests: Family<ByRoute, Counter>,
    refused: Family<ByReason, Counter>,
    pub(super) deployments: Family<ByState, Counter>,
    pub(super) lead_time: Times,
    pub(super) restored: Times,
    pub(super) sync_waves: Counter,
    pub(super) wave_duration: Histogram,
    pub(super) dependencies: Counter,
    pub(super) health_checks: Family<ByResult, Counter>,
    pub(super) verdicts: Family<ByVerdict, Counter>,
    pub(super) rollbacks: Counter,
    pub(super) retries: Counter,
    pub(super) cac_sync: Histogram,
    pub(super) to_first_sync: Histogram,
    pub(super) to_healthy: Histogram,
    pub(super) makespan: Histogram,
    pub(super) critical_path: Histogram,
    pub(super) lag: Histogram,
}

/// From a twentieth of a second to about an hour.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.05, 2.0, 17))
}

/// From a millisecond to about a minute.
fn moments() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}

/// Few, because each customer has them: from half a minute to a week.
fn long() -> Histogram {
    Histogram::new([30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0, 604_800.0])
}

impl Meters {
    /// Nothing is counted yet. So many customers are told apart.
    pub(in crate::http) fn new(customers: usize) -> Self {
        let mut meters = Self {
            registry: Registry::with_prefix(PREFIX),
            told_apart: Mutex::default(),
            customers,
            waits: Mutex::default(),
            requests: Family::default(),
            refused: Family::default(),
            deployments: Family::default(),
            lead_time: Family::new_with_constructor(long),
            restored: Family::new_with_constructor(long),
            sync_waves: Counter::default(),
            wave_duration: seconds(),
            dependencies: Counter::default(),
            health_checks: Family::default(),
            verdicts: Family::default(),
            rollbacks: Counter::default(),
            retries: Counter::default(),
            cac_sync: seconds(),
            to_first_sync: seconds(),
            to_healthy: seconds(),
            makespan: seconds(),
            critical_path: seconds(),
            lag: moments(),
        };
        meters.register();
        meters.register_times();
        // What was never counted is told as nothing, so that the first of them shows as a rise.
        for reason in Refused::ALL {
            meters.refused.get_or_create(&ByReason { reason: reason.word() }).inc_by(0);
        }
        for result in ["healthy", "failed", "lost"] {
            meters.health_checks.get_or_create(&ByResult { result }).inc_by(0);
        }
        meters
    }

    /// The library adds `_total` to the names of counters.
    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("http_requests", "HTTP requests", self.requests.clone());
        registry.register("webhooks_refused", "Webhooks that were refused", self.refused.clone());
        let help = "Deployments that ended, since the database was made";
        registry.register("deployments", help, self.deployments.clone());
        registry.register("sync_waves", "Sync waves that became healthy", self.sync_waves.clone());
        registry.register(
            "dependencies_resolved",
            "Dependencies that were planned",
            self.dependencies.clone(),
        );
        registry.register("health_checks", "Verdicts about services", self.health_checks.clone());
        let help = "Verdicts of the gate, with what kept them open last";
        registry.register("gate_verdicts", help, self.verdicts.clone());
        registry.register("rollbacks", "Rollbacks that began", self.rollbacks.clone());
        registry.register(
            "retries",
            "Attempts of services that failed and were repeated",
            self.retries.clone(),
        );
    }

    /// The library adds the unit to the names.
    fn register_times(&mut self) {
        let Self { registry, .. } = self;
        for (name, help, histogram) in [
            (
                "sync_waves_duration",
                "From the first sync of a wave until all of it was healthy",
                &self.wave_duration,
            ),
            (
                "cac_sync_duration",
                "From the arrival of an event until its deployment was planned",
                &self.cac_sync,
            ),
            (
                "push_to_first_sync",
                "From the arrival of an event until the first sync was requested",
                &self.to_first_sync,
            ),
            (
                "push_to_healthy",
                "From the arrival of an event until everything was healthy",
                &self.to_healthy,
            ),
            ("makespan", "From the start of a deployment until its end", &self.makespan),
            (
                "critical_path",
                "The longest chain of dependencies of a deployment, with the times that it really took",
                &self.critical_path,
            ),
            (
                "healthy_to_next_sync",
                "From the last verdict that a service waited for until its own sync was requested",
                &self.lag,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        let help = "From the arrival of a push until everything was healthy, since the database was made";
        registry.register_with_unit("lead_time", help, Unit::Seconds, self.lead_time.clone());
        let help =
            "From the start of a deployment that failed until one succeeded, since the database was made";
        registry.register_with_unit("time_to_restore", help, Unit::Seconds, self.restored.clone());
    }

    pub(in crate::http) fn request(&self, route: &str, status: StatusCode) {
        let labels = ByRoute { route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }

    pub(in crate::http) fn refused(&self, reason: Refused) {
        self.refused.get_or_create(&ByReason { reason: reason.word() }).inc();
    }

    /// The label of a customer: its name for the first ones that are seen.
    pub(super) fn label(&self, customer: &CustomerId) -> String {
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
