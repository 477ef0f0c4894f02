//! A graph as `graph --output json` prints it.

use jiff::SignedDuration;
use serde::Serialize;

use super::Graph;
use crate::domain::names::{ServiceName, Wave};

/// A graph for programs. Field names and their order are a promise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphView {
    /// All services, in the order of the catalogue.
    pub services: Vec<ServiceView>,
    /// All dependencies, in the order of the file.
    pub edges: Vec<EdgeView>,
    /// The services of each wave that has any, lowest wave first.
    pub waves: Vec<Vec<ServiceName>>,
    /// Loops: every service needs the one after it, and the last one the first.
    pub cycles: Vec<Vec<ServiceName>>,
}

/// One service of a [`GraphView`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// Its wave, given or taken from the graph.
    pub wave: Wave,
    /// Seconds of the longest path from its start to the end of the last that waits for it; none where
    /// durations are not known, or the graph has a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical_path_seconds: Option<f64>,
}

/// One dependency of a [`GraphView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EdgeView {
    /// The service that waits.
    pub service: ServiceName,
    /// What must be healthy before it.
    pub depends_on: ServiceName,
    /// The file that says so.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Graph {
    /// The graph for programs. `durations` are by service, where they are known.
    pub fn view(&self, durations: Option<&[SignedDuration]>) -> GraphView {
        let remaining =
            durations.filter(|_| self.rings().is_empty()).map(|durations| self.remaining(durations));
        let service = |at: usize| ServiceView {
            name: self.name(at).clone(),
            wave: self.wave(at),
            critical_path_seconds: remaining.as_ref().map(|remaining| remaining[at].as_secs_f64()),
        };
        let named = |services: Vec<usize>| services.into_iter().map(|at| self.name(at).clone()).collect();
        let edges = self.edges().iter().map(|edge| EdgeView {
            service: self.name(edge.dependant).clone(),
            depends_on: self.name(edge.dependency).clone(),
            file: edge.place.file.clone(),
            line: edge.place.line,
            column: edge.place.column,
        });
        GraphView {
            services: (0..self.len()).map(service).collect(),
            edges: edges.collect(),
            waves: self.waves().into_iter().map(|(_, services)| named(services)).collect(),
            cycles: self.cycles(),
        }
    }
}
