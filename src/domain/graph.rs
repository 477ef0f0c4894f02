//! In which order the services of one customer must become healthy.
//!
//! A graph is made of a catalogue's services that are switched on, numbered in the catalogue's order. Making
//! one finds everything that is wrong with it at once; a graph with rings can still be shown, printed and
//! drawn, it only cannot be deployed. What an order of numbers is made of stands in [`super::dag`].

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use jiff::SignedDuration;

use super::catalog::{Catalog, Limits, Order};
use super::dag::{Dag, Layers};
use super::diagnostic::{Diagnostic, Place};
use super::names::{CustomerId, Environment, ServiceName, Wave};
use super::predict::{self, Timeline};

mod faults;
mod view;

pub use view::{EdgeView, GraphView, ServiceView};

/// The services of one customer and environment, and what each must wait for.
#[derive(Debug, Clone)]
pub struct Graph {
    customer: CustomerId,
    environment: Environment,
    services: Vec<Node>,
    index: BTreeMap<ServiceName, usize>,
    edges: Vec<Edge>,
    waves: Vec<Wave>,
    dag: Dag,
    layers: Layers,
    order: Vec<usize>,
    rings: Vec<Ring>,
}

/// One service needs another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The service that waits.
    pub dependant: usize,
    /// What must be healthy before it.
    pub dependency: usize,
    /// Where the file says so.
    pub place: Place,
}

/// Services that all need each other, so that none of them can ever start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// All of them, in the order of the catalogue.
    pub members: Vec<usize>,
    /// A shortest loop among them, as indices of edges; each leads on where the one before it ended, and the
    /// last one back to the start of the first.
    pub shown: Vec<usize>,
    /// The edge whose removal takes most edges off any ring.
    pub cut: usize,
    /// How many of the members would still be on a ring without that edge.
    pub left: usize,
}

impl Graph {
    /// The graph of the catalogue's services that are switched on, with everything that is wrong with it. A
    /// dependency that leads nowhere, or from a service to itself, is no edge of it.
    pub fn build(catalog: &Catalog, order: Order, limits: &Limits) -> (Self, Vec<Diagnostic>) {
        let services: Vec<Node> = catalog
            .enabled()
            .map(|service| Node {
                name: service.name.clone(),
                place: service.place.clone(),
                given: service.wave.is_some(),
            })
            .collect();
        let mut index = BTreeMap::new();
        for (at, service) in services.iter().enumerate() {
            index.entry(service.name.clone()).or_insert(at);
        }

        // Each pair once: a dependency that stands there twice is the reader's to complain about.
        let mut edge_of: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        let mut edges: Vec<Edge> = Vec::new();
        for (dependant, service) in catalog.enabled().enumerate() {
            for wanted in &service.dependencies {
                let Some(&dependency) = index.get(&wanted.on) else { continue };
                if services[dependency].name != service.name {
                    edge_of.entry((number(dependant), number(dependency))).or_insert_with(|| {
                        edges.push(Edge { dependant, dependency, place: wanted.place.clone() });
                        edges.len() - 1
                    });
                }
            }
        }
        let pairs: Vec<(u32, u32)> =
            edges.iter().map(|edge| (number(edge.dependant), number(edge.dependency))).collect();
        let dag = Dag::new(services.len(), &pairs);
        let layers = dag.layers();
        let order_of_numbers = layers.order().iter().copied().chain(layers.unordered());
        let start_order: Vec<usize> = order_of_numbers.map(|node| node as usize).collect();
        let given: Vec<Option<Wave>> = catalog.enabled().map(|service| service.wave).collect();
        let waves = faults::waves(&dag, &start_order, &given);
        let rings = faults::rings(&dag, &layers, &edge_of, &given);

        let graph = Self {
            customer: catalog.customer.clone(),
            environment: catalog.environment.clone(),
            services,
            index,
            edges,
            waves,
            dag,
            layers,
            order: start_order,
            rings,
        };
        let diagnostics = faults::diagnose(&graph, catalog, order, limits);
        (graph, diagnostics)
    }

    /// Whose.
    pub fn customer(&self) -> &CustomerId {
        &self.customer
    }

    /// Where to.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// How many services.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Whether there is no service at all.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The name of a service.
    ///
    /// # Panics
    /// When there is no such service; so do all functions that take the number of one.
    pub fn name(&self, service: usize) -> &ServiceName {
        &self.services[service].name
    }

