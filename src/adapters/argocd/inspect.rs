//! Reads what a cluster is judged by: [`crate::domain::check`] says what is fine, missing or wrong.
//!
//! Nothing is written, and everything is bounded: the time of a request, the pages of a list, the objects in all.

mod applications;
mod reviews;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use k8s_openapi::apimachinery::pkg::version;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::client::Body;
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

pub use self::reviews::Account;
use super::{configuration, innermost, refused};
use crate::domain::check::Listed;
use crate::domain::check::cluster::{ApiServer, Time};
use crate::domain::check::events::{self, ArgoEvents, Reached};
use crate::domain::check::kinds::{GROUP, Kinds, VERSION};
use crate::domain::check::sensor::Target;
use crate::domain::check::workload::Workload;
use crate::ports::ClusterError;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Objects on a page.
const PAGE: u32 = 500;

/// Objects of a kind of Argo Events that are read.
const OBJECTS: usize = 2_000;

/// Services that Sensors lead to that are looked at.
const TARGETS: usize = 20;

/// The largest answer about the version.
const SMALL: usize = 1 << 16;

/// Looks at one cluster.
#[derive(Clone)]
pub struct Inspector {
    client: Client,
    address: String,
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Inspector {
    /// One for the cluster of a kubeconfig, or of `KUBECONFIG`, the user's own, or the pod's where none is given.
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When there is no usable configuration of a cluster.
    pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, ClusterError> {
        let config = configuration(kubeconfig, context).await?;
        let address = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(refused)?;
        Ok(Self { client, address: address.trim_end_matches('/').to_owned() })
    }

    /// What the API server says of itself.
    ///
    /// # Errors
    /// When it does not answer, or takes nobody of this name.
    pub async fn api_server(&self) -> Result<ApiServer, ClusterError> {
        let request = hyper::Request::get("/version").body(Body::empty()).map_err(unreadable)?;
        let asked = Timestamp::now();
        let response = in_time(self.client.send(request)).await?;
        let answered = Timestamp::now();
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(match head.status.as_u16() {
                401 | 403 => {
                    ClusterError::Refused(format!("the API server answers {} to who asks", head.status))
                }
                _ => ClusterError::Unavailable(format!("it answers {}", head.status)),
            });
        }
        let body =
            tokio::time::timeout(ANSWER, Limited::new(body, SMALL).collect()).await.map_err(unreadable)?;
        let body = body.map_err(|error| ClusterError::Unavailable(error.to_string()))?.to_bytes();
        let version: version::Info = serde_json::from_slice(&body).map_err(unreadable)?;
        let date = head.headers.get(hyper::header::DATE).and_then(|date| date.to_str().ok());
        let theirs = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        Ok(ApiServer {
            address: self.address.clone(),
            version: version.git_version,
            time: theirs.map(|theirs| Time { theirs: theirs.timestamp(), asked, answered }),
        })
    }

