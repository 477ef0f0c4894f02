//! Scenarios that break the real server on purpose, and judge it by witnesses that it has no hand in.
//!
//! Each scenario starts the real binary as a child, talks to it as a sensor does, harms it, and checks the
//! promises afterwards: from the simulated cluster's own record and from what the store says. Run it through
//! `scripts/chaos-tests.sh`. What is decided here comes from the seed; the timing of the machine does not.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};

mod check;
mod crash;
mod kill;
mod repository;
mod sensor;
mod server;
mod world;

use world::World;

/// Break the real server on purpose, and check that it kept its promises.
#[derive(Debug, Parser)]
struct Options {
    /// What to do to it; everything where it is not given
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// How often it is killed while a deployment is not over
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Where all that is left to chance here comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's program; the one built beside this one where it is not given
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep the folder (repository, database, cluster, log) even where all is well
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// `kill -9` at random moments, and a restart
    Kill,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.scenario {
        Some(Scenario::Kill) | None => scenario(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn scenario(options: &Options) -> anyhow::Result<()> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => beside()?,
    };
    let folder = tempfile::Builder::new().prefix("argocd-orchestrator-chaos-").tempdir()?;
    let world = World::create(folder.path(), program, options.seed)?;
    println!("scenario kill, seed {}, in {}", options.seed, folder.path().display());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(kill::run(world, options.kills));
    if outcome.is_err() || options.keep {
        let kept = folder.keep();
        println!("kept in {}", kept.display());
    }
    outcome.with_context(|| format!("scenario kill failed with seed {}", options.seed))
}

/// The server's program, two folders above this one's examples.
fn beside() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder =
        own.parent().and_then(|examples| examples.parent()).context("this program is in no folder")?;
    let program = folder.join("argocd-orchestrator");
    anyhow::ensure!(program.exists(), "{} is not built: cargo build", program.display());
    Ok(program)
}
