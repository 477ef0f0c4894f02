//! Applications that somebody else made, or an ApplicationSet: whose word they are, and what is written to them.

use super::super::sets;
use super::*;

#[test]
fn what_somebody_else_made_is_pinned_and_otherwise_left_alone() {
    let theirs = changed(|live| {
        live["metadata"]["labels"] = json!({});
        live["spec"]["syncPolicy"] = json!({ "syncOptions": ["Replace=true"], "retry": { "limit": 2 } });
    });
    let patch = patch(&theirs, &request("d-2.web.1", 4));
    assert_eq!(patch["spec"], json!({ "source": { "targetRevision": revision('b') } }));
    assert_eq!(patch["operation"]["sync"]["syncOptions"], json!(["Replace=true"]));
    assert_eq!(patch["operation"]["retry"], json!({ "limit": 2 }));
    assert_eq!(write::automate(&theirs, Automated::default(), Hold::Pin), Write::Nothing);
}

#[test]
fn what_is_done_about_automated_sync_is_as_configured() {
    // On its branch with automated sync on, as somebody else made it.
    let theirs = changed(|live| {
        live["metadata"]["labels"] = json!({});
        live["spec"]["source"]["targetRevision"] = json!("main");
        live["spec"]["syncPolicy"] = json!({ "automated": { "selfHeal": true } });
    });
    let written = |hold| {
        let manner = Manner { hold, ..PIN };
        write::sync(&theirs, &desired(), &request("d-2.web.1", 4), manner)
    };
    let spec = |hold| match written(hold) {
        Ok(Write::Patch(patch)) => patch["spec"].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(spec(Hold::Pin), json!({ "source": { "targetRevision": revision('b') } }));
    assert_eq!(spec(Hold::Disable), json!({ "syncPolicy": { "automated": { "enabled": false } } }));
    assert_eq!(written(Hold::Observe), Ok(Write::Nothing));
    let refused = written(Hold::Refuse).unwrap_err().to_string();
    assert!(refused.contains("automated sync on, which would race"), "{refused}");
    assert_eq!(write::check_automated(&app(), &read(&live())), Ok(()), "it is pinned");
}

#[test]
fn what_follows_a_branch_waits_with_automated_sync_off_and_gets_it_back_as_it_was() {
    let on_branch = |automated: Value| {
        changed(|live| {
            live["metadata"]["labels"] = json!({});
            live["spec"]["source"]["targetRevision"] = json!("main");
            live["spec"]["syncPolicy"] = json!({ "automated": automated });
        })
    };
    let on = on_branch(json!({ "prune": true }));
    let off = json!({
        "metadata": { "resourceVersion": "41" },
        "spec": { "syncPolicy": { "automated": { "enabled": false } } },
    });
    assert_eq!(write::take_over(&on, Hold::Disable), Write::Patch(off));
    for hold in [Hold::Pin, Hold::Refuse, Hold::Observe] {
        assert_eq!(write::take_over(&on, hold), Write::Nothing, "{hold:?}");
    }
    let pinned = changed(|live| live["spec"]["syncPolicy"]["automated"] = json!({ "prune": true }));
    assert_eq!(write::take_over(&pinned, Hold::Disable), Write::Nothing);
    let off = on_branch(json!({ "enabled": false, "prune": true }));
    assert_eq!(write::take_over(&off, Hold::Disable), Write::Nothing);

    let configured = Automated { enabled: Some(true), prune: false, self_heal: true };
    let again = json!({ "enabled": true, "prune": true, "selfHeal": false });
    let patch = json!({ "spec": { "syncPolicy": { "automated": again } } });
    assert_eq!(write::automate(&off, configured, Hold::Disable), Write::Patch(patch));
    let never = changed(|live| live["metadata"]["labels"] = json!({}));
    assert_eq!(write::automate(&never, configured, Hold::Disable), Write::Nothing);
}

/// One that the customer's set made, at commit a, from the chart's folder of before.
fn made_by_set(set: &str) -> Application {
    changed(|live| {
        live["metadata"]["ownerReferences"] = json!([{ "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": set, "uid": "1" }]);
        live["spec"]["source"]["path"] = json!("charts/before");
    })
}

#[test]
fn what_our_set_made_gets_its_source_with_its_pin_and_in_its_turn() {
    let manner = Manner { makes: Maker::ApplicationSets, ..PIN };
    let sync =
        |set: &str, manner| write::sync(&made_by_set(set), &desired(), &request("d-2.web.1", 4), manner);
    let Ok(Write::Patch(patch)) = sync("c-services", manner) else { panic!("nothing is written") };
    let mut source = desired()["spec"]["source"].clone();
    source["targetRevision"] = json!(revision('b'));
    let policy = desired()["spec"]["syncPolicy"].clone();
    assert_eq!(patch["spec"], json!({ "source": source, "syncPolicy": policy }));
    // Another set makes it, or nobody applies sets here: then all but the pin is theirs.
    for (set, manner) in [("others", manner), ("c-services", PIN)] {
        let refused = sync(set, manner).unwrap_err().to_string();
        assert!(refused.contains("deploys charts/before, not charts/c"), "{refused}");
    }
}

#[test]
fn a_set_takes_over_nothing_that_is_somebody_elses() {
    let tenant = Tenant {
        customer: "c".parse().unwrap(),
        environment: "production".parse().unwrap(),
        namespace: "c-production".parse().unwrap(),
        repository: "https://example.com/r.git".into(),
    };
    let told = |live: &Application| sets::check_application(&app(), live, "c-services", &tenant).err();
    assert_eq!(told(&read(&live())), None, "we made it directly before");
    assert_eq!(told(&made_by_set("c-services")), None);
    let others = told(&made_by_set("others")).unwrap();
    assert_eq!(others, "the ApplicationSet others makes c-web, and c-services cannot make it too");
    let persons = told(&changed(|live| live["metadata"]["labels"] = json!({}))).unwrap();
    assert!(persons.starts_with("c-web was made by somebody else, and"), "{persons}");
    let staging = |live: &mut Value| live["metadata"]["labels"][manifest::ENVIRONMENT] = json!("staging");
    let other = told(&changed(staging)).unwrap();
    assert!(other.starts_with("c-web is that of environment staging, not production: one"), "{other}");

    let told = |managed: Option<&'static str>, environment: &'static str| {
        let label = |name: &str| if name == manifest::ENVIRONMENT { Some(environment) } else { managed };
        sets::check_set("c-services", label, &tenant).err()
    };
    assert_eq!(told(Some("argocd-orchestrator"), "production"), None);
    assert!(told(None, "production").unwrap().contains("was made by somebody else"));
    assert!(told(Some("argocd-orchestrator"), "staging").unwrap().contains("one environment of a customer"));
}

#[test]
fn what_is_wrong_with_a_set_is_what_its_controller_says() {
    let with = |status: &str| {
        json!({ "status": { "conditions": [
            { "type": "ResourcesUpToDate", "status": "True", "message": "all is well" },
            { "type": "ErrorOccurred", "status": status, "message": "no project c" },
        ] } })
    };
    assert_eq!(sets::trouble(&with("True")), Some("no project c"));
    assert_eq!(sets::trouble(&with("False")), None);
    assert_eq!(sets::trouble(&json!({})), None);
}

#[test]
fn an_application_set_that_would_undo_a_pin_or_sync_itself_is_refused() {
    let with = |ignored: Value| json!({ "spec": { "ignoreApplicationDifferences": ignored } });
    let pointer = "/spec/source/targetRevision";
    let rolling = json!({ "spec": { "strategy": { "type": "RollingSync" } } });
    let cases = [
        (rolling, Some("RollingSync")),
        (json!({ "spec": {} }), Some("would undo the pin")),
        (with(json!([{ "jsonPointers": ["/spec/destination"] }])), Some("would undo the pin")),
        (with(json!([{ "name": "c-db", "jsonPointers": [pointer] }])), Some("would undo the pin")),
        (with(json!([{ "jsonPointers": ["/spec/syncPolicy", pointer] }])), None),
        (with(json!([{ "name": "c-web", "jsonPointers": [pointer] }])), None),
    ];
    for (set, told) in cases {
        let found =
            write::check_set(&set, "customers", "c-web", write::written(&read(&live()), Hold::Pin)).err();
        let fits = match (&found, told) {
            (Some(found), Some(told)) => found.contains(told),
            (found, told) => found.is_none() && told.is_none(),
        };
        assert!(fits, "{set}: {found:?}");
    }
}

#[test]
fn an_application_set_has_to_leave_alone_what_is_written_and_no_more() {
    let on_branch = changed(|live| live["spec"]["source"]["targetRevision"] = json!("main"));
    let set = |pointer: &str| json!({ "spec": { "ignoreApplicationDifferences": [{ "jsonPointers": [pointer] }] } });
    let found = |live: &Application, hold, pointer: &str| {
        write::check_set(&set(pointer), "customers", "c-web", write::written(live, hold)).err()
    };
    let pin = "/spec/source/targetRevision";
    assert_eq!(found(&on_branch, Hold::Disable, "/spec/syncPolicy"), None);
    assert!(
        found(&on_branch, Hold::Disable, pin).unwrap().contains("would switch on automated sync of c-web")
    );
    assert_eq!(found(&read(&live()), Hold::Disable, pin), None, "it stays pinned");
    assert_eq!(found(&on_branch, Hold::Refuse, "/spec/info"), None, "nothing of its spec is written");
    assert!(found(&on_branch, Hold::Pin, "/spec/sourc").is_some());
    let rolling = json!({ "spec": { "strategy": { "type": "RollingSync" } } });
    let told = write::check_set(&rolling, "customers", "c-web", write::written(&on_branch, Hold::Refuse));
    assert!(told.unwrap_err().contains("RollingSync"));
}

#[test]
fn only_a_set_that_lists_its_applications_is_known_not_to_make_one_again() {
    let of = |generators: Value| json!({ "spec": { "generators": generators } });
    let list = |names: &[&str]| {
        let elements: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "list": { "elements": elements } })
    };
    let cases = [
        (of(json!([list(&["c-db", "c-api"])])), false),
        (of(json!([list(&["c-db"]), list(&["c-web"])])), true),
        (of(json!([{ "list": { "elements": [{ "service": "web" }] } }])), true),
        (of(json!([list(&["c-db"]), { "git": {} }])), true),
        (of(json!([])), false),
    ];
    for (set, may) in cases {
        assert_eq!(write::may_make(&set, "c-web"), may, "{set}");
    }
}
