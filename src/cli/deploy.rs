//! `deploy`: a request by hand, stored as an event like those of the trigger.

use std::path::PathBuf;

use clap::Args;

use super::system::System;
use super::{Common, Exit, Failure, OrderOption, control, files, output, parts, plan, timeline};
use crate::client::Wanted;
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, Environment, EventId, Revision, ServiceName, SourceName, Wave};
use crate::view::dry_run::DryRunView;

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
    /// Deploy nothing: let a server say what would be done, and why
    #[arg(long, conflicts_with_all = ["check", "wait", "id"])]
    dry_run: bool,
    /// With --dry-run: a values file that takes the place of the customer's at the commit
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    values: Option<PathBuf>,
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
        None if options.dry_run => {
            let message = "--dry-run needs --server: a running server knows what runs now (`plan PATH` compares \
                           files without one)";
            return Err(Failure::new(Exit::Usage, message));
        }
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
    if let (true, System::There(client)) = (options.dry_run, &system) {
        let values = options.values.as_deref().map(files::read).transpose()?;
        let planned = client.plan(&wanted, values.as_deref()).await?;
        output::print(common.output, &planned, || told(&planned))?;
        return Ok(Exit::Success);
    }
    let event = system.ask(common, kind, wanted, control::who(options.by)).await?;
    if options.wait {
        return wait(&system, &event).await;
    }
    output::write(&format!("{event} is stored; a running server deploys it (`status` shows how it goes)"))?;
    Ok(Exit::Success)
}

/// What would be done, for people.
fn told(planned: &DryRunView) -> String {
    let mut text = plan::planned(planned.clone());
    for warning in &planned.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    if planned.needs_approval && !planned.idle {
        text.push_str("\nSomebody would have to approve it.");
    }
    text
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
