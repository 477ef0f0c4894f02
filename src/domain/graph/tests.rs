use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::catalog::{Dependency, Format, RollbackPolicy, Service, Strategy as Replacement};
use crate::domain::diagnostic::{Code, any_error};

/// A catalogue of lines `name wave dependency...`; the wave is `-` where there is none, and a `!` before the
/// name switches the service off. Places are those in the text itself.
pub(crate) fn catalog(text: &str) -> Catalog {
    let place = |line: usize, column: usize| Place {
        file: "values.yaml".into(),
        line: u32::try_from(line + 1).unwrap(),
        column: u32::try_from(column + 1).unwrap(),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate();
    let service = |(at, line): (usize, &str)| {
        let column = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let wave = words.next().filter(|&wave| wave != "-").map(|wave| Wave(wave.parse().unwrap()));
        let dependency = |on: &str| Dependency { on: on.parse().unwrap(), place: place(at, column(on)) };
        Service {
            name: name.trim_start_matches('!').parse().unwrap(),
            group: None,
            wave,
            enabled: !name.starts_with('!'),
            image: format!("example/{name}:1"),
            follows_image_tag: false,
            dependencies: words.map(dependency).collect(),
            health_check: None,
            strategy: Replacement::RollingUpdate,
            replicas: 1,
            resources: None,
            config_maps: Vec::new(),
            secrets: Vec::new(),
            volume_claims: Vec::new(),
            rollback: RollbackPolicy::default(),
            extra: BTreeMap::new(),
            place: place(at, 0),
        }
    };
    Catalog {
        file: "values.yaml".into(),
        format: Format::Helm,
        customer: "customer-a".parse().unwrap(),
        environment: "production".parse().unwrap(),
        image_tag: None,
        namespace: "customer-a".parse().unwrap(),
        config_maps: BTreeMap::new(),
        extra: BTreeMap::new(),
        services: lines.map(service).collect(),
    }
}

/// What is wrong, as a person reads it.
fn faults(text: &str, order: Order) -> String {
    let (_, diagnostics) = Graph::build(&catalog(text), order, &Limits::default());
    diagnostics.iter().map(|one| format!("{one}\n")).collect()
}

/// Name, wave and start order of what is right.
fn check(text: &str, waves: &[(&str, u32)], order: &[&str]) -> Graph {
    let (graph, diagnostics) = Graph::build(&catalog(text), Order::Waves, &Limits::default());
    assert!(!any_error(&diagnostics), "{diagnostics:?}");
    let found: Vec<_> =
        (0..graph.len()).map(|service| (graph.name(service).as_str(), graph.wave(service).0)).collect();
    assert_eq!(found, waves);
    assert_eq!(graph.order().iter().map(|&at| graph.name(at).as_str()).collect::<Vec<_>>(), order);
    graph
}

const SHOP: &str = "
    ingress 0
    postgres 1
    user-service 2 postgres
    payment-service 3 user-service postgres
    web-ui 4 payment-service ingress";

#[test]
fn services_come_after_what_they_need() {
    let waves = [("ingress", 0), ("postgres", 1), ("user-service", 2), ("payment-service", 3), ("web-ui", 4)];
    let order = ["ingress", "postgres", "user-service", "payment-service", "web-ui"];
    let graph = check(SHOP, &waves, &order);
    let payment = graph.index(&"payment-service".parse().unwrap()).unwrap();
    assert_eq!(graph.dependencies(payment).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(graph.dependants(payment).collect::<Vec<_>>(), [4]);
    assert_eq!(graph.ancestors_of(&[payment]), [1, 2]);
    assert_eq!(graph.descendants_of(&[1]), [2, 3, 4]);
    assert_eq!(graph.edges()[1].place.to_string(), "values.yaml:4:19");
    let durations: Vec<_> = [50, 1, 2, 3, 4].map(SignedDuration::from_secs).into();
    assert_eq!(graph.critical_path(&durations), [0, 4]);
    assert_eq!(graph.remaining(&durations)[1], SignedDuration::from_secs(10));
    assert_eq!(graph.predict(&durations, Order::Dependencies, None).makespan.as_secs(), 54);
    assert_eq!(graph.priorities(Order::Waves, &durations)[0], 50_000_000_000);
}

#[test]
fn what_is_switched_off_is_not_in_the_graph() {
    let graph = check("!redis 0\npostgres 0", &[("postgres", 0)], &["postgres"]);
    assert_eq!(graph.index(&"redis".parse().unwrap()), None);
    assert!(Graph::build(&catalog(""), Order::Waves, &Limits::default()).0.is_empty());
}

#[test]
fn a_missing_wave_is_one_more_than_the_highest_among_the_dependencies() {
    let text = "web - api cache\napi - postgres\npostgres 1\ncache -";
    check(
        text,
        &[("web", 3), ("api", 2), ("postgres", 1), ("cache", 0)],
        &["postgres", "cache", "api", "web"],
    );
    insta::assert_snapshot!(faults(text, Order::Waves), @"
    values.yaml:1:1: warning: `web` has no sync wave and gets 3, one more than `api`, on which it depends [missing-wave]
      help: write `sync-wave: 3` for it or its group, to make this certain
    values.yaml:2:1: warning: `api` has no sync wave and gets 2, one more than `postgres`, on which it depends [missing-wave]
      help: write `sync-wave: 2` for it or its group, to make this certain
    values.yaml:4:1: warning: `cache` has no sync wave and gets 0, because it depends on nothing [missing-wave]
      help: write `sync-wave: 0` for it or its group, to make this certain
    ");
}

#[test]
fn a_chain_without_waves_that_is_longer_than_the_limit_is_an_error() {
    let text: String = (0..12)
        .map(|at: u32| format!("s{at} - {}\n", if at == 0 { String::new() } else { format!("s{}", at - 1) }))
        .collect();
    let (_, diagnostics) = Graph::build(&catalog(&text), Order::Dependencies, &Limits::default());
    let errors: Vec<_> =
        diagnostics.iter().filter(|one| one.is_error()).map(|one| (one.code, one.place.line)).collect();
    assert_eq!(errors, [(Code::WaveOutOfRange, 11), (Code::WaveOutOfRange, 12)]);
    assert_eq!(diagnostics.len(), 14);
}

#[test]
fn a_dependency_that_leads_nowhere_is_named_with_its_remedy() {
    insta::assert_snapshot!(faults("web 1 user-servic redis kafka\nuser-service 0\n!redis 0", Order::Waves), @"
    values.yaml:1:7: error: `web` depends on `user-servic`, but there is no such service [unknown-dependency]
      help: did you mean `user-service`?
    values.yaml:1:19: error: `web` depends on `redis`, which is switched off [disabled-dependency]
      help: set `enabled: true` for `redis` (values.yaml:3:1), or remove the dependency
    values.yaml:1:25: error: `web` depends on `kafka`, but there is no such service [unknown-dependency]
      help: add a service `kafka`, or remove the dependency
    ");
}

#[test]
fn a_dependency_on_itself_or_twice_is_left_to_the_reader() {
    let graph = check("a 0 a\nb 1 a a", &[("a", 0), ("b", 1)], &["a", "b"]);
    assert_eq!(graph.edges().len(), 1);
}

#[test]
fn a_service_before_what_it_depends_on_is_an_error_in_waves_and_a_doubt_in_dependencies() {
    insta::assert_snapshot!(faults("web 1 api\napi 2", Order::Waves), @"
    values.yaml:1:7: error: `web` is in wave 1, but depends on `api`, which is in wave 2 [wave-order]
      help: `web` stands at values.yaml:1:1, `api` at values.yaml:2:1; put `web` into wave 2 or later, or `api` into wave 1 or earlier
    ");
    insta::assert_snapshot!(faults("web 1 api\napi 2", Order::Dependencies), @"
    values.yaml:1:7: warning: `web` is in wave 1, but depends on `api`, which is in wave 2 [wave-order]
      help: `web` stands at values.yaml:1:1, `api` at values.yaml:2:1; the dependency decides the order, and the wave of `web` is only shown
    ");
}

#[test]
fn a_ring_is_named_edge_by_edge_with_the_one_to_take_out() {
    insta::assert_snapshot!(faults("a 0 c\nb 0 a\nc 0 b\nbehind 0 a", Order::Waves), @"
    values.yaml:1:5: error: 3 services depend on each other in a ring: `a` -> `c` -> `b` -> `a` [dependency-cycle]
      help: `a` depends on `c` (values.yaml:1:5)
        `c` depends on `b` (values.yaml:3:5)
        `b` depends on `a` (values.yaml:2:5)
        remove the dependency of `a` on `c` (values.yaml:1:5): that breaks every loop
    ");
}

#[test]
fn of_rings_that_share_an_edge_that_edge_is_the_one_to_take_out() {
    insta::assert_snapshot!(
        faults("a 0 b\nb 0 c\nc 0 d e\nd 0 b\ne 0 b\nx 0 y\ny 1 x", Order::Dependencies),
        @"
    values.yaml:2:5: error: 3 services depend on each other in a ring: `b` -> `c` -> `d` -> `b`; 4 services are tangled in this and other rings [dependency-cycle]
      help: `b` depends on `c` (values.yaml:2:5)
        `c` depends on `d` (values.yaml:3:5)
        `d` depends on `b` (values.yaml:4:5)
        remove the dependency of `b` on `c` (values.yaml:2:5): that breaks every loop
    values.yaml:6:5: error: 2 services depend on each other in a ring: `x` -> `y` -> `x` [dependency-cycle]
      help: `x` depends on `y` (values.yaml:6:5)
        `y` depends on `x` (values.yaml:7:5)
        remove the dependency of `x` on `y` (values.yaml:6:5): that breaks every loop
    values.yaml:6:5: warning: `x` is in wave 0, but depends on `y`, which is in wave 1 [wave-order]
      help: `x` stands at values.yaml:6:1, `y` at values.yaml:7:1; the dependency decides the order, and the wave of `x` is only shown
    "
    );
}

#[test]
fn a_long_ring_is_cut_short_in_the_message_only() {
    let text: String = (0..20).map(|at| format!("s{at} 0 s{}\n", (at + 1) % 20)).collect();
    let (graph, diagnostics) = Graph::build(&catalog(&text), Order::Waves, &Limits::default());
    assert_eq!(diagnostics.len(), 1);
    assert!(diagnostics[0].message.ends_with("-> `s6` -> ... 13 more -> `s0`"), "{}", diagnostics[0].message);
    assert_eq!(diagnostics[0].help.as_ref().unwrap().lines().count(), 21);
    assert_eq!(graph.cycles()[0].len(), 20);
    assert_eq!(graph.order().len(), 20);
}

#[test]
fn the_view_is_what_the_command_prints() {
    let (graph, _) = Graph::build(&catalog("a 0\nb 2 a"), Order::Waves, &Limits::default());
    let view = graph.view(Some(&[SignedDuration::from_secs(2), SignedDuration::from_millis(1500)]));
    insta::assert_snapshot!(serde_json::to_string(&view).unwrap(), @r#"{"services":[{"name":"a","wave":0,"critical_path_seconds":3.5},{"name":"b","wave":2,"critical_path_seconds":1.5}],"edges":[{"service":"b","depends_on":"a","file":"values.yaml","line":2,"column":5}],"waves":[["a"],["b"]],"cycles":[]}"#);
    let (graph, _) = Graph::build(&catalog("a 0 b\nb 0 a"), Order::Waves, &Limits::default());
    let view = serde_json::to_value(graph.view(Some(&[SignedDuration::ZERO; 2]))).unwrap();
    assert_eq!(view["cycles"], serde_json::json!([["a", "b"]]));
    assert_eq!(view["services"][0].get("critical_path_seconds"), None);
}

#[test]
fn the_largest_tangle_that_limits_allow_is_reported_in_bounded_work() {
    // 1,000 services that each need the next 50: 50,000 edges in one ring.
    let text: String = (0..1000)
        .map(|at| {
            format!("s{at} 0 {}\n", (1..=50).map(|on| format!("s{} ", (at + on) % 1000)).collect::<String>())
        })
        .collect();
    let (graph, diagnostics) = Graph::build(&catalog(&text), Order::Waves, &Limits::default());
    assert_eq!((graph.edges().len(), graph.cycles()[0].len(), diagnostics.len()), (50_000, 20, 1));
}

proptest! {
    #[test]
    fn waves_taken_from_the_graph_never_contradict_it(
        given in prop::collection::vec(prop::option::weighted(0.3, 0_u32..5), 2..30),
        pairs in prop::collection::vec((0_usize..30, 0_usize..30), 0..60),
    ) {
        let needs = |at: usize| {
            let mine = pairs.iter().filter(move |(a, b)| *a.max(b) == at && a != b);
            mine.map(|(a, b)| format!("s{} ", a.min(b))).collect::<String>()
        };
        let text: String = given.iter().enumerate().map(|(at, wave)| {
            format!("s{at} {} {}\n", wave.map_or("-".to_owned(), |wave| wave.to_string()), needs(at))
        }).collect();
        let (graph, diagnostics) = Graph::build(&catalog(&text), Order::Waves, &Limits::default());
        for edge in graph.edges() {
            let fine = graph.wave(edge.dependant) >= graph.wave(edge.dependency);
            let reported =
                diagnostics.iter().any(|one| one.code == Code::WaveOrder && one.place == edge.place);
            prop_assert_eq!(fine, !reported);
        }
        let place = |service| graph.order().iter().position(|&at| at == service);
        prop_assert!(graph.edges().iter().all(|edge| place(edge.dependency) < place(edge.dependant)));
        prop_assert_eq!(graph.waves().iter().map(|(_, services)| services.len()).sum::<usize>(), graph.len());
    }
}
