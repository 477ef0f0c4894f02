use std::collections::BTreeSet;

use proptest::prelude::*;

use super::cycle::{best_cut, components, shortest_loop};
use super::*;

/// Levels, lowest first, and what cannot be ordered.
fn check(nodes: usize, edges: &[(u32, u32)], levels: &[&[u32]], unordered: &[u32]) {
    let layers = Dag::new(nodes, edges).layers();
    let found: Vec<&[u32]> = (0..layers.len()).map(|level| layers.level(level)).collect();
    assert_eq!(found, levels);
    assert_eq!(layers.unordered(), unordered);
    assert_eq!(layers.order(), levels.concat());
}

#[test]
fn nodes_come_by_level_and_by_number_within_it() {
    check(0, &[], &[], &[]);
    check(3, &[], &[&[0, 1, 2]], &[]);
    check(4, &[(0, 3), (1, 3), (2, 1), (2, 3)], &[&[3], &[0, 1], &[2]], &[]);
    check(2, &[(0, 1), (0, 1)], &[&[1], &[0]], &[]);
}

#[test]
fn a_wave_may_be_as_wide_as_all_nodes() {
    let nodes = 50_000_u32;
    let edges: Vec<(u32, u32)> = (1..nodes).map(|node| (node, 0)).collect();
    let layers = Dag::new(nodes as usize, &edges).layers();
    assert_eq!((layers.len(), layers.level(1).len()), (2, nodes as usize - 1));
    assert!(layers.order().is_sorted());
}

#[test]
fn what_is_on_a_ring_or_behind_one_is_not_ordered() {
    check(5, &[(0, 1), (1, 2), (2, 1), (4, 3)], &[&[3], &[4]], &[0, 1, 2]);
    check(1, &[(0, 0)], &[], &[0]);
}

#[test]
fn both_directions_of_an_edge_can_be_walked() {
    let dag = Dag::new(4, &[(3, 2), (3, 0), (1, 0)]);
    assert_eq!((dag.dependencies(3), dag.dependants(0)), (&[0, 2][..], &[3, 1][..]));
    assert_eq!((dag.len(), dag.edge_count(), dag.is_empty()), (4, 3, false));
}

#[test]
fn reach_follows_edges_to_the_end() {
    let dag = Dag::new(6, &[(1, 0), (2, 1), (3, 1), (5, 4)]);
    assert_eq!(dag.ancestors(&[3, 5]), [0, 1, 4]);
    assert_eq!(dag.descendants(&[0]), [1, 2, 3]);
    assert_eq!(dag.descendants(&[0, 1]), [1, 2, 3]);
    assert!(dag.ancestors(&[0]).is_empty());
}

#[test]
fn the_critical_path_is_the_longest_by_weight() {
    let dag = Dag::new(5, &[(1, 0), (2, 1), (4, 3)]);
    let layers = dag.layers();
    let remaining = dag.remaining(&layers, &[1, 1, 1, 2, 9]);
    assert_eq!(remaining, [3, 2, 1, 11, 9]);
    assert_eq!(dag.critical_path(&layers, &remaining), [3, 4]);
    let equal = dag.remaining(&layers, &[0; 5]);
    assert_eq!(dag.critical_path(&layers, &equal), [0, 1, 2]);
}

#[test]
fn the_shortest_loop_is_named_and_the_edge_that_breaks_most_is_found() {
    // 0 -> 1 -> 2 -> 3 -> 0, with 1 -> 0 and 3 -> 1 as shorter ways back; 4 hangs behind.
    let dag = Dag::new(6, &[(0, 1), (1, 2), (2, 3), (3, 0), (1, 0), (3, 1), (4, 0)]);
    let found = components(&dag, &dag.layers());
    assert_eq!(found, [[0, 1, 2, 3]]);
    assert_eq!(shortest_loop(&dag, &found[0]), [(0, 1), (1, 0)]);
    let cut = best_cut(&dag, &found[0], |_| 0).unwrap();
    assert_eq!((cut.edge, cut.edges_left, cut.nodes_left), ((1, 2), 2, 2));
    // Without 1 -> 2 only 0 and 1 still need each other.
    assert_eq!(best_cut(&dag, &[4], |_| 0), None);
}

#[test]
fn among_equal_cuts_the_suspected_edge_is_taken() {
    let dag = Dag::new(3, &[(0, 1), (1, 2), (2, 0)]);
    let cut = best_cut(&dag, &[0, 1, 2], |edge| u32::from(edge == (1, 2))).unwrap();
    assert_eq!((cut.edge, cut.edges_left), ((1, 2), 0));
}

#[test]
fn a_chain_of_a_million_and_a_ring_of_as_many_overflow_nothing() {
    let nodes = 1_000_000_u32;
    let mut edges: Vec<(u32, u32)> = (1..nodes).map(|node| (node, node - 1)).collect();
    let dag = Dag::new(nodes as usize, &edges);
    let layers = dag.layers();
    assert_eq!(layers.level_of(nodes - 1), nodes - 1);
    let remaining = dag.remaining(&layers, &vec![1; nodes as usize]);
    assert_eq!(dag.critical_path(&layers, &remaining).len(), nodes as usize);
    assert_eq!(dag.ancestors(&[nodes - 1]).len(), nodes as usize - 1);

    edges.push((0, nodes - 1));
    let ring = Dag::new(nodes as usize, &edges);
    let found = components(&ring, &ring.layers());
    assert_eq!(shortest_loop(&ring, &found[0]).len(), nodes as usize);
}

