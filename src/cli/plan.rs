//! `plan`: what would be deployed, in which order and why, without asking a server or a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::graph::assumed;
use super::sources::{self, Against, Loaded, Read, ReadOptions};
use super::{Common, Exit, Failure, output};
use crate::domain::catalog::{ASSUMED_DURATION, Order};
use crate::domain::names::{Fingerprint, Revision, SourceName, Wave};
use crate::domain::plan::{
    self as planning, Action, Baseline, Baselines, Diff, Inputs, Plan, Purpose, Selection,
};
use crate::view::dry_run::DryRunView;

mod table;

/// What is planned, and what it is compared with.
#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub struct Options {
    /// A values file, a chart, or a folder of customers
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What runs now: an earlier revision of PATH's repository, or another path. Without it, all is new
    #[arg(long, value_name = "REVISION|PATH")]
    against: Option<String>,
    #[command(flatten)]
    order: super::OrderOption,
    /// Only this service; may be given several times
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Only the services of this wave
    #[arg(long, value_name = "N")]
    wave: Option<u32>,
    /// Also what did not change
    #[arg(long)]
    force: bool,
    /// Also show what is left alone, and each service that is only waited for
    #[arg(long)]
    all: bool,
    /// The chart that Config as Code is rendered with: its changes touch every service
    #[arg(long, value_name = "FOLDER")]
    base_chart: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadOptions,
}

const NOTES: &str = "\
A plan made here knows nothing of the cluster: it takes all of what --against names to be running and healthy (since \
when is not known, and shown as 1970). Its source is called `local`. Its revision is the commit of the files, or all \
zeros, git's sign for what is in no commit, where they are changed or in no repository. So its hash is good for \
comparing plans made here; an approval is bound to the hash of the server's plan.";

/// Git's own sign for what is in no commit.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
/// The source that plans made here have.
const LOCAL: &str = "local";

#[derive(Debug, Serialize)]
struct Plans {
    plans: Vec<Planned>,
}

/// One customer's plan.
#[derive(Debug, Serialize)]
struct Planned {
    plan: Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Diff>,
    #[serde(skip)]
    predicted: Option<Predicted>,
}

/// What a plan would take, every service that is synced taken to need the same and all others nothing.
#[derive(Debug)]
struct Predicted {
    makespan: SignedDuration,
    /// Of the longest chain, what is synced.
    critical_path: Vec<String>,
}

/// Prints the plans.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let order = options.order.order.unwrap_or(Order::Waves);
    let reads = sources::read(std::slice::from_ref(&options.path), &options.reading, order)?;
    let sound = sources::sound(&reads, "nothing can be planned")?;
    let against = options
        .against
        .as_ref()
        .map(|against| sources::read_against(&options.path, against, &options.reading, order))
        .transpose()?;
    if let Some(against) = &against {
        let faults = against.reads.iter().filter(|read| read.is_wrong()).count();
        if faults > 0 {
            eprintln!(
                "note: {} has faults in {faults} of its files: compared is what was understood",
                against.name
            );
        }
    }
    let selections = selections(options, &sound)?;
    let base = options.base_chart.as_deref().map(sources::chart_of).transpose()?;
    let scene = Scene {
        order,
        base,
        source: LOCAL.parse().map_err(|error| Failure::new(Exit::Failure, error))?,
        revision: sources::revision_of(&options.path)?.map_or_else(no_commit, Ok)?,
    };
    let mut plans = Vec::new();
    for ((read, loaded), selection) in sound.into_iter().zip(&selections) {
        plans.push(scene.plan(read, loaded, against.as_ref(), selection)?);
    }
    let plans = Plans { plans };
    output::print(common.output, &plans, || table::table(&plans.plans, against.as_ref(), options.all))?;
    Ok(Exit::Success)
}

/// A plan that a server made, for people.
pub(super) fn planned(DryRunView { plan, diff, .. }: DryRunView) -> String {
    table::table(&[Planned { plan, diff, predicted: None }], None, false)
}

fn no_commit() -> Result<Revision, Failure> {
    NO_COMMIT.parse().map_err(|error| Failure::new(Exit::Failure, error))
}

