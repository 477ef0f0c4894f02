//! `why`: for each unfinished service the one thing that it waits for.

use clap::Args;

use super::output;
use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::system::System;
use super::{Common, Exit, Failure};
use crate::domain::names::DeploymentId;
use crate::view::waiting::Waiting;

/// Options of `why`.
#[derive(Debug, Args)]
pub struct Options {
    /// Which deployment; all unfinished ones where it is not given
    deployment: Option<DeploymentId>,
    /// Only this service
    #[arg(long)]
    service: Option<String>,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    let ids = match &options.deployment {
        Some(id) => vec![id.clone()],
        None => system.unfinished().await?,
    };
    let mut waiting: Vec<Waiting> = Vec::new();
    for id in &ids {
        waiting.extend(system.why(id, options.service.as_deref()).await?);
    }
    system.close().await;
    output::print(common.output, &waiting, || {
        if waiting.is_empty() {
            return "nothing is waiting".into();
        }
        let mut table = Grid::new(&["DEPLOYMENT", "SERVICE", "BLOCKER", "WHY"]);
        for row in &waiting {
            table.row([
                Cell::from(&row.deployment),
                Cell::from(&row.service),
                Cell::from(&row.kind),
                Cell::from(&row.text),
            ]);
        }
        table.render(Stream::Out.width())
    })?;
    Ok(Exit::Success)
}
