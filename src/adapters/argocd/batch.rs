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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::argocd::Hold;
    use crate::domain::manifest::MANAGED_BY;
    use crate::domain::manifest::bundle::Maker;

    const MANNER: Manner = Manner { hold: Hold::Pin, prune: true, makes: Maker::Directly };

    fn commit(letter: char) -> String {
        letter.to_string().repeat(40)
    }

    fn manifest() -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": { "name": "acme-applications", "labels": { MANAGED_BY.0: MANAGED_BY.1 } },
            "spec": { "source": { "repoURL": "https://git", "path": "charts/acme" } },
        })
    }

    /// The Application as it is: pinned to and compared at these commits, with these objects (`name@wave`).
    fn live(pinned: char, compared: char, objects: &str) -> Value {
        let objects: Vec<Value> = objects
            .split_whitespace()
            .filter_map(|object| object.split_once('@'))
            .map(|(name, wave)| {
                json!({
                    "group": "apps", "kind": "Deployment", "namespace": "n", "name": name,
                    "syncWave": wave.parse::<i64>().unwrap(), "status": "OutOfSync",
                })
            })
            .collect();
        let mut live = manifest();
        live["metadata"]["resourceVersion"] = json!("7");
        live["spec"]["source"]["targetRevision"] = json!(commit(pinned));
        let to = json!({ "source": live["spec"]["source"] });
        live["status"] = json!({
            "sync": { "status": "OutOfSync", "revision": commit(compared), "comparedTo": to },
            "resources": objects,
        });
        live
    }

    /// Members as `service:commit`, each asked for under `r-<service>`.
    fn members(text: &str) -> Vec<Member> {
        text.split_whitespace()
            .filter_map(|member| member.split_once(':'))
            .map(|(service, at)| Member {
                service: service.to_owned(),
                request: SyncRequest {
                    app: format!("acme-{service}").parse().unwrap(),
                    request: format!("r-{service}").parse().unwrap(),
                    revision: at.repeat(40).parse().unwrap(),
                    reason: "its turn".into(),
                    epoch: 3,
                },
            })
            .collect()
    }

    fn decided(live: Option<&Value>, text: &str) -> Decision {
        let live: Option<Application> = live.map(|live| serde_json::from_value(live.clone()).unwrap());
        let division = Division::new("acme".parse().unwrap(), ["db", "api", "web"].map(str::to_owned));
        let whole = "acme-applications".parse().unwrap();
        decide(&whole, live.as_ref(), &manifest(), &members(text), &division, MANNER).unwrap()
    }

    fn names(patch: &Value) -> Vec<&str> {
        let objects = patch["operation"]["sync"]["resources"].as_array().unwrap();
        objects.iter().filter_map(|object| object["name"].as_str()).collect()
    }

    #[test]
    fn it_is_pinned_and_compared_before_anything_is_synced() {
        let made = decided(None, "db:a");
        let Write::Create(made_app) = &made.write else { panic!("{made:?}") };
        assert_eq!(made_app["spec"]["source"]["targetRevision"], json!(commit('a')));
        assert_eq!(made_app.get("operation"), None);
        assert_eq!(made.answers, [Answer::Later]);

        let mut kept = live('b', 'b', "acme-db@0");
        kept["spec"]["syncPolicy"] = json!({ "automated": { "enabled": true, "selfHeal": true } });
        let moved = decided(Some(&kept), "db:a");
        let Write::Patch(patch) = &moved.write else { panic!("{moved:?}") };
        assert_eq!(patch["spec"]["source"]["targetRevision"], json!(commit('a')));
        assert_eq!(patch["spec"]["syncPolicy"]["automated"], json!({ "enabled": false }));
        assert_eq!((patch.get("operation"), patch.get("status")), (None, None));
        assert_eq!(moved.answers, [Answer::Later]);

        let not_compared = decided(Some(&live('a', 'b', "acme-db@0")), "db:a");
        assert_eq!((not_compared.write, not_compared.answers), (Write::Nothing, vec![Answer::Later]));

        // Automated sync would take what has not had its turn, also where the commit stays.
        let mut kept = live('a', 'a', "acme-db@0");
        kept["spec"]["syncPolicy"] = json!({ "automated": {} });
        let Write::Patch(patch) = decided(Some(&kept), "db:a").write else { panic!("nothing is written") };
        assert_eq!(
            (&patch["spec"]["syncPolicy"]["automated"]["enabled"], patch.get("operation")),
            (&json!(false), None)
        );
    }

    #[test]
    fn those_that_are_ready_share_an_operation_that_names_their_objects_alone() {
        let both =
            decided(Some(&live('a', 'a', "acme-db@1 acme-db-data@0 acme-api@1 acme-web@1")), "db:a api:a");
        let Write::Patch(patch) = &both.write else { panic!("{both:?}") };
        assert_eq!(names(patch), ["acme-db", "acme-db-data", "acme-api"]);
        assert_eq!(patch["operation"]["sync"]["revision"], json!(commit('a')));
        assert_eq!(patch["status"], json!({ "operationState": null }));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let operation: super::super::resource::Operation =
            serde_json::from_value(patch["operation"].clone()).unwrap();
        let parts: Vec<(&str, &str)> = operation.parts().collect();
        assert_eq!(parts, [("db", "r-db"), ("api", "r-api")]);
        assert_eq!(operation.info(EPOCH), Some("3"));
        assert_eq!(both.answers, [Answer::Taken, Answer::Taken]);
    }

    #[test]
    fn nobody_waits_for_the_health_of_another_wave_or_comes_along_at_another_commit() {
        let objects = "acme-db@2 acme-api@1 acme-web@1";
        let some = decided(Some(&live('a', 'a', objects)), "db:a api:a web:b");
        let Write::Patch(patch) = &some.write else { panic!("{some:?}") };
        assert_eq!(names(patch), ["acme-api"]);
        assert_eq!(some.answers, [Answer::Later, Answer::Taken, Answer::Later]);
    }

    #[test]
    fn a_service_without_objects_is_refused_and_a_base_without_them_has_nothing_to_do() {
        let none = decided(Some(&live('a', 'a', "acme-db@0")), "base:a web:a db:a");
        assert_eq!(none.answers[0], Answer::Nothing);
        let Answer::Refused(reason) = &none.answers[1] else { panic!("{none:?}") };
        assert!(reason.contains("no object of acme-applications is named acme-web"), "{reason}");
        assert_eq!(none.answers[2], Answer::Taken);
        // An empty list of objects would mean all of them.
        let alone = decided(Some(&live('a', 'a', "acme-db@0")), "base:a");
        assert_eq!(alone.write, Write::Nothing);
    }

    #[test]
    fn what_is_on_it_already_is_not_asked_for_again() {
        let mut live = live('a', 'a', "acme-db@0 acme-api@0");
        live["status"]["operationState"] = json!({
            "phase": "Succeeded",
            "operation": { "info": [{ "name": format!("{REQUEST_ID}/db"), "value": "r-db" }] },
        });
        let again = decided(Some(&live), "db:a api:a");
        let Write::Patch(patch) = &again.write else { panic!("{again:?}") };
        assert_eq!(names(patch), ["acme-api"]);
        assert_eq!(again.answers, [Answer::Taken, Answer::Taken]);
        assert_eq!(decided(Some(&live), "db:a").write, Write::Nothing);
    }

    #[test]
    fn another_operation_is_waited_for_and_a_newer_worker_obeyed() {
        let division = Division::new("acme".parse().unwrap(), []);
        let whole = "acme-applications".parse().unwrap();
        let fault = |operation: Value| {
            let mut live = live('a', 'a', "acme-common@0");
            live["operation"] = operation;
            let live: Application = serde_json::from_value(live).unwrap();
            decide(&whole, Some(&live), &manifest(), &members("base:a"), &division, MANNER).unwrap_err()
        };
        assert_eq!(fault(json!({ "sync": {} })), ClusterError::Busy(whole.clone()));
        let newer = fault(json!({ "info": [{ "name": EPOCH, "value": "4" }] }));
        assert!(matches!(newer, ClusterError::Unavailable(_)), "{newer:?}");
    }
}
