//! The real binary on a real Argo CD with real pods, judged by what Argo CD and the pods themselves recorded.
//!
//! Run through `scripts/e2e-tests.sh` against the cluster of `KUBECONFIG`. Each scenario makes a git repository,
//! starts the server with the rights of `k8s/rbac` alone, and takes away what it made. Nothing of the verdict comes
//! from the server's own log: start times are Argo CD's, and readiness is the pods' own.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who look at its output")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;

mod cluster;
mod records;
mod repository;
mod scenarios;
#[path = "../chaos/server.rs"]
#[allow(dead_code, reason = "shared with the scenarios on the simulated cluster, which use all of it")]
mod server;
mod watcher;
mod world;

use scenarios::{SCENARIOS, Scenario};

/// Run end-to-end scenarios against the cluster of KUBECONFIG
#[derive(Debug, Parser)]
struct Options {
    /// Which scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// All scenarios, not only the smoke set
    #[arg(long, conflicts_with = "scenario")]
    all: bool,
    /// Say which there are, and run none
    #[arg(long)]
    list: bool,
    /// Keep what a scenario made, also where all is well
    #[arg(long)]
    keep: bool,
    /// The server's program; the one built beside this one where it is not given
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for scenario in SCENARIOS {
            println!(
                "{:32} {}{}",
                scenario.name,
                if scenario.smoke { "[smoke] " } else { "" },
                scenario.about
            );
        }
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn chosen(options: &Options) -> anyhow::Result<Vec<&'static Scenario>> {
    if options.scenario.is_empty() {
        return Ok(SCENARIOS.iter().filter(|scenario| options.all || scenario.smoke).collect());
    }
    let find = |name: &String| {
        SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .with_context(|| format!("there is no scenario {name}; --list shows them"))
    };
    options.scenario.iter().map(find).collect()
}

fn run(options: &Options) -> anyhow::Result<bool> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => beside()?,
    };
    let scenarios = chosen(options)?;
    cluster::check()?;
    let mut failed = Vec::new();
    for scenario in &scenarios {
        println!("\n==> {}: {}", scenario.name, scenario.about);
        let started = Instant::now();
        let outcome = world::scenario(scenario, &program, options.keep);
        let took = started.elapsed().as_secs();
        match outcome {
            Ok(()) => println!("ok   {} ({took} s)", scenario.name),
            Err(error) => {
                println!("FAIL {} ({took} s)\n     {error:#}", scenario.name);
                failed.push(scenario.name);
            }
        }
    }
    println!("\n{} passed, {} failed", scenarios.len() - failed.len(), failed.len());
    for name in &failed {
        println!("failed: {name}");
    }
    Ok(failed.is_empty())
}

fn beside() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(|examples| examples.parent()).context("no folder of programs")?;
    Ok(folder.join("argocd-orchestrator"))
}
