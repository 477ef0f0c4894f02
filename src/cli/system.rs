//! The running system that a command looks at: through its database, or through its server.
//!
//! Both give the same views, so that what is printed is the same.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::output::plain;
use super::{Common, Exit, Failure, parts};
use crate::app;
use crate::app::compliance;
use crate::app::wish::{self, PlaceError, Wish};
use crate::client::{AuditQuery, Client, ClientError, DeploymentQuery, Feed, Page, Wanted};
use crate::config::Config;
use crate::domain::audit::Origin;
use crate::domain::compliance::Compliance;
use crate::domain::deployment::{Command, Deployment, JournalEntry};
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, DeploymentId, Environment, EventId, ServiceName};
use crate::store::{
    AuditFilter, DeploymentFilter, EventFilter, OverviewFilter, ServiceRevision, Store, Summary,
};
use crate::view::audit::AuditView;
use crate::view::customer::CustomerView;
use crate::view::deployment::DeploymentView;
use crate::view::event::{EventView, LetterView};
use crate::view::story::Story;
use crate::view::waiting::Waiting;

/// The shortest time between two looks at a database.
const LOOK: Duration = Duration::from_millis(40);

/// The longest time between two looks at a database: then another process may have written.
const POLL: Duration = Duration::from_millis(200);

/// The shortest time between two looks at a server: what happens together is read together.
const TOGETHER: Duration = Duration::from_millis(150);

/// The longest time between two looks at a server, whatever its stream says.
const QUIET: Duration = Duration::from_secs(20);

/// How many unfinished deployments are asked of a server.
const UNFINISHED: u32 = 10_000;

/// The running system.
pub(super) enum System {
    /// Its database, on this machine.
    Here(Store),
    /// Its server.
    There(Client),
}

impl System {
    /// What is to be looked at; a database has to be there.
    pub(super) async fn existing(common: &Common) -> Result<Self, Failure> {
        match common.server.client().await? {
            Some(client) => Ok(Self::There(client)),
            None => Ok(Self::Here(parts::existing_store(common).await?)),
        }
    }

    pub(super) async fn close(self) {
        if let Self::Here(store) = self {
            store.close().await;
        }
    }

    /// Deployments, the newest first.
    pub(super) async fn list(&self, wanted: DeploymentQuery, limit: u32) -> Result<Vec<Summary>, Failure> {
        match self {
            Self::Here(store) => {
                let filter = DeploymentFilter {
                    customer: wanted.customer,
                    environment: wanted.environment,
                    state: wanted.state,
                    finished: wanted.finished,
                    before: wanted.before,
                    ..DeploymentFilter::default()
                };
                let found = store.deployments(&filter, limit).await?;
                for broken in &found.broken {
                    let (id, fault) = (plain(&broken.id), plain(&broken.fault));
                    eprintln!("warning: deployment {id} cannot be read: {fault}");
                }
                Ok(found.value)
            }
            Self::There(client) => Ok(client.deployments(&wanted, limit).await?),
        }
    }

    /// A deployment that has to be there.
    pub(super) async fn deployment(&self, id: &DeploymentId) -> Result<DeploymentView, Failure> {
        match self {
            Self::Here(store) => Ok(DeploymentView::of(&find(store, id).await?)),
            Self::There(client) => client.deployment(id).await.map_err(|error| named(error, id)),
        }
    }

    /// What is not over, the oldest first.
    pub(super) async fn unfinished(&self) -> Result<Vec<DeploymentId>, Failure> {
        match self {
            Self::Here(store) => {
                let unfinished = store.unfinished().await?.value;
                Ok(unfinished.iter().map(|deployment| deployment.id().clone()).collect())
            }
            Self::There(client) => {
                let wanted = DeploymentQuery { finished: Some(false), ..DeploymentQuery::default() };
                let found = client.deployments(&wanted, UNFINISHED).await?;
                Ok(found.into_iter().rev().map(|summary| summary.id).collect())
            }
        }
    }

    /// What the unfinished services of a deployment wait for.
    pub(super) async fn why(
        &self,
        id: &DeploymentId,
        service: Option<&str>,
    ) -> Result<Vec<Waiting>, Failure> {
        match self {
            Self::Here(store) => Ok(Waiting::of(&find(store, id).await?, service)),
            Self::There(client) => client.why(id, service).await.map_err(|error| named(error, id)),
        }
    }

