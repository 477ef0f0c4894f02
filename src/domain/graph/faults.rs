//! What can be wrong with a graph, and what to do about each.

use std::collections::BTreeMap;

use super::{Edge, Graph, Ring, number};
use crate::domain::catalog::{Catalog, Limits, Order, Service};
use crate::domain::dag::{Dag, Layers, cycle};
use crate::domain::diagnostic::{Code, Diagnostic};
use crate::domain::names::{ServiceName, Wave};
use crate::domain::nearest::nearest;

/// Loops of more services than this are cut short in the message; the help names every edge all the same.
const NAMED: usize = 8;

/// The wave of each service: the given one, else one more than the highest among its dependencies, else 0.
/// `order` has every dependency before its dependants, as far as there is such an order.
pub(super) fn waves(dag: &Dag, order: &[usize], given: &[Option<Wave>]) -> Vec<Wave> {
    let mut waves = given.to_vec();
    for &service in order {
        if waves[service].is_none() {
            let below =
                dag.dependencies(number(service)).iter().filter_map(|&node| waves[node as usize]).max();
            waves[service] = Some(below.map_or(Wave(0), |wave| Wave(wave.0.saturating_add(1))));
        }
    }
    waves.into_iter().map(|wave| wave.unwrap_or(Wave(0))).collect()
}

/// What every ring is, one for each set of services that all need each other.
pub(super) fn rings(
    dag: &Dag,
    layers: &Layers,
    edge_of: &BTreeMap<(u32, u32), usize>,
    given: &[Option<Wave>],
) -> Vec<Ring> {
    let ring = |members: Vec<u32>| {
        let shown: Vec<usize> = cycle::shortest_loop(dag, &members)
            .iter()
            .filter_map(|edge| edge_of.get(edge).copied())
            .collect();
        // Of edges that would help alike, the one against the waves is the likeliest slip; then one that is shown.
        let suspicion = |edge: cycle::Edge| {
            let against = match (given[edge.0 as usize], given[edge.1 as usize]) {
                (Some(dependant), Some(dependency)) => dependant < dependency,
                (None, _) | (_, None) => false,
            };
            2 * u32::from(against) + u32::from(edge_of.get(&edge).is_some_and(|at| shown.contains(at)))
        };
        let cut = cycle::best_cut(dag, &members, suspicion)?;
        Some(Ring {
            cut: *edge_of.get(&cut.edge)?,
            left: cut.nodes_left,
            members: members.iter().map(|&node| node as usize).collect(),
            shown,
        })
    };
    cycle::components(dag, layers).into_iter().filter_map(ring).collect()
}

/// Everything that is wrong, in the order of the file.
pub(super) fn diagnose(graph: &Graph, catalog: &Catalog, order: Order, limits: &Limits) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    lead_nowhere(graph, catalog, &mut diagnostics);
    diagnostics.extend(graph.rings.iter().map(|ring| tangled(graph, ring)));
    against_the_waves(graph, order, &mut diagnostics);
    without_a_wave(graph, limits, &mut diagnostics);
    diagnostics.sort_by(|a, b| (&a.place, a.severity, a.code).cmp(&(&b.place, b.severity, b.code)));
    diagnostics
}