    /// The number of the service of this name.
    pub fn index(&self, name: &ServiceName) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Where the service stands in the file.
    pub fn place(&self, service: usize) -> &Place {
        &self.services[service].place
    }

    /// The wave of a service: the file's, or else one more than the highest wave among its dependencies.
    pub fn wave(&self, service: usize) -> Wave {
        self.waves[service]
    }

    /// Whether the wave of a service stands in the file.
    pub fn wave_is_given(&self, service: usize) -> bool {
        self.services[service].given
    }

    /// What a service needs, in the order of the catalogue.
    pub fn dependencies(&self, service: usize) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.dag.dependencies(number(service)).iter().map(|&node| node as usize)
    }

    /// What needs a service, in the order of the catalogue.
    pub fn dependants(&self, service: usize) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.dag.dependants(number(service)).iter().map(|&node| node as usize)
    }

    /// All edges, in the order of the file.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// All services, each after everything that it needs; what is on or behind a ring comes last.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The services of each wave that has any, lowest first; within a wave each after what it needs there.
    pub fn waves(&self) -> Vec<(Wave, Vec<usize>)> {
        let mut waves: BTreeMap<Wave, Vec<usize>> = BTreeMap::new();
        for &service in &self.order {
            waves.entry(self.wave(service)).or_default().push(service);
        }
        waves.into_iter().collect()
    }

    /// What can never start; empty in a graph that can be deployed.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// One loop of each ring: every service needs the one after it, and the last one the first.
    pub fn cycles(&self) -> Vec<Vec<ServiceName>> {
        let name = |&edge: &usize| self.name(self.edges[edge].dependant).clone();
        self.rings.iter().map(|ring| ring.shown.iter().map(name).collect()).collect()
    }

    /// For each service the longest path from its start to the end of the last that waits for it, itself
    /// included. `durations` are by service.
    pub fn remaining(&self, durations: &[SignedDuration]) -> Vec<SignedDuration> {
        let remaining = self.dag.remaining(&self.layers, &self.weights(durations));
        remaining.into_iter().map(predict::duration).collect()
    }

    /// The services of the longest path, first to last. `durations` are by service.
    pub fn critical_path(&self, durations: &[SignedDuration]) -> Vec<usize> {
        let remaining = self.dag.remaining(&self.layers, &self.weights(durations));
        numbers(self.dag.critical_path(&self.layers, &remaining))
    }

    /// How urgent each service is where not all that are ready may start: the highest first, among equals the
    /// first of the catalogue. `durations` are by service.
    pub fn priorities(&self, order: Order, durations: &[SignedDuration]) -> Vec<u64> {
        predict::priorities(&self.dag, &self.layers, &self.waves, &self.weights(durations), order)
    }

    /// Everything that any of these services needs, directly or not.
    pub fn ancestors_of(&self, services: &[usize]) -> Vec<usize> {
        numbers(self.dag.ancestors(&services.iter().copied().map(number).collect::<Vec<_>>()))
    }

    /// Everything that needs any of these services, directly or not.
    pub fn descendants_of(&self, services: &[usize]) -> Vec<usize> {
        numbers(self.dag.descendants(&services.iter().copied().map(number).collect::<Vec<_>>()))
    }

    /// How a run of all services would go. `durations` are by service.
    pub fn predict(
        &self,
        durations: &[SignedDuration],
        order: Order,
        slots: Option<NonZeroUsize>,
    ) -> Timeline {
        predict::predict(&self.dag, &self.waves, durations, order, slots)
    }

    /// The graph by numbers alone.
    pub fn dag(&self) -> &Dag {
        &self.dag
    }

    fn weights(&self, durations: &[SignedDuration]) -> Vec<u64> {
        durations[..self.len()].iter().copied().map(predict::nanoseconds).collect()
    }
}

#[derive(Debug, Clone)]
struct Node {
    name: ServiceName,
    place: Place,
    given: bool,
}

fn numbers(nodes: Vec<u32>) -> Vec<usize> {
    nodes.into_iter().map(|node| node as usize).collect()
}

/// The number of a service in [`Dag`]; a catalogue's limits are far below 32 bits.
fn number(service: usize) -> u32 {
    u32::try_from(service).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
