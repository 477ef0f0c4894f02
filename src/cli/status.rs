//! `status`: the deployments, or one of them service by service.

use clap::Args;
use jiff::Timestamp;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::output::{self, plain};
use super::{Common, Exit, Failure, parts, timeline};
use crate::domain::deployment::{Deployment, Removing};
use crate::domain::names::{CustomerId, DeploymentId, Environment};
use crate::domain::plan::{Action, Change};
use crate::store::{DeploymentFilter, Store, Summary};
use crate::view::deployment::{DeploymentView, detail, left};

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
    let store = parts::existing_store(common).await?;
    let exit = match (&options.deployment, options.watch) {
        (Some(id), true) => timeline::follow(&store, std::slice::from_ref(id)).await?,
        (Some(id), false) => one(common, &store, id).await?,
        (None, true) => {
            let unfinished = store.unfinished().await?.value;
            let ids: Vec<_> = unfinished.iter().map(|deployment| deployment.id().clone()).collect();
            if ids.is_empty() {
                output::write("nothing is under way")?;
                Exit::Success
            } else {
                timeline::follow(&store, &ids).await?
            }
        }
        (None, false) => list(common, &store, options).await?,
    };
    store.close().await;
    Ok(exit)
}

async fn list(common: &Common, store: &Store, options: &Options) -> Result<Exit, Failure> {
    let filter = DeploymentFilter {
        customer: options.customer.clone(),
        environment: options.environment.clone(),
        state: options.state.clone(),
        before: options.before.clone(),
        ..DeploymentFilter::default()
    };
    let found = store.deployments(&filter, options.limit).await?;
    for broken in &found.broken {
        eprintln!("warning: deployment {} cannot be read: {}", plain(&broken.id), plain(&broken.fault));
    }
    output::print(common.output, &found.value, || table(&found.value))?;
    Ok(Exit::Success)
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

async fn one(common: &Common, store: &Store, id: &DeploymentId) -> Result<Exit, Failure> {
    let deployment = find(store, id).await?;
    output::print(common.output, &DeploymentView::of(&deployment), || describe(&deployment))?;
    Ok(Exit::Success)
}

/// A deployment that has to be there.
pub(super) async fn find(store: &Store, id: &DeploymentId) -> Result<Deployment, Failure> {
    let found = store.deployment(id).await?;
    found.ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no deployment {id}")))
}

fn describe(deployment: &Deployment) -> String {
    let (brief, state) = (&deployment.brief, deployment.state());
    let plan = &brief.plan;
    let mut text = format!(
        "{}  {} {}  {}  {}\n",
        deployment.id(),
        plan.customer,
        plan.environment,
        plan.revision.short(),
        output::state(state.word()),
    );
    if let Some(reason) = state.reason() {
        text.push_str(&format!("reason: {}\n", plain(&reason)));
    }
    for diagnostic in state.diagnostics() {
        text.push_str(&format!("{diagnostic}\n"));
    }
    text.push_str(&format!(
        "asked for by {}, plan {}, {} of {} services touched\n\n",
        plain(&brief.requested_by),
        &plan.hash.as_str()[..12],
        plan.touched_count(),
        plan.service_count(),
    ));
    let blockers = deployment.blockers();
    let mut table = Grid::new(&["WAVE", "SERVICE", "ACTION", "STATE", "WHY"]);
    for (change, service) in deployment.services() {
        if change.action == Action::Leave {
            continue;
        }
        let blocker = blockers.iter().find(|(name, _)| *name == change.name());
        let why = blocker.map(|(_, blocker)| blocker.to_string()).or_else(|| detail(service));
        table.row([
            Cell::from(change.wave.map(|wave| wave.to_string()).unwrap_or_default()),
            Cell::from(change.name().to_owned()),
            Cell::from(action(change)),
            output::state_cell(service.word()),
            Cell::from(why.unwrap_or_default()),
        ]);
    }
    for (removal, state) in deployment.removals() {
        let blocker = blockers.iter().find(|(name, _)| *name == removal.service.as_str());
        let why = blocker.map(|(_, blocker)| blocker.to_string()).or_else(|| left(state).map(str::to_owned));
        table.row([
            Cell::from(String::new()),
            Cell::from(removal.service.to_string()),
            Cell::from("remove (not in the values any more)".to_owned()),
            output::state_cell(state.map_or("waiting", Removing::word)),
            Cell::from(why.unwrap_or_default()),
        ]);
    }
    text.push_str(&table.render(Stream::Out.width()));
    let left = deployment.services().filter(|(change, _)| change.action == Action::Leave).count();
    if left > 0 {
        text.push_str(&format!("\n{left} more are untouched, and nothing waits for them"));
    }
    text
}

fn action(change: &Change) -> String {
    let reasons: Vec<_> = change.reasons.iter().map(ToString::to_string).collect();
    format!("{} ({})", change.action.word(), reasons.join(", "))
}
