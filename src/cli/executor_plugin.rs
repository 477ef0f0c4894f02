//! `executor-plugin`: the sidecar of a workflow's agent.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Common, Exit, Failure};
use crate::plugin;
use crate::step::Steps;

/// Options of `executor-plugin`.
#[derive(Debug, Args)]
pub struct Options {
    /// Where the agent posts to: a loopback address, because nobody else has business here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7483")]
    listen: SocketAddr,
    /// The file with the agent's token, as Argo Workflows mounts it
    #[arg(long, value_name = "FILE", default_value = "/var/run/argo/token")]
    agent_token_file: PathBuf,
}

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(common: &Common, options: Options) -> Result<Exit, Failure> {
    let Options { listen, agent_token_file } = options;
    if !listen.ip().is_loopback() {
        let message = format!(
            "--listen {listen} is not a loopback address: the agent is in the same pod, use 127.0.0.1"
        );
        return Err(Failure::new(Exit::InvalidInput, message));
    }
    let client = common.server.client().await?;
    let client = client.ok_or_else(|| {
        Failure::new(Exit::Usage, "no server is named: give --server (or ORCHESTRATOR_SERVER)")
    })?;
    let refused = |error| Failure::new(Exit::Unavailable, format!("cannot listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    eprintln!("the executor plugin listens on {}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let serving = plugin::serve(Steps::of(client), agent_token_file, listener, stop.clone());
    tokio::pin!(serving);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        served = &mut serving => return Ok(served.map(|()| Exit::Success)?),
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
    // Calls under way last 20 s at most, and what they asked for is found again.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), serving).await;
    Ok(Exit::Success)
}
