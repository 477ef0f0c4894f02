//! `customers`: all customers and environments at a glance.

use clap::Args;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::system::System;
use super::{Common, Exit, Failure, output};
use crate::view::customer::CustomerView;

/// Options of `customers`.
#[derive(Debug, Args)]
pub struct Options {
    /// How many at most
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    let customers = system.customers(options.limit).await?;
    system.close().await;
    output::print(common.output, &customers, || table(&customers))?;
    Ok(Exit::Success)
}

fn table(customers: &[CustomerView]) -> String {
    if customers.is_empty() {
        return "no customers".into();
    }
    let mut table =
        Grid::new(&["CUSTOMER", "ENVIRONMENT", "STATE", "PROGRESS", "REVISION", "DEPLOYED", "WAITS FOR"]);
    for row in customers {
        let deployed = row.deployed.as_ref().map(|deployed| deployed.revision.short().to_owned());
        let progress = row.progress.as_ref().map(|tally| format!("{}/{}", tally.passed, tally.services));
        let waits = row.blocked.as_ref().map(|blocked| format!("{}: {}", blocked.service, blocked.text));
        table.row([
            Cell::from(row.customer.to_string()),
            Cell::from(row.environment.to_string()),
            output::state_cell(&row.latest.state),
            Cell::from(progress.unwrap_or_default()),
            Cell::from(row.latest.revision.short().to_owned()),
            Cell::from(deployed.unwrap_or_default()),
            Cell::from(waits.or_else(|| row.latest.reason.clone()).unwrap_or_default()),
        ]);
    }
    table.render(Stream::Out.width())
}
