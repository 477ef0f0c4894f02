//! The API server, kinds, rights, Argo CD, the orchestrator itself.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::permissions::{self, Answer, Scope, Wanted};
use super::super::server::{self, Me, Part, Server};
use super::super::workload::{self, Workload};
use super::super::{Check, Level, argo_cd, cluster, kinds};
use super::{documents, told};

#[test]
fn clocks_differ_only_where_that_cannot_be_the_seconds_of_a_header() {
    let at = |millis: i64| Timestamp::from_millisecond(1_000_000_000_000 + millis).unwrap();
    for (theirs, asked, answered, expected) in [
        (0, 100, 200, 0),
        (0, 999, 1_001, 0),
        (0, 0, 0, 0),
        // Half a minute for an answer proves little.
        (10_000, 0, 30_000, 0),
        (5_000, 0, 100, 4_900),
        (-5_000, 0, 100, -4_000),
        (3_600_000, 0, 0, 3_600_000),
    ] {
        let time = cluster::Time { theirs: at(theirs), asked: at(asked), answered: at(answered) };
        assert_eq!(time.ahead(), SignedDuration::from_millis(expected), "{theirs} {asked} {answered}");
        let found = cluster::clock(Check::CLOCK, "the API server", &time);
        let level = match expected.abs() {
            0..=2_000 => Level::Fine,
            2_001..=10_000 => Level::Warning,
            _ => Level::Wrong,
        };
        assert_eq!(found.level, level, "{found:?}");
    }
}

#[test]
fn an_old_kubernetes_is_wrong_and_an_odd_version_only_noted() {
    for (version, level) in [
        ("v1.34.3", Level::Fine),
        ("v1.25.0", Level::Fine),
        ("v1.27.3-gke.100", Level::Fine),
        ("v1.30+", Level::Fine),
        ("v2.0.0", Level::Fine),
        ("v1.24.9", Level::Wrong),
        ("", Level::Note),
        ("main", Level::Note),
    ] {
        let facts = cluster::ApiServer { address: "https://a".into(), version: version.into(), time: None };
        let found = cluster::findings(&facts);
        let found = found.iter().find(|finding| finding.check == Check::API_SERVER_VERSION).unwrap();
        assert_eq!(found.level, level, "{version}");
    }
}

#[test]
fn kinds_that_nothing_works_without_are_wrong_and_others_are_warnings() {
    let all = [
        "applications",
        "applicationsets",
        "appprojects",
        "rollouts",
        "analysistemplates",
        "eventbus",
        "eventsources",
        "sensors",
        "workflows",
        "workflowtemplates",
        "cronworkflows",
    ];
    let without = |missing: &[&str]| {
        let resources = all.iter().filter(|one| !missing.contains(*one)).map(|one| (*one).to_owned());
        let facts = kinds::Kinds { versions: vec!["v1alpha1".into()], resources: resources.collect() };
        told(&kinds::findings(&facts)).into_iter().map(|(id, level, _)| (id, level)).collect::<Vec<_>>()
    };
    assert_eq!(without(&[]), []);
    assert_eq!(without(&["sensors"]), [("argo-events-kinds", Level::Wrong)]);
    assert_eq!(without(&["appprojects"]), [("argo-cd-kinds", Level::Wrong)]);
    assert_eq!(without(&["rollouts"]), [("argo-rollouts-kinds", Level::Warning)]);
    assert_eq!(without(&["cronworkflows"]), [("argo-workflows-kinds", Level::Warning)]);
    let other = kinds::Kinds { versions: vec!["v1".into()], resources: BTreeSet::new() };
    let found = kinds::findings(&other);
    assert!(found.iter().all(|finding| finding.text.contains("served of argoproj.io: v1")), "{found:?}");
}

fn everything() -> Wanted {
    Wanted {
        argo_cd: "argocd".into(),
        writes: true,
        provisions: true,
        application_sets: true,
        prunes: true,
        per_customer: true,
        health_checks: true,
        rollouts: true,
    }
}

