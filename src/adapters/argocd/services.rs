//! Where a customer's services are reached: the Kubernetes Services of their Applications.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;

use super::{ArgoCd, failure};
use crate::domain::names::{AppName, Namespace};
use crate::domain::probe::address::{Port, Service};
use crate::ports::{ClusterError, Services};

/// For how long a Service counts as it was: while a check waits for its first answer it is asked again and again.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// Services that were read a moment ago.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<(Namespace, AppName), (Instant, Service)>>);

impl Known {
    fn get(&self, namespace: &Namespace, name: &AppName) -> Option<Service> {
        let key = (namespace.clone(), name.clone());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).filter(|(at, _)| at.elapsed() < KNOWN_FOR).map(|(_, service)| service.clone())
    }

    fn put(&self, namespace: &Namespace, name: &AppName, service: Service) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is too old is never used again, so no more is kept than is asked for within that time.
        known.retain(|_, (at, _)| at.elapsed() < KNOWN_FOR);
        known.insert((namespace.clone(), name.clone()), (Instant::now(), service));
    }
}

/// How long the API server's name may take to be resolved.
const LOOK_UP: Duration = Duration::from_secs(5);

impl ArgoCd {
    /// The addresses of the API server: no health check ever goes there.
    pub fn api_server(&self) -> &[IpAddr] {
        &self.server
    }
}

#[async_trait]
impl Services for ArgoCd {
    async fn service(&self, namespace: &Namespace, name: &AppName) -> Result<Option<Service>, ClusterError> {
        if let Some(known) = self.known_services.get(namespace, name) {
            return Ok(Some(known));
        }
        let api: Api<v1::Service> = Api::namespaced(self.client.clone(), namespace.as_str());
        let found = api.get_opt(name.as_str()).await.map_err(|error| failure(name, error))?.map(facts);
        if let Some(found) = &found {
            self.known_services.put(namespace, name, found.clone());
        }
        Ok(found)
    }
}

/// What a Service says of where it leads.
pub(super) fn facts(service: v1::Service) -> Service {
    let spec = service.spec.unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let number = |port: i32| u16::try_from(port).ok().filter(|port| *port > 0);
    let tcp = ports.into_iter().filter(|port| port.protocol.as_deref().is_none_or(|kind| kind == "TCP"));
    Service {
        kind: spec.type_.unwrap_or_else(|| "ClusterIP".into()),
        cluster_ip: spec.cluster_ip,
        selects: spec.selector.is_some_and(|selector| !selector.is_empty()),
        ports: tcp
            .filter_map(|port| {
                let target = match port.target_port {
                    Some(IntOrString::Int(target)) => number(target),
                    Some(IntOrString::String(_)) => None,
                    None => number(port.port),
                };
                Some(Port { port: number(port.port)?, target })
            })
            .collect(),
    }
}

/// Where the API server is, as far as that can be found out.
pub(super) async fn addresses(config: &kube::Config) -> Vec<IpAddr> {
    let host = config.cluster_url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let look_up = tokio::net::lookup_host((host.as_str(), 443));
    match tokio::time::timeout(LOOK_UP, look_up).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        Ok(Err(_)) | Err(_) => {
            tracing::warn!(
                host,
                "the API server's name is not resolved: health checks cannot tell its address"
            );
            Vec::new()
        }
    }
}
