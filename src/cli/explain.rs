//! `explain`: where one service stands in the order, and why.

use std::path::PathBuf;

use clap::Args;
use console::Style;
use serde::Serialize;

use super::graph::{assumed, chain};
use super::output::grid::{Cell, Grid, letters};
use super::output::stream::Stream;
use super::output::{length, paint};
use super::sources::{self, Loaded, ReadOptions, count};
use super::{Common, Exit, Failure, output};
use crate::domain::catalog::{ASSUMED_DURATION, Order};
use crate::domain::diagnostic::Place;
use crate::domain::graph::Graph;
use crate::domain::names::{CustomerId, Environment, ServiceName, Wave};

/// Which service of whom.
#[derive(Debug, Args)]
pub struct Options {
    /// A values file, or a chart
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    order: super::OrderOption,
    #[command(flatten)]
    reading: ReadOptions,
}

#[derive(Debug, Serialize)]
struct Explanation {
    customer: CustomerId,
    environment: Environment,
    service: ServiceName,
    #[serde(flatten)]
    place: Place,
    order: Order,
    wave: Wave,
    /// Whether the file gives the wave.
    wave_is_given: bool,
    /// The service that the wave was taken from: it is one above that.
    wave_above: Option<ServiceName>,
    /// From 1.
    turn: usize,
    of: usize,
    /// What it waits for.
    waits_for: Vec<Neighbour>,
    /// That, and what those wait for.
    waits_for_in_all: usize,
    /// The longest chain that ends with it.
    longest_chain: Vec<ServiceName>,
    /// What waits for it.
    waited_for_by: Vec<Neighbour>,
    waited_for_by_in_all: usize,
    on_critical_path: bool,
    /// How long the longest chain through it takes, and how long the longest of all.
    chain_seconds: f64,
    critical_path_seconds: f64,
    assumed_seconds_of_each_service: f64,
    start_seconds: Option<f64>,
    end_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Neighbour {
    service: ServiceName,
    wave: Wave,
    /// Where the file says so.
    #[serde(flatten)]
    place: Place,
}

/// Prints where it stands.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let order = options.order.order.unwrap_or(Order::Waves);
    let reads = [sources::only(&options.path, &options.reading, order)?];
    let sound = sources::sound(&reads, "nothing can be explained")?;
    let Some((_, loaded)) = sound.first() else { return Ok(Exit::InvalidInput) };
    let explanation = explain(loaded, loaded.service(&options.service)?, order);
    output::print(common.output, &explanation, || table(&explanation))?;
    Ok(Exit::Success)
}

fn explain(loaded: &Loaded, service: usize, order: Order) -> Explanation {
    let graph = &loaded.graph;
    let durations = assumed(loaded);
    let timeline = graph.predict(&durations, order, None);
    let entry = timeline.entries.iter().find(|entry| entry.node == service);
    let before = chain_before(graph, service);
    let remaining = graph.remaining(&durations);
    // What stands before it, and from its start to the end of the last that waits for it.
    let through =
        ASSUMED_DURATION.as_secs_f64() * (before.len() - 1) as f64 + remaining[service].as_secs_f64();
    let turns = turns(graph, order);
    let above =
        graph.dependencies(service).max_by_key(|&other| (graph.wave(other), std::cmp::Reverse(other)));
    let neighbour = |other: usize, place: &Place| Neighbour {
        service: graph.name(other).clone(),
        wave: graph.wave(other),
        place: place.clone(),
    };
    let edges = || graph.edges().iter();
    Explanation {
        customer: graph.customer().clone(),
        environment: graph.environment().clone(),
        service: graph.name(service).clone(),
        place: graph.place(service).clone(),
        order,
        wave: graph.wave(service),
        wave_is_given: graph.wave_is_given(service),
        wave_above: above.filter(|_| !graph.wave_is_given(service)).map(|other| graph.name(other).clone()),
        turn: turns.iter().position(|&other| other == service).map_or(0, |at| at + 1),
        of: turns.len(),
        waits_for: edges()
            .filter(|edge| edge.dependant == service)
            .map(|edge| neighbour(edge.dependency, &edge.place))
            .collect(),
        waits_for_in_all: graph.ancestors_of(&[service]).iter().filter(|&&other| other != service).count(),
        longest_chain: before.iter().map(|&other| graph.name(other).clone()).collect(),
        waited_for_by: edges()
            .filter(|edge| edge.dependency == service)
            .map(|edge| neighbour(edge.dependant, &edge.place))
            .collect(),
        waited_for_by_in_all: graph
            .descendants_of(&[service])
            .iter()
            .filter(|&&other| other != service)
            .count(),
        on_critical_path: timeline.critical_path.contains(&service),
        chain_seconds: through,
        critical_path_seconds: timeline.critical_path_length.as_secs_f64(),
        assumed_seconds_of_each_service: ASSUMED_DURATION.as_secs_f64(),
        start_seconds: entry.map(|entry| entry.start.as_secs_f64()),
        end_seconds: entry.map(|entry| entry.end.as_secs_f64()),
    }
}

