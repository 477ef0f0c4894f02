//! `history`: what services ran healthily, and how a deployment went.

use clap::Args;

use super::output;
use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::system::System;
use super::{Common, Exit, Failure};
use crate::domain::deployment::JournalEntry;
use crate::domain::names::{CustomerId, DeploymentId, Environment, ServiceName};

/// Options of `history`.
#[derive(Debug, Args)]
pub struct Options {
    /// A deployment: how it went, move by move
    #[arg(required_unless_present = "customer", conflicts_with = "customer")]
    deployment: Option<DeploymentId>,
    /// A customer: the revisions that its services ran healthily, newest first
    #[arg(long, requires = "environment")]
    customer: Option<CustomerId>,
    /// The customer's environment
    #[arg(long, requires = "customer")]
    environment: Option<Environment>,
    /// Only this service
    #[arg(long)]
    service: Option<ServiceName>,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    if let Some(id) = &options.deployment {
        let story = system.story(id).await?;
        system.close().await;
        let wanted = options.service.as_ref().map(ServiceName::as_str);
        output::print(common.output, &story, || moves(&story.journal, wanted))?;
        return Ok(Exit::Success);
    }
    let (Some(customer), Some(environment)) = (&options.customer, &options.environment) else {
        return Ok(Exit::Usage);
    };
    let service = options.service.as_ref().map(ServiceName::as_str);
    let rows = system.history(customer, environment, service).await?;
    system.close().await;
    output::print(common.output, &rows, || {
        if rows.is_empty() {
            return format!("{customer} ran nothing in {environment}");
        }
        let mut table = Grid::new(&["SERVICE", "REVISION", "IMAGE", "HEALTHY SINCE", "DEPLOYMENT"]);
        for row in &rows {
            table.row([
                Cell::from(&row.service),
                Cell::from(row.baseline.revision.short().to_owned()),
                Cell::from(&row.baseline.rendering.image),
                Cell::from(row.baseline.healthy_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
                Cell::from(row.deployment.to_string()),
            ]);
        }
        table.render(Stream::Out.width())
    })?;
    Ok(Exit::Success)
}

/// What moved, without the small steps inside a state.
fn moves(journal: &[JournalEntry], service: Option<&str>) -> String {
    let mut table = Grid::new(&["TIME", "SERVICE", "FROM", "TO", "CAUSE"]);
    for entry in journal {
        for moved in &entry.transitions {
            let name = moved.service.as_deref();
            if moved.from == moved.to || service.is_some_and(|wanted| name != Some(wanted)) {
                continue;
            }
            table.row([
                Cell::from(entry.at.strftime("%H:%M:%S%.3fZ").to_string()),
                Cell::from(name.unwrap_or("(deployment)").to_owned()),
                Cell::from(&moved.from),
                output::state_cell(&moved.to),
                Cell::from(&moved.cause),
            ]);
        }
    }
    table.render(Stream::Out.width())
}
