//! One partial sync for several services of one Application. Pure.
//!
//! An Application runs one operation at a time, so those that are ready at once share one. It names their objects
//! (`operation.sync.resources`), which are known once Argo CD has compared the Application at the commit: so it is
//! pinned first, with automated sync off, and synced as soon as it is compared.

use serde_json::{Value, json};

use super::facts::{EPOCH, REQUEST_ID, facts, same};
use super::parts::Division;
use super::resource::{Application, Object};
use super::write::{self, Manner, Write};
use crate::domain::application::SyncStatus;
use crate::domain::names::{AppName, BASE};
use crate::ports::{ClusterError, SyncRequest};

/// One service of the batch.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its name, or `base`.
    pub(super) service: String,
    /// What is asked for.
    pub(super) request: SyncRequest,
}

/// What becomes of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is in the operation, or was already.
    Taken,
    /// Not yet.
    Later,
    /// It has no objects, and needs none.
    Nothing,
    /// Never, for this reason.
    Refused(String),
}

/// What is to be written, and what that means for each member, in their order.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) write: Write,
    pub(super) answers: Vec<Answer>,
}

/// Decides on the Application as it is; `manifest` is what it should be.
///
/// # Errors
/// When something else runs on it, or it must not be synced by us.
pub(super) fn decide(
    whole: &AppName,
    live: Option<&Application>,
    manifest: &Value,
    members: &[Member],
    division: &Division,
    manner: Manner,
) -> Result<Decision, ClusterError> {
    let mut answers = vec![Answer::Later; members.len()];
    let open = |member: &&Member| !live.is_some_and(|live| carries(live, member));
    let Some(first) = members.iter().find(open) else {
        answers.fill(Answer::Taken);
        return Ok(Decision { write: Write::Nothing, answers });
    };
    let request = SyncRequest { app: whole.clone(), ..first.request.clone() };
    let Some(live) = live else {
        let mut made = write::create(manifest, &request, manner);
        made.as_object_mut().map(|made| made.remove("operation"));
        return Ok(Decision { write: Write::Create(made), answers });
    };
    for (answer, member) in answers.iter_mut().zip(members) {
        if carries(live, member) {
            *answer = Answer::Taken;
        }
    }
    let Write::Patch(mut patch) = write::sync(live, manifest, &request, manner)? else {
        return Ok(Decision { write: Write::Nothing, answers });
    };
    let automated = live.spec.sync_policy.as_ref().and_then(|policy| policy.automated);
    let is_automated = automated.is_some_and(write::is_on);
    if is_automated {
        // It would take all that is not synced yet.
        patch["spec"]["syncPolicy"]["automated"] = json!({ "enabled": false });
    }
    let mut source = live.spec.source.clone().unwrap_or(Value::Null);
    merge(&mut source, &patch["spec"]["source"]);
    if is_automated || !same(Some(&source), live.spec.source.as_ref()) {
        if let Some(patch) = patch.as_object_mut() {
            patch.remove("operation");
            patch.remove("status");
        }
        return Ok(Decision { write: Write::Patch(patch), answers });
    }
    let shown = facts(whole, live);
    let compared = shown.sync.current
        && shown.sync.revision.as_ref() == Some(&request.revision)
        && shown.sync.status != SyncStatus::Unknown;
    if !compared {
        return Ok(Decision { write: Write::Nothing, answers });
    }
    let mut chosen: Vec<(&Member, Vec<&Object>)> = Vec::new();
    for (answer, member) in answers.iter_mut().zip(members) {
        if *answer == Answer::Taken || member.request.revision != request.revision {
            continue;
        }
        let objects = division.objects(live, &member.service);
        if !objects.is_empty() {
            chosen.push((member, objects));
        } else if member.service == BASE {
            *answer = Answer::Nothing;
        } else {
            *answer = Answer::Refused(format!(
                "no object of {whole} is named {}: where a customer has one Application, the objects of a service are \
                 told by their names",
                member.request.app,
            ));
        }
    }
    // Argo CD waits for the health of one wave before it applies the next of the same operation, and all would wait
    // for that. So they are of one wave.
    let wave = |objects: &[&Object]| objects.iter().map(|object| object.sync_wave).max();
    let lowest = chosen.iter().filter_map(|(_, objects)| wave(objects)).min();
    chosen.retain(|(_, objects)| wave(objects) == lowest);
    if chosen.is_empty() {
        return Ok(Decision { write: Write::Nothing, answers });
    }
    for (answer, member) in answers.iter_mut().zip(members) {
        if chosen.iter().any(|(taken, _)| taken.request.request == member.request.request) {
            *answer = Answer::Taken;
        }
    }
    patch["operation"]["info"] = info(&chosen, request.epoch);
    patch["operation"]["sync"]["resources"] = resources(&chosen);
    Ok(Decision { write: Write::Patch(patch), answers })
}

/// Whether the member's request is the one that is pending, running or last finished.
fn carries(live: &Application, member: &Member) -> bool {
    let state = live.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let mut operations = live.operation.iter().chain(state.map(|state| &state.operation));
    operations.any(|operation| operation.asks(&member.request.request))
}

fn info(chosen: &[(&Member, Vec<&Object>)], epoch: u64) -> Value {
    let mut entries: Vec<Value> = chosen
        .iter()
        .map(|(member, _)| {
            json!({ "name": format!("{REQUEST_ID}/{}", member.service), "value": member.request.request })
        })
        .collect();
    entries.push(json!({ "name": EPOCH, "value": epoch.to_string() }));
    let reason = match chosen {
        [(member, _)] => member.request.reason.clone(),
        _ => format!("{} services are ready", chosen.len()),
    };
    entries.push(json!({ "name": "Reason", "value": reason }));
    json!(entries)
}

fn resources(chosen: &[(&Member, Vec<&Object>)]) -> Value {
    let objects = chosen.iter().flat_map(|(_, objects)| objects);
    objects
        .map(|object| {
            json!({
                "group": object.group,
                "kind": object.kind,
                "namespace": object.namespace,
                "name": object.name,
            })
        })
        .collect()
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(entries) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, entry) in entries {
        if entry.is_null() {
            value.as_object_mut().map(|value| value.remove(key));
        } else {
            merge(&mut value[key.as_str()], entry);
        }
    }
}
