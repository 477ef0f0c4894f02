//! `simulate`: how long a deployment of everything would take, wave by wave, in either order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::SignedDuration;
use serde::Serialize;

use super::graph::assumed;
use super::sources::{self, Loaded, ReadOptions};
use super::{Common, Exit, Failure, output};
use crate::domain::catalog::{ASSUMED_DURATION, Order};
use crate::domain::names::{CustomerId, Environment, ServiceName, Wave};
use crate::domain::predict::Timeline;

mod picture;

/// What is simulated, and with which durations.
#[derive(Debug, Args)]
pub struct Options {
    /// A values file, or a chart
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    order: super::OrderOption,
    /// How many services may be under way at once [default: any number]
    #[arg(long, value_name = "N")]
    slots: Option<NonZeroUsize>,
    /// How long services take: a YAML file with lines such as `redis: 40s`. Others take 30s
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    durations: Option<PathBuf>,
    /// Random durations: log-normal, half of them below 30s, the same for the same number
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A bar for each service instead of each wave
    #[arg(long)]
    services: bool,
    #[command(flatten)]
    reading: ReadOptions,
}

/// How far random durations spread: two thirds of them lie between 15 s and 60 s.
const SPREAD: f64 = 0.7;

#[derive(Debug, Serialize)]
struct Simulation {
    customer: CustomerId,
    environment: Environment,
    services: usize,
    durations: Durations,
    slots: Option<NonZeroUsize>,
    orders: Vec<Rehearsal>,
}

/// Where durations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Durations {
    Assumed,
    File,
    Random,
}

/// One order's run.
#[derive(Debug, Serialize)]
struct Rehearsal {
    order: Order,
    makespan_seconds: f64,
    /// No run can be shorter, in whichever order.
    lower_bound_seconds: f64,
    /// How many times the lower bound it takes.
    ratio: f64,
    critical_path: Vec<ServiceName>,
    critical_path_seconds: f64,
    most_at_once: usize,
    waves: Vec<WaveRun>,
    services: Vec<ServiceRun>,
}

#[derive(Debug, Serialize)]
struct WaveRun {
    wave: Wave,
    services: usize,
    start_seconds: f64,
    end_seconds: f64,
}

#[derive(Debug, Serialize)]
struct ServiceRun {
    service: ServiceName,
    wave: Wave,
    start_seconds: f64,
    end_seconds: f64,
}

/// Prints both orders' runs, or one.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let order = options.order.order.unwrap_or(Order::Waves);
    let reads = [sources::only(&options.path, &options.reading, order)?];
    let sound = sources::sound(&reads, "nothing can be simulated")?;
    let Some((_, loaded)) = sound.first() else { return Ok(Exit::InvalidInput) };
    let (kind, durations) = match (&options.durations, options.seed) {
        (Some(file), _) => (Durations::File, from_file(loaded, file)?),
        (None, Some(seed)) => (Durations::Random, random(loaded.graph.len(), seed)),
        (None, None) => (Durations::Assumed, assumed(loaded)),
    };
    let orders = match options.order.order {
        Some(order) => vec![order],
        None => vec![Order::Waves, Order::Dependencies],
    };
    let rehearse = |order| {
        let timeline = loaded.graph.predict(&durations, order, options.slots);
        // A wave that goes against dependencies is no fault in the other order, but stops this one.
        match timeline.stuck.len() {
            0 => Ok(rehearsal(loaded, order, &timeline)),
            stuck => Err(Failure::new(
                Exit::InvalidInput,
                format!(
                    "in the order of {order}, {stuck} services would never start: their waves go against their dependencies; give --order dependencies"
                ),
            )),
        }
    };
    let simulation = Simulation {
        customer: loaded.catalog.customer.clone(),
        environment: loaded.catalog.environment.clone(),
        services: loaded.graph.len(),
        durations: kind,
        slots: options.slots,
        orders: orders.into_iter().map(rehearse).collect::<Result<_, _>>()?,
    };
    output::print(common.output, &simulation, || picture::picture(&simulation, options.services))?;
    Ok(Exit::Success)
}

fn rehearsal(loaded: &Loaded, order: Order, timeline: &Timeline) -> Rehearsal {
    let graph = &loaded.graph;
    let mut waves: BTreeMap<Wave, WaveRun> = BTreeMap::new();
    let mut services = Vec::new();
    for entry in &timeline.entries {
        let (wave, start, end) = (graph.wave(entry.node), entry.start.as_secs_f64(), entry.end.as_secs_f64());
        let run = waves.entry(wave).or_insert(WaveRun {
            wave,
            services: 0,
            start_seconds: start,
            end_seconds: end,
        });
        run.services += 1;
        run.start_seconds = run.start_seconds.min(start);
        run.end_seconds = run.end_seconds.max(end);
        services.push(ServiceRun {
            service: graph.name(entry.node).clone(),
            wave,
            start_seconds: start,
            end_seconds: end,
        });
    }
    let bound = timeline.lower_bound.as_secs_f64();
    let makespan = timeline.makespan.as_secs_f64();
    Rehearsal {
        order,
        makespan_seconds: makespan,
        lower_bound_seconds: bound,
        ratio: if bound > 0.0 { (makespan / bound * 1000.0).round() / 1000.0 } else { 1.0 },
        critical_path: timeline.critical_path.iter().map(|&at| graph.name(at).clone()).collect(),
        critical_path_seconds: timeline.critical_path_length.as_secs_f64(),
        most_at_once: most_at_once(timeline),
        waves: waves.into_values().collect(),
        services,
    }
}

fn most_at_once(timeline: &Timeline) -> usize {
    // Ends before starts of the same moment.
    let starts = timeline.entries.iter().map(|entry| (entry.start, 1_isize));
    let mut steps: Vec<_> = starts.chain(timeline.entries.iter().map(|entry| (entry.end, -1))).collect();
    steps.sort_unstable();
    let most = steps.iter().scan(0, |now, (_, step)| {
        *now += step;
        Some(*now)
    });
    most.max().unwrap_or(0).unsigned_abs()
}

fn from_file(loaded: &Loaded, file: &Path) -> Result<Vec<SignedDuration>, Failure> {
    let shown = file.display();
    let content = std::fs::read_to_string(file).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failure };
        Failure::new(exit, format!("{shown}: {error}"))
    })?;
    let wrong = |fault: String| Failure::new(Exit::InvalidInput, format!("{shown}: {fault}"));
    let given: BTreeMap<String, String> =
        serde_saphyr::from_str(&content).map_err(|_| wrong("not lines such as `redis: 40s`".to_owned()))?;
    let mut durations = assumed(loaded);
    for (service, text) in given {
        let at = loaded.service(&service)?;
        let duration = text.parse::<SignedDuration>().ok().filter(|duration| !duration.is_negative());
        durations[at] = duration
            .ok_or_else(|| wrong(format!("{service}: {text:?} is not a duration such as 40s or 2m30s")))?;
    }
    Ok(durations)
}

/// Log-normal, the median that of a service of which nothing is known.
fn random(count: usize, seed: u64) -> Vec<SignedDuration> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut one = || {
        // Box and Muller's; the first is never 0.
        let (first, second) = (1.0 - dice.f64(), dice.f64());
        let normal = (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos();
        let seconds = ASSUMED_DURATION.as_secs_f64() * (SPREAD * normal).exp();
        SignedDuration::from_millis((seconds * 1000.0).round() as i64)
    };
    (0..count).map(|_| one()).collect()
}
