//! `deploy`: a request by hand, stored as an event like those of the trigger.

use clap::Args;

use super::{Common, Exit, Failure, OrderOption, control, output, parts, timeline};
use crate::app::wish::{self, Wish};
use crate::domain::audit::Origin;
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, Environment, EventId, Revision, ServiceName, SourceName, Wave};
use crate::store::{EventState, Outcome, Store};

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
    let config = parts::config(common)?;
    let store = parts::store(&config).await?;
    let place = wish::place(&config, &store, options.source, &options.customer, options.environment).await?;
    let wish = Wish {
        kind: match (options.check, options.wave) {
            (true, _) => Kind::HealthCheck,
            (false, Some(_)) => Kind::SyncWave,
            (false, None) => Kind::Deployment,
        },
        source: place.0,
        customer: options.customer,
        environment: Some(place.1),
        service: options.service,
        wave: options.wave.map(Wave),
        order: options.order.order,
        revision: options.revision,
        force: options.force,
        origin: Origin::cli(control::who(options.by)),
        id: options.id,
    };
    let event = wish::submit(&store, wish).await?.event;
    if !options.wait {
        output::write(&format!(
            "{event} is stored; a running server deploys it (`status` shows how it goes)"
        ))?;
        return Ok(Exit::Success);
    }
    wait(&store, &event).await
}

async fn wait(store: &Store, event: &EventId) -> Result<Exit, Failure> {
    let mut changed = store.changed();
    loop {
        let found = store.event(event).await?;
        let Some(found) = found else {
            return Err(Failure::new(Exit::NotFound, format!("there is no event {event}")));
        };
        if let EventState::Settled { outcome, .. } = found.state {
            return match outcome {
                Outcome::Planned => timeline::follow(store, &found.deployments).await,
                Outcome::Ignored { reason } | Outcome::Superseded { reason } => {
                    output::write(&format!("{event} deploys nothing: {reason}"))?;
                    Ok(Exit::Success)
                }
                Outcome::Rejected { reason, diagnostics } => Err(Failure::input(reason, diagnostics)),
            };
        }
        timeline::pause(store, &mut changed).await?;
    }
}
