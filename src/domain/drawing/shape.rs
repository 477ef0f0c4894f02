//! What a picture is made of: numbered services with their waves, and what each waits for. A graph of values and a
//! plan that was made of one are both such a shape.

use std::collections::BTreeSet;

use crate::domain::graph::Graph;
use crate::domain::names::Wave;
use crate::domain::plan::{Action, Plan};

/// One service waits for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    /// The service that waits.
    pub dependant: usize,
    /// What must be healthy before it.
    pub dependency: usize,
}

/// Services and what they wait for, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    names: Vec<String>,
    waves: Vec<Option<Wave>>,
    /// Each after all that it waits for.
    order: Vec<usize>,
    edges: Vec<Line>,
    dependencies: Vec<Vec<usize>>,
    dependants: Vec<Vec<usize>>,
    critical: Vec<usize>,
    tangled: BTreeSet<usize>,
}

impl Shape {
    fn new(names: Vec<String>, waves: Vec<Option<Wave>>, order: Vec<usize>, edges: Vec<Line>) -> Self {
        let mut dependencies = vec![Vec::new(); names.len()];
        let mut dependants = vec![Vec::new(); names.len()];
        for edge in &edges {
            dependencies[edge.dependant].push(edge.dependency);
            dependants[edge.dependency].push(edge.dependant);
        }
        Self {
            names,
            waves,
            order,
            edges,
            dependencies,
            dependants,
            critical: Vec::new(),
            tangled: BTreeSet::new(),
        }
    }

    /// The shape of a graph. What stands on a ring has an order all the same: that of the catalogue, at the end.
    pub fn of_graph(graph: &Graph) -> Self {
        let names = (0..graph.len()).map(|at| graph.name(at).to_string()).collect();
        let waves = (0..graph.len()).map(|at| Some(graph.wave(at))).collect();
        let line = |edge: &crate::domain::graph::Edge| Line {
            dependant: edge.dependant,
            dependency: edge.dependency,
        };
        let edges = graph.edges().iter().map(line).collect();
        let mut shape = Self::new(names, waves, graph.order().to_vec(), edges);
        shape.critical = super::critical_path(graph);
        shape.tangled = graph.rings().iter().flat_map(|ring| ring.members.iter().copied()).collect();
        shape
    }

    /// The shape of a plan, with the shared part before the first wave. The chain that is expected to take longest
    /// is the one that the plan gives way to.
    pub fn of_plan(plan: &Plan) -> Self {
        let changes = &plan.changes;
        let names = changes.iter().map(|change| change.name().to_owned()).collect();
        let waves = changes.iter().map(|change| change.wave).collect();
        let edges = changes.iter().enumerate().flat_map(|(dependant, change)| {
            let needed = change.requires.iter().map(|&required| required as usize);
            needed
                .filter(|&required| required < changes.len())
                .map(move |dependency| Line { dependant, dependency })
        });
        let mut shape = Self::new(names, waves, (0..changes.len()).collect(), edges.collect());
        let touched = |at: &usize| changes[*at].action == Action::Sync;
        let first = |among: &mut dyn Iterator<Item = usize>| {
            among.filter(touched).max_by_key(|&at| (changes[at].priority, std::cmp::Reverse(at)))
        };
        let mut next = first(&mut (0..changes.len()));
        while let Some(at) = next {
            shape.critical.push(at);
            // A change comes after all that it requires, so this ends also where a plan were odd.
            next = first(&mut shape.dependants[at].iter().copied().filter(|&after| after > at));
        }
        shape
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a service.
    pub(super) fn name(&self, service: usize) -> &str {
        &self.names[service]
    }

    /// The wave of a service; none for the shared part.
    pub(super) fn wave(&self, service: usize) -> Option<Wave> {
        self.waves[service]
    }

    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    pub(super) fn edges(&self) -> &[Line] {
        &self.edges
    }

    pub(super) fn dependencies(&self, service: usize) -> impl Iterator<Item = usize> + '_ {
        self.dependencies[service].iter().copied()
    }

    pub(super) fn dependants(&self, service: usize) -> impl Iterator<Item = usize> + '_ {
        self.dependants[service].iter().copied()
    }

    /// The chain that takes longest, first to last.
    pub(super) fn critical(&self) -> &[usize] {
        &self.critical
    }

    /// Whether a service is on a ring.
    pub(super) fn is_tangled(&self, service: usize) -> bool {
        self.tangled.contains(&service)
    }
}
