//! From an accepted event to deployments: which refs and customers it is about, and what each plan does.
//!
//! A push says that a ref moved, not what is to be deployed: that is the ref's head, as git gives it now. So a
//! burst of pushes coalesces to the newest, an old push that arrives late changes nothing, and after a forced
//! push the ref counts, not the lists in the payload.

use jiff::Timestamp;

use super::App;
use super::customers::{self, CustomerFiles, Layout};
use super::draft::{draft, load};
use super::later::Later;
use crate::config::{Source, Target};
use crate::domain::catalog::Order;
use crate::domain::deployment::{Brief, Deployment, Input, State};
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::domain::event::{Kind, Push, Request, Trigger};
use crate::domain::names::{CustomerId, DeploymentId, Environment, EventId, Revision, SourceName};
use crate::domain::plan::{Plan, Purpose, fingerprint};
use crate::ports::SourceError;
use crate::store::{DeploymentFilter, Outcome, Settlement, StoredEvent};

/// Deployments of one customer and environment that may wait behind the active one; more are refused.
const MAX_QUEUED: usize = 20;

/// Works on an event: what it leads to, to be stored in one transaction. Doing it again leads to the same
/// deployments, because their ids come from the event. The repository was fetched after the event arrived.
///
/// # Errors
/// When something does not answer now.
pub async fn settle(app: &App, event: &StoredEvent, epoch: u64, now: Timestamp) -> Result<Settlement, Later> {
    let mut intake = Intake {
        app,
        event,
        now,
        made: Vec::new(),
        existing: Vec::new(),
        inputs: Vec::new(),
        notes: Vec::new(),
    };
    let outcome = intake.outcome().await?;
    let Intake { made, existing, inputs, .. } = intake;
    Ok(Settlement { event: event.id.clone(), outcome, at: now, deployments: made, existing, inputs, epoch })
}

struct Intake<'a> {
    app: &'a App,
    event: &'a StoredEvent,
    now: Timestamp,
    made: Vec<Deployment>,
    existing: Vec<DeploymentId>,
    inputs: Vec<(DeploymentId, Input)>,
    notes: Vec<String>,
}

/// One target at one commit.
struct Moment<'a> {
    source: &'a Source,
    target: &'a Target,
    layout: Layout,
    revision: Revision,
    /// For a push: the paths that it changed; none for all.
    changed: Option<Vec<String>>,
}

