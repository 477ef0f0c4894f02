//! The plan of one customer: what a request wants of it, against what it runs now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;

use super::App;
use super::customers::{self, CustomerFiles, Layout, Loaded};
use super::later::Later;
use crate::config::Target;
use crate::domain::catalog::Order;
use crate::domain::deployment::Brief;
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::domain::event::{Kind, Request};
use crate::domain::impact::Live;
use crate::domain::manifest::bundle::Layout::{PerCustomer, PerService};
use crate::domain::names::{AppName, CustomerId, Environment, Fingerprint, NameError, Revision, SourceName};
use crate::domain::plan::{Baselines, Inputs, Plan, Purpose, Quarantined, Selection, plan};
use crate::domain::removal::{self, RemovedServices};
use crate::ports::{ClusterError, SourceError};
use crate::store::DeploymentFilter;

/// How many earlier plans are looked at for what removed services needed.
const EARLIER_PLANS: u32 = 50;

/// Applications that are read at once.
const READS_AT_ONCE: usize = 16;

/// Plans a deployment that waited behind another one again: what that one did counts now.
///
/// # Errors
/// When something does not answer now.
pub async fn plan_again(app: &App, brief: &Brief, request: &Request) -> Result<Option<Plan>, Later> {
    let plan = &brief.plan;
    let Some(target) = app.config.target(&plan.source, &plan.environment) else { return Ok(None) };
    let layout = Layout::of(&app.config, target);
    let (customers, _) =
        customers::customers(app.values.as_ref(), &plan.source, &plan.revision, &layout).await?;
    let Some(files) = customers.iter().find(|files| files.customer == plan.customer) else { return Ok(None) };
    let Ok(loaded) = load(app, &plan.source, target, files, &plan.revision, plan.order).await? else {
        return Ok(None);
    };
    Ok(draft(app, request, &plan.source, &plan.revision, files, &loaded).await?.ok())
}

/// Reads a customer's values at a commit; the inner layer is all that is wrong with them.
pub(super) async fn load(
    app: &App,
    source: &SourceName,
    target: &Target,
    files: &CustomerFiles,
    revision: &Revision,
    order: Order,
) -> Result<Result<Loaded, Vec<Diagnostic>>, Later> {
    let limits = &app.config.limits;
    let text = match app.values.read(source, revision, &files.values, limits.max_bytes).await {
        Ok(Some(text)) => text,
        Ok(None) => {
            let message = "it is not a regular file";
            return Ok(Err(vec![Diagnostic::error(Code::MissingFile, Place::file(&files.values), message)]));
        }
        Err(error @ SourceError::TooLarge { .. }) => {
            let place = Place::file(&files.values);
            return Ok(Err(vec![Diagnostic::error(Code::LimitExceeded, place, error.to_string())]));
        }
        Err(error) => return Err(error.into()),
    };
    let expected = customers::expected(&files.customer, &target.environment, target);
    Ok(customers::load(&files.values, &text, &expected, order, limits))
}

/// Plans what a request wants of a customer, against what it runs now.
pub(super) async fn draft(
    app: &App,
    request: &Request,
    source: &SourceName,
    revision: &Revision,
    files: &CustomerFiles,
    loaded: &Loaded,
) -> Result<Result<Plan, Diagnostic>, Later> {
    let (customer, environment) = (&loaded.catalog.customer, &loaded.catalog.environment);
    let running = app.store.baselines(customer, environment).await?.value;
    let quarantined: Quarantined = app
        .store
        .quarantined(customer, environment)
        .await?
        .value
        .into_iter()
        .map(|(name, rows)| (name, rows.into_iter().map(|row| (row.fingerprint, row.reason)).collect()))
        .collect();
    let purpose = match request.kind {
        Kind::Deployment | Kind::SyncWave => Purpose::Deploy,
        Kind::HealthCheck => Purpose::Check,
        Kind::Rollback => Purpose::Rollback,
    };
    let baselines = if purpose == Purpose::Rollback {
        earlier(app, customer, environment, &running).await?
    } else {
        running.clone()
    };
    let selection = Selection {
        services: request.service.clone().map(|service| BTreeSet::from([service])),
        wave: request.wave,
        force: request.asks_to_force(),
    };
    if let Some(service) = &request.service
        && loaded.graph.index(service).is_none()
    {
        let message = format!("{customer} has no enabled service {service}");
        return Ok(Err(Diagnostic::error(Code::BadRequest, Place::file(&files.values), message)));
    }
    let live = if running.is_empty() { BTreeMap::new() } else { live(app, loaded).await? };
    let durations = loaded.durations();
    let drafted = plan(&Inputs {
        whole: app.config.cluster.layout() == PerCustomer,
        catalog: &loaded.catalog,
        graph: &loaded.graph,
        chart: &files.chart,
        baselines: &baselines,
        live: &live,
        quarantined: &quarantined,
        source,
        revision,
        purpose,
        order: request.order.unwrap_or(app.config.order()),
        selection: &selection,
        durations: &durations,
    });
    let bad_name =
        |error: NameError| Diagnostic::error(Code::BadName, Place::file(&files.values), error.to_string());
    let plan = match drafted {
        Ok(plan) => with_running(plan, &running),
        Err(error) => return Ok(Err(bad_name(error))),
    };
    let whole = selection.services.is_none() && selection.wave.is_none();
    let policy = app.config.sync_wave.removed_services;
    if plan.removed.is_empty() || plan.purpose != Purpose::Deploy || !whole || policy == RemovedServices::Keep
    {
        return Ok(Ok(plan));
    }
    let earlier = plans(app, customer, environment).await?;
    Ok(match removal::removals(policy, &plan, &earlier) {
        Ok(removals) => Ok(plan.with_removals(removals)),
        Err(error) => Err(bad_name(error)),
    })
}