#[test]
fn what_is_asked_for_is_what_the_manifests_grant() {
    type Right = (String, String, String, String);
    let mut granted: BTreeSet<Right> = BTreeSet::new();
    for (file, text) in [
        ("driver.yaml", include_str!("../../../../k8s/rbac/driver.yaml")),
        ("provisioner.yaml", include_str!("../../../../k8s/rbac/provisioner.yaml")),
        ("application-sets.yaml", include_str!("../../../../k8s/rbac/application-sets.yaml")),
        ("pruner.yaml", include_str!("../../../../k8s/rbac/pruner.yaml")),
        ("per-customer.yaml", include_str!("../../../../k8s/rbac/per-customer.yaml")),
    ] {
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        for role in documents(text).iter().filter(|one| one["rules"].is_array()) {
            for rule in role["rules"].as_array().unwrap() {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        for verb in texts(&rule["verbs"]) {
                            granted.insert((file.into(), group.clone(), resource.clone(), verb));
                        }
                    }
                }
            }
        }
    }
    let needs = permissions::needs(&everything());
    let asked: BTreeSet<Right> = needs
        .iter()
        .flat_map(|need| {
            let of = |verb: &&str| {
                let file = need.file.unwrap().to_owned();
                (file, need.group.to_owned(), need.resource.to_owned(), (*verb).to_owned())
            };
            need.verbs.iter().map(of)
        })
        .collect();
    assert_eq!(asked, granted);
}

#[test]
fn only_what_is_configured_is_asked_for() {
    let least = Wanted {
        writes: false,
        provisions: false,
        application_sets: false,
        prunes: false,
        per_customer: false,
        health_checks: false,
        rollouts: false,
        ..everything()
    };
    let needs = permissions::needs(&least);
    assert_eq!(needs.len(), 1);
    assert_eq!((needs[0].resource, &needs[0].verbs[..]), ("applications", &["get", "list", "watch"][..]));
}

#[test]
fn what_may_not_be_done_is_told_with_verb_resource_and_place() {
    let need = |resource: &str, scope| {
        let mut all = permissions::needs(&everything()).into_iter();
        all.find(|need| need.resource == resource && need.scope == scope).unwrap()
    };
    let answer = |verb, denied: &[&str]| Answer {
        verb,
        denied: denied.iter().map(|name| (*name).to_owned()).collect(),
    };
    for (need, answers, level, text) in [
        (
            need("applications", Scope::ArgoCd),
            vec![answer("get", &[]), answer("list", &[])],
            Level::Fine,
            "you may get, list, watch, create, patch applications.argoproj.io in argocd",
        ),
        (
            need("applications", Scope::ArgoCd),
            vec![answer("get", &[]), answer("patch", &[""])],
            Level::Wrong,
            "you may not patch applications.argoproj.io in argocd",
        ),
        (
            need("rollouts/status", Scope::Customers),
            vec![answer("patch", &["customer-b"])],
            Level::Wrong,
            "you may not patch rollouts.argoproj.io/status in customer-b",
        ),
        (
            need("services", Scope::Customers),
            vec![answer("get", &[""])],
            Level::Wrong,
            "you may not get services in the customers' namespaces",
        ),
        (
            need("namespaces", Scope::Cluster),
            vec![answer("create", &[""])],
            Level::Wrong,
            "you may not create namespaces",
        ),
    ] {
        let found = permissions::finding("you", "argocd", &need, &answers);
        assert_eq!((found.level, found.text.as_str()), (level, text));
        assert_eq!(found.remedy.is_some(), level == Level::Wrong, "{found:?}");
    }
}

#[test]
fn the_version_of_argo_cd_is_told_by_its_image() {
    for (image, level) in [
        ("quay.io/argoproj/argocd:v3.2.1", Level::Fine),
        ("registry:5000/argocd:v3.2.1@sha256:0123", Level::Fine),
        ("quay.io/argoproj/argocd:v2.14.0", Level::Warning),
        ("quay.io/argoproj/argocd:latest", Level::Note),
        ("registry:5000/argocd", Level::Note),
        ("argocd@sha256:0123", Level::Note),
    ] {
        assert_eq!(argo_cd::version(&[image.to_owned()]).level, level, "{image}");
    }
    assert_eq!(argo_cd::version(&[]).level, Level::Note);
}

