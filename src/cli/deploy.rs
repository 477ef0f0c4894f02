//! `deploy`: a request by hand, stored as an event like those of the trigger.

use clap::Args;
use jiff::Timestamp;

use super::{Common, Exit, Failure, OrderOption, control, output, parts, timeline};
use crate::app;
use crate::config::Config;
use crate::domain::catalog::Order;
use crate::domain::event::{Kind, Request, Trigger};
use crate::domain::names::{CustomerId, Environment, EventId, Revision, ServiceName, SourceName, Wave};
use crate::grpc;
use crate::store::{DeploymentFilter, EventState, Outcome, Store};

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

/// What is asked for.
pub(super) struct Wish {
    pub(super) kind: Kind,
    pub(super) source: SourceName,
    pub(super) customer: CustomerId,
    pub(super) environment: Option<Environment>,
    pub(super) service: Option<ServiceName>,
    pub(super) wave: Option<Wave>,
    pub(super) order: Option<Order>,
    pub(super) revision: Option<Revision>,
    pub(super) force: bool,
    pub(super) by: String,
    pub(super) id: Option<String>,
}

/// Stores the request and, where asked to, waits for its end.
pub(super) async fn run(common: &Common, options: Options) -> Result<Exit, Failure> {
    let config = parts::config(common)?;
    let store = parts::store(&config).await?;
    let place = place(&config, &store, options.source, &options.customer, options.environment).await?;
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
        by: control::who(options.by),
        id: options.id,
    };
    let event = submit(&store, wish).await?;
    if !options.wait {
        output::write(&format!(
            "{event} is stored; a running server deploys it (`status` shows how it goes)"
        ))?;
        return Ok(Exit::Success);
    }
    wait(&store, &event).await
}

/// Stores a request by hand.
pub(super) async fn submit(store: &Store, wish: Wish) -> Result<EventId, Failure> {
    let id = grpc::new_id();
    let request = Request {
        kind: wish.kind,
        source: wish.source,
        customer: Some(wish.customer),
        environment: wish.environment,
        service: wish.service,
        wave: wish.wave,
        order: wish.order,
        scope: Vec::new(),
        requested_by: wish.by,
        trigger: Trigger::Manual {
            revision: wish.revision,
            force: wish.force,
            id: wish.id.unwrap_or_else(|| id.to_string()),
        },
    };
    Ok(app::submit(store, request, id, Timestamp::now()).await?.event)
}

/// The repository and environment of a customer, as far as they have to be given.
pub(super) async fn place(
    config: &Config,
    store: &Store,
    source: Option<SourceName>,
    customer: &CustomerId,
    environment: Option<Environment>,
) -> Result<(SourceName, Environment), Failure> {
    let fits = |name: &SourceName, other: &Environment| {
        source.as_ref().is_none_or(|source| source == name) && environment.as_ref().is_none_or(|e| e == other)
    };
    let configured = config.sources.iter().flat_map(|source| {
        source.targets.iter().map(|target| (source.name.clone(), target.environment.clone()))
    });
    let mut places: Vec<_> = configured.filter(|(source, environment)| fits(source, environment)).collect();
    if places.is_empty() {
        // Without the server's configuration at hand, the last deployment tells.
        let filter = DeploymentFilter { customer: Some(customer.clone()), ..DeploymentFilter::default() };
        let past = store.deployments(&filter, 100).await?.value.into_iter();
        places = past.map(|past| (past.source, past.environment)).filter(|(s, e)| fits(s, e)).collect();
    }
    places.sort();
    places.dedup();
    match places.len() {
        1 => Ok(places.swap_remove(0)),
        0 => Err(Failure::new(
            Exit::NotFound,
            "no configured source has such a target (see --config; `sources` and their `targets`)",
        )),
        _ => {
            let all: Vec<_> =
                places.iter().map(|(source, environment)| format!("{source}/{environment}")).collect();
            let message =
                format!("more than one would fit: {}; give --source and --environment", all.join(", "));
            Err(Failure::new(Exit::Usage, message))
        }
    }
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