impl Intake<'_> {
    async fn outcome(&mut self) -> Result<Outcome, Later> {
        let request = &self.event.request;
        let Some(source) = self.app.config.source(&request.source) else {
            let reason = format!("the source {} is not configured any more", request.source);
            return Ok(Outcome::Ignored { reason });
        };
        if let Trigger::Other { what, .. } = &request.trigger {
            return Ok(Outcome::Ignored { reason: format!("`{what}` starts nothing") });
        }
        let targets: Vec<&Target> = source.targets.iter().filter(|target| wants(request, target)).collect();
        if targets.is_empty() {
            let reason = match &request.trigger {
                Trigger::Push(push) => format!("{} deploys nothing", push.reference),
                Trigger::Manual { .. } | Trigger::Other { .. } => "no target has this environment".into(),
            };
            return Ok(Outcome::Ignored { reason });
        }
        for target in targets {
            let moment = match self.moment(source, target).await? {
                Ok(moment) => moment,
                Err(Outcome::Ignored { reason }) => {
                    self.notes.push(reason);
                    continue;
                }
                Err(outcome) => return Ok(outcome),
            };
            self.target(&moment).await?;
        }
        if self.made.is_empty() && self.existing.is_empty() {
            let reason =
                if self.notes.is_empty() { "it touches no customer".into() } else { self.notes.join("; ") };
            return Ok(Outcome::Ignored { reason });
        }
        Ok(Outcome::Planned)
    }

    /// Which commit it is about. The second layer says why there is none.
    async fn moment<'s>(
        &self,
        source: &'s Source,
        target: &'s Target,
    ) -> Result<Result<Moment<'s>, Outcome>, Later> {
        let values = &self.app.values;
        let head = values.head(&source.name, &target.reference).await?;
        let layout = Layout::of(&self.app.config, target);
        let make = |revision, changed| Ok(Moment { source, target, layout, revision, changed });
        match &self.event.request.trigger {
            Trigger::Push(push) => {
                if push.after.is_none() {
                    return Ok(Err(Outcome::Ignored { reason: format!("{} was deleted", push.reference) }));
                }
                if let Some(after) = &push.after
                    && !values.contains(&source.name, after).await?
                {
                    return Err(SourceError::MissingRevision {
                        source_name: source.name.clone(),
                        revision: after.clone(),
                    }
                    .into());
                }
                let Some(head) = head else {
                    let reason = format!("{} is not in the repository any more", push.reference);
                    return Ok(Err(Outcome::Ignored { reason }));
                };
                let changed = self.changed(source, push, &head).await?;
                Ok(make(head, changed))
            }
            Trigger::Manual { revision: Some(revision), .. } => {
                if !values.contains(&source.name, revision).await? {
                    return Err(SourceError::MissingRevision {
                        source_name: source.name.clone(),
                        revision: revision.clone(),
                    }
                    .into());
                }
                Ok(make(revision.clone(), None))
            }
            Trigger::Manual { revision: None, .. } | Trigger::Other { .. } => match head {
                Some(head) => Ok(make(head, None)),
                None => {
                    let reason = format!("{} is not in the repository", target.reference);
                    Ok(Err(Outcome::Ignored { reason }))
                }
            },
        }
    }

    /// What the push changed, by git; none where everything has to be looked at.
    async fn changed(
        &self,
        source: &Source,
        push: &Push,
        head: &Revision,
    ) -> Result<Option<Vec<String>>, Later> {
        let values = &self.app.values;
        match &push.before {
            Some(before) if values.contains(&source.name, before).await? => {
                Ok(Some(values.changed(&source.name, Some(before), head).await?))
            }
            Some(_) | None => Ok(None),
        }
    }

    async fn target(&mut self, moment: &Moment<'_>) -> Result<(), Later> {
        let (app, request) = (self.app, &self.event.request);
        let source = &moment.source.name;
        let (customers, diagnostics) =
            customers::customers(app.values.as_ref(), source, &moment.revision, &moment.layout).await?;
        for diagnostic in diagnostics {
            tracing::warn!(event = %self.event.id, %diagnostic, "a customer cannot be read");
            self.notes.push(diagnostic.to_string());
        }
        let asked = |customer: &CustomerId| {
            request.customer.as_ref().is_none_or(|wanted| wanted == customer)
                && (request.scope.is_empty() || request.scope.contains(customer))
        };
        let mut met = false;
        for files in customers.iter().filter(|files| asked(&files.customer)) {
            met = true;
            self.customer(moment, files).await?;
        }
        if let (Some(customer), false) = (&request.customer, met) {
            let fault = customers::missing(customer, &moment.revision, &moment.layout);
            let made = self.rejected(moment, customer, None, vec![fault]);
            self.made.extend(made);
        }
        Ok(())
    }

    async fn customer(&mut self, moment: &Moment<'_>, files: &CustomerFiles) -> Result<(), Later> {
        let (app, request) = (self.app, &self.event.request);
        let (customer, environment) = (&files.customer, &moment.target.environment);
        let open = app.store.unfinished_of(customer, environment).await?.value;
        let whole = is_whole(request);
        if whole {
            if self.is_untouched(moment, files, open.is_empty()).await? {
                self.notes.push(format!("{customer}: nothing changed"));
                return Ok(());
            }
            // Only the newest one: what an older one brings, those behind it replace. And what is stopping
            // brings nothing more.
            let same = open.iter().rfind(|other| other.brief.whole).filter(|newest| {
                newest.brief.plan.revision == moment.revision
                    && !matches!(newest.state(), State::Stopping { .. })
                    && !request.asks_to_force()
            });
            if let Some(same) = same {
                self.existing.push(same.id().clone());
                return Ok(());
            }
        }
        if open.len() > MAX_QUEUED {
            let fault = Diagnostic::error(
                Code::LimitExceeded,
                Place::file(customer.as_str()),
                format!("{} deployments wait already", open.len()),
            );
            let made = self.rejected(moment, customer, Some(files), vec![fault]);
            self.made.extend(made);
            return Ok(());
        }
        let id = deployment_id(&self.event.id, customer, environment);
        let loaded =
            match load(app, &moment.source.name, moment.target, files, &moment.revision, self.order()).await?
            {
                Ok(loaded) => loaded,
                Err(faults) => {
                    let made = self.rejected(moment, customer, Some(files), faults);
                    self.made.extend(made);
                    return Ok(());
                }
            };
        let drafted = draft(app, request, &moment.source.name, &moment.revision, files, &loaded).await?;
        let plan = match drafted {
            Ok(plan) => plan,
            Err(fault) => {
                let made = self.rejected(moment, customer, Some(files), vec![fault]);
                self.made.extend(made);
                return Ok(());
            }
        };
        if plan.is_idle() && open.is_empty() {
            self.notes.push(format!("{customer}: nothing that is deployed changed"));
            return Ok(());
        }
        for warning in &loaded.warnings {
            tracing::warn!(deployment = %id, %customer, %warning, "a doubt about the values");
        }
        if whole {
            let older = open.iter().filter(|other| other.brief.whole);
            self.inputs.extend(older.map(|other| (other.id().clone(), Input::Superseded { by: id.clone() })));
            // Of those made by this very event before a crash, and of the same customer, there is only itself.
            self.inputs.retain(|(to, _)| to != &id);
        }
        let brief = self.brief(id, plan, files, whole);
        self.made.push(Deployment::new(brief));
        Ok(())
    }

    fn order(&self) -> Order {
        self.event.request.order.unwrap_or(self.app.config.order())
    }

    /// Whether nothing of a customer can have changed, so that its values need not even be read.
    async fn is_untouched(
        &self,
        moment: &Moment<'_>,
        files: &CustomerFiles,
        idle: bool,
    ) -> Result<bool, Later> {
        let (customer, environment) = (&files.customer, &moment.target.environment);
        if self.event.request.asks_to_force() || !idle {
            return Ok(false);
        }
        let filter = DeploymentFilter {
            customer: Some(customer.clone()),
            environment: Some(environment.clone()),
            ..DeploymentFilter::default()
        };
        let last = self.app.store.deployments(&filter, 1).await?.value.into_iter().next();
        let mark = self.app.store.customer_mark(customer, environment).await?;
        Ok(match (last, mark) {
            // What was brought to its end as a whole, and nothing was tried since.
            (Some(last), Some(mark)) if last.state == "succeeded" && last.purpose == "deploy" => {
                mark.digest == files.digest.as_str()
            }
            (Some(_), _) => false,
            // Never deployed here: it is the push that says whether it is meant.
            (None, _) => match (&self.event.request.trigger, &moment.changed) {
                (Trigger::Push(_), Some(changed)) => !files.touched_by(changed, &moment.layout),
                (Trigger::Push(_) | Trigger::Manual { .. } | Trigger::Other { .. }, _) => false,
            },
        })
    }

    fn brief(&self, id: DeploymentId, plan: Plan, files: &CustomerFiles, whole: bool) -> Brief {
        let policy = self.app.config.policy(&plan.environment);
        Brief {
            id,
            event: self.event.id.clone(),
            requested_by: self.event.request.requested_by.clone(),
            created_at: self.now,
            whole,
            digest: files.digest.clone(),
            path: files.folder.clone(),
            plan,
            policy,
        }
    }

    fn rejected(
        &self,
        moment: &Moment<'_>,
        customer: &CustomerId,
        files: Option<&CustomerFiles>,
        faults: Vec<Diagnostic>,
    ) -> Option<Deployment> {
        let (source, environment) = (&moment.source.name, &moment.target.environment);
        let id = deployment_id(&self.event.id, customer, environment);
        let plan = empty_plan(source, customer, environment, &moment.revision, self.order())?;
        let errors = faults.iter().filter(|fault| fault.is_error()).count();
        let place = files.map_or(moment.layout.charts.as_str(), |files| files.values.as_str());
        let reason = format!("{errors} fault{} in {place}", if errors == 1 { "" } else { "s" });
        let none = fingerprint(&"");
        let brief = Brief {
            id,
            event: self.event.id.clone(),
            requested_by: self.event.request.requested_by.clone(),
            created_at: self.now,
            whole: is_whole(&self.event.request),
            digest: files.map_or(none, |files| files.digest.clone()),
            path: files.map(|files| files.folder.clone()).unwrap_or_default(),
            policy: self.app.config.policy(environment),
            plan,
        };
        Some(Deployment::rejected(brief, reason, faults))
    }
}

