//! Graphs as pictures: for Graphviz, for Mermaid, and as an SVG that we lay out ourselves.
//!
//! In all three, time runs from left to right and an arrow leads from what must be healthy first to what
//! waits for it. The same graph always gives the same text. The longest chain of services is highlighted;
//! what goes against the waves or runs in a ring is red.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::catalog::ASSUMED_DURATION;
use super::graph::Graph;

mod layout;
mod picture;
mod shape;
mod svg;

pub use picture::{Bow, Panel, Picture, Spot};
pub use shape::Shape;
pub use svg::svg;

/// The graph in the language of Graphviz.
pub fn dot(graph: &Graph) -> String {
    let strokes = strokes(graph);
    let critical: BTreeSet<usize> = critical_path(graph).into_iter().collect();
    let mut text = format!("digraph {} {{\n", quoted(&title(graph)));
    text.push_str("  // An arrow leads from what must be healthy first to what waits for it.\n");
    text.push_str("  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"Helvetica\"];\n");
    text.push_str("  edge [color=\"#8a94a3\"];\n");
    for (wave, services) in graph.waves() {
        text.push_str(&format!("  subgraph cluster_wave_{wave} {{\n    label=\"wave {wave}\";\n"));
        for service in services {
            let mark = if critical.contains(&service) { " [color=\"#e8590c\", penwidth=2]" } else { "" };
            text.push_str(&format!("    {}{mark};\n", quoted(graph.name(service).as_str())));
        }
        text.push_str("  }\n");
    }
    for (edge, stroke) in graph.edges().iter().zip(strokes) {
        let mark = match stroke {
            Stroke::Plain => "",
            Stroke::Implied => " [style=dotted]",
            Stroke::Critical => " [color=\"#e8590c\", penwidth=2]",
            Stroke::Against => " [color=\"#e03131\", style=dashed]",
        };
        let (from, to) = (graph.name(edge.dependency), graph.name(edge.dependant));
        text.push_str(&format!("  {} -> {}{mark};\n", quoted(from.as_str()), quoted(to.as_str())));
    }
    text.push_str("}\n");
    text
}

/// The graph in the language of Mermaid, as GitHub shows it.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    text.push_str("  %% An arrow leads from what must be healthy first to what waits for it.\n");
    for (wave, services) in graph.waves() {
        text.push_str(&format!("  subgraph wave{wave}[\"wave {wave}\"]\n"));
        for service in services {
            text.push_str(&format!("    s{service}[\"{}\"]\n", entities(graph.name(service).as_str())));
        }
        text.push_str("  end\n");
    }
    let strokes = strokes(graph);
    for (edge, stroke) in graph.edges().iter().zip(&strokes) {
        let arrow = match stroke {
            Stroke::Plain | Stroke::Critical => "-->",
            Stroke::Implied | Stroke::Against => "-.->",
        };
        text.push_str(&format!("  s{} {arrow} s{}\n", edge.dependency, edge.dependant));
    }
    for (stroke, style) in [
        (Stroke::Critical, "stroke:#e8590c,stroke-width:3px"),
        (Stroke::Against, "stroke:#e03131,stroke-width:2px"),
    ] {
        let which =
            strokes.iter().enumerate().filter(|(_, one)| **one == stroke).map(|(at, _)| at.to_string());
        let which: Vec<String> = which.collect();
        if !which.is_empty() {
            text.push_str(&format!("  linkStyle {} {style}\n", which.join(",")));
        }
    }
    let critical: Vec<String> = critical_path(graph).into_iter().map(|at| format!("s{at}")).collect();
    if !critical.is_empty() {
        text.push_str("  classDef critical stroke:#e8590c,stroke-width:3px\n");
        text.push_str(&format!("  class {} critical\n", critical.join(",")));
    }
    text
}

/// How an edge is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stroke {
    /// Follows from others: what it needs is needed by something else that it needs.
    Implied,
    /// A dependency like any other.
    Plain,
    /// On the longest chain.
    Critical,
    /// Into an earlier wave, or in a ring.
    Against,
}

fn strokes(graph: &Graph) -> Vec<Stroke> {
    let path = critical_path(graph);
    let critical: BTreeSet<(usize, usize)> = path.windows(2).map(|pair| (pair[1], pair[0])).collect();
    let mut ring_of = vec![usize::MAX; graph.len()];
    for (at, ring) in graph.rings().iter().enumerate() {
        ring.members.iter().for_each(|&member| ring_of[member] = at);
    }
    let implied = implied(&Shape::of_graph(graph));
    let edges = graph.edges().iter().zip(implied);
    let stroke = |(edge, implied): (&super::graph::Edge, bool)| {
        let (dependant, dependency) = (edge.dependant, edge.dependency);
        let in_a_ring = ring_of[dependant] != usize::MAX && ring_of[dependant] == ring_of[dependency];
        if in_a_ring || graph.wave(dependant) < graph.wave(dependency) {
            Stroke::Against
        } else if critical.contains(&(dependant, dependency)) {
            Stroke::Critical
        } else if implied {
            Stroke::Implied
        } else {
            Stroke::Plain
        }
    };
    edges.map(stroke).collect()
}

/// For each edge whether a longer way leads to the same dependency. One bit for each pair of services.
fn implied(graph: &Shape) -> Vec<bool> {
    let words = graph.len().div_ceil(64);
    let mut above = vec![0_u64; words * graph.len()];
    for &service in graph.order() {
        for dependency in graph.dependencies(service) {
            for word in 0..words {
                above[service * words + word] |= above[dependency * words + word];
            }
        }
        // So far it holds what is needed by what it needs; the direct ones come after the question below.
        for dependency in graph.dependencies(service) {
            above[service * words + dependency / 64] |= 1 << (dependency % 64);
        }
    }
    let needs = |service: usize, other: usize| above[service * words + other / 64] >> (other % 64) & 1 == 1;
    let by_another = |edge: &shape::Line| {
        graph.dependencies(edge.dependant).any(|via| via != edge.dependency && needs(via, edge.dependency))
    };
    graph.edges().iter().map(by_another).collect()
}

/// The longest chain of services, each counting alike: the picture of a file knows no durations.
fn critical_path(graph: &Graph) -> Vec<usize> {
    graph.critical_path(&vec![ASSUMED_DURATION; graph.len()])
}

fn title(graph: &Graph) -> String {
    format!("{} {}", graph.customer(), graph.environment())
}

/// A text of Graphviz.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text of Mermaid: all but letters, digits and a few harmless signs by their numbers.
fn entities(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, letter| {
        match letter {
            letter if letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | ' ') => {
                safe.push(letter)
            }
            // Writing to a text cannot fail.
            letter => drop(write!(safe, "#{};", u32::from(letter))),
        }
        safe
    })
}

/// A text or an attribute of XML.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
