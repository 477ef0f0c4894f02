//! The one binary: TLS provider, arguments, exit code.

use std::process::ExitCode;

use clap::Parser;

use argocd_orchestrator::cli::{Cli, run};

fn main() -> ExitCode {
    // The first one wins, and nothing before this installs another.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    run(Cli::parse())
}
