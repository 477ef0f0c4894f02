//! What a service says of itself, beside what Argo CD says of it: its health check, attempt by attempt.
//!
//! A check is asked only once Argo CD's own facts prove the service healthy at the target revision, so that an
//! answer of the pods before proves nothing ([`crate::domain::deployment::Occasion`]). Who asks is the worker's
//! prober, through the port of the same name; what follows from the answers is decided here.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::catalog::HealthCheck;
use super::names::{AppName, Namespace};

pub mod address;
pub mod answer;
pub mod breaker;
pub mod endpoint;
pub mod network;
pub mod watch;

use endpoint::Endpoint;

/// What one attempt asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A request to the service itself.
    Http {
        /// The customer's namespace.
        namespace: Namespace,
        /// The Kubernetes Service, which has the Application's name.
        service: AppName,
        /// A port that the Service leads to; none for its first.
        port: Option<u16>,
        /// The path.
        endpoint: Endpoint,
        /// The HTTP method, in capitals.
        method: String,
        /// The status that passes.
        expected_status: u16,
    },
    /// A query to the configured Prometheus.
    Prometheus {
        /// In PromQL.
        query: String,
    },
}

/// What one attempt gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// The service answered otherwise, or not at all.
    Failed {
        /// How.
        reason: String,
    },
    /// Nothing that says anything of the service: no data, or nobody to ask.
    Silent {
        /// Why.
        reason: String,
    },
}

/// What a service's checks say, taken together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Not enough attempts gave the same.
    Unknown {
        /// What was seen last.
        reason: String,
    },
    /// Enough attempts in a row passed.
    Passing,
    /// Enough attempts in a row failed.
    Failing {
        /// How the last one did.
        reason: String,
    },
}

impl Verdict {
    /// Before the first attempt has ended.
    pub fn untried() -> Self {
        Self::Unknown { reason: "no attempt has ended".into() }
    }

    /// Both: the worse of the two, the first where they are alike.
    pub fn and(self, other: Self) -> Self {
        let rank = |verdict: &Self| match verdict {
            Self::Passing => 0,
            Self::Unknown { .. } => 1,
            Self::Failing { .. } => 2,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// What a check asks at each attempt: of the service, and of Prometheus where it has a query.
pub fn questions(check: &HealthCheck, namespace: &Namespace, service: &AppName) -> Vec<Question> {
    let http = Question::Http {
        namespace: namespace.clone(),
        service: service.clone(),
        port: check.port,
        endpoint: check.endpoint.clone(),
        method: check.method.clone(),
        expected_status: check.expected_status,
    };
    let query = check.prometheus.as_ref().map(|of| Question::Prometheus { query: of.query.clone() });
    std::iter::once(http).chain(query).collect()
}

/// How long a pod that Argo CD takes for ready may need until it is reached: its address goes through the cluster.
const SETTLING: SignedDuration = SignedDuration::from_secs(1);

/// How often a check is asked, and how often it must say the same.
pub fn rules(check: &HealthCheck, breaker: breaker::Rules) -> watch::Rules {
    watch::Rules {
        interval: SignedDuration::from_secs(check.interval_seconds.into()),
        failure_threshold: check.failure_threshold,
        settling: SETTLING,
        success_threshold: check.success_threshold,
        breaker,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_checks_say_what_the_worse_of_them_says() {
        let unknown = |reason: &str| Verdict::Unknown { reason: reason.into() };
        let failing = |reason: &str| Verdict::Failing { reason: reason.into() };
        let cases = [
            (Verdict::Passing, Verdict::Passing, Verdict::Passing),
            (Verdict::Passing, unknown("b"), unknown("b")),
            (unknown("a"), unknown("b"), unknown("a")),
            (unknown("a"), failing("b"), failing("b")),
            (failing("a"), failing("b"), failing("a")),
            (failing("a"), Verdict::Passing, failing("a")),
        ];
        for (one, other, both) in cases {
            assert_eq!(one.clone().and(other.clone()), both, "{one:?} and {other:?}");
        }
    }
}
