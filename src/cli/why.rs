//! `why`: for each unfinished service the one thing that it waits for.

use clap::Args;
use serde::Serialize;

use super::output;
use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::{Common, Exit, Failure, parts, status};
use crate::domain::deployment::Blocker;
use crate::domain::names::DeploymentId;

/// Options of `why`.
#[derive(Debug, Args)]
pub struct Options {
    /// Which deployment; all unfinished ones where it is not given
    deployment: Option<DeploymentId>,
    /// Only this service
    #[arg(long)]
    service: Option<String>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    deployment: DeploymentId,
    service: String,
    /// The blocker's word, for filters.
    kind: &'static str,
    #[serde(flatten)]
    blocker: Blocker,
    text: String,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let store = parts::existing_store(common).await?;
    let deployments = match &options.deployment {
        Some(id) => vec![status::find(&store, id).await?],
        None => store.unfinished().await?.value,
    };
    let wanted = |name: &str| options.service.as_deref().is_none_or(|service| service == name);
    let waiting: Vec<Waiting> = deployments
        .iter()
        .flat_map(|deployment| {
            deployment.blockers().into_iter().map(|(service, blocker)| Waiting {
                deployment: deployment.id().clone(),
                service: service.to_owned(),
                kind: blocker.word(),
                text: blocker.to_string(),
                blocker,
            })
        })
        .filter(|waiting| wanted(&waiting.service))
        .collect();
    store.close().await;
    output::print(common.output, &waiting, || {
        if waiting.is_empty() {
            return "nothing is waiting".into();
        }
        let mut table = Grid::new(&["DEPLOYMENT", "SERVICE", "BLOCKER", "WHY"]);
        for row in &waiting {
            table.row([
                Cell::from(&row.deployment),
                Cell::from(&row.service),
                Cell::from(row.kind),
                Cell::from(&row.text),
            ]);
        }
        table.render(Stream::Out.width())
    })?;
    Ok(Exit::Success)
}
