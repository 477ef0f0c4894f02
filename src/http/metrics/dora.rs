//! How well deploying goes: how often, how fast, how often it fails, how long that lasts. Counted from the store, so
//! that these numbers go on where they were when the server starts again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ByCustomer, ByState, Meters};
use crate::domain::names::{CustomerId, Environment};
use crate::store::Ended;

/// Since when each customer and environment is without a deployment that succeeded, where the last one failed.
#[derive(Debug, Default)]
pub(super) struct Dora {
    failing: BTreeMap<(CustomerId, Environment), Timestamp>,
}

impl Dora {
    /// Nothing was counted yet.
    pub(super) fn forget(&mut self, meters: &Meters) {
        self.failing.clear();
        meters.deployments.clear();
        meters.lead_time.clear();
        meters.restored.clear();
    }

    /// Counts the end of a deployment.
    pub(super) fn ended(&mut self, meters: &Meters, ended: Ended) {
        meters.expect(&ended.customer);
        let customer = meters.label(&ended.customer);
        let labels = ByState { customer: customer.clone(), state: ended.state.clone() };
        meters.deployments.get_or_create(&labels).inc();
        // What was never started changed nothing for anybody.
        let (Some(started), Some(end)) = (ended.started_at, ended.ended_at) else { return };
        let place = (ended.customer, ended.environment);
        let labels = ByCustomer { customer };
        match ended.state.as_str() {
            "succeeded" => {
                if let Some(arrived) = ended.arrived_at {
                    meters.lead_time.get_or_create(&labels).observe(between(arrived, end));
                }
                if let Some(since) = self.failing.remove(&place) {
                    meters.restored.get_or_create(&labels).observe(between(since, end));
                }
            }
            "failed" => {
                self.failing.entry(place).or_insert(started);
            }
            _ => {}
        }
    }
}

impl Meters {
    /// A customer is deployed: what it never had is told as nothing, so that the first of it shows as a rise.
    pub(super) fn expect(&self, customer: &CustomerId) {
        let customer = self.label(customer);
        for state in ["succeeded", "failed"] {
            let labels = ByState { customer: customer.clone(), state: state.into() };
            self.deployments.get_or_create(&labels).inc_by(0);
        }
        let labels = ByCustomer { customer };
        drop(self.lead_time.get_or_create(&labels));
        drop(self.restored.get_or_create(&labels));
    }
}

/// Seconds from one moment to another.
pub(super) fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(state: &str, started: Option<i64>, end: i64) -> Ended {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        Ended {
            customer: "customer-a".parse().unwrap(),
            environment: "production".parse().unwrap(),
            state: state.into(),
            arrived_at: started.map(|second| at(second - 10)),
            started_at: started.map(at),
            ended_at: Some(at(end)),
        }
    }

    #[test]
    fn what_failed_is_restored_by_the_next_success_and_counted_from_the_first_failure() {
        let (meters, mut dora) = (Meters::new(10), Dora::default());
        for one in [
            ended("succeeded", Some(0), 100),
            ended("failed", Some(200), 250),
            ended("rejected", None, 260),
            ended("failed", Some(300), 350),
            ended("succeeded", Some(400), 500),
            ended("succeeded", Some(600), 610),
        ] {
            dora.ended(&meters, one);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode_registry(&mut text, &meters.registry).unwrap();
        for line in [
            "deployments_total{customer=\"customer-a\",state=\"succeeded\"} 3",
            "deployments_total{customer=\"customer-a\",state=\"failed\"} 2",
            "deployments_total{customer=\"customer-a\",state=\"rejected\"} 1",
            "time_to_restore_seconds_sum{customer=\"customer-a\"} 300.0",
            "time_to_restore_seconds_count{customer=\"customer-a\"} 1",
            "lead_time_seconds_sum{customer=\"customer-a\"} 240.0",
            "lead_time_seconds_count{customer=\"customer-a\"} 3",
        ] {
            assert!(text.contains(&format!("argocd_orchestrator_{line}\n")), "{line}\n{text}");
        }
    }
}