    /// How a deployment went.
    pub(super) async fn story(&self, id: &DeploymentId) -> Result<Story, Failure> {
        match self {
            Self::Here(store) => {
                let deployment = find(store, id).await?;
                Ok(Story::of(&deployment.brief, store.journal(id).await?.value))
            }
            Self::There(client) => client.journal(id).await.map_err(|error| named(error, id)),
        }
    }

    /// What moved a deployment.
    pub(super) async fn journal(&self, id: &DeploymentId) -> Result<Vec<JournalEntry>, Failure> {
        match self {
            Self::Here(store) => Ok(store.journal(id).await?.value),
            Self::There(_) => Ok(self.story(id).await?.journal),
        }
    }

    /// What services ran healthily.
    pub(super) async fn history(
        &self,
        customer: &CustomerId,
        environment: &Environment,
        service: Option<&str>,
    ) -> Result<Vec<ServiceRevision>, Failure> {
        match self {
            Self::Here(store) => Ok(store.history(customer, environment, service).await?.value),
            Self::There(client) => match client.history(customer, environment, service).await {
                // Nothing ever ran of a customer that nobody knows.
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                outcome => Ok(outcome?),
            },
        }
    }

    /// Customers and environments at a glance.
    pub(super) async fn customers(&self, limit: u32) -> Result<Vec<CustomerView>, Failure> {
        match self {
            Self::Here(store) => {
                let found = store.overview(&OverviewFilter::default(), limit).await?.value;
                Ok(found.into_iter().map(CustomerView::of).collect())
            }
            Self::There(client) => Ok(client.customers(limit).await?),
        }
    }

    /// Events, the newest first.
    pub(super) async fn events(
        &self,
        customer: Option<&CustomerId>,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventView>, Failure> {
        match self {
            Self::Here(store) => {
                let filter = EventFilter {
                    customer: customer.cloned(),
                    state: state.map(str::to_owned),
                    ..EventFilter::default()
                };
                let found = store.events(&filter, limit).await?.value;
                Ok(found.into_iter().map(EventView::of).collect())
            }
            Self::There(client) => Ok(client.events(customer, state, limit).await?),
        }
    }

    /// Requests that could not succeed, the newest first.
    pub(super) async fn letters(&self, limit: u32) -> Result<Vec<LetterView>, Failure> {
        match self {
            Self::Here(store) => {
                let found = store.dead_letters_before(None, limit).await?.value;
                Ok(found.into_iter().map(LetterView::of).collect())
            }
            Self::There(client) => Ok(client.letters(limit).await?),
        }
    }

    /// A page of the audit, the newest record first.
    pub(super) async fn audit(&self, wanted: &AuditQuery, limit: u32) -> Result<Page<AuditView>, Failure> {
        let store = match self {
            Self::Here(store) => store,
            Self::There(client) => return Ok(client.audit(wanted, limit).await?),
        };
        let filter = AuditFilter {
            customer: wanted.customer.clone(),
            since: wanted.since,
            until: wanted.until,
            before: wanted.cursor.as_deref().and_then(|cursor| cursor.parse().ok()),
            ..AuditFilter::default()
        };
        let found = store.audit(&filter, limit).await?;
        if let Some(broken) = found.broken.first() {
            // Silence would look like there being nothing.
            let message = format!("the record {} cannot be read: {}", broken.id, broken.fault);
            return Err(Failure::new(Exit::Failure, message));
        }
        let next = found.value.last().map(|last| last.seq.to_string());
        Ok(Page { items: found.value.into_iter().map(AuditView::of).collect(), next })
    }

    /// A page of what auditors ask of deployments, the newest first.
    pub(super) async fn audit_report(
        &self,
        wanted: &AuditQuery,
        limit: u32,
    ) -> Result<Page<Compliance>, Failure> {
        let store = match self {
            Self::Here(store) => store,
            Self::There(client) => return Ok(client.audit_report(wanted, limit).await?),
        };
        let filter = DeploymentFilter {
            customer: wanted.customer.clone(),
            before: wanted.cursor.as_deref().and_then(|cursor| cursor.parse().ok()),
            ..DeploymentFilter::default()
        };
        let found = store.deployments(&filter, limit).await?.value;
        let next = found.last().map(|last| last.id.to_string());
        let items = compliance::report(store, &found, wanted.since, wanted.until).await?;
        Ok(Page { items, next })
    }

    /// An event that has to be there.
    pub(super) async fn event(&self, id: &EventId) -> Result<EventView, Failure> {
        match self {
            Self::Here(store) => {
                let found = store.event(id).await?.map(EventView::of);
                found.ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no event {id}")))
            }
            Self::There(client) => Ok(client.event(id).await?),
        }
    }

    /// Puts a command before a deployment. Who asks is known to a server.
    pub(super) async fn command(
        &self,
        id: &DeploymentId,
        by: String,
        command: Command,
    ) -> Result<Option<EventId>, Failure> {
        match self {
            Self::Here(store) => {
                if let Command::Retry { service } = &command {
                    let deployment = find(store, id).await?;
                    if deployment.state().is_finished() {
                        let service = service.as_deref().map(str::parse::<ServiceName>).transpose();
                        let service = service.map_err(|error| Failure::new(Exit::InvalidInput, error))?;
                        return Ok(Some(
                            wish::again(store, &deployment, service, Origin::cli(by)).await?.event,
                        ));
                    }
                }
                app::command(store, id, &Origin::cli(by), command, Timestamp::now()).await?;
                Ok(None)
            }
            Self::There(client) => client.command(id, &command).await.map_err(|error| named(error, id)),
        }
    }

    /// Asks for a deployment, a check or a rollback.
    pub(super) async fn ask(
        &self,
        common: &Common,
        kind: Kind,
        wanted: Wanted,
        by: String,
    ) -> Result<EventId, Failure> {
        match self {
            Self::Here(store) => Ok(ask(&parts::config(common)?, store, kind, wanted, by).await?),
            Self::There(client) if kind == Kind::Rollback => Ok(client.roll_back(&wanted).await?.event),
            Self::There(client) => Ok(client.deploy(&wanted).await?.event),
        }
    }

    /// What tells when to look again.
    pub(super) fn pulse(&self) -> Pulse<'_> {
        match self {
            Self::Here(store) => Pulse::Here(store, store.changed()),
            Self::There(client) => Pulse::There(Box::new(client.feed())),
        }
    }
}

