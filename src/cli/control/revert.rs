//! `rollback --git-revert`: the way back as a commit that people review.

use serde::Serialize;

use super::{Rollback, who};
use crate::adapters::git::Revert;
use crate::app::customers::{self, Layout};
use crate::app::wish;
use crate::cli::{Common, Exit, Failure, output, parts};
use crate::domain::names::{CustomerId, Environment, Revision};
use crate::ports::ValuesSource as _;
use crate::store::{DeploymentFilter, Store};

/// How many past deployments are looked at for one that succeeded.
const PAST: u32 = 200;

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    branch: String,
    commit: Revision,
    back_to: Revision,
    files: Vec<String>,
}

pub(super) async fn run(common: &Common, options: Rollback) -> Result<Exit, Failure> {
    let Some(customer) = options.customer else { return Ok(Exit::Usage) };
    if common.server.is_given() {
        let message =
            "--git-revert works on the repositories and the database of this machine: leave --server out";
        return Err(Failure::new(Exit::Usage, message));
    }
    let config = parts::config(common)?;
    let store = parts::existing_store(common).await?;
    let (name, environment) = wish::place(&config, &store, None, &customer, options.environment).await?;
    let Some(target) = config.target(&name, &environment) else {
        return Err(Failure::new(
            Exit::NotFound,
            format!("no configured target deploys {environment} from {name}"),
        ));
    };
    let git = parts::git(&config)?;
    let unavailable = |error: crate::ports::SourceError| Failure::new(Exit::Unavailable, error);
    git.fetch(&name).await.map_err(unavailable)?;
    let head = git.head(&name, &target.reference).await.map_err(unavailable)?;
    let head =
        head.ok_or_else(|| Failure::new(Exit::NotFound, format!("{} is not there", target.reference)))?;
    let layout = Layout::of(&config, target);
    let (found, _) = customers::customers(&git, &name, &head, &layout).await.map_err(unavailable)?;
    let files = found.into_iter().find(|files| files.customer == customer);
    let files = files.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("{customer} has no files at {}", head.short()))
    })?;
    // Config as Code is one file beside a chart that others share.
    let path = if files.folder == layout.base { files.values } else { files.folder };
    let to = match options.to {
        Some(to) => to,
        None => last_good(&store, &customer, &environment, &head).await?,
    };
    store.close().await;
    let by = who(options.by);
    let branch = options.branch.unwrap_or_else(|| format!("revert-{customer}-{}", head.short()));
    let revert = Revert {
        reference: target.reference.clone(),
        paths: vec![path],
        message: format!(
            "Take {customer} back to {}\n\n{}\n\nAsked for by {by}; it was at {}.",
            to.short(),
            options.reason,
            head.short()
        ),
        to: to.clone(),
        branch: branch.clone(),
        by,
    };
    let (commit, files) =
        git.revert(&name, &revert).await.map_err(|error| Failure::new(Exit::Refused, error))?;
    let made = Made { branch, commit, back_to: to, files };
    output::print(common.output, &made, || {
        let list: Vec<String> = made.files.iter().map(|file| format!("  {file}")).collect();
        format!(
            "{} on branch {} takes {customer} back to {}:\n{}\nNothing is deployed until it is merged.",
            made.commit.short(),
            made.branch,
            made.back_to.short(),
            list.join("\n")
        )
    })?;
    Ok(Exit::Success)
}

/// The newest commit other than the head at which all of the customer was healthy.
async fn last_good(
    store: &Store,
    customer: &CustomerId,
    environment: &Environment,
    head: &Revision,
) -> Result<Revision, Failure> {
    let filter = DeploymentFilter {
        customer: Some(customer.clone()),
        environment: Some(environment.clone()),
        state: Some("succeeded".into()),
        ..DeploymentFilter::default()
    };
    let past = store.deployments(&filter, PAST).await?.value;
    past.into_iter().map(|past| past.revision).find(|revision| revision != head).ok_or_else(|| {
        let message = format!("{customer} was never healthy at another commit: give --to");
        Failure::new(Exit::NotFound, message)
    })
}