#[test]
fn what_moves_applications_is_told_with_the_names_of_some() {
    let conflict = |sort, set: Option<&str>| argo_cd::Conflict {
        sort,
        set: set.map(str::to_owned),
        applications: (1..=7).map(|number| format!("c-{number}")).collect(),
        text: "it moves".into(),
        remedy: "stop it".into(),
    };
    let facts = argo_cd::ArgoCd {
        namespace: "argocd".into(),
        conflicts: vec![
            conflict(argo_cd::Sort::AutoSync, None),
            conflict(argo_cd::Sort::AutoSyncUntilFirst, None),
            conflict(argo_cd::Sort::RollingSync, Some("all")),
            conflict(argo_cd::Sort::PinUndone, Some("all")),
        ],
        ..argo_cd::ArgoCd::default()
    };
    let found = argo_cd::findings(&facts);
    let expected = [
        ("argo-cd-version", Level::Note, ""),
        ("auto-sync", Level::Wrong, "spec.syncPolicy.automated"),
        ("auto-sync", Level::Warning, "spec.syncPolicy.automated"),
        ("rolling-sync", Level::Wrong, "spec.strategy"),
        ("pin-undone", Level::Wrong, "spec.ignoreApplicationDifferences"),
    ];
    assert_eq!(told(&found), expected.map(|(id, level, field)| (id, level, field.to_owned())));
    let place = found[3].place.as_ref().unwrap();
    assert_eq!(place.object, "ApplicationSet argocd/all");
    assert_eq!(place.value.as_deref(), Some("c-1, c-2, c-3, c-4, c-5 and 2 more"));
}

#[test]
fn a_server_that_is_down_old_or_does_not_know_us_is_told() {
    let part = |name: &str, up| Part { name: name.into(), up };
    let facts = |health, version, me| Server { address: "https://a".into(), health, time: None, version, me };
    let me = |roles: &[&str]| {
        Ok(Me { name: "anna".into(), roles: roles.iter().map(|role| (*role).to_owned()).collect() })
    };
    let up = || Ok(vec![part("reads", true), part("writes", true)]);
    let levels = |facts: &Server| {
        let found = server::findings(facts, "0.1.0");
        told(&found).into_iter().map(|(id, level, _)| (id, level)).collect::<Vec<_>>()
    };
    assert_eq!(levels(&facts(up(), Some(Ok("0.1.0".into())), me(&["admin"]))), []);
    assert_eq!(
        levels(&facts(Ok(vec![part("writes", false)]), Some(Ok("0.2.0".into())), me(&[]))),
        [
            ("server-health", Level::Wrong),
            ("server-token", Level::Warning),
            ("server-version", Level::Warning)
        ]
    );
    assert_eq!(
        levels(&facts(Err("not JSON".into()), None, Err("unauthorized".into()))),
        [("server-health", Level::Wrong), ("server-token", Level::Wrong)]
    );
}

#[test]
fn a_stateful_set_is_ready_when_all_of_its_newest_pods_are() {
    let ready = Workload {
        name: "a/b".into(),
        wanted: 1,
        ready: 1,
        updated: 1,
        observed: true,
        images: vec!["a:1".into()],
    };
    for (workload, level) in [
        (ready.clone(), Level::Fine),
        (Workload { ready: 0, ..ready.clone() }, Level::Wrong),
        (Workload { updated: 0, ..ready.clone() }, Level::Wrong),
        (Workload { observed: false, ..ready.clone() }, Level::Wrong),
        (Workload { wanted: 0, ..ready }, Level::Wrong),
    ] {
        assert_eq!(workload::findings(Ok(Some(&workload)), "a/b").level, level, "{workload:?}");
    }
    assert_eq!(workload::findings(Ok(None), "a/b").level, Level::Note);
    assert_eq!(workload::findings(Err("forbidden"), "a/b").level, Level::Note);
}

#[test]
fn each_check_has_an_id_of_its_own_and_a_line_in_the_documentation() {
    let text = include_str!("../../../../docs/check.md");
    let mut seen = BTreeSet::new();
    for check in Check::ALL {
        assert!(seen.insert(check.id), "{} twice", check.id);
        assert!(text.contains(&format!("| `{}` |", check.id)), "docs/check.md has no {}", check.id);
    }
    let rows = text.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Check::ALL.len(), "docs/check.md tells of checks that there are not");
}
