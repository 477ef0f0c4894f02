//! What a request would do, without doing it: the plan of a commit, or of values that are not in any yet.

use jiff::Timestamp;

use super::App;
use super::customers::{self, Layout};
use super::draft::{draft, load};
use super::intake::deployment_id;
use super::later::Later;
use crate::domain::deployment::{Brief, Deployment};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::event::{Request, Trigger};
use crate::domain::names::{CustomerId, Environment, EventId};
use crate::domain::plan::{Plan, fingerprint};
use crate::ports::SourceError;
use crate::store::PlaceFilter;

/// What a request would do.
#[derive(Debug)]
pub struct DryRun {
    /// The plan, against what runs now.
    pub plan: Plan,
    /// The plan of what was last started there; none where nothing ever was.
    pub before: Option<Plan>,
    /// What is doubtful about the values.
    pub warnings: Vec<Diagnostic>,
    /// Whether somebody would have to agree first.
    pub needs_approval: bool,
    /// The customer's common image tag at the commit; none where its values have none.
    pub image_tag: Option<String>,
}

impl DryRun {
    /// The deployment that the plan would become, as it would begin.
    pub fn deployment(self, app: &App, event: EventId, request: &Request, now: Timestamp) -> Deployment {
        let plan = self.plan;
        Deployment::new(Brief {
            id: deployment_id(&event, &plan.customer, &plan.environment),
            event,
            requested_by: request.requested_by.clone(),
            created_at: now,
            whole: false,
            digest: fingerprint(&""),
            path: String::new(),
            policy: app.config.policy(&plan.environment),
            plan,
        })
    }
}

/// Plans what a request asks of one customer in one environment, and stores nothing. Where values are given they take
/// the place of the customer's at the commit. The inner layer is all that is wrong with them.
///
/// # Errors
/// When something does not answer now, or there is no such commit.
pub async fn dry_run(
    app: &App,
    request: &Request,
    customer: &CustomerId,
    environment: &Environment,
    values: Option<Vec<u8>>,
) -> Result<Result<DryRun, Vec<Diagnostic>>, Later> {
    let name = &request.source;
    let Some(target) = app.config.target(name, environment) else {
        return Err(SourceError::Refused(format!("the source {name} does not deploy {environment}")).into());
    };
    let wanted = match &request.trigger {
        Trigger::Manual { revision, .. } => revision.clone(),
        Trigger::Push(_) | Trigger::Other { .. } => None,
    };
    let known = match &wanted {
        Some(revision) => app.values.contains(name, revision).await?,
        None => false,
    };
    if !known {
        app.values.fetch(name).await?;
    }
    let revision = match wanted {
        Some(revision) => revision,
        None => app.values.head(name, &target.reference).await?.ok_or_else(|| {
            SourceError::Refused(format!("{} is not in the repository {name}", target.reference))
        })?,
    };
    if !app.values.contains(name, &revision).await? {
        return Err(SourceError::MissingRevision { source_name: name.clone(), revision }.into());
    }
    let layout = Layout::of(&app.config, target);
    let (found, _) = customers::customers(app.values.as_ref(), name, &revision, &layout).await?;
    let Some(files) = found.iter().find(|files| &files.customer == customer) else {
        return Ok(Err(vec![customers::missing(customer, &revision, &layout)]));
    };
    let order = request.order.unwrap_or(app.config.order());
    let loaded = match values {
        None => load(app, name, target, files, &revision, order).await?,
        Some(text) => {
            let expected = customers::expected(customer, environment, target);
            let (file, limits) = (files.values.clone(), app.config.limits.clone());
            // Large values take their time, and nothing else is to wait for it.
            let read =
                tokio::task::spawn_blocking(move || customers::load(&file, &text, &expected, order, &limits));
            read.await.map_err(|error| SourceError::Refused(format!("the values cannot be read: {error}")))?
        }
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => return Ok(Err(faults)),
    };
    let plan = match draft(app, request, name, &revision, files, &loaded).await? {
        Ok(plan) => plan,
        Err(fault) => return Ok(Err(vec![fault])),
    };
    let place = PlaceFilter {
        customer: Some(customer.clone()),
        environment: Some(environment.clone()),
        ..PlaceFilter::default()
    };
    let before = app.store.standing(&place, 1).await?.value.into_iter().next();
    Ok(Ok(DryRun {
        needs_approval: app.config.policy(environment).needs_approval,
        plan,
        before: before.map(|deployment| deployment.brief.plan),
        image_tag: loaded.catalog.image_tag,
        warnings: loaded.warnings,
    }))
}
