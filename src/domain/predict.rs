//! What a run would take: a pure rehearsal with known durations, without failures and without any delay
//! of a controller.
//!
//! List scheduling: whenever a slot is free, the ready service with the longest path still behind it starts.
//! The real run does the same on what it observes, so this is its best case, and the yardstick for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroUsize;

use jiff::SignedDuration;
use serde::Serialize;

use super::catalog::Order;
use super::dag::{Dag, Layers};
use super::names::Wave;

/// A run as it would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Every node that ran, in the order of their starts.
    pub entries: Vec<Entry>,
    /// From the start of the first to the end of the last.
    #[serde(serialize_with = "seconds")]
    pub makespan: SignedDuration,
    /// The nodes of the longest chain of dependencies, first to last.
    pub critical_path: Vec<usize>,
    /// How long that chain takes by itself.
    #[serde(serialize_with = "seconds")]
    pub critical_path_length: SignedDuration,
    /// No schedule can be shorter, in whichever order: the critical path, or all work shared by all slots.
    #[serde(serialize_with = "seconds")]
    pub lower_bound: SignedDuration,
    /// Nodes that would never start: on or behind a ring, or (in order of waves) dependent on a later wave.
    pub stuck: Vec<usize>,
}

/// One node's turn, counted from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Which.
    pub node: usize,
    /// When it starts.
    #[serde(serialize_with = "seconds")]
    pub start: SignedDuration,
    /// When it is healthy.
    #[serde(serialize_with = "seconds")]
    pub end: SignedDuration,
}

/// Rehearses a run. `waves` and `durations` are by node; a negative duration counts as none, and `slots` is
/// how many may be under way at once, none for any number.
///
/// # Panics
/// When `waves` or `durations` are shorter than the graph.
pub fn predict(
    dag: &Dag,
    waves: &[Wave],
    durations: &[SignedDuration],
    order: Order,
    slots: Option<NonZeroUsize>,
) -> Timeline {
    let weights: Vec<u64> = durations[..dag.len()].iter().copied().map(nanoseconds).collect();
    let layers = dag.layers();
    let remaining = dag.remaining(&layers, &weights);
    let critical_path = dag.critical_path(&layers, &remaining);
    let critical_path_length = critical_path.first().map_or(0, |&node| remaining[node as usize]);

    let mut run = Run::new(dag, waves, &weights, order, priorities(dag, &layers, waves, &weights, order));
    run.finish(slots.map_or(usize::MAX, NonZeroUsize::get));

    let work = run.entries.iter().map(|&(node, _)| u128::from(weights[node as usize])).sum::<u128>();
    let shared = slots.map_or(0, |slots| work.div_ceil(slots.get() as u128));
    let lower_bound = critical_path_length.max(u64::try_from(shared).unwrap_or(u64::MAX));
    let stuck = (0..dag.len()).filter(|&node| run.started[node].is_none()).collect();
    let entry = |(node, start): (u32, u64)| Entry {
        node: node as usize,
        start: duration(start),
        end: duration(start.saturating_add(weights[node as usize])),
    };
    let entries: Vec<Entry> = run.entries.into_iter().map(entry).collect();
    Timeline {
        makespan: entries.iter().map(|entry| entry.end).max().unwrap_or(SignedDuration::ZERO),
        entries,
        critical_path: critical_path.into_iter().map(|node| node as usize).collect(),
        critical_path_length: duration(critical_path_length),
        lower_bound: duration(lower_bound),
        stuck,
    }
}

/// How urgent each node is, in nanoseconds of the longest path still behind it: of ready nodes the one with
/// the highest number starts first. In order of waves only the path inside its wave counts, since the barrier
/// behind it waits for all.
///
/// # Panics
/// When `waves` or `weights` are shorter than the graph.
pub fn priorities(dag: &Dag, layers: &Layers, waves: &[Wave], weights: &[u64], order: Order) -> Vec<u64> {
    match order {
        Order::Dependencies => dag.remaining(layers, weights),
        Order::Waves => {
            let inside = |&(dependant, dependency): &(u32, u32)| {
                waves[dependant as usize] == waves[dependency as usize]
            };
            let edges: Vec<(u32, u32)> = edges(dag).filter(inside).collect();
            let part = Dag::new(dag.len(), &edges);
            part.remaining(&part.layers(), weights)
        }
    }
}

/// A duration as whole nanoseconds: none when negative, and the most there is when it does not fit.
pub fn nanoseconds(duration: SignedDuration) -> u64 {
    u64::try_from(duration.as_nanos().max(0)).unwrap_or(u64::MAX)
}