#[test]
fn a_dense_tangle_is_cut_in_bounded_work() {
    // Everything on everything: 400 nodes, 159,600 edges.
    let edges: Vec<(u32, u32)> =
        (0..400).flat_map(|a| (0..400).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
    let dag = Dag::new(400, &edges);
    let found = components(&dag, &dag.layers());
    assert_eq!(shortest_loop(&dag, &found[0]), [(0, 1), (1, 0)]);
    assert_eq!(best_cut(&dag, &found[0], |_| 0).unwrap().edges_left, edges.len() - 1);
}

/// Edges from a node to a lower one, then renumbered by a shuffle.
fn acyclic() -> impl Strategy<Value = (usize, Vec<(u32, u32)>)> {
    (2_usize..60).prop_flat_map(|nodes| {
        let pair = (0..nodes as u32, 0..nodes as u32);
        let edges = prop::collection::vec(pair, 0..150);
        let names = Just((0..nodes as u32).collect::<Vec<_>>()).prop_shuffle();
        (edges, names).prop_map(move |(edges, names)| {
            let downward = |(a, b): (u32, u32)| (names[a.max(b) as usize], names[a.min(b) as usize]);
            (nodes, edges.into_iter().map(downward).filter(|(a, b)| a != b).collect())
        })
    })
}

/// The longest path to each node by relaxing all edges until nothing moves: slow, and independent.
fn levels_by_relaxation(nodes: usize, edges: &[(u32, u32)]) -> Vec<u32> {
    let mut levels = vec![0; nodes];
    for _ in 0..nodes {
        for &(dependant, dependency) in edges {
            levels[dependant as usize] = levels[dependant as usize].max(levels[dependency as usize] + 1);
        }
    }
    levels
}

proptest! {
    #[test]
    fn every_dependency_comes_before_its_dependant((nodes, edges) in acyclic()) {
        let layers = Dag::new(nodes, &edges).layers();
        let mut place = vec![usize::MAX; nodes];
        for (at, &node) in layers.order().iter().enumerate() {
            place[node as usize] = at;
        }
        prop_assert_eq!(layers.order().len(), nodes);
        for (dependant, dependency) in edges {
            prop_assert!(place[dependency as usize] < place[dependant as usize]);
        }
    }

    #[test]
    fn levels_are_longest_paths_whatever_the_order_of_edges((nodes, mut edges) in acyclic()) {
        let layers = Dag::new(nodes, &edges).layers();
        let levels: Vec<u32> = (0..nodes as u32).map(|node| layers.level_of(node)).collect();
        prop_assert_eq!(levels, levels_by_relaxation(nodes, &edges));
        edges.reverse();
        prop_assert_eq!(layers, Dag::new(nodes, &edges).layers());
    }

    #[test]
    fn a_planted_ring_is_reported_as_a_true_loop_and_its_cut_helps(
        (nodes, mut edges) in acyclic(),
        ring in prop::collection::btree_set(0_u32..60, 2..8),
    ) {
        let ring: Vec<u32> = ring.into_iter().filter(|&node| (node as usize) < nodes).collect();
        prop_assume!(ring.len() > 1);
        edges.extend((0..ring.len()).map(|at| (ring[at], ring[(at + 1) % ring.len()])));
        let all: BTreeSet<_> = edges.iter().copied().collect();
        let dag = Dag::new(nodes, &edges.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        let found = components(&dag, &dag.layers());
        prop_assert!(found.iter().any(|part| ring.iter().all(|node| part.contains(node))));
        for part in &found {
            let shown = shortest_loop(&dag, part);
            prop_assert!(shown.len() > 1 && shown.len() <= part.len());
            for (at, edge) in shown.iter().enumerate() {
                prop_assert!(all.contains(edge) && part.contains(&edge.0));
                prop_assert_eq!(edge.1, shown[(at + 1) % shown.len()].0);
            }
            // Only what depends on itself is in a component.
            for &node in part {
                prop_assert!(dag.ancestors(&[node]).contains(&node));
            }
            let inner = all.iter().filter(|(a, b)| part.contains(a) && part.contains(b)).count();
            let cut = best_cut(&dag, part, |_| 0).unwrap();
            prop_assert!(all.contains(&cut.edge) && cut.edges_left < inner);
            let rest: Vec<_> = all.iter().copied().filter(|&edge| edge != cut.edge).collect();
            let rest = Dag::new(nodes, &rest);
            let after = components(&rest, &rest.layers());
            let left: usize = after.iter().filter(|one| part.contains(&one[0])).map(Vec::len).sum();
            prop_assert_eq!(left, cut.nodes_left);
        }
    }
}
