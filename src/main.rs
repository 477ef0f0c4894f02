//! The one binary: TLS provider, arguments, exit code.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Parser;

use argocd_orchestrator::adapters::git::SSH_OPTIONS;
use argocd_orchestrator::cli::{Cli, run};

fn main() -> ExitCode {
    if let Some(options) = std::env::var_os(SSH_OPTIONS) {
        return ssh(&options.to_string_lossy());
    }
    // The first one wins, and nothing before this installs another.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    run(Cli::parse())
}

/// Git calls this program where it needs ssh, since without a shell it can call a program but no command: becomes ssh, with
/// the options of a repository before what git says.
fn ssh(options: &str) -> ExitCode {
    let reason = match serde_json::from_str::<Vec<String>>(options) {
        Ok(options) => Command::new("ssh")
            .args(options)
            .args(std::env::args_os().skip(1))
            .env_remove(SSH_OPTIONS)
            .exec()
            .to_string(),
        Err(error) => format!("{SSH_OPTIONS}: {error}"),
    };
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("ssh cannot be run: {reason}\n").as_bytes(),
    );
    // As ssh's own failures.
    ExitCode::from(255)
}