fn lead_nowhere(graph: &Graph, catalog: &Catalog, diagnostics: &mut Vec<Diagnostic>) {
    let disabled: BTreeMap<&ServiceName, &Service> =
        catalog.services.iter().filter(|service| !service.enabled).map(|one| (&one.name, one)).collect();
    for service in catalog.enabled() {
        for wanted in &service.dependencies {
            let (name, on, place) = (&service.name, &wanted.on, wanted.place.clone());
            // On itself is the reader's to complain about.
            if graph.index(on).is_some() || on == name {
                continue;
            }
            diagnostics.push(match disabled.get(on) {
                Some(off) => Diagnostic::error(
                    Code::DisabledDependency,
                    place,
                    format!("`{name}` depends on `{on}`, which is switched off"),
                )
                .with_help(format!(
                    "set `enabled: true` for `{on}` ({}), or remove the dependency",
                    off.place
                )),
                None => {
                    let others =
                        graph.index.keys().chain(disabled.keys().copied()).filter(|other| *other != name);
                    let help = match nearest(on.as_str(), others.map(ServiceName::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("add a service `{on}`, or remove the dependency"),
                    };
                    let message = format!("`{name}` depends on `{on}`, but there is no such service");
                    Diagnostic::error(Code::UnknownDependency, place, message).with_help(help)
                }
            });
        }
    }
}

fn tangled(graph: &Graph, ring: &Ring) -> Diagnostic {
    let edges = || ring.shown.iter().map(|&edge| &graph.edges[edge]);
    let mut names: Vec<String> = edges().map(|edge| format!("`{}`", graph.name(edge.dependant))).collect();
    let (first, count) = (names.first().cloned().unwrap_or_default(), names.len());
    if count > NAMED {
        names.truncate(NAMED - 1);
        names.push(format!("... {} more", count - NAMED + 1));
    }
    let mut message =
        format!("{count} services depend on each other in a ring: {} -> {first}", names.join(" -> "));
    let (members, left) = (ring.members.len(), ring.left);
    if members > count {
        message.push_str(&format!("; {members} services are tangled in this and other rings"));
    }
    let says = |edge: &Edge| {
        format!(
            "`{}` depends on `{}` ({})",
            graph.name(edge.dependant),
            graph.name(edge.dependency),
            edge.place
        )
    };
    let loop_lines: String = edges().map(|edge| format!("{}\n    ", says(edge))).collect();
    let effect = match left {
        0 => "that breaks every loop".to_owned(),
        left => format!("that breaks most, and leaves {left} of {members} services in a ring"),
    };
    let place = edges().next().map(|edge| edge.place.clone()).unwrap_or_default();
    let cut = &graph.edges[ring.cut];
    Diagnostic::error(Code::DependencyCycle, place, message).with_help(format!(
        "{loop_lines}remove the dependency of `{}` on `{}` ({}): {effect}",
        graph.name(cut.dependant),
        graph.name(cut.dependency),
        cut.place
    ))
}

fn against_the_waves(graph: &Graph, order: Order, diagnostics: &mut Vec<Diagnostic>) {
    for edge in &graph.edges {
        let (dependant, dependency) = (edge.dependant, edge.dependency);
        let (early, late) = (graph.wave(dependant), graph.wave(dependency));
        // A wave that was taken from the graph means nothing on a ring, and the ring itself is reported.
        let taken = !graph.wave_is_given(dependant)
            || (!graph.wave_is_given(dependency) && !graph.layers.is_ordered(number(dependency)));
        if early >= late || taken {
            continue;
        }
        let (one, other) = (graph.name(dependant), graph.name(dependency));
        let message =
            format!("`{one}` is in wave {early}, but depends on `{other}`, which is in wave {late}");
        let (one_at, other_at) = (graph.place(dependant), graph.place(dependency));
        let places = format!("`{one}` stands at {one_at}, `{other}` at {other_at}");
        diagnostics.push(match order {
            Order::Waves => Diagnostic::error(Code::WaveOrder, edge.place.clone(), message).with_help(format!(
                "{places}; put `{one}` into wave {late} or later, or `{other}` into wave {early} or earlier"
            )),
            Order::Dependencies => Diagnostic::warning(Code::WaveOrder, edge.place.clone(), message).with_help(
                format!("{places}; the dependency decides the order, and the wave of `{one}` is only shown"),
            ),
        });
    }
}

fn without_a_wave(graph: &Graph, limits: &Limits, diagnostics: &mut Vec<Diagnostic>) {
    let highest = limits.max_waves.saturating_sub(1);
    for service in (0..graph.len()).filter(|&service| !graph.wave_is_given(service)) {
        let (name, wave, place) = (graph.name(service), graph.wave(service), graph.place(service).clone());
        let above = graph
            .dependencies(service)
            .filter(|&other| graph.wave(other) < wave)
            .max_by_key(|&other| (graph.wave(other), std::cmp::Reverse(other)));
        let why = match above {
            Some(other) => format!("one more than `{}`, on which it depends", graph.name(other)),
            None => "because it depends on nothing".to_owned(),
        };
        let message = format!("`{name}` has no sync wave and gets {wave}, {why}");
        diagnostics.push(
            Diagnostic::warning(Code::MissingWave, place.clone(), message)
                .with_help(format!("write `sync-wave: {wave}` for it or its group, to make this certain")),
        );
        if wave.0 > highest {
            diagnostics.push(
                Diagnostic::error(
                    Code::WaveOutOfRange,
                    place,
                    format!("`{name}` would get wave {wave}, but the highest allowed is {highest}"),
                )
                .with_help("give it a wave, shorten the chain of its dependencies, or raise `max-waves`"),
            );
        }
    }
}