/// Whole nanoseconds as a duration, the most there is when it does not fit.
pub fn duration(nanoseconds: u64) -> SignedDuration {
    SignedDuration::from_nanos(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

fn edges(dag: &Dag) -> impl Iterator<Item = (u32, u32)> {
    (0_u32..).take(dag.len()).flat_map(|dependency| {
        dag.dependants(dependency).iter().map(move |&dependant| (dependant, dependency))
    })
}

fn seconds<S: serde::Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

struct Run<'a> {
    dag: &'a Dag,
    weights: &'a [u64],
    priorities: Vec<u64>,
    /// By node; all the same where waves do not hold anybody back.
    waves: Vec<Wave>,
    /// Nodes of each wave that have not ended; a wave without any is taken out.
    open: BTreeMap<Wave, usize>,
    /// Dependencies of each node that have not ended.
    waiting: Vec<usize>,
    /// Nodes whose dependencies have ended, most urgent first.
    ready: BinaryHeap<(u64, Reverse<u32>)>,
    /// The same, of waves that are not open yet.
    behind: BTreeMap<Wave, Vec<u32>>,
    running: BinaryHeap<Reverse<(u64, u32)>>,
    started: Vec<Option<u64>>,
    entries: Vec<(u32, u64)>,
}

impl<'a> Run<'a> {
    fn new(dag: &'a Dag, waves: &[Wave], weights: &'a [u64], order: Order, priorities: Vec<u64>) -> Self {
        let waves = match order {
            Order::Waves => waves[..dag.len()].to_vec(),
            Order::Dependencies => vec![Wave(0); dag.len()],
        };
        let mut open = BTreeMap::new();
        for &wave in &waves {
            *open.entry(wave).or_insert(0) += 1;
        }
        let mut waiting = vec![0; dag.len()];
        for (dependant, _) in edges(dag) {
            waiting[dependant as usize] += 1;
        }
        let mut behind: BTreeMap<Wave, Vec<u32>> = BTreeMap::new();
        for (node, _) in (0_u32..).zip(&waiting).filter(|&(_, &count)| count == 0) {
            behind.entry(waves[node as usize]).or_default().push(node);
        }
        Self {
            dag,
            weights,
            priorities,
            waves,
            open,
            waiting,
            ready: BinaryHeap::new(),
            behind,
            running: BinaryHeap::new(),
            started: vec![None; dag.len()],
            entries: Vec::with_capacity(dag.len()),
        }
    }

    fn finish(&mut self, slots: usize) {
        let mut now = 0;
        loop {
            self.open_wave();
            while self.running.len() < slots
                && let Some((_, Reverse(node))) = self.ready.pop()
            {
                self.started[node as usize] = Some(now);
                self.entries.push((node, now));
                self.running.push(Reverse((now.saturating_add(self.weights[node as usize]), node)));
            }
            let Some(&Reverse((next, _))) = self.running.peek() else { break };
            now = next;
            while let Some(&Reverse((end, node))) = self.running.peek()
                && end == now
            {
                self.running.pop();
                self.end(node);
            }
        }
    }

    /// Moves what the first unfinished wave has ready among those that may start.
    fn open_wave(&mut self) {
        let Some((&wave, _)) = self.open.first_key_value() else { return };
        for node in self.behind.remove(&wave).unwrap_or_default() {
            self.ready.push((self.priorities[node as usize], Reverse(node)));
        }
    }

    fn end(&mut self, node: u32) {
        let wave = self.waves[node as usize];
        if let Some(left) = self.open.get_mut(&wave) {
            *left -= 1;
            if *left == 0 {
                self.open.remove(&wave);
            }
        }
        for &next in self.dag.dependants(node) {
            self.waiting[next as usize] -= 1;
            if self.waiting[next as usize] == 0 {
                self.behind.entry(self.waves[next as usize]).or_default().push(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Durations in seconds; `expected` is (node, start, end) in seconds.
    fn check(
        edges: &[(u32, u32)],
        waves: &[u32],
        durations: &[i64],
        order: Order,
        slots: usize,
        expected: &[(usize, i64, i64)],
    ) -> Timeline {
        let waves: Vec<Wave> = waves.iter().copied().map(Wave).collect();
        let durations: Vec<SignedDuration> =
            durations.iter().copied().map(SignedDuration::from_secs).collect();
        let dag = Dag::new(waves.len(), edges);
        let timeline = predict(&dag, &waves, &durations, order, NonZeroUsize::new(slots));
        let entries: Vec<_> =
            timeline.entries.iter().map(|e| (e.node, e.start.as_secs(), e.end.as_secs())).collect();
        assert_eq!(entries, expected);
        timeline
    }

    #[test]
    fn a_service_starts_when_its_own_dependencies_end() {
        let timeline = check(
            &[(1, 0), (3, 2)],
            &[0, 1, 0, 1],
            &[10, 5, 1, 5],
            Order::Dependencies,
            0,
            &[(0, 0, 10), (2, 0, 1), (3, 1, 6), (1, 10, 15)],
        );
        assert_eq!((timeline.makespan.as_secs(), timeline.critical_path), (15, vec![0, 1]));
    }

    #[test]
    fn a_wave_starts_when_all_of_the_wave_before_it_has_ended() {
        let expected = [(0, 0, 10), (2, 0, 1), (1, 10, 15), (3, 10, 15)];
        check(&[(1, 0), (3, 2)], &[0, 1, 0, 1], &[10, 5, 1, 5], Order::Waves, 0, &expected);
    }

    #[test]
    fn with_one_slot_the_longest_remaining_path_goes_first() {
        let timeline = check(
            &[(2, 1)],
            &[0, 0, 1],
            &[4, 1, 9],
            Order::Dependencies,
            1,
            &[(1, 0, 1), (2, 1, 10), (0, 10, 14)],
        );
        assert_eq!(timeline.lower_bound.as_secs(), 14);
    }

    #[test]
    fn what_waits_for_a_later_wave_or_a_ring_is_stuck() {
        let timeline = check(&[(0, 1)], &[0, 1], &[1, 1], Order::Waves, 0, &[]);
        assert_eq!(timeline.stuck, [0, 1]);
        let timeline = check(&[(0, 1), (1, 0)], &[0, 0, 0], &[1, 1, 1], Order::Dependencies, 0, &[(2, 0, 1)]);
        assert_eq!(timeline.stuck, [0, 1]);
    }

    #[test]
    fn services_that_take_no_time_do_not_hold_the_run_up() {
        check(&[(1, 0)], &[0, 1], &[0, -3], Order::Waves, 1, &[(0, 0, 0), (1, 0, 0)]);
        check(&[], &[], &[], Order::Waves, 1, &[]);
    }

    type Input = (Vec<Wave>, Vec<(u32, u32)>, Vec<SignedDuration>, Option<NonZeroUsize>);

    /// Edges lead to lower numbers only, and waves never fall with the number.
    fn runs() -> impl Strategy<Value = Input> {
        (1_usize..40).prop_flat_map(|nodes| {
            let pair = (0..nodes as u32, 0..nodes as u32);
            let edges = prop::collection::vec(pair.prop_map(|(a, b)| (a.max(b), a.min(b))), 0..80);
            let edges = edges.prop_map(|edges| edges.into_iter().filter(|(a, b)| a != b).collect::<Vec<_>>());
            let steps = prop::collection::vec(prop::bool::weighted(0.15), nodes);
            let waves = steps.prop_map(|steps| {
                let mut wave = 0;
                let next = |step| {
                    wave += u32::from(step);
                    Wave(wave)
                };
                steps.into_iter().map(next).collect::<Vec<_>>()
            });
            let durations =
                prop::collection::vec((0_i64..5_000).prop_map(SignedDuration::from_millis), nodes);
            (waves, edges, durations, (0_usize..6).prop_map(NonZeroUsize::new))
        })
    }

    proptest! {
        #[test]
        fn no_run_breaks_the_order_its_slots_or_its_bound((waves, edges, durations, slots) in runs()) {
            let dag = Dag::new(waves.len(), &edges);
            for order in [Order::Waves, Order::Dependencies] {
                let timeline = predict(&dag, &waves, &durations, order, slots);
                prop_assert!(timeline.stuck.is_empty());
                prop_assert_eq!(timeline.entries.len(), waves.len());
                prop_assert!(timeline.makespan >= timeline.lower_bound);
                let mut at = timeline.entries.clone();
                at.sort_by_key(|entry| entry.node);
                for &(dependant, dependency) in &edges {
                    prop_assert!(at[dependant as usize].start >= at[dependency as usize].end);
                }
                for one in &at {
                    prop_assert_eq!(one.end - one.start, durations[one.node]);
                    let others = at.iter().filter(|other| other.start <= one.start && one.start < other.end);
                    prop_assert!(others.count() <= slots.map_or(usize::MAX, NonZeroUsize::get));
                    if order == Order::Waves {
                        let earlier = at.iter().filter(|other| waves[other.node] < waves[one.node]);
                        prop_assert!(earlier.map(|other| other.end).max().is_none_or(|end| one.start >= end));
                    }
                }
                if order == Order::Dependencies && slots.is_none() {
                    prop_assert_eq!(timeline.makespan, timeline.critical_path_length);
                }
            }
        }
    }
}
