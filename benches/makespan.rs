//! How long a run takes over how long it must take, for both orders, with and without a limit on slots.
//!
//! A pure rehearsal of 100 seeded graphs of 55 services in 8 waves, each service taking a random time
//! (lognormal, median 25 s): it measures the policies, not any delay of a controller. The bound is the
//! critical path, or with slots the larger of that and all work shared by all slots.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::num::NonZeroUsize;

use argocd_orchestrator::domain::catalog::Order;
use argocd_orchestrator::domain::dag::Dag;
use argocd_orchestrator::domain::names::Wave;
use argocd_orchestrator::domain::predict::predict;
use jiff::SignedDuration;

const GRAPHS: u64 = 100;
const SERVICES: u32 = 55;
const WAVES: u32 = 8;
const MEDIAN_SECONDS: f64 = 25.0;
const SPREAD: f64 = 0.7;

struct Input {
    dag: Dag,
    waves: Vec<Wave>,
    durations: Vec<SignedDuration>,
}

fn main() {
    let inputs: Vec<Input> = (0..GRAPHS).map(input).collect();
    let edges: usize = inputs.iter().map(|input| input.dag.edge_count()).sum();
    let bounds = inputs.iter().map(|input| {
        predict(&input.dag, &input.waves, &input.durations, Order::Dependencies, None).critical_path_length
    });
    let bound = quantile(&mut bounds.map(|bound| bound.as_secs_f64()).collect::<Vec<_>>(), 0.5);
    println!(
        "{GRAPHS} graphs of {SERVICES} services in {WAVES} waves, {} dependencies and a critical path of {bound:.0} s on average",
        edges / inputs.len()
    );
    println!("{:<14} {:>10} {:>8} {:>8} {:>8}", "order", "slots", "median", "p95", "worst");
    for slots in [None, NonZeroUsize::new(10)] {
        for order in [Order::Dependencies, Order::Waves] {
            let ratio = |input: &Input| {
                let run = predict(&input.dag, &input.waves, &input.durations, order, slots);
                assert!(run.stuck.is_empty() && run.makespan >= run.lower_bound);
                run.makespan.as_secs_f64() / run.lower_bound.as_secs_f64()
            };
            let mut ratios: Vec<f64> = inputs.iter().map(ratio).collect();
            let slots = slots.map_or("unlimited".to_owned(), |slots| slots.to_string());
            let [median, p95, worst] = [0.5, 0.95, 1.0].map(|share| quantile(&mut ratios, share));
            println!("{order:<14} {slots:>10} {median:>8.3} {p95:>8.3} {worst:>8.3}");
        }
    }
}

/// One graph: each wave gets a service, the others fall where they fall, and each depends on a few in earlier
/// waves, one of them in the wave just before its own.
fn input(seed: u64) -> Input {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut waves: Vec<u32> =
        (0..SERVICES).map(|at| if at < WAVES { at } else { random.u32(0..WAVES) }).collect();
    waves.sort_unstable();
    let mut edges = Vec::new();
    for (service, &wave) in (0_u32..).zip(&waves) {
        let earlier = waves.partition_point(|&other| other < wave);
        let before = waves.partition_point(|&other| other + 1 < wave);
        if earlier > 0 {
            let mut needs: Vec<usize> = (0..random.usize(0..5)).map(|_| random.usize(0..earlier)).collect();
            needs.push(random.usize(before..earlier));
            needs.sort_unstable();
            needs.dedup();
            edges.extend(needs.into_iter().map(|other| (service, other as u32)));
        }
    }
    let durations = (0..SERVICES).map(|_| {
        // Box and Muller: two even random numbers make one that is normal.
        let normal = (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos();
        SignedDuration::from_millis((1000.0 * MEDIAN_SECONDS * (SPREAD * normal).exp()) as i64)
    });
    let durations = durations.collect();
    Input {
        dag: Dag::new(SERVICES as usize, &edges),
        waves: waves.into_iter().map(Wave).collect(),
        durations,
    }
}

/// The value below which this share of all lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (share * values.len() as f64).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}
