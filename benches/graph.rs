//! Building and ordering large graphs, against petgraph's `toposort` on the same list of edges.
//!
//! The lists are as unkind as real ones: each node has up to three dependencies among the 1,000 before it,
//! and then all numbers are shuffled. Ours also gives levels, which are verified before anything is timed.

use std::hint::black_box;
use std::time::Duration;

use argocd_orchestrator::domain::dag::{Dag, Layers};
use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    resolve(&mut criterion);
    cycle(&mut criterion);
    criterion.final_summary();
}

/// Edges from a dependant to what it depends on, three for each node but the first few.
fn edges(nodes: u32, seed: u64) -> Vec<(u32, u32)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut names: Vec<u32> = (0..nodes).collect();
    random.shuffle(&mut names);
    let mut edges = Vec::with_capacity(3 * nodes as usize);
    for node in 1..nodes {
        let mut before: Vec<u32> = (0..3).map(|_| random.u32(node.saturating_sub(1000)..node)).collect();
        before.sort_unstable();
        before.dedup();
        edges.extend(before.into_iter().map(|other| (names[node as usize], names[other as usize])));
    }
    edges
}

fn ours(nodes: u32, edges: &[(u32, u32)]) -> (Dag, Layers) {
    let dag = Dag::new(nodes as usize, edges);
    let layers = dag.layers();
    (dag, layers)
}

fn theirs(nodes: u32, edges: &[(u32, u32)]) -> Vec<NodeIndex<u32>> {
    let mut graph = DiGraph::<(), (), u32>::with_capacity(nodes as usize, edges.len());
    for _ in 0..nodes {
        graph.add_node(());
    }
    for &(dependant, dependency) in edges {
        graph.add_edge(NodeIndex::new(dependency as usize), NodeIndex::new(dependant as usize), ());
    }
    toposort(&graph, None).expect("the graph has no cycle")
}

/// In an acyclic graph there is only one numbering in which each node is one above the highest it needs.
fn verify(nodes: u32, edges: &[(u32, u32)]) {
    let (_, layers) = ours(nodes, edges);
    let mut expected = vec![0; nodes as usize];
    for &(dependant, dependency) in edges {
        let level = &mut expected[dependant as usize];
        *level = (layers.level_of(dependency) + 1).max(*level);
    }
    let levels: Vec<u32> = (0..nodes).map(|node| layers.level_of(node)).collect();
    assert_eq!(levels, expected, "levels are wrong");
    assert_eq!(layers.order().len(), theirs(nodes, edges).len());
}

fn resolve(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build+order");
    for (name, nodes, seconds) in [("55", 55, 1), ("10k/30k", 10_000, 3), ("1M/3M", 1_000_000, 8)] {
        let edges = edges(nodes, 7);
        verify(nodes, &edges);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(seconds));
        if nodes >= 1_000_000 {
            group.sampling_mode(SamplingMode::Flat);
        }
        group.throughput(Throughput::Elements(u64::from(nodes) + edges.len() as u64));
        group.bench_function(BenchmarkId::new("ours", name), |bencher| {
            bencher.iter_with_large_drop(|| ours(nodes, black_box(&edges)));
        });
        group.bench_function(BenchmarkId::new("ours, both directions", name), |bencher| {
            bencher.iter_with_large_drop(|| {
                let both = ours(nodes, black_box(&edges));
                black_box(both.0.dependencies(0).len());
                both
            });
        });
        group.bench_function(BenchmarkId::new("petgraph toposort", name), |bencher| {
            bencher.iter_with_large_drop(|| theirs(nodes, black_box(&edges)));
        });
    }
    group.finish();
}

/// A ring through the last nodes of a large graph: finding it, one shortest loop, and the edge to take out.
fn cycle(criterion: &mut Criterion) {
    use argocd_orchestrator::domain::dag::cycle::{best_cut, components, shortest_loop};

    let nodes = 10_000;
    let mut edges = edges(nodes, 7);
    let (_, layers) = ours(nodes, &edges);
    let order = layers.order();
    edges.push((order[9_000], order[order.len() - 1]));
    let (dag, layers) = ours(nodes, &edges);
    assert_eq!(components(&dag, &layers).len(), 1, "the edge must close a ring");
    let mut group = criterion.benchmark_group("cycle report");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.bench_function("10k/30k", |bencher| {
        bencher.iter_batched(
            || ours(nodes, &edges),
            |(dag, layers)| {
                let report = |part: &Vec<u32>| (shortest_loop(&dag, part), best_cut(&dag, part, |_| 0));
                components(&dag, &layers).iter().map(report).collect::<Vec<_>>()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}
