//! What an Application says, in our words. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::resource::{self, ComparedTo, OperationState, Spec};
use crate::domain::application::{
    Application, Comparison, Health, HealthStatus, Operation, Phase, Requested, SyncStatus,
};
use crate::domain::names::{AppName, RequestId, Revision};

/// Under this name our id stands in `operation.info`.
pub(super) const REQUEST_ID: &str = "orchestrator.rtte.com/request-id";
/// Under this name the fencing token stands in `operation.info`.
pub(super) const EPOCH: &str = "orchestrator.rtte.com/epoch";
/// Asks the controller for a comparison; it takes the annotation away when it begins one.
pub(super) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// The name of an Application; none where it is one that we could never have made.
pub(super) fn name(app: &resource::Application) -> Option<AppName> {
    app.metadata.name.as_deref()?.parse().ok()
}

/// The version of what was read. Source: Kubernetes compares resource versions as numbers since 1.34; before that
/// they were numbers all the same wherever etcd keeps them.
pub(super) fn version(app: &resource::Application) -> u64 {
    app.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// What an Application says.
pub(super) fn facts(name: &AppName, app: &resource::Application) -> Application {
    let none = resource::Status::default();
    let status = app.status.as_ref().unwrap_or(&none);
    let annotations = app.metadata.annotations.as_ref();
    Application {
        name: name.clone(),
        resource_version: version(app),
        pinned: pin(&app.spec),
        requested: app.operation.as_ref().map(|operation| Requested {
            request: operation.info(REQUEST_ID).and_then(|id| id.parse().ok()),
            revision: operation.sync.as_ref().and_then(|sync| commit(sync.revision.as_deref())),
        }),
        operation: status.operation_state.as_ref().map(operation),
        sync: Comparison {
            status: match status.sync.status.as_str() {
                "Synced" => SyncStatus::Synced,
                "OutOfSync" => SyncStatus::OutOfSync,
                _ => SyncStatus::Unknown,
            },
            revision: commit(status.sync.revision.as_deref()),
            current: status.sync.compared_to.as_ref().is_some_and(|to| is_current(&app.spec, to)),
        },
        health: Health { status: health(&status.health.status), message: status.health.message.clone() },
        reconciled_at: status.reconciled_at,
        refresh_pending: annotations.is_some_and(|annotations| annotations.contains_key(REFRESH)),
        condition: status
            .conditions
            .iter()
            .flatten()
            .find(|condition| matches!(condition.kind.as_str(), "ComparisonError" | "InvalidSpecError"))
            .map(|condition| format!("{}: {}", condition.kind, condition.message)),
        check: None,
    }
}

/// Where nothing is written, somebody else's operation to the commit counts as the one that was asked for; so does that
/// there is nothing to sync at the commit, for which no operation would ever come. Until then the request waits.
pub(super) fn adopt(shown: &mut Application, request: &RequestId, revision: &Revision) {
    if let Some(operation) = &mut shown.operation
        && operation.revision.as_ref() == Some(revision)
    {
        operation.request = Some(request.clone());
    } else if let Some(compared) = shown.reconciled_at.filter(|_| is_settled_at(shown, revision)) {
        let last = shown.operation.as_ref().and_then(|operation| operation.finished_at);
        // A comparison that counts comes later than the end of what it judges.
        let finished = last.unwrap_or(compared - SignedDuration::from_secs(1));
        shown.operation = Some(Operation {
            request: Some(request.clone()),
            phase: Phase::Succeeded,
            message: String::new(),
            started_at: finished,
            finished_at: Some(finished),
            revision: Some(revision.clone()),
        });
    } else {
        // What is asked for may be this very commit: then it is the one that is waited for.
        let wanted = Requested { request: Some(request.clone()), revision: Some(revision.clone()) };
        let other = shown.requested.take().filter(|requested| requested.revision != wanted.revision);
        shown.requested = other.or(Some(wanted));
    }
}

/// Whether nothing runs on it, and nothing is left to be synced at the commit.
fn is_settled_at(shown: &Application, revision: &Revision) -> bool {
    !shown.is_busy()
        && shown.sync.current
        && shown.sync.status == SyncStatus::Synced
        && shown.sync.revision.as_ref() == Some(revision)
}

pub(super) fn operation(state: &OperationState) -> Operation {
    Operation {
        request: state.operation.info(REQUEST_ID).and_then(|id| id.parse().ok()),
        phase: match state.phase.as_str() {
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            "Error" => Phase::Error,
            "Terminating" => Phase::Terminating,
            // Also what is not known: it has not ended as far as we can tell.
            _ => Phase::Running,
        },
        message: state.message.clone(),
        started_at: state.started_at.unwrap_or(Timestamp::MIN),
        finished_at: state.finished_at,
        revision: state.sync_result.as_ref().and_then(|result| commit(result.revision.as_deref())),
    }
}

/// The worst is `Unknown`; it is also what a word of a newer Argo CD counts as.
fn health(word: &str) -> HealthStatus {
    match word {
        "Healthy" => HealthStatus::Healthy,
        "Suspended" => HealthStatus::Suspended,
        "Progressing" => HealthStatus::Progressing,
        "Missing" => HealthStatus::Missing,
        "Degraded" => HealthStatus::Degraded,
        _ => HealthStatus::Unknown,
    }
}

/// The commit that the spec is pinned to; none where it follows a branch or a tag.
pub(super) fn pin(spec: &Spec) -> Option<Revision> {
    commit(spec.source.as_ref()?.get("targetRevision")?.as_str())
}

fn commit(text: Option<&str>) -> Option<Revision> {
    text?.parse().ok()
}

/// Whether the comparison was made with the spec as it is.
fn is_current(spec: &Spec, compared: &ComparedTo) -> bool {
    same(spec.source.as_ref(), compared.source.as_ref())
        && same(spec.sources.as_ref(), compared.sources.as_ref())
        && same(spec.destination.as_ref(), compared.destination.as_ref())
        && same(spec.ignore_differences.as_ref(), compared.ignore_differences.as_ref())
}

/// Whether two values say the same. Argo CD writes the copy without what is empty; people write it as they like.
pub(super) fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    one.and_then(telling) == other.and_then(telling)
}