/// The plans of a customer's last deployments, the newest first: what needed what.
async fn plans(app: &App, customer: &CustomerId, environment: &Environment) -> Result<Vec<Plan>, Later> {
    let filter = DeploymentFilter {
        customer: Some(customer.clone()),
        environment: Some(environment.clone()),
        ..DeploymentFilter::default()
    };
    let mut plans = Vec::new();
    for summary in app.store.deployments(&filter, EARLIER_PLANS).await?.value {
        plans.extend(app.store.deployment(&summary.id).await?.map(|deployment| deployment.brief.plan));
    }
    Ok(plans)
}

/// For a rollback, what a service renders from is what it runs now: that is what is taken back.
fn with_running(mut plan: Plan, running: &Baselines) -> Plan {
    if plan.purpose == Purpose::Rollback {
        for change in &mut plan.changes {
            if let Some(now) = running.get(change.name()) {
                change.rendering = now.rendering.clone();
            }
        }
    }
    plan
}

/// What each service ran healthily before what it runs now.
async fn earlier(
    app: &App,
    customer: &CustomerId,
    environment: &Environment,
    running: &Baselines,
) -> Result<Baselines, Later> {
    let mut earlier = Baselines::new();
    // Newest first.
    for row in app.store.history(customer, environment, None).await?.value {
        let now: Option<Fingerprint> =
            running.get(&row.service).map(|baseline| baseline.rendering.fingerprint());
        if now.is_some_and(|now| now != row.fingerprint) {
            earlier.entry(row.service).or_insert(row.baseline);
        }
    }
    Ok(earlier)
}

/// What the cluster has of each service of a customer.
async fn live(app: &App, loaded: &Loaded) -> Result<BTreeMap<String, Live>, Later> {
    let catalog = &loaded.catalog;
    let whole = match app.config.cluster.layout() {
        PerCustomer => AppName::of_all(&catalog.customer).ok(),
        PerService => None,
    };
    let base = AppName::of_base(&catalog.customer).map(|app| (crate::domain::names::BASE.to_owned(), app));
    let services = catalog.enabled().map(|service| {
        AppName::of_service(&catalog.customer, &service.name).map(|app| (service.name.to_string(), app))
    });
    if let Some(whole) = whole {
        // All are in one Application, which is not at any one commit while they are under way.
        return Ok(match app.cluster.application(&whole).await? {
            Some(_) => BTreeMap::new(),
            None => {
                std::iter::once(base).chain(services).flatten().map(|(name, _)| (name, Live::Gone)).collect()
            }
        });
    }
    let names: Vec<(String, AppName)> = std::iter::once(base).chain(services).flatten().collect();
    let reads = names.into_iter().map(|(name, application)| async move {
        let read = app.cluster.application(&application).await?;
        // One that is not pinned may be anywhere.
        let live = read.map_or(Some(Live::Gone), |read| read.pinned.map(Live::Pinned));
        Ok::<_, ClusterError>(live.map(|live| (name, live)))
    });
    let read: Vec<_> = futures_util::stream::iter(reads).buffer_unordered(READS_AT_ONCE).collect().await;
    let mut live = BTreeMap::new();
    for found in read {
        live.extend(found?);
    }
    Ok(live)
}