/// The services as a plan has them.
fn turns(graph: &Graph, order: Order) -> Vec<usize> {
    let mut turns = graph.order().to_vec();
    if order == Order::Waves {
        turns.sort_by_key(|&service| graph.wave(service));
    }
    turns
}

/// The longest chain of services that ends with this one.
fn chain_before(graph: &Graph, service: usize) -> Vec<usize> {
    let mut length = vec![1_usize; graph.len()];
    for &node in graph.order() {
        length[node] = graph.dependencies(node).map(|other| length[other] + 1).max().unwrap_or(1);
    }
    let mut chain = vec![service];
    let longest =
        |at: usize| graph.dependencies(at).max_by_key(|&other| (length[other], std::cmp::Reverse(other)));
    let mut at = service;
    while let Some(next) = longest(at) {
        chain.push(next);
        at = next;
    }
    chain.reverse();
    chain
}

fn table(told: &Explanation) -> String {
    let bold = Style::new().bold();
    let width = Stream::Out.width();
    let wave = match (told.wave_is_given, &told.wave_above) {
        (true, _) => format!("{}, as the file gives it", told.wave),
        (false, Some(above)) => format!("{}, taken from the graph: one more than {above}", told.wave),
        (false, None) => format!("{}, taken from the graph: it depends on nothing", told.wave),
    };
    let chain_length = length(told.chain_seconds);
    let critical = if told.on_critical_path {
        format!("yes: it is on the longest chain, which takes {chain_length}")
    } else if told.chain_seconds >= told.critical_path_seconds {
        format!("no, but as long as it: the longest chain through it takes {chain_length} too")
    } else {
        let all = length(told.critical_path_seconds);
        format!("no: the longest chain through it takes {chain_length}, the critical path {all}")
    };
    let times = match (told.start_seconds, told.end_seconds) {
        (Some(start), Some(end)) => format!(
            "{} after the deployment does, and is healthy at {}, if every service takes {}",
            length(start),
            length(end),
            length(told.assumed_seconds_of_each_service)
        ),
        _ => "never".to_owned(),
    };
    let mut out =
        format!("{} of {} {}\n", paint(&bold, told.service.as_str()), told.customer, told.environment);
    let mut facts = Grid::new(&["", ""]);
    for (name, fact) in [
        ("stands at", told.place.to_string()),
        ("wave", wave),
        ("turn", format!("{} of {}, in the order of {}", told.turn, told.of, told.order)),
        ("starts", times),
        ("critical path", critical),
    ] {
        facts.row([Cell::new(name, Style::new().dim()), fact.into()]);
    }
    out.push('\n');
    out.push_str(&facts.render(width));
    out.push('\n');
    out.push_str(&neighbours(
        "waits for",
        "depends on nothing",
        &told.waits_for,
        told.waits_for_in_all,
        width,
    ));
    if told.longest_chain.len() > 2 {
        let names: Vec<&str> = told.longest_chain.iter().map(ServiceName::as_str).collect();
        out.push_str(&chain(
            &format!("the longest chain to it, {}:", count(names.len(), "service")),
            &names,
            width,
        ));
        out.push('\n');
    }
    let by = neighbours(
        "is waited for by",
        "nothing waits for it",
        &told.waited_for_by,
        told.waited_for_by_in_all,
        width,
    );
    out.push_str(&by);
    out.trim_end().to_owned()
}

fn neighbours(what: &str, none: &str, neighbours: &[Neighbour], in_all: usize, width: usize) -> String {
    let bold = Style::new().bold();
    if neighbours.is_empty() {
        return format!("{}\n\n", paint(&bold, none));
    }
    let further = match in_all - neighbours.len() {
        0 => String::new(),
        further => {
            format!(", and through {} for {further} more", if neighbours.len() == 1 { "it" } else { "them" })
        }
    };
    let further = if what == "waits for" { further } else { further.replace(" for ", " by ") };
    let mut out =
        format!("{}{further}\n", paint(&bold, &format!("{what} {}", count(neighbours.len(), "service"))));
    let mut grid = Grid::new(&["service", ">wave", "the file says so at"]);
    let longest = neighbours.iter().map(|neighbour| neighbour.service.as_str().len()).max().unwrap_or(0);
    // Beside the service, its wave and the gaps.
    let room = width.saturating_sub(longest.max("service".len()) + "wave".len() + 6);
    for Neighbour { service, wave, place } in neighbours {
        let place = Cell::new(end_of(&place.to_string(), room), Style::new().dim());
        grid.row([service.into(), wave.into(), place]);
    }
    out.push_str(&grid.render(width));
    out.push('\n');
    out
}

/// A path's end, where the whole of it has no room: the name and the line are there.
fn end_of(path: &str, room: usize) -> String {
    let count = letters(path);
    if count <= room {
        return path.to_owned();
    }
    let end: String = path.chars().skip(count - room.saturating_sub(1).min(count)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_at_its_start() {
        assert_eq!(end_of("a/b/values.yaml:1:2", 19), "a/b/values.yaml:1:2");
        assert_eq!(end_of("a/b/values.yaml:1:2", 18), "…b/values.yaml:1:2");
        assert_eq!(end_of("abc", 0), "…");
    }
}
