//! The binary as people run it: arguments, exit codes, what is printed where.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod check;
mod commands;
mod demo;
mod generate;
mod help;
mod serve;

use std::path::Path;
use std::process::{Command, Output};

/// The binary, with nothing of this machine's environment but where programs are.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argocd-orchestrator"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs the binary on a data folder.
fn run(data: &Path, arguments: &[&str]) -> Output {
    program().arg("--data-dir").arg(data).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// It ends with this code and says this on standard error.
#[track_caller]
fn check(output: &Output, exit: i32, said: &[&str]) {
    let told = format!("{}{}", stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(exit), "{told}");
    for piece in said {
        assert!(stderr(output).contains(piece), "no {piece:?} in {told}");
    }
}
