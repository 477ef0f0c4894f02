//! Asks services and Prometheus over HTTP, with as little as that takes: one connection for each attempt, to one
//! address that was found before, HTTP/1.1, no proxy, no redirect, a bounded answer.
//!
//! Where a service's check goes is decided in [`crate::domain::probe::address`], from its Kubernetes Service as the
//! API has it at that moment: no name is resolved, so none can be resolved to something else afterwards. Prometheus
//! is where the operator says.

mod exchange;
mod prometheus;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::{Method, Uri};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

pub use self::prometheus::{Prometheus, PrometheusError};
use crate::domain::names::{AppName, Namespace};
use crate::domain::probe::address::address;
use crate::domain::probe::endpoint::Endpoint;
use crate::domain::probe::network::Network;
use crate::domain::probe::{Outcome, Question};
use crate::ports::{Probe, Services};

/// Attempts at once, of all customers together.
const AT_ONCE: usize = 64;

/// Bytes of a service's answer that are read. Its status is what counts; who sends more is not listened to.
const MOST_READ: usize = 16 * 1024;

/// What may be asked.
#[derive(Debug, Default)]
pub struct Settings {
    /// Addresses that are asked although they look wrong.
    pub allowed: Vec<Network>,
    /// Addresses that are never asked.
    pub reserved: Vec<IpAddr>,
    /// Where Prometheus is; none for nowhere.
    pub prometheus: Option<Prometheus>,
}

/// Asks over HTTP.
pub struct HttpProbe {
    services: Arc<dyn Services>,
    settings: Settings,
    permits: Semaphore,
}

impl std::fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProbe").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl HttpProbe {
    /// Asks those services that have a Kubernetes Service among these.
    pub fn new(services: Arc<dyn Services>, settings: Settings) -> Self {
        Self { services, settings, permits: Semaphore::new(AT_ONCE) }
    }
}

#[async_trait]
impl Probe for HttpProbe {
    async fn ask(&self, question: &Question, within: Duration) -> Outcome {
        // Who waits for its turn does not lose time by it; the semaphore is never closed.
        let _permit = self.permits.acquire().await;
        match question {
            Question::Http { namespace, service, port, endpoint, method, expected_status } => {
                let what = format!("{method} {endpoint}");
                let asked = Asked { namespace, service, port: *port, endpoint, method };
                match tokio::time::timeout(within, self.http(&asked)).await {
                    Ok(Ok(status)) if status == *expected_status => Outcome::Passed,
                    Ok(Ok(status @ 300..=399)) => {
                        let reason = format!("{what} answered {status}, and redirects are not followed");
                        Outcome::Failed { reason }
                    }
                    Ok(Ok(status)) => Outcome::Failed { reason: format!("{what} answered {status}") },
                    Ok(Err(Fault::Service(reason))) => {
                        Outcome::Failed { reason: format!("{what}: {reason}") }
                    }
                    Ok(Err(Fault::Cluster(reason))) => Outcome::Silent { reason },
                    Err(_) => {
                        Outcome::Failed { reason: format!("{what}: no answer within {} s", within.as_secs()) }
                    }
                }
            }
            Question::Prometheus { query } => match &self.settings.prometheus {
                None => Outcome::Silent {
                    reason: "no Prometheus is configured (microservices.health-check.prometheus-url)".into(),
                },
                Some(prometheus) => match tokio::time::timeout(within, prometheus.ask(query)).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        let reason = format!("Prometheus did not answer within {} s", within.as_secs());
                        Outcome::Silent { reason }
                    }
                },
            },
        }
    }
}

/// What a service is asked.
struct Asked<'a> {
    namespace: &'a Namespace,
    service: &'a AppName,
    port: Option<u16>,
    endpoint: &'a Endpoint,
    method: &'a str,
}

/// Why there is no status.
enum Fault {
    /// It is the service's.
    Service(String),
    /// Nobody could be asked.
    Cluster(String),
}

impl HttpProbe {
    /// The status that the service answers with.
    async fn http(&self, asked: &Asked<'_>) -> Result<u16, Fault> {
        let Asked { namespace, service, port, endpoint, method } = asked;
        let found = self.services.service(namespace, service).await;
        let found = found.map_err(|error| Fault::Cluster(format!("its Service cannot be read: {error}")))?;
        let missing = || Fault::Service(format!("there is no Service {service} in {namespace}"));
        let target =
            address(&found.ok_or_else(missing)?, *port, &self.settings.reserved, &self.settings.allowed)
                .map_err(|refusal| Fault::Service(refusal.to_string()))?;
        let wrong = |error: &dyn std::fmt::Display| Fault::Service(error.to_string());
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| wrong(&error))?;
        let path: Uri = endpoint.as_str().parse().map_err(|error| wrong(&error))?;
        let stream =
            TcpStream::connect(target).await.map_err(|error| Fault::Service(exchange::plain(&error)))?;
        let host = format!("{service}.{namespace}.svc:{}", target.port());
        let answer = exchange::exchange(stream, method, path, &host, MOST_READ).await;
        answer.map(|answer| answer.status).map_err(|error| Fault::Service(error.to_string()))
    }
}