/// What was asked for, customer by customer: a service must be there in at least one of them.
fn selections(options: &Options, sound: &[(&Read, &Loaded)]) -> Result<Vec<Selection>, Failure> {
    let mut selections: Vec<Selection> = sound
        .iter()
        .map(|_| Selection {
            services: (!options.services.is_empty()).then(Default::default),
            wave: options.wave.map(Wave),
            force: options.force,
        })
        .collect();
    for name in &options.services {
        let mut missing = None;
        for ((_, loaded), selection) in sound.iter().zip(&mut selections) {
            match loaded.service(name) {
                Ok(at) => {
                    selection.services.get_or_insert_default().insert(loaded.graph.name(at).clone());
                }
                Err(failure) => missing = missing.or(Some(failure)),
            }
        }
        let found = |selection: &Selection| {
            selection.services.iter().flatten().any(|service| service.as_str() == name)
        };
        if let Some(failure) = missing.filter(|_| !selections.iter().any(found)) {
            return Err(failure);
        }
    }
    if let Some(wave) = options.wave.map(Wave) {
        let has = |loaded: &Loaded| (0..loaded.graph.len()).any(|at| loaded.graph.wave(at) == wave);
        if !sound.iter().any(|(_, loaded)| has(loaded)) {
            return Err(Failure::new(Exit::NotFound, format!("there is no service in wave {wave}")));
        }
    }
    Ok(selections)
}

/// What all plans of one run share.
struct Scene {
    order: Order,
    base: Option<Fingerprint>,
    source: SourceName,
    revision: Revision,
}

impl Scene {
    fn plan(
        &self,
        read: &Read,
        loaded: &Loaded,
        against: Option<&Against>,
        selection: &Selection,
    ) -> Result<Planned, Failure> {
        let before = match against {
            Some(against) => self.before(loaded, against)?,
            None => None,
        };
        let baselines = before.as_ref().map(baselines).unwrap_or_default();
        let plan = self.make(read, loaded, &baselines, selection, &self.revision)?;
        // A plan compared with nothing has no difference; one compared with a revision without it is all new.
        let diff = match (&before, against) {
            (Some(before), _) => Some(plan.diff(before)),
            (None, Some(_)) => Some(plan.diff(&Plan { changes: Vec::new(), ..plan.clone() })),
            (None, None) => None,
        };
        let predicted = predict(loaded, &plan, self.order);
        Ok(Planned { plan, diff, predicted: Some(predicted) })
    }

    /// The plan of the same customer and environment as it was.
    fn before(&self, loaded: &Loaded, against: &Against) -> Result<Option<Plan>, Failure> {
        let same = |other: &Loaded| {
            (&other.catalog.customer, &other.catalog.environment)
                == (&loaded.catalog.customer, &loaded.catalog.environment)
        };
        let found = against
            .reads
            .iter()
            .find_map(|read| Some((read, read.loaded.as_ref().filter(|other| same(other))?)));
        let Some((read, other)) = found else {
            eprintln!("note: there is nothing of {} at {}: all of it is new", loaded.title(), against.name);
            return Ok(None);
        };
        let revision = against.revision.clone().map_or_else(no_commit, Ok)?;
        self.make(read, other, &Baselines::new(), &Selection::default(), &revision).map(Some)
    }

    fn make(
        &self,
        read: &Read,
        loaded: &Loaded,
        baselines: &Baselines,
        selection: &Selection,
        revision: &Revision,
    ) -> Result<Plan, Failure> {
        let inputs = Inputs {
            whole: false,
            catalog: &loaded.catalog,
            graph: &loaded.graph,
            chart: self.base.as_ref().filter(|_| !read.has_chart).unwrap_or(&read.chart),
            baselines,
            live: &BTreeMap::new(),
            quarantined: &BTreeMap::new(),
            source: &self.source,
            revision,
            purpose: Purpose::Deploy,
            order: self.order,
            selection,
            durations: &assumed(loaded),
        };
        planning::plan(&inputs).map_err(|error| Failure::new(Exit::InvalidInput, error))
    }
}

/// What ran is taken to have been healthy, at a time that nobody knows.
fn baselines(before: &Plan) -> Baselines {
    let baseline = |change: &planning::Change| Baseline {
        revision: before.revision.clone(),
        rendering: change.rendering.clone(),
        healthy_at: Timestamp::UNIX_EPOCH,
        health_check: None,
    };
    before.changes.iter().map(|change| (change.name().to_owned(), baseline(change))).collect()
}

fn predict(loaded: &Loaded, plan: &Plan, order: Order) -> Predicted {
    let graph = &loaded.graph;
    let synced: BTreeMap<&str, bool> =
        plan.changes.iter().map(|change| (change.name(), change.action == Action::Sync)).collect();
    let is_synced = |at: usize| synced.get(graph.name(at).as_str()).copied().unwrap_or(false);
    let durations: Vec<SignedDuration> = (0..graph.len())
        .map(|at| if is_synced(at) { ASSUMED_DURATION } else { SignedDuration::ZERO })
        .collect();
    let timeline = graph.predict(&durations, order, None);
    let path = timeline.critical_path.iter().filter(|&&at| is_synced(at));
    Predicted {
        makespan: timeline.makespan,
        critical_path: path.map(|&at| graph.name(at).to_string()).collect(),
    }
}