/// The value without what Go's `omitempty` leaves out; none where nothing is left.
fn telling(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::Bool(true) | Value::String(_) | Value::Number(_) => Some(value.clone()),
        Value::Array(items) if items.is_empty() => None,
        // An empty item keeps its place.
        Value::Array(items) => Some(items.iter().map(|item| telling(item).unwrap_or(Value::Null)).collect()),
        Value::Object(entries) => {
            let kept: serde_json::Map<String, Value> = entries
                .iter()
                .filter_map(|(key, value)| telling(value).map(|value| (key.clone(), value)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::gate::{self, Progress, SyncSeen};

    /// What the gate makes of a request for commit `b` of which nothing is written: the Application was compared at
    /// this commit with this result, and its last operation went to that commit.
    fn judged(compared: &str, status: &str, synced: &str) -> Progress {
        let app: resource::Application = serde_json::from_value(json!({
            "metadata": { "name": "c-web" },
            "spec": { "source": { "path": "web" } },
            "status": {
                "sync": {
                    "status": status, "revision": compared.repeat(40), "comparedTo": { "source": { "path": "web" } },
                },
                "reconciledAt": "2026-11-01T10:00:05Z",
                "operationState": {
                    "phase": "Succeeded",
                    "startedAt": "2026-11-01T10:00:01Z",
                    "finishedAt": "2026-11-01T10:00:02Z",
                    "syncResult": { "revision": synced.repeat(40) },
                },
            },
        }))
        .unwrap();
        let (request, revision) = ("d.web.1".parse().unwrap(), "b".repeat(40).parse().unwrap());
        let mut shown = facts(&"c-web".parse().unwrap(), &app);
        adopt(&mut shown, &request, &revision);
        gate::progress(&shown, &request, &revision, false)
    }

    #[test]
    fn where_nothing_is_written_the_commit_counts_and_not_who_asked_for_it() {
        let done = Progress::Succeeded { finished_at: "2026-11-01T10:00:02Z".parse().unwrap() };
        assert_eq!(judged("b", "Synced", "b"), done);
        // Nothing of it changed, so Argo CD has nothing to sync.
        assert_eq!(judged("b", "Synced", "a"), done);
        // Argo CD has asked for it itself, and says nothing of the commit that is synced as yet.
        let asked = |digit: &str| {
            let mut app: resource::Application = serde_json::from_value(json!({
                "operation": { "sync": { "revision": digit.repeat(40) } },
                "status": { "operationState": { "phase": "Running" } },
            }))
            .unwrap();
            app.metadata.name = Some("c-web".into());
            let (request, revision) = ("d.web.1".parse().unwrap(), "b".repeat(40).parse().unwrap());
            let mut shown = facts(&"c-web".parse().unwrap(), &app);
            adopt(&mut shown, &request, &revision);
            gate::progress(&shown, &request, &revision, true)
        };
        assert_eq!(asked("b"), Progress::Open(SyncSeen::Pending));
        assert_eq!(asked("a"), Progress::Lost);
        let waits = Progress::Open(SyncSeen::Pending);
        assert_eq!(judged("b", "OutOfSync", "a"), waits);
        assert_eq!(judged("a", "Synced", "a"), waits);
        assert_eq!(judged("b", "Unknown", "a"), waits);
    }
}
