//! Any objects of a cluster: read, listed and applied, for steps that set something up or look whether it is.

use std::time::Duration;

use async_trait::async_trait;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::client::ClientBuilder;
use serde_json::Value;

use super::innermost;
use crate::domain::names::Namespace;
use crate::ports::{ObjectError, ObjectKind, Objects};

/// Whose fields the applied ones are.
const MANAGER: &str = "argocd-orchestrator";

/// Objects that are listed at most.
const MOST: u32 = 500;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Objects of the cluster that this process is in, or that `KUBECONFIG` names.
#[derive(Clone)]
pub struct KubeObjects {
    client: kube::Client,
}

impl KubeObjects {
    /// A client of the cluster; nothing is asked yet.
    ///
    /// # Errors
    /// When there is no usable configuration of a cluster.
    pub async fn connect() -> Result<Self, ObjectError> {
        let refused = |error: &dyn std::fmt::Display| {
            ObjectError::Forbidden(format!("no cluster is configured: {error}"))
        };
        let mut config = kube::Config::infer().await.map_err(|error| refused(&error))?;
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(ANSWER);
        let client = ClientBuilder::try_from(config).map_err(|error| refused(&error))?.build();
        Ok(Self { client })
    }

    fn api(&self, kind: &ObjectKind, namespace: &Namespace) -> Api<DynamicObject> {
        let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
        let mut resource =
            ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(kind.group, kind.version, kind.kind));
        resource.api_version = format!("{group}{}", kind.version);
        resource.plural = kind.plural.to_owned();
        Api::namespaced_with(self.client.clone(), namespace.as_str(), &resource)
    }
}

#[async_trait]
impl Objects for KubeObjects {
    async fn read(
        &self,
        kind: &ObjectKind,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<Value>, ObjectError> {
        let found = self.api(kind, namespace).get_opt(name).await;
        found.map_err(|error| failure(kind, name, error))?.map(|object| json(&object)).transpose()
    }

    async fn list(&self, kind: &ObjectKind, namespace: &Namespace) -> Result<Vec<Value>, ObjectError> {
        match self.api(kind, namespace).list(&ListParams::default().limit(MOST)).await {
            Ok(list) => list.items.iter().map(json).collect(),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(ObjectError::NoSuchKind(kind.kind)),
            Err(error) => Err(failure(kind, "", error)),
        }
    }

    async fn apply(
        &self,
        kind: &ObjectKind,
        namespace: &Namespace,
        name: &str,
        object: &Value,
        force: bool,
    ) -> Result<bool, ObjectError> {
        let api = self.api(kind, namespace);
        let before = api.get_opt(name).await.map_err(|error| failure(kind, name, error))?;
        let mut parameters = PatchParams::apply(MANAGER);
        parameters.force = force;
        match api.patch(name, &parameters, &Patch::Apply(object)).await {
            // An apply that changes nothing leaves the version as it is.
            Ok(after) => {
                let before = before.and_then(|before| before.metadata.resource_version);
                Ok(before.is_none() || before != after.metadata.resource_version)
            }
            Err(kube::Error::Api(status)) if status.code == 404 && before.is_none() => {
                let place = format!("{} {name} cannot be made in {namespace}", kind.kind);
                Err(ObjectError::Invalid(format!("{place}: {}", status.message)))
            }
            Err(error) => Err(failure(kind, name, error)),
        }
    }
}

fn json(object: &DynamicObject) -> Result<Value, ObjectError> {
    serde_json::to_value(object).map_err(|error| ObjectError::Invalid(error.to_string()))
}

fn failure(kind: &ObjectKind, name: &str, error: kube::Error) -> ObjectError {
    let kube::Error::Api(status) = error else { return ObjectError::Unavailable(innermost(&error)) };
    let said = format!("{} {name}: {}", kind.kind, status.message);
    match status.code {
        401 | 403 => ObjectError::Forbidden(said),
        404 => ObjectError::NoSuchKind(kind.kind),
        409 => ObjectError::Conflict(said),
        400 | 413 | 415 | 422 => ObjectError::Invalid(said),
        _ => ObjectError::Unavailable(said),
    }
}