/// Gives an event up: it is rejected, and so is the deployment of the customer that it names.
pub fn give_up(app: &App, event: &StoredEvent, reason: &str, epoch: u64, now: Timestamp) -> Settlement {
    let request = &event.request;
    let code = Code::MissingRevision;
    let fault = Diagnostic::error(code, Place::file(request.source.as_str()), reason.to_owned());
    let target = app
        .config
        .source(&request.source)
        .and_then(|source| source.targets.iter().find(|t| wants(request, t)));
    let revision = match &request.trigger {
        Trigger::Push(Push { after, .. }) => after.clone(),
        Trigger::Manual { revision, .. } => revision.clone(),
        Trigger::Other { .. } => None,
    };
    let deployment =
        target.zip(request.customer.as_ref()).zip(revision).and_then(|((target, customer), revision)| {
            let environment = &target.environment;
            let order = request.order.unwrap_or(app.config.order());
            let brief = Brief {
                id: deployment_id(&event.id, customer, environment),
                event: event.id.clone(),
                requested_by: request.requested_by.clone(),
                created_at: now,
                whole: is_whole(request),
                digest: fingerprint(&""),
                path: String::new(),
                plan: empty_plan(&request.source, customer, environment, &revision, order)?,
                policy: app.config.policy(environment),
            };
            Some(Deployment::rejected(brief, reason.to_owned(), vec![fault.clone()]))
        });
    Settlement {
        event: event.id.clone(),
        outcome: Outcome::Rejected { reason: reason.to_owned(), diagnostics: vec![fault] },
        at: now,
        deployments: deployment.into_iter().collect(),
        existing: Vec::new(),
        inputs: Vec::new(),
        epoch,
    }
}