/// Tells when to look again.
pub(super) enum Pulse<'a> {
    /// The database says when this process wrote, and is asked whether another did.
    Here(&'a Store, watch::Receiver<u64>),
    /// The server's stream says.
    There(Box<Feed>),
}

impl Pulse<'_> {
    /// Waits until something may have changed.
    pub(super) async fn next(&mut self) -> Result<(), Failure> {
        match self {
            Self::Here(store, changed) => {
                tokio::time::sleep(LOOK).await;
                // Either the signal or the time: what is read next is what counts.
                let _ = tokio::time::timeout(POLL, changed.changed()).await;
                store.poll().await?;
                Ok(())
            }
            Self::There(feed) => {
                match tokio::time::timeout(QUIET, feed.happened()).await {
                    Ok(outcome) => outcome?,
                    Err(_) => return Ok(()),
                }
                tokio::time::sleep(TOGETHER).await;
                Ok(())
            }
        }
    }
}

async fn ask(
    config: &Config,
    store: &Store,
    kind: Kind,
    wanted: Wanted,
    by: String,
) -> Result<EventId, Failure> {
    let place = wish::place(config, store, wanted.source, &wanted.customer, wanted.environment).await;
    let (source, environment) = place.map_err(|error: PlaceError| Failure::from(error))?;
    let order = wanted.order.map(|word| word.parse()).transpose();
    let wish = Wish {
        kind,
        source,
        customer: wanted.customer,
        environment: Some(environment),
        service: wanted.service,
        wave: wanted.wave,
        order: order.map_err(|error: String| Failure::new(Exit::Usage, error))?,
        revision: wanted.revision,
        force: wanted.force,
        origin: Origin::cli(by),
        id: wanted.id,
    };
    Ok(wish::submit(store, wish).await?.event)
}

/// A deployment that has to be in the database.
pub(super) async fn find(store: &Store, id: &DeploymentId) -> Result<Deployment, Failure> {
    store.deployment(id).await?.ok_or_else(|| missing(id))
}

fn missing(id: &DeploymentId) -> Failure {
    Failure::new(Exit::NotFound, format!("there is no deployment {id}"))
}

/// A server does not say which one is missing.
fn named(error: ClientError, id: &DeploymentId) -> Failure {
    if error.is_not_found() { missing(id) } else { error.into() }
}
