//! What a graph with rings is tangled in: its components, one loop of each to show, and where to cut.
//!
//! All work is bounded: a component may have 50,000 edges in it, so searches stop after `BUDGET` edges and then
//! return the best they found. What they return is always a true loop and a true edge of the component.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Dag, Layers};

/// How many edges one search looks at before it takes the best so far.
const BUDGET: usize = 2_000_000;

/// An edge of a graph: dependant and dependency.
pub type Edge = (u32, u32);

/// The edge to take out, and what that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The edge.
    pub edge: Edge,
    /// How many of the component's nodes would still be on a ring without it.
    pub nodes_left: usize,
    /// How many of the component's edges would still be on a ring without it: the fewest of all cuts tried.
    pub edges_left: usize,
}

/// The sets of nodes that all depend on each other, each lowest number first, and by their first node.
/// `layers` are those of `dag`; only what could not be ordered is looked at.
pub fn components(dag: &Dag, layers: &Layers) -> Vec<Vec<u32>> {
    let unordered = layers.unordered();
    let parts = Inside::new(dag, &unordered).components(None);
    parts.into_iter().map(|part| part.into_iter().map(|at| unordered[at]).collect()).collect()
}

/// A shortest loop through the component, as edges from dependant to dependency, beginning at its lowest
/// number; the last edge leads back to the first. Among equally short ones the one with the lowest numbers.
/// Empty where `component` is no component of the graph.
pub fn shortest_loop(dag: &Dag, component: &[u32]) -> Vec<Edge> {
    let inside = Inside::new(dag, component);
    let mut best: Vec<u32> = Vec::new();
    let mut spent = 0;
    for start in 0..component.len() {
        let limit = if best.is_empty() { usize::MAX } else { best.len() - 1 };
        if let Some(found) = inside.loop_through(start, limit, &mut spent) {
            best = found;
        }
        if best.len() == 1 || (spent > BUDGET && !best.is_empty()) {
            break;
        }
    }
    let first = (0..best.len()).min_by_key(|&at| best[at]).unwrap_or(0);
    best.rotate_left(first);
    (0..best.len()).map(|at| (best[at], best[(at + 1) % best.len()])).collect()
}

/// The edge of the component whose removal takes most edges off any ring. Among equals the one that
/// `suspicion` gives most, then the lowest. None where no edge is inside `component`.
pub fn best_cut(dag: &Dag, component: &[u32], suspicion: impl Fn(Edge) -> u32) -> Option<Cut> {
    let inside = Inside::new(dag, component);
    let named = |(from, to): (usize, usize)| (component[from], component[to]);
    let mut edges: Vec<_> = inside.edges().collect();
    let affordable = (BUDGET / (edges.len() + component.len()).max(1)).max(16);
    if edges.len() > affordable {
        // Too many to try: those that most paths of three edges lead through are the promising ones.
        let weights = inside.weights();
        let weight = |edge: &(usize, usize)| weights.0[edge.0] * weights.1[edge.1];
        edges.sort_by_key(|&edge| (Reverse(suspicion(named(edge))), Reverse(weight(&edge)), named(edge)));
        edges.truncate(affordable);
    }
    let cuts = edges.into_iter().map(|cut| {
        let rest = inside.components(Some(cut));
        let mut part_of = vec![usize::MAX; component.len()];
        for (part, members) in rest.iter().enumerate() {
            members.iter().for_each(|&member| part_of[member] = part);
        }
        let on_a_ring = |&(from, to): &(usize, usize)| {
            part_of[from] != usize::MAX && part_of[from] == part_of[to] && (from, to) != cut
        };
        Cut {
            edge: named(cut),
            nodes_left: rest.iter().map(Vec::len).sum(),
            edges_left: inside.edges().filter(on_a_ring).count(),
        }
    });
    cuts.min_by_key(|cut| (cut.edges_left, cut.nodes_left, Reverse(suspicion(cut.edge)), cut.edge))
}

/// The part of a graph between some of its nodes, renumbered from 0.
struct Inside<'a> {
    nodes: &'a [u32],
    dependencies: Vec<Vec<usize>>,
}

impl<'a> Inside<'a> {
    fn new(dag: &Dag, nodes: &'a [u32]) -> Self {
        let place: BTreeMap<u32, usize> = nodes.iter().enumerate().map(|(at, &node)| (node, at)).collect();
        let dependencies = nodes
            .iter()
            .map(|&node| {
                dag.dependencies(node).iter().filter_map(|other| place.get(other).copied()).collect()
            })
            .collect();
        Self { nodes, dependencies }
    }

    fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.dependencies.iter().enumerate().flat_map(|(from, list)| list.iter().map(move |&to| (from, to)))
    }

    /// For each node, how many edges lead to it, and how many from it.
    fn weights(&self) -> (Vec<usize>, Vec<usize>) {
        let mut dependants = vec![0; self.nodes.len()];
        self.dependencies.iter().flatten().for_each(|&to| dependants[to] += 1);
        (dependants, self.dependencies.iter().map(Vec::len).collect())
    }

    /// The strongly connected components that hold a ring, without one of the edges.
    fn components(&self, without: Option<(usize, usize)>) -> Vec<Vec<usize>> {
        let mut graph = DiGraph::<(), (), u32>::with_capacity(self.nodes.len(), 0);
        self.nodes.iter().for_each(|_| {
            graph.add_node(());
        });
        for (from, to) in self.edges().filter(|&edge| Some(edge) != without) {
            graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
        }
        let holds_a_ring =
            |part: &Vec<NodeIndex<u32>>| part.len() > 1 || graph.contains_edge(part[0], part[0]);
        let mut parts: Vec<Vec<usize>> = kosaraju_scc(&graph)
            .into_iter()
            .filter(holds_a_ring)
            .map(|part| {
                let mut part: Vec<usize> = part.into_iter().map(NodeIndex::index).collect();
                part.sort_unstable();
                part
            })
            .collect();
        parts.sort_unstable();
        parts
    }

    /// The shortest loop from `start` back to it with at most `limit` nodes, breadth first.
    fn loop_through(&self, start: usize, limit: usize, spent: &mut usize) -> Option<Vec<u32>> {
        const UNSEEN: usize = usize::MAX;
        let mut from = vec![UNSEEN; self.nodes.len()];
        let mut open = VecDeque::from([(start, 1)]);
        while let Some((node, length)) = open.pop_front() {
            if length > limit {
                return None;
            }
            for &next in &self.dependencies[node] {
                *spent += 1;
                if next == start {
                    let mut path = vec![self.nodes[node]];
                    let mut at = node;
                    while at != start {
                        at = from[at];
                        path.push(self.nodes[at]);
                    }
                    path.reverse();
                    return Some(path);
                }
                if from[next] == UNSEEN {
                    from[next] = node;
                    open.push_back((next, length + 1));
                }
            }
        }
        None
    }
}
