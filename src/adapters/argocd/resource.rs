//! The parts of Argo CD's `Application` that are read here.
//!
//! Everything is optional and every enumeration is text: what a newer Argo CD adds or renames must not end a watch.
//! Source: Argo CD's `pkg/apis/application/v1alpha1/types.go`. The resource has no status subresource, and
//! `operation` stands beside `spec` and `status`.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::REQUEST_ID;
use crate::domain::names::RequestId;

/// Group of all Argo CD resources.
pub(super) const GROUP: &str = "argoproj.io";
/// Their version.
pub(super) const VERSION: &str = "v1alpha1";

/// An `Application`, as far as it is read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Application {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Spec,
    pub(super) operation: Option<Operation>,
    pub(super) status: Option<Status>,
}

/// `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) project: String,
    pub(super) source: Option<Value>,
    pub(super) sources: Option<Value>,
    pub(super) destination: Option<Value>,
    pub(super) ignore_differences: Option<Value>,
    pub(super) sync_policy: Option<SyncPolicy>,
}

/// `spec.syncPolicy`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SyncPolicy {
    pub(super) automated: Option<Automated>,
    pub(super) sync_options: Option<Vec<String>>,
    pub(super) retry: Option<Value>,
}

/// `spec.syncPolicy.automated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Automated {
    /// Absent means on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
    pub(super) prune: bool,
    pub(super) self_heal: bool,
}

/// `operation`, and `status.operationState.operation`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Operation {
    pub(super) info: Option<Vec<Info>>,
    pub(super) sync: Option<SyncOperation>,
}

/// `operation.info[]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) name: String,
    pub(super) value: String,
}

impl Operation {
    /// Whether this request of ours is in it, alone or as one of several services of one Application.
    pub(super) fn asks(&self, request: &RequestId) -> bool {
        self.info(REQUEST_ID) == Some(request.as_str())
            || self.parts().any(|(_, asked)| asked == request.as_str())
    }

    /// The services whose objects are synced, and our id for each; none where it is not about parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.info.iter().flatten().filter_map(|info| {
            let service = info.name.strip_prefix(REQUEST_ID)?.strip_prefix('/')?;
            Some((service, info.value.as_str()))
        })
    }

    /// The value of an entry of `info`.
    pub(super) fn info(&self, name: &str) -> Option<&str> {
        self.info.iter().flatten().find(|info| info.name == name).map(|info| info.value.as_str())
    }
}

/// `operation.sync`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SyncOperation {
    pub(super) revision: Option<String>,
}

/// `status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) sync: SyncStatus,
    pub(super) health: Health,
    pub(super) operation_state: Option<OperationState>,
    pub(super) reconciled_at: Option<Timestamp>,
    pub(super) conditions: Option<Vec<Condition>>,
    pub(super) resources: Option<Vec<Object>>,
}

/// `status.resources[]`: an object of the Application, as of the last comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Object {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// `Synced` or `OutOfSync`.
    pub(super) status: String,
    pub(super) sync_wave: i64,
    pub(super) hook: bool,
    /// It is there and not in the commit any more.
    pub(super) requires_pruning: bool,
}

/// `status.sync`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SyncStatus {
    pub(super) status: String,
    pub(super) revision: Option<String>,
    pub(super) compared_to: Option<ComparedTo>,
}

/// `status.sync.comparedTo`: the spec that the comparison was made with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ComparedTo {
    pub(super) source: Option<Value>,
    pub(super) sources: Option<Value>,
    pub(super) destination: Option<Value>,
    pub(super) ignore_differences: Option<Value>,
}

/// `status.health`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) message: String,
}

/// `status.operationState`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OperationState {
    pub(super) operation: Operation,
    pub(super) phase: String,
    pub(super) message: String,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) sync_result: Option<SyncResult>,
}

/// `status.operationState.syncResult`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SyncResult {
    pub(super) revision: Option<String>,
}

/// `status.conditions[]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: String,
}

impl Resource for Application {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Application".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "applications".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