/// Whether a request is about all of a customer at a commit, so that a newer one takes its place.
fn is_whole(request: &Request) -> bool {
    request.kind == Kind::Deployment && request.service.is_none() && request.wave.is_none()
}

fn wants(request: &Request, target: &Target) -> bool {
    let environment = request.environment.as_ref().is_none_or(|wanted| wanted == &target.environment);
    let reference = match &request.trigger {
        Trigger::Push(push) => push.reference == target.reference,
        Trigger::Manual { .. } | Trigger::Other { .. } => true,
    };
    environment && reference
}

/// The id of the deployment that an event makes for a customer and environment: always the same one.
pub(super) fn deployment_id(
    event: &EventId,
    customer: &CustomerId,
    environment: &Environment,
) -> DeploymentId {
    let hash = fingerprint(&(event, customer, environment));
    match format!("d-{}", &hash.as_str()[..12]).parse() {
        Ok(id) => id,
        Err(_) => unreachable!("letters, digits and a dash make an id"),
    }
}

fn empty_plan(
    source: &SourceName,
    customer: &CustomerId,
    environment: &Environment,
    revision: &Revision,
    order: Order,
) -> Option<Plan> {
    let namespace =
        format!("{customer}-{environment}").parse().or_else(|_| customer.as_str().parse()).ok()?;
    Some(Plan {
        customer: customer.clone(),
        environment: environment.clone(),
        namespace,
        source: source.clone(),
        revision: revision.clone(),
        purpose: Purpose::Deploy,
        order,
        changes: Vec::new(),
        removed: Vec::new(),
        removals: Vec::new(),
        hash: fingerprint(&(customer, environment, revision)),
    })
}
