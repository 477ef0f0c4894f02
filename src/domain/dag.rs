//! Directed acyclic graphs of plain numbers: order, levels, longest paths and what lies on a ring.
//!
//! Knows nothing of services. An edge leads from a dependant to what it depends on. Nodes are numbered from
//! 0, adjacency lies in two flat arrays, and nothing recurses: a chain of a million nodes is one loop.
//!
//! [`Dag::layers`] is Kahn's algorithm, level by level. Numbers are usually shuffled, so the time goes into
//! waiting for memory, not into work; each batch therefore first fetches where the lists lie, then the lists,
//! then counts down. Each of the three loops makes many independent loads that the processor overlaps.
//!
//! [`cycle`] says what a graph that is not acyclic is tangled in.

use std::sync::OnceLock;

pub mod cycle;

/// The level of a node that cannot be ordered because it is on a ring or behind one.
pub const UNORDERED: u32 = u32::MAX;

/// How many nodes are taken in hand at once. Small enough for their lists to stay in the first-level cache.
const BATCH: usize = 1024;

/// How many entries of a list are copied at once, and so how many there are behind the last list.
const PADDING: usize = 8;

/// Numbers from here on are counts below zero: not levels, and not numbers of nodes or edges.
const WAITING: u32 = 1 << 31;

/// A directed graph that should be acyclic.
#[derive(Debug, Clone, Default)]
pub struct Dag {
    dependants: Adjacency,
    /// How many dependencies each node has.
    counts: Vec<u32>,
    /// Most uses need one direction only; the other one is made when it is first asked for.
    dependencies: OnceLock<Adjacency>,
}

/// Nodes by level: level 0 depends on nothing, any other on at least one node of the level below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    order: Vec<u32>,
    levels: Vec<u32>,
    bounds: Vec<u32>,
}

impl Dag {
    /// A graph of `nodes` nodes and these edges, each from a dependant to its dependency.
    ///
    /// # Panics
    /// When an edge names a node that is not there, or there are 2^31 nodes or edges.
    pub fn new(nodes: usize, edges: &[(u32, u32)]) -> Self {
        assert!(
            nodes < UNORDERED as usize && edges.len() < UNORDERED as usize,
            "too large for 32-bit numbers"
        );
        let mut counts = vec![0; nodes];
        for &(dependant, _) in edges {
            counts[dependant as usize] += 1;
        }
        let dependants = Adjacency::new(nodes, edges.len(), || {
            edges.iter().map(|&(dependant, dependency)| (dependency, dependant))
        });
        Self { dependants, counts, dependencies: OnceLock::new() }
    }

    /// How many nodes.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many edges.
    pub fn edge_count(&self) -> usize {
        self.dependants.starts.last().map_or(0, |&end| end as usize)
    }

    /// What `node` depends on, lowest number first.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn dependencies(&self, node: u32) -> &[u32] {
        self.dependencies.get_or_init(|| self.transposed()).of(node)
    }

    /// What depends on `node`, in the order in which the edges were given.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn dependants(&self, node: u32) -> &[u32] {
        self.dependants.of(node)
    }

    /// All nodes by level and number: every dependency before its dependants.
    pub fn layers(&self) -> Layers {
        let nodes = self.len();
        let Adjacency { starts, targets } = &self.dependants;
        // Counts up from below zero with each dependency that is done. At zero the node is ready, and from
        // then on its place holds its level: no second array has to be fetched for that.
        let mut levels: Vec<u32> = self.counts.iter().map(|&count| 0_u32.wrapping_sub(count)).collect();
        // One more than there are nodes: each candidate is written, and only counted when it is ready.
        let mut queue = vec![0_u32; nodes + 1];
        let mut tail = 0;
        for (node, &waiting) in (0_u32..).zip(&levels) {
            queue[tail] = node;
            tail += usize::from(waiting == 0);
        }
        let mut spans: Vec<(usize, usize)> = Vec::with_capacity(BATCH);
        let mut reached = vec![0_u32; PADDING * BATCH];
        let mut bounds = vec![0_u32];
        let mut head = 0;
        while head < tail {
            let end = tail;
            let next_level = narrow(bounds.len());
            while head < end {
                let stop = end.min(head + BATCH);
                let span = |&node: &u32| (starts[node as usize] as usize, starts[node as usize + 1] as usize);
                spans.clear();
                spans.extend(queue[head..stop].iter().map(span));
                let mut count = 0;
                for &(from, to) in &spans {
                    // Most lists are short: a fixed number of entries is copied without asking for the length,
                    // which nobody could predict, and what is too much is overwritten by the next list.
                    let length = to - from;
                    let copied = length.max(PADDING);
                    if count + copied > reached.len() {
                        reached.resize(2 * (count + copied), 0);
                    }
                    if length <= PADDING {
                        reached[count..count + PADDING].copy_from_slice(&targets[from..from + PADDING]);
                    } else {
                        reached[count..count + length].copy_from_slice(&targets[from..to]);
                    }
                    count += length;
                }
                for &node in &reached[..count] {
                    let place = &mut levels[node as usize];
                    let waiting = place.wrapping_add(1);
                    *place = if waiting == 0 { next_level } else { waiting };
                    queue[tail] = node;
                    tail += usize::from(waiting == 0);
                }
                head = stop;
            }
            bounds.push(narrow(end));
        }
        let order = sorted_by_level(&mut levels, &bounds, tail);
        Layers { order, levels, bounds }
    }

    /// For each node the longest path from it to an end, itself included: what is still to come once it may
    /// start. `weights` are the nodes' own; sums saturate. Nodes that cannot be ordered count for themselves.
    ///
    /// # Panics
    /// When `weights` or `layers` are of a smaller graph.
    pub fn remaining(&self, layers: &Layers, weights: &[u64]) -> Vec<u64> {
        let mut remaining = weights[..self.len()].to_vec();
        for &node in layers.order.iter().rev() {
            let behind = self.dependants(node).iter().filter(|&&next| layers.is_ordered(next));
            let longest = behind.map(|&next| remaining[next as usize]).max().unwrap_or(0);
            remaining[node as usize] = longest.saturating_add(weights[node as usize]);
        }
        remaining
    }

    /// The nodes of the longest path, first to last; among equals the lowest number. `remaining` is what
    /// [`Dag::remaining`] gave.
    ///
    /// # Panics
    /// When `remaining` or `layers` are of a smaller graph.
    pub fn critical_path(&self, layers: &Layers, remaining: &[u64]) -> Vec<u32> {
        let longest = |nodes: &mut dyn Iterator<Item = u32>| {
            nodes
                .filter(|&node| layers.is_ordered(node))
                .min_by_key(|&node| (std::cmp::Reverse(remaining[node as usize]), node))
        };
        let mut path = Vec::new();
        let mut next = longest(&mut layers.level(0).iter().copied());
        while let Some(node) = next {
            path.push(node);
            next = longest(&mut self.dependants(node).iter().copied());
        }
        path
    }

    /// Everything that any of `nodes` depends on, directly or not, lowest number first. A node of the set is
    /// in it only where another one (or a ring) leads to it.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn ancestors(&self, nodes: &[u32]) -> Vec<u32> {
        self.reach(nodes, |node| self.dependencies(node))
    }

    /// Everything that depends on any of `nodes`, directly or not, lowest number first. A node of the set is
    /// in it only where another one (or a ring) leads to it.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn descendants(&self, nodes: &[u32]) -> Vec<u32> {
        self.reach(nodes, |node| self.dependants(node))
    }

    fn reach<'a>(&self, nodes: &[u32], next: impl Fn(u32) -> &'a [u32]) -> Vec<u32> {
        let mut seen = vec![false; self.len()];
        let mut open = nodes.to_vec();
        while let Some(node) = open.pop() {
            for &other in next(node) {
                if !std::mem::replace(&mut seen[other as usize], true) {
                    open.push(other);
                }
            }
        }
        (0_u32..).zip(seen).filter(|&(_, seen)| seen).map(|(node, _)| node).collect()
    }

    fn transposed(&self) -> Adjacency {
        let nodes = self.len();
        let edges = || {
            (0..narrow(nodes)).flat_map(|dependency| {
                self.dependants(dependency).iter().map(move |&dependant| (dependant, dependency))
            })
        };
        Adjacency::new(nodes, self.edge_count(), edges)
    }
}

