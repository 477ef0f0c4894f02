//! What can be asked of a server, in its own words.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::endpoint::{self, Arguments};
use super::{Client, ClientError, Endpoint};
use crate::app::receive::Receipt;
use crate::domain::catalog::Order;
use crate::domain::compliance::Compliance;
use crate::domain::deployment::Command;
use crate::domain::names::{
    CustomerId, DeploymentId, Environment, EventId, Revision, ServiceName, SourceName, Wave,
};
use crate::store::{ServiceRevision, Summary};
use crate::view::audit::AuditView;
use crate::view::customer::CustomerView;
use crate::view::deployment::DeploymentView;
use crate::view::dry_run::DryRunView;
use crate::view::event::{EventView, LetterView};
use crate::view::story::Story;
use crate::view::waiting::Waiting;

/// Rows on a page, at most.
const MOST: u32 = 1_000;

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; none where this is the last.
    pub next: Option<String>,
}

/// Which deployments.
#[derive(Debug, Clone, Default)]
pub struct DeploymentQuery {
    /// Only of this customer.
    pub customer: Option<CustomerId>,
    /// Only to this environment.
    pub environment: Option<Environment>,
    /// Only in this state, by its word.
    pub state: Option<String>,
    /// Only those that are over, or only those that are not.
    pub finished: Option<bool>,
    /// Only older ones than this.
    pub before: Option<DeploymentId>,
}

/// Which audit records, or deployments of a report.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only about this customer.
    pub customer: Option<CustomerId>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Where the page begins: `next` of the page before.
    pub cursor: Option<String>,
}

impl AuditQuery {
    fn arguments(&self, limit: u32) -> Arguments<'_> {
        Arguments::new()
            .query("customer", self.customer.as_ref())
            .query("since", self.since)
            .query("until", self.until)
            .query("limit", Some(limit.min(MOST)))
            .query("cursor", self.cursor.as_ref())
    }
}

/// What is asked for, and for whom.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    /// Whose services.
    pub customer: CustomerId,
    /// Where; where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The configured repository, where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// The commit; none for the head of the configured ref.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Only this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Only this wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<Wave>,
    /// In which sense the order is meant; none for the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Deploy nothing; see whether the services are healthy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
    /// Also what did not change, and what failed before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// The same id again is the same wish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Wanted {
    /// All of a customer.
    pub fn of(customer: CustomerId) -> Self {
        Self {
            customer,
            environment: None,
            source: None,
            revision: None,
            service: None,
            wave: None,
            order: None,
            check: false,
            force: false,
            id: None,
        }
    }

    /// In this sense of the order.
    #[must_use]
    pub fn in_order(mut self, order: Option<Order>) -> Self {
        self.order = order.map(|order| order.to_string());
        self
    }
}

/// What is to be planned.
#[derive(Serialize)]
struct Posted<'a> {
    #[serde(flatten)]
    wanted: &'a Wanted,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a str>,
}

/// An event that was asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct Asked {
    /// The event.
    pub event: EventId,
    /// Whether it was known.
    pub duplicate: bool,
}

/// What became of a command.
#[derive(Debug, Deserialize)]
struct Taken {
    /// The event that a retry of a finished deployment became.
    event: Option<EventId>,
}

