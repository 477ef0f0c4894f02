//! `graph`: the dependency graph of one customer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use console::Style;
use jiff::SignedDuration;

use super::output::grid::{Cell, Grid, letters, wrap};
use super::output::stream::Stream;
use super::sources::{self, Loaded, Read, ReadOptions, count};
use super::{Common, Exit, Failure, Output, output};
use crate::domain::catalog::{ASSUMED_DURATION, Order};
use crate::domain::drawing;

/// Of what, and in which form.
#[derive(Debug, Args)]
pub struct Options {
    /// A values file, or a chart
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The form; wins over --output
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    order: super::OrderOption,
    #[command(flatten)]
    reading: ReadOptions,
}

/// The forms of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs, and people who read it.
    Yaml,
    /// For Graphviz.
    Dot,
    /// For Mermaid, as GitHub shows it.
    Mermaid,
    /// A picture.
    Svg,
}

/// Prints the graph, also one that has faults: those go to standard error.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let read = sources::only(&options.path, &options.reading, options.order.order.unwrap_or(Order::Waves))?;
    let format = options.format.unwrap_or(match common.output {
        Output::Table => Format::Table,
        Output::Json => Format::Json,
        Output::Yaml => Format::Yaml,
    });
    if let Some(loaded) = &read.loaded {
        let graph = &loaded.graph;
        match format {
            Format::Table => output::write(&table(loaded))?,
            // How long services take is not known here, and nobody shall think that it is.
            Format::Json => output::print(Output::Json, &graph.view(None), String::new)?,
            Format::Yaml => output::print(Output::Yaml, &graph.view(None), String::new)?,
            Format::Dot => output::write(&drawing::dot(graph))?,
            Format::Mermaid => output::write(&drawing::mermaid(graph))?,
            Format::Svg => output::write(&drawing::svg(graph))?,
        }
    }
    finish(read)
}

fn finish(read: Read) -> Result<Exit, Failure> {
    let wrong = read.is_wrong();
    sources::complain(&[read]);
    Ok(if wrong { Exit::InvalidInput } else { Exit::Success })
}

fn table(Loaded { catalog, graph }: &Loaded) -> String {
    let critical = graph.critical_path(&vec![ASSUMED_DURATION; graph.len()]);
    let on_path: BTreeSet<usize> = critical.iter().copied().collect();
    let in_ring: BTreeSet<usize> =
        graph.rings().iter().flat_map(|ring| ring.members.iter().copied()).collect();
    let (orange, red, dim) = (Style::new().yellow().bold(), Style::new().red().bold(), Style::new().dim());
    let mut grid = Grid::new(&["wave", "", "service", ">needs", ">needed by", "waits for"]);
    for (wave, services) in graph.waves() {
        for (at, &service) in services.iter().enumerate() {
            let (mark, style) = if in_ring.contains(&service) {
                ("↻", red.clone())
            } else if on_path.contains(&service) {
                ("●", orange.clone())
            } else {
                ("", Style::new())
            };
            let needs: Vec<&str> =
                graph.dependencies(service).map(|other| graph.name(other).as_str()).collect();
            let number =
                |number: usize| if number == 0 { Cell::new("-", dim.clone()) } else { number.into() };
            let taken = if graph.wave_is_given(service) { "" } else { "*" };
            let wave = if at == 0 || !taken.is_empty() { format!("{wave}{taken}") } else { String::new() };
            grid.row([
                Cell::new(wave, Style::new().bold()),
                Cell::new(mark, style.clone()),
                Cell::new(graph.name(service), style),
                number(needs.len()),
                number(graph.dependants(service).len()),
                Cell::new(needs.join(", "), dim.clone()),
            ]);
        }
    }
    let width = Stream::Out.width();
    let mut out = format!(
        "{}: {}, {}, {}\n\n{}\n",
        output::paint(&Style::new().bold(), &format!("{} {}", catalog.customer, catalog.environment)),
        count(graph.len(), "service"),
        count(graph.edges().len(), "dependency"),
        count(graph.waves().len(), "wave"),
        grid.render(width),
    );
    if !critical.is_empty() && graph.rings().is_empty() {
        let names: Vec<&str> = critical.iter().map(|&service| graph.name(service).as_str()).collect();
        out.push_str(&chain(&format!("● longest chain, {}:", count(names.len(), "service")), &names, width));
    }
    if !in_ring.is_empty() {
        out.push_str(&format!("  ↻ {} in a ring\n", count(in_ring.len(), "service")));
    }
    if (0..graph.len()).any(|service| !graph.wave_is_given(service)) {
        out.push_str("  * no wave is given: it was taken from the graph\n");
    }
    let off = catalog.services.len() - graph.len();
    if off > 0 {
        out.push_str(&format!("  {} switched off\n", count(off, "service")));
    }
    out
}

/// A chain of services below its title, wrapped between them.
pub(super) fn chain(title: &str, names: &[&str], width: usize) -> String {
    let mut out = format!("  {title}\n");
    // Arrows stay with the name behind them.
    let joined = names.join(" →\u{a0}");
    for line in wrap(&joined, width.saturating_sub(4).max(letters("→ ") + 1)) {
        out.push_str(&format!("    {}\n", line.replace('\u{a0}', " ")));
    }
    out
}

/// Every service taken to need the same.
pub(super) fn assumed(loaded: &Loaded) -> Vec<SignedDuration> {
    vec![ASSUMED_DURATION; loaded.graph.len()]
}