impl Layers {
    /// All nodes that can be ordered, by level and number.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// How many levels.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Whether no node could be ordered (or there is none).
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The nodes of one level, lowest number first; none where there is no such level.
    pub fn level(&self, level: usize) -> &[u32] {
        match (self.bounds.get(level), self.bounds.get(level + 1)) {
            (Some(&from), Some(&to)) => &self.order[from as usize..to as usize],
            (None | Some(_), None) | (None, Some(_)) => &[],
        }
    }

    /// The level of a node, counted in edges of the longest path to it; [`UNORDERED`] on and behind a ring.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn level_of(&self, node: u32) -> u32 {
        self.levels[node as usize]
    }

    /// Whether the node could be ordered.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn is_ordered(&self, node: u32) -> bool {
        self.level_of(node) != UNORDERED
    }

    /// The nodes on a ring or behind one, lowest number first. None in an acyclic graph.
    pub fn unordered(&self) -> Vec<u32> {
        if self.order.len() == self.levels.len() {
            return Vec::new();
        }
        (0..narrow(self.levels.len())).filter(|&node| !self.is_ordered(node)).collect()
    }
}

/// For each node the nodes at the other end of its edges: `targets[starts[n]..starts[n + 1]]`. Behind the last
/// list there is [`PADDING`].
#[derive(Debug, Clone, Default)]
struct Adjacency {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Adjacency {
    /// Counting sort of `edges()`, pairs of node and target.
    fn new<I: Iterator<Item = (u32, u32)>>(nodes: usize, count: usize, edges: impl Fn() -> I) -> Self {
        // Counted two places up, so that after the sum each node's entry is one up: writing the targets moves
        // it to the node's end, which is the start of the next node, where it belongs.
        let mut starts = vec![0_u32; nodes + 2];
        edges().for_each(|(node, _)| starts[node as usize + 2] += 1);
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut targets = vec![0; count + PADDING];
        edges().for_each(|(node, target)| {
            let place = &mut starts[node as usize + 1];
            targets[*place as usize] = target;
            *place += 1;
        });
        starts.truncate(nodes + 1);
        Self { starts, targets }
    }

    fn of(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }
}

/// Counting sort of the ordered nodes: within a level by number, whatever order the queue had them in. What
/// still waits gets [`UNORDERED`] as its level.
fn sorted_by_level(levels: &mut [u32], bounds: &[u32], ordered: usize) -> Vec<u32> {
    let mut places = bounds.to_vec();
    let mut order = vec![0; ordered];
    for (node, level) in (0_u32..).zip(levels) {
        if *level < WAITING {
            let place = &mut places[*level as usize];
            order[*place as usize] = node;
            *place += 1;
        } else {
            *level = UNORDERED;
        }
    }
    order
}

/// A count of nodes as 32 bits; [`Dag::new`] has checked that it fits.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