impl Client {
    /// Deployments, the newest first, as many as wanted.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn deployments(
        &self,
        wanted: &DeploymentQuery,
        limit: u32,
    ) -> Result<Vec<Summary>, ClientError> {
        let arguments = |limit: u32, cursor: Option<String>| {
            let cursor = cursor.or_else(|| wanted.before.as_ref().map(ToString::to_string));
            Arguments::new()
                .query("customer", wanted.customer.as_ref())
                .query("environment", wanted.environment.as_ref())
                .query("state", wanted.state.as_ref())
                .query("finished", wanted.finished)
                .query("limit", Some(limit))
                .query("cursor", cursor)
        };
        self.pages(&endpoint::DEPLOYMENTS, limit, arguments).await
    }

    /// The rows of a list, page by page until there are as many as wanted.
    async fn pages<'a, T: serde::de::DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        limit: u32,
        arguments: impl Fn(u32, Option<String>) -> Arguments<'a>,
    ) -> Result<Vec<T>, ClientError> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            if left == 0 {
                return Ok(rows);
            }
            let page: Page<T> = self.get(endpoint, arguments(left.min(MOST), cursor)).await?;
            rows.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    /// One deployment.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn deployment(&self, id: &DeploymentId) -> Result<DeploymentView, ClientError> {
        self.get(&endpoint::DEPLOYMENT, Arguments::new().path("id", id.as_str())).await
    }

    /// What each unfinished service of a deployment waits for.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn why(&self, id: &DeploymentId, service: Option<&str>) -> Result<Vec<Waiting>, ClientError> {
        let arguments = Arguments::new().path("id", id.as_str()).query("service", service);
        self.get(&endpoint::WHY, arguments).await
    }

    /// How a deployment went.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn journal(&self, id: &DeploymentId) -> Result<Story, ClientError> {
        self.get(&endpoint::JOURNAL, Arguments::new().path("id", id.as_str())).await
    }

    /// What the services of a customer ran healthily, the newest first.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn history(
        &self,
        customer: &CustomerId,
        environment: &Environment,
        service: Option<&str>,
    ) -> Result<Vec<ServiceRevision>, ClientError> {
        let arguments = Arguments::new()
            .path("customer", customer.as_str())
            .query("environment", Some(environment))
            .query("service", service);
        self.get(&endpoint::HISTORY, arguments).await
    }

    /// Customers and environments at a glance, as many as wanted.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn customers(&self, limit: u32) -> Result<Vec<CustomerView>, ClientError> {
        self.customers_in(None, limit).await
    }

    /// The same of one environment, where one is given.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn customers_in(
        &self,
        environment: Option<&Environment>,
        limit: u32,
    ) -> Result<Vec<CustomerView>, ClientError> {
        let arguments = |limit: u32, cursor: Option<String>| {
            Arguments::new()
                .query("environment", environment)
                .query("limit", Some(limit))
                .query("cursor", cursor)
        };
        self.pages(&endpoint::CUSTOMERS, limit, arguments).await
    }

    /// Events, the newest first, as many as wanted.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn events(
        &self,
        customer: Option<&CustomerId>,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventView>, ClientError> {
        let arguments = |limit: u32, cursor: Option<String>| {
            Arguments::new()
                .query("customer", customer)
                .query("state", state)
                .query("limit", Some(limit))
                .query("cursor", cursor)
        };
        self.pages(&endpoint::EVENTS, limit, arguments).await
    }

    /// One event, and what became of it.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn event(&self, id: &EventId) -> Result<EventView, ClientError> {
        self.get(&endpoint::EVENT, Arguments::new().path("id", id.as_str())).await
    }

    /// Requests that could not succeed, the newest first, as many as wanted.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn letters(&self, limit: u32) -> Result<Vec<LetterView>, ClientError> {
        let arguments = |limit: u32, cursor: Option<String>| {
            Arguments::new().query("limit", Some(limit)).query("cursor", cursor)
        };
        self.pages(&endpoint::LETTERS, limit, arguments).await
    }

    /// A page of the audit, the newest record first.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn audit(&self, wanted: &AuditQuery, limit: u32) -> Result<Page<AuditView>, ClientError> {
        self.get(&endpoint::AUDIT, wanted.arguments(limit)).await
    }

    /// A page of what auditors ask of deployments, the newest first. More may follow a page without rows.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn audit_report(
        &self,
        wanted: &AuditQuery,
        limit: u32,
    ) -> Result<Page<Compliance>, ClientError> {
        self.get(&endpoint::REPORT, wanted.arguments(limit)).await
    }

    /// Tries a dead letter again.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn replay(&self, id: &EventId) -> Result<Receipt, ClientError> {
        let arguments = Arguments::new().path("id", id.as_str());
        self.post(&endpoint::REPLAY, arguments, &serde_json::json!({})).await
    }

    /// Asks for a deployment or a check.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn deploy(&self, wanted: &Wanted) -> Result<Asked, ClientError> {
        self.post(&endpoint::DEPLOY, Arguments::new(), wanted).await
    }

    /// What a deployment would do. Values, where given, take the place of the customer's at the commit.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn plan(&self, wanted: &Wanted, values: Option<&str>) -> Result<DryRunView, ClientError> {
        let posted = Posted { wanted, values };
        self.post(&endpoint::PLAN, Arguments::new(), &posted).await
    }

    /// Asks for what services of a customer ran before.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn roll_back(&self, wanted: &Wanted) -> Result<Asked, ClientError> {
        self.post(&endpoint::ROLLBACK, Arguments::new(), wanted).await
    }

    /// Asks for a deployment that is over again, once for each key, for as long as the server keeps keys (a day).
    /// Answers the event, where it is over, and whether that was asked for before.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn retry_once(
        &self,
        id: &DeploymentId,
        key: &str,
    ) -> Result<(Option<EventId>, bool), ClientError> {
        let arguments = Arguments::new().path("id", id.as_str());
        let body = serde_json::json!({"service": null});
        let taken: (Taken, bool) = self.post_once(&endpoint::COMMAND_RETRY, arguments, &body, key).await?;
        Ok((taken.0.event, taken.1))
    }

    /// Puts a person's command before a deployment. A retry of one that is over becomes an event, which is answered.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn command(
        &self,
        id: &DeploymentId,
        command: &Command,
    ) -> Result<Option<EventId>, ClientError> {
        use serde_json::json;
        let (endpoint, body) = match command {
            Command::Approve { plan } => (&endpoint::COMMAND_APPROVE, json!({"plan": plan})),
            Command::Reject { reason } => (&endpoint::COMMAND_REJECT, json!({"reason": reason})),
            Command::Pause => (&endpoint::COMMAND_PAUSE, json!({})),
            Command::Resume => (&endpoint::COMMAND_RESUME, json!({})),
            Command::Abort { reason } => (&endpoint::COMMAND_ABORT, json!({"reason": reason})),
            Command::Retry { service } => (&endpoint::COMMAND_RETRY, json!({"service": service})),
            Command::Skip { service } => (&endpoint::COMMAND_SKIP, json!({"service": service})),
            Command::Rollback { reason } => (&endpoint::COMMAND_ROLLBACK, json!({"reason": reason})),
        };
        let taken: Taken = self.post(endpoint, Arguments::new().path("id", id.as_str()), &body).await?;
        Ok(taken.event)
    }
}