    /// What is served of the group that all kinds are of.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn kinds(&self) -> Result<Kinds, ClusterError> {
        let Some(group) = self.get::<APIGroup>(&format!("/apis/{GROUP}")).await? else {
            return Ok(Kinds::default());
        };
        let versions = group.versions.into_iter().map(|version| version.version).collect();
        let path = format!("{GROUP}/{VERSION}");
        let resources = match in_time(self.client.list_api_group_resources(&path)).await {
            Ok(found) => found.resources.into_iter().map(|resource| resource.name).collect(),
            Err(Trouble::Missing) => BTreeSet::new(),
            Err(trouble) => return Err(trouble.into()),
        };
        Ok(Kinds { versions, resources })
    }

    /// The objects of Argo Events in a namespace.
    ///
    /// # Errors
    /// When the API server does not answer. That it refuses is told in what is returned.
    pub async fn argo_events(&self, namespace: &str) -> Result<ArgoEvents, ClusterError> {
        let list = async |kind, plural| {
            let kind =
                ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, kind), plural);
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
            listed(&api).await
        };
        let sensors = list("Sensor", "sensors").await?;
        let mut reached = BTreeMap::new();
        for target in events::targets(&sensors).into_iter().take(TARGETS) {
            let found = self.reached(&target).await?;
            reached.insert(target, found);
        }
        Ok(ArgoEvents {
            namespace: namespace.to_owned(),
            buses: list("EventBus", "eventbus").await?,
            sources: list("EventSource", "eventsources").await?,
            sensors,
            targets: reached,
        })
    }

    async fn reached(&self, target: &Target) -> Result<Reached, ClusterError> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), &target.namespace);
        let service = match in_time(services.get(&target.name)).await {
            Ok(service) => service.spec.unwrap_or_default(),
            Err(Trouble::Missing) => return Ok(Reached::Missing),
            Err(Trouble::Refused(why)) => return Ok(Reached::Unknown(why)),
            Err(trouble) => return Err(trouble.into()),
        };
        if service.type_.as_deref() == Some("ExternalName") {
            return Ok(Reached::Unknown("it leads out of the cluster".into()));
        }
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &target.namespace);
        let of_it =
            ListParams::default().labels(&format!("kubernetes.io/service-name={}", target.name)).limit(PAGE);
        let slices = match in_time(slices.list(&of_it)).await {
            Ok(slices) => slices.items,
            Err(Trouble::Missing) => Vec::new(),
            Err(Trouble::Refused(why)) => return Ok(Reached::Unknown(why)),
            Err(trouble) => return Err(trouble.into()),
        };
        let endpoints = slices.into_iter().flat_map(|slice| slice.endpoints);
        // Source: whether it is ready is to be taken for true where it is not said.
        let ready = endpoints
            .filter(|one| one.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true));
        let ports = service.ports.unwrap_or_default().into_iter();
        let tcp = ports.filter(|port| port.protocol.as_deref().is_none_or(|kind| kind == "TCP"));
        Ok(Reached::Service { ports: tcp.map(|port| port.port).collect(), ready: ready.count() })
    }

    /// A StatefulSet; none where it is not there.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn workload(&self, namespace: &str, name: &str) -> Result<Option<Workload>, ClusterError> {
        let api: Api<StatefulSet> = Api::namespaced(self.client.clone(), namespace);
        Ok(in_time(api.get_opt(name)).await?.map(workload))
    }

    /// What a path answers; none where there is no such thing.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ClusterError> {
        let request = hyper::Request::get(path).body(Vec::new()).map_err(unreadable)?;
        match in_time(self.client.request(request)).await {
            Ok(found) => Ok(Some(found)),
            Err(Trouble::Missing) => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }
}

/// Why there is no answer to go by.
enum Trouble {
    /// There is no such thing.
    Missing,
    /// It is refused, in words.
    Refused(String),
    /// It may pass, in words.
    Unavailable(String),
}

impl From<Trouble> for ClusterError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing => Self::Refused("there is no such thing".into()),
            Trouble::Refused(why) => Self::Refused(why),
            Trouble::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// What is asked for, within the time that an answer may take.
async fn in_time<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            404 => Trouble::Missing,
            400..=499 if status.code != 429 => Trouble::Refused(status.message.clone()),
            _ => Trouble::Unavailable(status.message.clone()),
        }),
        Ok(Err(error)) => Err(Trouble::Unavailable(innermost(&error))),
        Err(_) => Err(Trouble::Unavailable("it takes too long".into())),
    }
}

fn unreadable(error: impl std::fmt::Display) -> ClusterError {
    ClusterError::Unavailable(format!("its answer is not understood: {error}"))
}

/// The objects that an API lists, page by page.
async fn listed(api: &Api<DynamicObject>) -> Result<Listed, ClusterError> {
    let mut objects = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = match in_time(api.list(&parameters)).await {
            Ok(page) => page,
            Err(Trouble::Missing) => return Ok(Listed::NoSuchKind),
            // The list is older than what etcd keeps; what was read counts.
            Err(Trouble::Refused(_)) if parameters.continue_token.is_some() => {
                return Ok(Listed::Objects { objects, more: true });
            }
            Err(Trouble::Refused(why)) => return Ok(Listed::Refused(why)),
            Err(trouble) => return Err(trouble.into()),
        };
        for mut object in page.items {
            object.metadata.managed_fields = None;
            objects.push(serde_json::to_value(object).map_err(unreadable)?);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            None => return Ok(Listed::Objects { objects, more: false }),
            Some(_) if objects.len() >= OBJECTS => return Ok(Listed::Objects { objects, more: true }),
            Some(token) => parameters = parameters.continue_token(&token),
        }
    }
}

fn workload(set: StatefulSet) -> Workload {
    let metadata = set.metadata;
    let (spec, status) = (set.spec.unwrap_or_default(), set.status.unwrap_or_default());
    let pod = spec.template.spec.unwrap_or_default();
    Workload {
        name: format!("{}/{}", metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default()),
        wanted: spec.replicas.unwrap_or(1),
        ready: status.ready_replicas.unwrap_or(0),
        updated: status.updated_replicas.unwrap_or(0),
        observed: status.observed_generation >= metadata.generation,
        images: pod.containers.into_iter().filter_map(|container| container.image).collect(),
    }
}
