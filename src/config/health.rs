//! How services are looked at: their Applications, and their own health checks.

use jiff::SignedDuration;
use serde::Deserialize;

use super::Cluster;
use super::argo_cd::ArgoCd;
use crate::domain::probe::breaker;
use crate::domain::probe::network::Network;

/// What is expected of a customer's services.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Microservices {
    /// How they are looked at.
    pub health_check: HealthCheck,
}

/// How services are looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HealthCheck {
    /// How often Applications are read although nothing was heard of them. Default 30 s.
    pub interval: SignedDuration,
    /// How long one read or request may take. Default 10 s.
    pub timeout: SignedDuration,
    /// Whether the services' own health checks are made too. Default: where a real Argo CD deploys to the cluster
    /// that it runs in; never on the simulated one, which has no pods.
    pub http: Option<bool>,
    /// When a check is left alone for a while.
    pub circuit_breaker: CircuitBreaker,
    /// Addresses of Services that are asked although they look wrong: not a pod network's, or without a selector.
    /// None by default.
    pub allowed_networks: Vec<Network>,
    /// Where Prometheus answers queries, such as `http://prometheus.monitoring:9090`; none for nowhere.
    pub prometheus_url: Option<String>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            interval: SignedDuration::from_secs(30),
            timeout: SignedDuration::from_secs(10),
            http: None,
            circuit_breaker: CircuitBreaker::default(),
            allowed_networks: Vec::new(),
            prometheus_url: None,
        }
    }
}

/// When a check is left alone for a while.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CircuitBreaker {
    /// Failures in a row that open it. Default 5.
    pub failures: u32,
    /// How long it stays open; one attempt decides afterwards. Default 30 s.
    pub open: SignedDuration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { failures: 5, open: SignedDuration::from_secs(30) }
    }
}

impl HealthCheck {
    /// Whether the services' own health checks are made.
    pub fn is_made(&self, cluster: &Cluster) -> bool {
        match cluster {
            Cluster::Simulated(_) => false,
            Cluster::ArgoCd(argo_cd) => self.http.unwrap_or_else(|| is_its_own(argo_cd)),
        }
    }

    /// The rules of each check's circuit breaker.
    pub fn breaker(&self) -> breaker::Rules {
        breaker::Rules { failures: self.circuit_breaker.failures, open: self.circuit_breaker.open }
    }

    /// Whether it can be done.
    ///
    /// # Errors
    /// The setting that makes no sense, and why.
    pub(super) fn check(&self, cluster: &Cluster) -> Result<(), (String, String)> {
        let wrong = |setting: &str, reason: &str| {
            Err((format!("microservices.health-check.{setting}"), reason.to_owned()))
        };
        match cluster {
            Cluster::Simulated(_) if self.http == Some(true) => {
                return wrong("http", "the simulated cluster has no pods that could be asked");
            }
            Cluster::ArgoCd(argo_cd) if self.http == Some(true) && !is_its_own(argo_cd) => {
                let reason = "the services of another cluster cannot be reached by their Services' addresses: leave \
                              `cluster.argo-cd.destination` as it is, or this out";
                return wrong("http", reason);
            }
            Cluster::Simulated(_) | Cluster::ArgoCd(_) => {}
        }
        if self.circuit_breaker.failures == 0 {
            return wrong("circuit-breaker.failures", "must be at least 1");
        }
        Ok(())
    }
}

/// Whether Argo CD deploys to the cluster that it runs in, which is the one that we talk to.
fn is_its_own(argo_cd: &ArgoCd) -> bool {
    argo_cd.destination == ArgoCd::default().destination
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn check(text: &str, expected: Result<bool, &str>) {
        let parsed = Config::parse("c.yaml", text, &|_| None);
        let made = parsed.map(|config| config.microservices.health_check.is_made(&config.cluster));
        let made = made.map_err(|error| error.to_string());
        assert_eq!(made, expected.map_err(|reason| format!("c.yaml: microservices.health-check.{reason}")));
    }

    #[test]
    fn checks_are_made_where_there_are_pods_to_ask() {
        check("", Ok(false));
        check("cluster: {argo-cd: {}}", Ok(true));
        check("cluster: {argo-cd: {}}\nmicroservices: {health-check: {http: false}}", Ok(false));
        let elsewhere = "cluster: {argo-cd: {destination: 'https://elsewhere'}}";
        check(elsewhere, Ok(false));
        check(
            &format!("{elsewhere}\nmicroservices: {{health-check: {{http: true}}}}"),
            Err(
                "http: the services of another cluster cannot be reached by their Services' addresses: leave \
                 `cluster.argo-cd.destination` as it is, or this out",
            ),
        );
        check(
            "microservices: {health-check: {http: true}}",
            Err("http: the simulated cluster has no pods that could be asked"),
        );
        check(
            "microservices: {health-check: {circuit-breaker: {failures: 0}}}",
            Err("circuit-breaker.failures: must be at least 1"),
        );
        check(
            "microservices: {health-check: {circuit-breaker: {open: 0s}}}",
            Err("circuit-breaker.open: must be longer than nothing"),
        );
        check("microservices: {health-check: {allowed-networks: [127.0.0.0/8, 'fd00::/8']}}", Ok(false));
    }
}
