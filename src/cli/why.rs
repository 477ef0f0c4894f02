//! `why`: for each unfinished service the one thing that it waits for.

use clap::Args;
use serde::Serialize;

use super::output::{self, plain};
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
        let mut table = output::table(&["DEPLOYMENT", "SERVICE", "BLOCKER", "WHY"]);
        for row in &waiting {
            table.add_row([
                row.deployment.to_string(),
                row.service.clone(),
                row.kind.to_owned(),
                plain(&row.text),
            ]);
        }
        table.to_string()
    })?;
    Ok(Exit::Success)
}
