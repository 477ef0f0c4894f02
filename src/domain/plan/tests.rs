use super::*;
use crate::domain::catalog::{ASSUMED_DURATION, Limits};
use crate::domain::graph::tests::catalog;

const SHOP: &str = "
    db 0
    cache 0
    user 1 db
    payment 1 db
    web 2 user";

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

/// What a plan is made from, with a past in which everything of the catalogue before ran healthily.
struct Given {
    before: Catalog,
    catalog: Catalog,
    order: Order,
    purpose: Purpose,
    selection: Selection,
    forgotten: Vec<&'static str>,
    quarantined: Vec<&'static str>,
    live: BTreeMap<String, Live>,
    revision: Revision,
    healthy_at: Timestamp,
    /// One Application has all; it was last synced as a whole at commit c.
    whole: bool,
}

impl Given {
    fn push(change: impl FnOnce(&mut Catalog)) -> Self {
        let mut after = catalog(SHOP);
        change(&mut after);
        Self {
            before: catalog(SHOP),
            catalog: after,
            order: Order::Waves,
            purpose: Purpose::Deploy,
            selection: Selection::default(),
            forgotten: Vec::new(),
            quarantined: Vec::new(),
            live: BTreeMap::new(),
            revision: revision('b'),
            healthy_at: Timestamp::UNIX_EPOCH,
            whole: false,
        }
    }

    fn plan(&self) -> Plan {
        let (graph, _) = Graph::build(&self.catalog, self.order, &Limits::default());
        let (past, _) = Graph::build(&self.before, self.order, &Limits::default());
        let chart = "files".parse().unwrap();
        let rendering = |catalog: &Catalog, graph: &Graph, node: usize| {
            let service = catalog.service(graph.name(node)).unwrap();
            impact::rendering(catalog, service, graph.wave(node), &chart)
        };
        let baseline = |rendering| Baseline {
            revision: revision('a'),
            rendering,
            healthy_at: self.healthy_at,
            health_check: None,
        };
        let mut baselines: Baselines = (0..past.len())
            .map(|node| (past.name(node).to_string(), baseline(rendering(&self.before, &past, node))))
            .collect();
        baselines.insert(BASE.into(), baseline(impact::base_rendering(&self.before, &chart)));
        if self.whole {
            let whole = baseline(impact::base_rendering(&self.before, &chart));
            baselines.insert(ALL.into(), Baseline { revision: revision('c'), ..whole });
        }
        baselines.retain(|name, _| !self.forgotten.contains(&name.as_str()));
        let failed = |node: usize| {
            let content = rendering(&self.catalog, &graph, node).fingerprint();
            (graph.name(node).to_string(), vec![(content, "it stayed Degraded".to_owned())])
        };
        let quarantined = (0..graph.len())
            .map(failed)
            .filter(|(name, _)| self.quarantined.contains(&name.as_str()))
            .collect();
        plan(&Inputs {
            whole: self.whole,
            catalog: &self.catalog,
            graph: &graph,
            chart: &chart,
            baselines: &baselines,
            live: &self.live,
            quarantined: &quarantined,
            source: &"values".parse().unwrap(),
            revision: &self.revision,
            purpose: self.purpose,
            order: self.order,
            selection: &self.selection,
            durations: &vec![ASSUMED_DURATION; graph.len()],
        })
        .unwrap()
    }
}

/// What is done with each, and why, in the order of their turns.
fn check(given: &Given, expected: &[&str]) {
    let plan = given.plan();
    let line = |change: &Change| {
        let reasons: Vec<String> = change.reasons.iter().map(ToString::to_string).collect();
        format!("{} {}: {}", change.name(), change.action.word(), reasons.join(", "))
    };
    assert_eq!(plan.changes.iter().map(line).collect::<Vec<_>>(), expected);
    for (position, change) in plan.changes.iter().enumerate() {
        let before = |&required: &u32| (required as usize) < position;
        assert!(change.requires.iter().all(before), "{} comes before what it requires", change.name());
        assert_eq!(change.requires.first() == Some(&0), position > 0, "the shared part comes first");
    }
}

fn with_more_users(shop: &mut Catalog) {
    shop.services[2].replicas = 3;
}

fn only(name: &str) -> Selection {
    Selection { services: Some([name.parse().unwrap()].into()), ..Selection::default() }
}

