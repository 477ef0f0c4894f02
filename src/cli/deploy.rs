//! `deploy`: a request by hand, stored as an event like those of the trigger.

use clap::Args;

use super::system::System;
use super::{Common, Exit, Failure, OrderOption, control, output, parts, timeline};
use crate::client::Wanted;
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, Environment, EventId, Revision, ServiceName, SourceName, Wave};

/// Options of `deploy`.
#[derive(Debug, Args)]
pub struct Options {
    /// Whose services
    customer: CustomerId,
    /// The environment, where there is more than one
    #[arg(long)]
    environment: Option<Environment>,
    /// The configured repository, where there is more than one
    #[arg(long)]
    source: Option<SourceName>,
    /// The commit, in full; the head of the configured ref where it is not given
    #[arg(long, value_name = "COMMIT")]
    revision: Option<Revision>,
    /// Only this service
    #[arg(long)]
    service: Option<ServiceName>,
    /// Only this wave
    #[arg(long)]
    wave: Option<u32>,
    /// Deploy nothing; see whether the services are healthy
    #[arg(long, conflicts_with_all = ["service", "wave", "revision", "force"])]
    check: bool,
    /// Also what did not change, and what failed with the same content before
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    order: OrderOption,
    /// An id for this request: the same id again is the same request
    #[arg(long)]
    id: Option<String>,
    /// Who asks; the user of this machine where it is not given
    #[arg(long, env = "ORCHESTRATOR_USER", value_name = "NAME")]
    by: Option<String>,
    /// Wait until it is over, and show how it goes
    #[arg(long)]
    wait: bool,
}

/// Stores the request and, where asked to, waits for its end.
pub(super) async fn run(common: &Common, options: Options) -> Result<Exit, Failure> {
    let system = match common.server.client().await? {
        Some(client) => System::There(client),
        None => System::Here(parts::store(&parts::config(common)?).await?),
    };
    let kind = match (options.check, options.wave) {
        (true, _) => Kind::HealthCheck,
        (false, Some(_)) => Kind::SyncWave,
        (false, None) => Kind::Deployment,
    };
    let wanted = Wanted {
        environment: options.environment,
        source: options.source,
        service: options.service,
        wave: options.wave.map(Wave),
        revision: options.revision,
        check: options.check,
        force: options.force,
        id: options.id,
        ..Wanted::of(options.customer).in_order(options.order.order)
    };
    let event = system.ask(common, kind, wanted, control::who(options.by)).await?;
    if options.wait {
        return wait(&system, &event).await;
    }
    output::write(&format!("{event} is stored; a running server deploys it (`status` shows how it goes)"))?;
    Ok(Exit::Success)
}

async fn wait(system: &System, event: &EventId) -> Result<Exit, Failure> {
    let mut pulse = system.pulse();
    loop {
        let found = system.event(event).await?;
        match found.state.as_str() {
            "accepted" => pulse.next().await?,
            "planned" => return timeline::follow(system, &found.deployments).await,
            "rejected" => {
                return Err(Failure::input(found.reason.unwrap_or_default(), found.diagnostics));
            }
            _ => {
                let reason = found.reason.unwrap_or_default();
                output::write(&format!("{event} deploys nothing: {reason}"))?;
                return Ok(Exit::Success);
            }
        }
    }
}
