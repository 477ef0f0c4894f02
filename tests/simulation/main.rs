//! Very many schedules of deployments in virtual time: random graphs, policies, clusters, people and crashes, and
//! an oracle that knows nothing of the state machine.
//!
//! `SIMULATION_SEED` and `SIMULATION_COUNT` choose which schedules run; a broken promise prints the command that
//! runs exactly that schedule again, and its whole story.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::wildcard_enum_match_arm)]

mod coverage;
mod driver;
mod oracle;
mod scenario;
mod traces;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use argocd_orchestrator::adapters::simulated::log::LogEntry;

use crate::coverage::Coverage;
use crate::driver::{Mutation, Options, Run};
use crate::oracle::{Fault, Kind};
use crate::scenario::Scenario;

/// How many schedules with chance crashes the ordinary test run goes through.
const RANDOM: u64 = 90_000;

/// From how many scenarios every boundary is crashed at.
const SWEPT: u64 = 150;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs one schedule and judges it.
fn schedule(seed: u64, options: Options) -> Result<Run, (Fault, Box<Run>)> {
    let scenario = Scenario::new(seed);
    let run = driver::run(&scenario, options)?;
    let judged = oracle::judge(&scenario, &run).and_then(|()| {
        // JSON takes longer than the whole schedule, so only some go through it.
        if seed.is_multiple_of(64) { oracle::survives_json(&run) } else { Ok(()) }
    });
    match judged {
        Ok(()) => Ok(run),
        Err(fault) => Err((fault, Box::new(run))),
    }
}

/// What happened in a schedule, from all sides.
fn story(seed: u64, options: Options) -> String {
    let told = Options { tell: true, ..options };
    let (run, fault) = match schedule(seed, told) {
        Ok(run) => (Box::new(run), "every promise was kept".to_owned()),
        Err((fault, run)) => (run, fault.to_string()),
    };
    let mut lines: Vec<_> = run.story.clone();
    lines.extend(run.model.log().iter().map(|entry| (entry.at, logged(entry))));
    lines.sort_by_key(|(at, _)| *at);
    let scenario = Scenario::new(seed);
    let mut text = format!("seed {seed}: {:#?}\n{:?}\n", scenario.brief.policy, scenario.chaos);
    for (change, spec) in scenario.brief.plan.changes.iter().zip(&scenario.specs) {
        let behaviour = scenario.script.services.get(change.name());
        text += &format!(
            "{} wave {:?} {} after {:?} previous {:?} {:?}: {behaviour:?}\n",
            spec.name,
            change.wave,
            change.action.word(),
            change.requires,
            change.previous.as_ref().map(|previous| previous.revision.short()),
            change.rollback,
        );
    }
    text += &format!(
        "{:?} {:?} {:?}\n",
        scenario.brief.plan.purpose, scenario.brief.plan.order, scenario.commands
    );
    for (at, line) in lines {
        let seconds = at.duration_since(scenario.start).as_secs_f64();
        text += &format!("{seconds:>9.3}  {line}\n");
    }
    text + &fault
}

fn logged(entry: &LogEntry) -> String {
    let request = entry.request.as_ref().map_or("somebody else", |request| request.as_str());
    let revision = entry.revision.as_ref().map_or("-", |revision| revision.short());
    format!("      * {} {:?} {revision} ({request})", entry.app, entry.kind)
}

fn complain(seed: u64, options: Options, fault: &Fault) -> String {
    let crash = options.crash_at.map(|at| format!("SIMULATION_CRASH={at} ")).unwrap_or_default();
    let story = story(seed, options);
    format!(
        "{story}\n\nschedule {seed} broke a promise: {fault}\nrun it again: SIMULATION_SEED={seed} SIMULATION_COUNT=1 \
         {crash}cargo test --test simulation random_schedules -- --nocapture"
    )
}

/// Two threads take numbers in turn; the first fault ends both.
fn in_two_threads(
    work: impl Fn(u64, &mut Coverage) -> Result<(), String> + Sync,
    from: u64,
    count: u64,
) -> Coverage {
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new((Coverage::default(), None::<String>));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut coverage = Coverage::default();
                let mut fault = None;
                while !over.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    if let Err(text) = work(from.wrapping_add(at), &mut coverage) {
                        over.store(true, Ordering::Relaxed);
                        fault = Some(text);
                    }
                }
                let mut total = total.lock().unwrap();
                total.0.merge(coverage);
                total.1 = total.1.take().or(fault);
            });
        }
    });
    let (coverage, fault) = total.into_inner().unwrap();
    if let Some(text) = fault {
        panic!("{text}");
    }
    coverage
}

#[test]
fn random_schedules_keep_every_promise() {
    let count = setting("SIMULATION_COUNT").unwrap_or(RANDOM);
    let from = setting("SIMULATION_SEED").unwrap_or(1);
    let options = Options { crash_at: setting("SIMULATION_CRASH"), ..Options::default() };
    let work = |seed: u64, coverage: &mut Coverage| {
        let run = schedule(seed, options).map_err(|(fault, _)| complain(seed, options, &fault))?;
        coverage.add(&run);
        Ok(())
    };
    let coverage = in_two_threads(work, from, count);
    if count == 1 {
        println!("{}", story(from, options));
    }
    println!("{coverage}");
    if count >= RANDOM {
        assert_eq!(coverage.missing(count / 2_000), [], "too few schedules came across these:\n{coverage}");
    }
}

#[test]
fn a_crash_at_any_boundary_breaks_no_promise() {
    let from = setting("SIMULATION_SEED").unwrap_or(1);
    let count = setting("SIMULATION_COUNT").unwrap_or(SWEPT).min(SWEPT);
    let work = |seed: u64, coverage: &mut Coverage| {
        let crash = |at: u64| Options { crash_at: Some(at), ..Options::default() };
        // The first boundary that is not reached any more ends it.
        for at in 1.. {
            let options = crash(at);
            let run = schedule(seed, options).map_err(|(fault, _)| complain(seed, options, &fault))?;
            coverage.add(&run);
            if run.crashes == 0 {
                break;
            }
        }
        Ok(())
    };
    let coverage = in_two_threads(work, from, count);
    println!("{coverage}");
    assert!(count < SWEPT || coverage.schedules >= 10_000, "{coverage}");
}

#[test]
fn the_oracle_finds_what_is_broken() {
    let cases = [
        (Mutation::LyingReconciledAt, Kind::Fooled),
        (Mutation::LostDependencies, Kind::Order),
        (Mutation::LostDependencies, Kind::RollbackOrder),
        (Mutation::WavesForAView, Kind::Order),
        (Mutation::NoLimit, Kind::InFlight),
        (Mutation::TornJournal, Kind::Replay),
        (Mutation::OldState, Kind::Replay),
        (Mutation::RepeatedEffects, Kind::Repeated),
        (Mutation::StoppedClock, Kind::Endless),
        (Mutation::InvisibleOperations, Kind::RunsOn),
        (Mutation::SilentChange, Kind::Silent),
        (Mutation::FreshIds, Kind::Repeated),
        (Mutation::Hasty, Kind::Quarantine),
    ];
    for (mutation, expected) in cases {
        let options = Options { mutation: Some(mutation), ..Options::default() };
        let found = |seed| schedule(seed, options).err().map(|(fault, _)| fault.kind);
        let tried = (1..3_000).position(|seed| found(seed) == Some(expected));
        println!("{mutation:?}: {expected:?} after {tried:?} schedules");
        assert!(tried.is_some(), "{mutation:?} goes unnoticed");
    }
}