#[test]
fn a_push_that_changes_nothing_does_nothing() {
    let given = Given::push(|_| {});
    let unchanged =
        ["base", "db", "cache", "user", "payment", "web"].map(|name| format!("{name} leave: unchanged"));
    check(&given, &unchanged.each_ref().map(String::as_str));
    let plan = given.plan();
    assert!(plan.is_idle());
    assert_eq!((plan.service_count(), plan.touched_count()), (5, 0));
}

#[test]
fn what_something_touched_waits_for_is_gated_and_the_rest_left() {
    let waves = Given::push(with_more_users);
    check(
        &waves,
        &[
            "base gate: unchanged",
            "db gate: unchanged",
            "cache gate: unchanged",
            "user sync: values",
            "payment leave: unchanged",
            "web leave: unchanged",
        ],
    );
    let dependencies = Given { order: Order::Dependencies, ..Given::push(with_more_users) };
    let plan = dependencies.plan();
    let gated: Vec<&str> =
        plan.changes.iter().filter(|change| change.action == Action::Gate).map(Change::name).collect();
    assert_eq!(gated, ["base", "db"]);
    assert_eq!(plan.touched().map(Change::name).collect::<Vec<_>>(), ["user"]);
}

#[test]
fn what_never_ran_is_new_and_the_shared_part_never_missing() {
    let names = vec!["base", "db", "cache", "user", "payment", "web"];
    let first = Given { forgotten: names.clone(), ..Given::push(|_| {}) };
    let lines: Vec<String> = names.iter().map(|name| format!("{name} sync: new here")).collect();
    check(&first, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let narrow = Given { forgotten: names, selection: only("db"), ..Given::push(|_| {}) };
    let touched: Vec<String> = narrow.plan().touched().map(|change| change.name().to_owned()).collect();
    assert_eq!(touched, ["base", "db"]);
}

#[test]
fn what_failed_with_this_content_is_held_unless_it_is_asked_for() {
    let given = || Given { quarantined: vec!["user", "web"], ..Given::push(with_more_users) };
    let action = |given: &Given| given.plan().changes[3].action.clone();
    assert_eq!(action(&given()), Action::Hold { reason: "it stayed Degraded".into() });
    // What would not be touched anyway is not held either.
    assert_eq!(given().plan().changes[5].action, Action::Leave);
    let forced = Given { selection: Selection { force: true, ..Selection::default() }, ..given() };
    assert_eq!(action(&forced), Action::Sync);
    assert_eq!(action(&Given { selection: only("user"), ..given() }), Action::Sync);
    // Another content is another matter.
    let other = Given { quarantined: Vec::new(), ..given() };
    assert_eq!(action(&other), Action::Sync);
}

#[test]
fn a_selection_takes_only_what_was_asked_for() {
    let wave = Selection { wave: Some(Wave(1)), ..Selection::default() };
    check(
        &Given { selection: wave, ..Given::push(|_| {}) },
        &[
            "base gate: unchanged",
            "db gate: unchanged",
            "cache gate: unchanged",
            "user sync: asked for",
            "payment sync: asked for",
            "web leave: unchanged",
        ],
    );
    check(
        &Given { selection: only("user"), purpose: Purpose::Check, ..Given::push(with_more_users) },
        &[
            "base leave: unchanged",
            "db leave: unchanged",
            "cache leave: unchanged",
            "user gate: asked for",
            "payment leave: unchanged",
            "web leave: unchanged",
        ],
    );
    let back = Given { purpose: Purpose::Rollback, forgotten: vec!["web"], ..Given::push(with_more_users) };
    let plan = back.plan();
    assert_eq!(
        plan.touched().map(Change::name).collect::<Vec<_>>(),
        ["base", "db", "cache", "user", "payment"]
    );
}

#[test]
fn an_application_that_was_left_elsewhere_is_brought_back() {
    let live = BTreeMap::from([
        ("db".to_owned(), Live::Pinned(revision('a'))),
        ("cache".to_owned(), Live::Gone),
        ("web".to_owned(), Live::Pinned(revision('c'))),
    ]);
    let plan = Given { live, ..Given::push(|_| {}) }.plan();
    assert_eq!(plan.touched().map(Change::name).collect::<Vec<_>>(), ["cache", "web"]);
    assert_eq!(plan.changes[2].reasons, [Reason::Gone]);
    assert_eq!(plan.changes[5].reasons, [Reason::Elsewhere { at: revision('c') }]);
}

#[test]
fn the_hash_is_about_what_would_be_done_and_not_about_when() {
    let hash = |given: Given| given.plan().hash;
    let first = hash(Given::push(with_more_users));
    assert_eq!(hash(Given { healthy_at: Timestamp::MAX, ..Given::push(with_more_users) }), first);
    let others = [
        hash(Given::push(|_| {})),
        hash(Given { revision: revision('c'), ..Given::push(with_more_users) }),
        hash(Given { order: Order::Dependencies, ..Given::push(with_more_users) }),
        hash(Given { forgotten: vec!["web"], ..Given::push(with_more_users) }),
        hash(Given::push(|shop| shop.services[2].replicas = 4)),
        hash(Given::push(|shop| {
            with_more_users(shop);
            shop.services.remove(1);
        })),
    ];
    let all: BTreeSet<_> = others.iter().chain([&first]).collect();
    assert_eq!(all.len(), others.len() + 1, "{others:?}");
}

#[test]
fn what_is_gone_from_the_catalogue_is_named_and_left_running() {
    let plan = Given::push(|shop| drop(shop.services.remove(1))).plan();
    assert_eq!(plan.removed.iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["cache"]);
}

#[test]
fn the_difference_of_two_plans_names_services_waves_edges_and_what_is_touched() {
    let before = Given::push(|_| {}).plan();
    let after = Given {
        catalog: catalog("db 0\n user 1 db\n payment 2 db user\n web 2\n search 3 web"),
        ..Given::push(|_| {})
    };
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(
        after.plan().diff(&before),
        Diff {
            added: vec!["search".into()],
            removed: vec!["cache".into()],
            moved: vec![MovedWave { service: "payment".into(), from: Some(Wave(1)), to: Some(Wave(2)) }],
            new_edges: vec![edge("payment", "user"), edge("search", "web")],
            removed_edges: vec![edge("web", "user")],
            touched: vec!["web".into(), "payment".into(), "search".into()],
        }
    );
    assert_eq!(before.diff(&before), Diff::default());
}

#[test]
fn one_application_is_synced_as_a_whole_when_all_that_is_touched_is_healthy() {
    let given = Given { whole: true, ..Given::push(with_more_users) };
    let plan = given.plan();
    let last = plan.changes.last().unwrap();
    assert_eq!(
        (last.name(), last.app.as_str(), last.wave),
        ("applications", "customer-a-applications", Some(Wave(3)))
    );
    assert_eq!(last.action, Action::Sync);
    let required: Vec<&str> =
        last.requires.iter().map(|&required| plan.changes[required as usize].name()).collect();
    assert_eq!(required, ["user"]);
    assert!(!last.rollback.enabled, "its services are taken back one by one");
    // All that was covered by the last whole sync goes back to its commit, so that one pin is right for all.
    for change in &plan.changes {
        assert_eq!(change.previous.as_ref().unwrap().revision, revision('c'), "{}", change.name());
    }
    assert!(plan.removed.is_empty(), "the whole is no service: {:?}", plan.removed);
    assert_ne!(plan.hash, Given::push(with_more_users).plan().hash);
}

#[test]
fn there_is_no_whole_sync_where_it_would_do_more_than_was_wanted() {
    let wholes = |given: Given| {
        let plan = Given { whole: true, ..given }.plan();
        plan.changes.iter().filter(|change| change.name() == ALL).count()
    };
    assert_eq!(wholes(Given::push(with_more_users)), 1);
    assert_eq!(wholes(Given::push(|_| {})), 0, "nothing changed");
    assert_eq!(
        wholes(Given { selection: only("user"), ..Given::push(with_more_users) }),
        0,
        "one was asked for"
    );
    let held = Given {
        quarantined: vec!["user"],
        ..Given::push(|shop| {
            with_more_users(shop);
            shop.services[4].replicas = 3;
        })
    };
    assert_eq!(wholes(held), 0, "user is held");
    let removed = Given::push(|shop| {
        with_more_users(shop);
        shop.services.pop();
    });
    assert_eq!(wholes(removed), 0, "web runs on");
    assert_eq!(wholes(Given { purpose: Purpose::Check, ..Given::push(with_more_users) }), 0);
}
