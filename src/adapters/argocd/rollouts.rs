//! Argo Rollouts: a pause that is ended, a rollout that is stopped.
//!
//! Source: what `kubectl argo rollouts promote` and `abort` patch, on the status subresource. Unlike them, each patch
//! carries the resource version that it was decided on, so that a newer pause is never ended by mistake.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::write::MANAGER;
use super::{CONFLICTS, failure};
use crate::domain::application::ApplicationSpec;
use crate::ports::ClusterError;

/// Decides on what a Rollout shows; none where there is nothing to do.
type Decide = fn(&Value) -> Option<Value>;

/// Ends the pause of a Rollout that shows the newest spec.
///
/// The controller of Rollouts up to 1.9 may never see that the pause was ended: what it writes at that moment
/// replaces the newer Rollout in its own cache (argo-rollouts issues 4073 and 4694). Any later change makes it look
/// again, so a pause that was ended and is still shown gets another message. The controller writes its own over it.
pub(super) fn promote(rollout: &Value) -> Option<Value> {
    let status = &rollout["status"];
    if !is_observed(rollout) || is_through(status) {
        return None;
    }
    let pauses = status["pauseConditions"].as_array().map_or(&[][..], Vec::as_slice);
    // An analysis without a verdict is for somebody to look at.
    if pauses.iter().any(|pause| pause["reason"].as_str().is_some_and(|why| why.starts_with("Inconclusive")))
    {
        return None;
    }
    if !pauses.is_empty() {
        return Some(json!({ "pauseConditions": null }));
    }
    let version = rollout["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    (status["controllerPause"] == json!(true))
        .then(|| json!({ "message": format!("its pause was ended before resource version {version}") }))
}

/// Stops a Rollout that is not through.
pub(super) fn abort(rollout: &Value) -> Option<Value> {
    let status = &rollout["status"];
    (status["abort"] != json!(true) && !is_through(status)).then(|| json!({ "abort": true }))
}

/// Whether the controller has seen the newest spec. It writes the generation as text.
fn is_observed(rollout: &Value) -> bool {
    let seen = rollout["status"]["observedGeneration"].as_str().and_then(|text| text.parse::<i64>().ok());
    seen.is_some() && seen == rollout["metadata"]["generation"].as_i64()
}

/// Whether the pods of the newest spec are the stable ones.
fn is_through(status: &Value) -> bool {
    status["stableRS"].is_string() && status["stableRS"] == status["currentPodHash"]
}

/// Reads the Rollout of a service, decides, and writes what was decided; again where it changed meanwhile.
pub(super) async fn change(
    client: &Client,
    application: &ApplicationSpec,
    decide: Decide,
) -> Result<(), ClusterError> {
    let name = &application.name;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), application.namespace.as_str(), &kind);
    for _ in 0..CONFLICTS {
        let found = api.get_opt(name.as_str()).await.map_err(|error| failure(name, error))?;
        let Some(rollout) = found else { return Ok(()) };
        let version = rollout.metadata.resource_version.clone();
        let mut shown = rollout.data;
        shown["metadata"] = json!({ "generation": rollout.metadata.generation, "resourceVersion": version });
        let Some(status) = decide(&shown) else { return Ok(()) };
        let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        match api.patch_status(name.as_str(), &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(failure(name, error)),
        }
    }
    Err(ClusterError::Unavailable(format!("the Rollout of {name} changes too fast to be written to")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(status: Value) -> Value {
        json!({ "metadata": { "generation": 4 }, "status": status })
    }

    #[test]
    fn only_a_pause_of_the_newest_spec_is_ended_and_only_what_is_under_way_is_stopped() {
        let pause = json!([{ "reason": "BlueGreenPause", "startTime": "2026-11-01T10:00:00Z" }]);
        let status = |generation: &str, stable: &str, conditions: &Value| {
            json!({
                "observedGeneration": generation,
                "stableRS": stable,
                "currentPodHash": "new",
                "pauseConditions": conditions,
            })
        };
        let cases = [
            ("paused", status("4", "old", &pause), true, true),
            ("paused, and the newest spec is not seen yet", status("3", "old", &pause), false, true),
            (
                "without a verdict of its analysis",
                status(
                    "4",
                    "old",
                    &json!([{ "reason": "BlueGreenPause" }, { "reason": "InconclusiveAnalysisRun" }]),
                ),
                false,
                true,
            ),
            ("on its way", status("4", "old", &Value::Null), false, true),
            ("through", status("4", "new", &pause), false, false),
        ];
        for (what, status, promoted, aborted) in cases {
            let rollout = rollout(status);
            assert_eq!(promote(&rollout).is_some(), promoted, "{what}");
            assert_eq!(abort(&rollout).is_some(), aborted, "{what}");
        }
        let ended = |version: &str| {
            let status = json!({
                "observedGeneration": "4",
                "controllerPause": true,
                "stableRS": "old",
                "currentPodHash": "new",
            });
            let metadata = json!({ "generation": 4, "resourceVersion": version });
            promote(&json!({ "metadata": metadata, "status": status })).expect("a change")
        };
        assert!(ended("7").get("pauseConditions").is_none());
        assert_ne!(ended("7"), ended("8"), "each time is a change, or the controller would not look again");
        assert_eq!(
            abort(&rollout(json!({ "abort": true, "stableRS": "old", "currentPodHash": "new" }))),
            None
        );
    }
}
