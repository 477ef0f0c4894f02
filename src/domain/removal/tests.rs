use super::*;
use crate::domain::catalog::{ASSUMED_DURATION, Limits, Order};
use crate::domain::graph::Graph;
use crate::domain::graph::tests::catalog;
use crate::domain::names::Revision;
use crate::domain::plan::{Baselines, Inputs, Purpose, Selection, fingerprint, plan};

/// The plan that brings these services here from nothing; `removed` ran before.
fn planned(services: &str, removed: &[&str]) -> Plan {
    let catalog = catalog(services);
    let (graph, _) = Graph::build(&catalog, Order::Waves, &Limits::default());
    let revision: Revision = "a".repeat(40).parse().unwrap();
    let made = plan(&Inputs {
        whole: false,
        catalog: &catalog,
        graph: &graph,
        chart: &fingerprint(&0),
        baselines: &Baselines::new(),
        live: &BTreeMap::new(),
        quarantined: &BTreeMap::new(),
        source: &"values".parse().unwrap(),
        revision: &revision,
        purpose: Purpose::Deploy,
        order: Order::Waves,
        selection: &Selection::default(),
        durations: &vec![ASSUMED_DURATION; graph.len()],
    });
    Plan { removed: removed.iter().map(|name| name.parse().unwrap()).collect(), ..made.unwrap() }
}

fn check(removed: &[&str], earlier: &[&str], order: &[&str]) {
    let plan = planned("db 0", removed);
    let earlier: Vec<Plan> = earlier.iter().map(|services| planned(services, &[])).collect();
    let removals = removals(RemovedServices::Prune, &plan, &earlier).unwrap();
    let names: Vec<&str> = removals.iter().map(|removal| removal.service.as_str()).collect();
    assert_eq!(names, order, "{removed:?} after {earlier:?}");
    for removal in &removals {
        assert_eq!(removal.app.as_str(), format!("{}-{}", plan.customer, removal.service));
    }
}

#[test]
fn what_needed_a_service_goes_before_that_service() {
    check(&["cache", "user", "web"], &["db 0\ncache 0\nuser 1 cache\nweb 2 user"], &["web", "user", "cache"]);
    // Also where what lay between them stays, and where the names would have it the other way round.
    check(&["aa", "zz"], &["db 0\nzz 0\nmid 1 zz\naa 2 mid"], &["aa", "zz"]);
    check(&["aa", "zz"], &["db 0\naa 0\nmid 1 aa\nzz 2 mid"], &["zz", "aa"]);
}

#[test]
fn the_newest_plan_that_has_a_service_says_what_it_needed() {
    check(&["a", "b"], &["db 0\na 0\nb 0 a", "db 0\nb 0\na 0 b"], &["b", "a"]);
    // `old` was gone from the newest plan already, so nothing in that needed it.
    check(&["cache", "old"], &["db 0\ncache 0", "db 0\ncache 0\nold 1 cache"], &["old", "cache"]);
}

#[test]
fn services_of_which_nothing_is_known_go_first() {
    check(&["a", "b"], &[], &["b", "a"]);
    check(&["cache", "lost", "user"], &["db 0\ncache 0\nuser 1 cache"], &["lost", "user", "cache"]);
}

#[test]
fn plans_of_somebody_else_count_for_nothing() {
    let plan = planned("db 0", &["a", "b"]);
    let mut other = planned("db 0\nb 0\na 0 b", &[]);
    other.environment = "elsewhere".parse().unwrap();
    let removals = removals(RemovedServices::Prune, &plan, &[other]).unwrap();
    assert_eq!(removals.iter().map(|removal| removal.service.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn nothing_is_removed_unless_the_policy_says_so() {
    let plan = planned("db 0", &["cache"]);
    assert_eq!(RemovedServices::default(), RemovedServices::Keep);
    assert_eq!(removals(RemovedServices::Keep, &plan, &[]), Ok(Vec::new()));
}

#[test]
fn only_an_application_with_all_four_labels_is_the_one_that_is_meant() {
    let plan = planned("db 0", &["cache"]);
    let removal = &removals(RemovedServices::Prune, &plan, &[]).unwrap()[0];
    let right: BTreeMap<String, String> = [
        (MANAGED_BY.0, MANAGED_BY.1),
        (CUSTOMER, plan.customer.as_str()),
        (ENVIRONMENT, plan.environment.as_str()),
        (SERVICE, "cache"),
    ]
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .into();
    assert!(removal.owns(&right));
    for label in right.keys() {
        let mut wrong = right.clone();
        wrong.remove(label);
        assert!(!removal.owns(&wrong), "without {label}");
        wrong.insert(label.clone(), "other".into());
        assert!(!removal.owns(&wrong), "with another {label}");
    }
}

#[test]
fn the_finalizer_is_added_to_those_that_are_there() {
    let check = |there: &[&str], wanted: Option<&[&str]>| {
        let there: Vec<String> = there.iter().copied().map(str::to_owned).collect();
        let patch = finalize(&there, "7");
        let wanted = wanted.map(|all| json!({ "metadata": { "resourceVersion": "7", "finalizers": all } }));
        assert_eq!(patch, wanted, "{there:?}");
    };
    let background = format!("{FINALIZER}/background");
    check(&[], Some(&[FINALIZER]));
    check(&["example.com/other"], Some(&["example.com/other", FINALIZER]));
    check(&[FINALIZER], None);
    check(&[&background], None);
    check(
        &["resources-finalizer.argocd.argoproj.io.example.com"],
        Some(&["resources-finalizer.argocd.argoproj.io.example.com", FINALIZER]),
    );
}
