//! `status`: the deployments, or one of them service by service.

use clap::Args;
use jiff::Timestamp;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::output::{self, plain};
use super::system::System;
use super::{Common, Exit, Failure, timeline};
use crate::client::DeploymentQuery;
use crate::domain::names::{CustomerId, DeploymentId, Environment};
use crate::store::Summary;
use crate::view::deployment::{DeploymentView, LEAVE};

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Options {
    /// Which deployment; a list of all where it is not given
    deployment: Option<DeploymentId>,
    /// Only of this customer
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only to this environment
    #[arg(long)]
    environment: Option<Environment>,
    /// Only in this state, such as `running` or `failed`
    #[arg(long)]
    state: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only what is older than this deployment: the next page
    #[arg(long, value_name = "DEPLOYMENT")]
    before: Option<DeploymentId>,
    /// Keep showing how it goes, until it is over
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    let exit = match (&options.deployment, options.watch) {
        (Some(id), true) => timeline::follow(&system, std::slice::from_ref(id)).await?,
        (Some(id), false) => {
            let deployment = system.deployment(id).await?;
            output::print(common.output, &deployment, || describe(&deployment))?;
            Exit::Success
        }
        (None, true) => {
            let ids = system.unfinished().await?;
            if ids.is_empty() {
                output::write("nothing is under way")?;
                Exit::Success
            } else {
                timeline::follow(&system, &ids).await?
            }
        }
        (None, false) => {
            let wanted = DeploymentQuery {
                customer: options.customer.clone(),
                environment: options.environment.clone(),
                state: options.state.clone(),
                finished: None,
                before: options.before.clone(),
            };
            let found = system.list(wanted, options.limit).await?;
            output::print(common.output, &found, || table(&found))?;
            Exit::Success
        }
    };
    system.close().await;
    Ok(exit)
}

fn table(summaries: &[Summary]) -> String {
    if summaries.is_empty() {
        return "no deployments".into();
    }
    let mut table =
        Grid::new(&["DEPLOYMENT", "CUSTOMER", "ENVIRONMENT", "REVISION", "STATE", "AGE", "TOOK", "REASON"]);
    let now = Timestamp::now();
    for summary in summaries {
        let took = summary.started_at.map(|start| summary.ended_at.unwrap_or(now).duration_since(start));
        table.row([
            Cell::from(summary.id.to_string()),
            Cell::from(summary.customer.to_string()),
            Cell::from(summary.environment.to_string()),
            Cell::from(summary.revision.short().to_owned()),
            output::state_cell(&summary.state),
            Cell::from(age(now, summary.created_at)),
            Cell::from(took.map(|took| output::length(took.as_secs_f64())).unwrap_or_default()),
            Cell::from(summary.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(Stream::Out.width())
}

/// How long ago, as kubectl says it.
fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn describe(deployment: &DeploymentView) -> String {
    let mut text = format!(
        "{}  {} {}  {}  {}\n",
        deployment.id,
        deployment.customer,
        deployment.environment,
        deployment.revision.short(),
        output::state(&deployment.state),
    );
    if let Some(reason) = &deployment.reason {
        text.push_str(&format!("reason: {}\n", plain(reason)));
    }
    for diagnostic in &deployment.diagnostics {
        text.push_str(&format!("{diagnostic}\n"));
    }
    text.push_str(&format!(
        "asked for by {}, plan {}, {} of {} services touched\n\n",
        plain(&deployment.requested_by),
        deployment.plan.get(..12).unwrap_or(&deployment.plan),
        deployment.touched_count(),
        deployment.service_count(),
    ));
    let mut table = Grid::new(&["WAVE", "SERVICE", "ACTION", "STATE", "WHY"]);
    for service in deployment.services.iter().filter(|service| service.action != LEAVE) {
        let blocker = service.blocker.as_ref().map(ToString::to_string);
        table.row([
            Cell::from(service.wave.map(|wave| wave.to_string()).unwrap_or_default()),
            Cell::from(&service.service),
            Cell::from(format!("{} ({})", service.action, service.reasons.join(", "))),
            output::state_cell(&service.state),
            Cell::from(blocker.or_else(|| service.detail.clone()).unwrap_or_default()),
        ]);
    }
    for removal in &deployment.removals {
        let blocker = removal.blocker.as_ref().map(ToString::to_string);
        table.row([
            Cell::from(String::new()),
            Cell::from(&removal.service),
            Cell::from("remove (not in the values any more)".to_owned()),
            output::state_cell(&removal.state),
            Cell::from(blocker.or_else(|| removal.reason.clone()).unwrap_or_default()),
        ]);
    }
    text.push_str(&table.render(Stream::Out.width()));
    let left = deployment.services.iter().filter(|service| service.action == LEAVE).count();
    if left > 0 {
        text.push_str(&format!("\n{left} more are untouched, and nothing waits for them"));
    }
    text
}
