//! The health of one workload, as Argo CD assesses it. Pure.
//!
//! Argo CD since 3.0 keeps the health of single objects to itself, so where one Application has all services of a
//! customer it is assessed here. Source: gitops-engine's `pkg/health/health_*.go`, and
//! `resource_customizations/argoproj.io/Rollout/health.lua` of Argo CD for Rollouts since 1.0.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::Value;

use crate::domain::application::HealthStatus;

/// A kind of object that runs pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Rollout,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Rollout];

    /// Of a group and a kind; none where it runs no pods that are looked at here.
    pub(super) fn of(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| (known.group(), known.name()) == (group, kind))
    }

    fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Rollout => "argoproj.io",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Rollout => "Rollout",
        }
    }

    /// How the API serves it.
    pub(super) fn resource(self) -> ApiResource {
        let version = if self == Self::Rollout { "v1alpha1" } else { "v1" };
        ApiResource::from_gvk(&GroupVersionKind::gvk(self.group(), version, self.name()))
    }
}

/// The health of an object; `object` has `spec` and `status`.
pub(super) fn health(kind: Kind, generation: i64, object: &Value) -> HealthStatus {
    let workload = Workload { generation, spec: &object["spec"], status: &object["status"] };
    match kind {
        Kind::Deployment => workload.deployment(),
        Kind::StatefulSet => workload.stateful_set(),
        Kind::DaemonSet => workload.daemon_set(),
        Kind::Rollout => workload.rollout(),
    }
}

struct Workload<'a> {
    generation: i64,
    spec: &'a Value,
    status: &'a Value,
}

impl Workload<'_> {
    fn said(&self, field: &str) -> i64 {
        self.status[field].as_i64().unwrap_or(0)
    }

    fn is_observed(&self) -> bool {
        self.generation <= self.said("observedGeneration")
    }

    /// The wanted pods. The API server fills it in, so it is there.
    fn replicas(&self) -> Option<i64> {
        self.spec["replicas"].as_i64()
    }

    fn strategy(&self, field: &str) -> &str {
        self.spec[field]["type"].as_str().unwrap_or_default()
    }

    fn has_condition(&self, kind: &str, reason: &str) -> bool {
        let conditions = self.status["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|condition| condition["type"] == kind && condition["reason"] == reason)
    }

    fn deployment(&self) -> HealthStatus {
        let updated = self.said("updatedReplicas");
        if self.spec["paused"] == true {
            HealthStatus::Suspended
        } else if !self.is_observed() {
            HealthStatus::Progressing
        } else if self.has_condition("Progressing", "ProgressDeadlineExceeded") {
            HealthStatus::Degraded
        } else if self.replicas().is_some_and(|wanted| updated < wanted)
            || self.said("replicas") > updated
            || self.said("availableReplicas") < updated
        {
            HealthStatus::Progressing
        } else {
            HealthStatus::Healthy
        }
    }

    fn stateful_set(&self) -> HealthStatus {
        if self.said("observedGeneration") == 0 || !self.is_observed() {
            return HealthStatus::Progressing;
        }
        if self.replicas().is_some_and(|wanted| self.said("readyReplicas") < wanted) {
            return HealthStatus::Progressing;
        }
        let rolling = &self.spec["updateStrategy"]["rollingUpdate"];
        if self.strategy("updateStrategy") == "RollingUpdate" && rolling.is_object() {
            let missing = match (self.replicas(), rolling["partition"].as_i64()) {
                (Some(wanted), Some(partition)) => self.said("updatedReplicas") < wanted - partition,
                (None, _) | (_, None) => false,
            };
            if missing {
                return HealthStatus::Progressing;
            }
            return HealthStatus::Healthy;
        }
        let moves = self.strategy("updateStrategy") != "OnDelete"
            && self.status["updateRevision"] != self.status["currentRevision"];
        if moves { HealthStatus::Progressing } else { HealthStatus::Healthy }
    }

    fn daemon_set(&self) -> HealthStatus {
        let wanted = self.said("desiredNumberScheduled");
        if !self.is_observed() {
            HealthStatus::Progressing
        } else if self.strategy("updateStrategy") == "OnDelete" {
            HealthStatus::Healthy
        } else if self.said("updatedNumberScheduled") < wanted || self.said("numberAvailable") < wanted {
            HealthStatus::Progressing
        } else {
            HealthStatus::Healthy
        }
    }

    fn rollout(&self) -> HealthStatus {
        // It writes the generation as text.
        let seen =
            self.status["observedGeneration"].as_str().and_then(|generation| generation.parse::<i64>().ok());
        if seen != Some(self.generation) {
            return HealthStatus::Progressing;
        }
        match self.status["phase"].as_str() {
            Some("Healthy") => HealthStatus::Healthy,
            Some("Paused") => HealthStatus::Suspended,
            Some("Progressing") => HealthStatus::Progressing,
            Some("Degraded") => HealthStatus::Degraded,
            Some(_) | None => HealthStatus::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One case a line: what it is, the kind, spec, status, what Argo CD says of it. The generation is 2.
    #[test]
    fn workloads_are_assessed_as_argo_cd_does() {
        let deployment = |observed: i64, updated: i64, replicas: i64, available: i64| {
            json!({
                "observedGeneration": observed,
                "updatedReplicas": updated,
                "replicas": replicas,
                "availableReplicas": available,
            })
        };
        let late = json!({
            "observedGeneration": 2,
            "conditions": [{ "type": "Progressing", "reason": "ProgressDeadlineExceeded" }],
        });
        let set = |ready: i64, updated: i64, current: &str| {
            json!({
                "observedGeneration": 2,
                "readyReplicas": ready,
                "updatedReplicas": updated,
                "currentRevision": current,
                "updateRevision": "b",
            })
        };
        let rolling = |partition: i64| {
            json!({
                "replicas": 3,
                "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": partition } },
            })
        };
        let daemons = |observed: i64, updated: i64, available: i64| {
            json!({
                "observedGeneration": observed,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": updated,
                "numberAvailable": available,
            })
        };
        let rollout = |observed: &str, phase: &str| json!({ "observedGeneration": observed, "phase": phase });
        let two = json!({ "replicas": 2 });
        let on_delete = json!({ "replicas": 3, "updateStrategy": { "type": "OnDelete" } });
        let none = json!({});
        let (healthy, progressing) = (HealthStatus::Healthy, HealthStatus::Progressing);
        let cases = [
            ("all new pods serve", Kind::Deployment, &two, deployment(2, 2, 2, 2), healthy),
            ("not seen yet", Kind::Deployment, &two, deployment(1, 2, 2, 2), progressing),
            ("new pods are missing", Kind::Deployment, &two, deployment(2, 1, 2, 2), progressing),
            ("old pods are still there", Kind::Deployment, &two, deployment(2, 2, 3, 2), progressing),
            ("new pods are not ready", Kind::Deployment, &two, deployment(2, 2, 2, 1), progressing),
            ("too slow", Kind::Deployment, &two, late, HealthStatus::Degraded),
            ("none wanted", Kind::Deployment, &json!({ "replicas": 0 }), deployment(2, 0, 0, 0), healthy),
            (
                "paused",
                Kind::Deployment,
                &json!({ "replicas": 2, "paused": true }),
                deployment(2, 2, 2, 2),
                HealthStatus::Suspended,
            ),
            ("no status yet", Kind::Deployment, &two, none.clone(), progressing),
            ("all are at the new revision", Kind::StatefulSet, &rolling(0), set(3, 3, "b"), healthy),
            ("one is not ready", Kind::StatefulSet, &rolling(0), set(2, 3, "b"), progressing),
            ("one is at the old revision", Kind::StatefulSet, &rolling(0), set(3, 2, "a"), progressing),
            ("as many as its partition wants", Kind::StatefulSet, &rolling(2), set(3, 1, "a"), healthy),
            ("fewer than its partition wants", Kind::StatefulSet, &rolling(1), set(3, 1, "a"), progressing),
            ("replaced by hand", Kind::StatefulSet, &on_delete, set(3, 0, "a"), healthy),
            ("no status yet", Kind::StatefulSet, &rolling(0), none.clone(), progressing),
            ("on all nodes", Kind::DaemonSet, &none, daemons(2, 2, 2), healthy),
            ("not seen yet", Kind::DaemonSet, &none, daemons(1, 2, 2), progressing),
            ("one node is missing", Kind::DaemonSet, &none, daemons(2, 1, 2), progressing),
            ("one is not available", Kind::DaemonSet, &none, daemons(2, 2, 1), progressing),
            ("through", Kind::Rollout, &two, rollout("2", "Healthy"), healthy),
            ("not seen yet", Kind::Rollout, &two, rollout("1", "Healthy"), progressing),
            ("in a pause", Kind::Rollout, &two, rollout("2", "Paused"), HealthStatus::Suspended),
            ("aborted", Kind::Rollout, &two, rollout("2", "Degraded"), HealthStatus::Degraded),
            ("a word of tomorrow", Kind::Rollout, &two, rollout("2", "Dreaming"), HealthStatus::Unknown),
            ("no status yet", Kind::Rollout, &two, none.clone(), progressing),
        ];
        for (what, kind, spec, status, expected) in cases {
            let object = json!({ "spec": spec, "status": status });
            assert_eq!(health(kind, 2, &object), expected, "{what} ({kind:?})");
        }
    }
}
