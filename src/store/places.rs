//! Customers and environments: the deployment that tells how each stands, and counts over all of them.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::deployments::{read, summary};
use super::{Found, Store, StoreError, from_json, name, number, text, timestamp_if_any};
use crate::domain::deployment::{Deployment, Glance, Progress};
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision};
use crate::store::Summary;

/// Which customers and environments. Nothing set means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceFilter {
    /// Only this customer.
    pub customer: Option<CustomerId>,
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only these customers.
    pub within: Option<Vec<CustomerId>>,
    /// Only those behind this place in the order, `customer/environment`.
    pub after: Option<String>,
}

/// Which customers and environments of an overview. Nothing set means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OverviewFilter {
    /// Of these places.
    pub places: PlaceFilter,
    /// Only customers with this text in their name.
    pub search: Option<String>,
    /// Only where the newest deployment is in this state, by its word.
    pub state: Option<String>,
}

/// A place in an overview.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Its newest deployment, whatever became of it.
    pub latest: Summary,
    /// How that stands; none where an older version wrote it and nothing moved since.
    pub glance: Option<Glance>,
    /// The commit that the place was last brought to as a whole, and when.
    pub deployed: Option<(Revision, Timestamp)>,
}

/// The names in a text that `LIKE` can search: they hold neither commas nor wildcards.
pub(super) fn listed(customers: Option<&[CustomerId]>) -> Option<String> {
    let names = customers?.iter().map(|customer| format!("{customer},"));
    Some(std::iter::once(",".to_owned()).chain(names).collect())
}

/// How many deployments there are of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Whose.
    pub customer: CustomerId,
    /// In this state, by its word.
    pub state: String,
    /// Whether that is an end.
    pub finished: bool,
    /// How many.
    pub count: u64,
}

impl Store {
    /// The deployment that tells how each place stands: the newest that was started. In the order of
    /// `customer/environment`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing(
        &self,
        filter: &PlaceFilter,
        limit: u32,
    ) -> Result<Found<Vec<Deployment>>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.id, b.brief, d.progress FROM deployments d JOIN briefs b ON b.deployment = d.id \
             WHERE d.seq IN (SELECT max(n.seq) FROM deployments n WHERE n.started_at IS NOT NULL \
             AND (n.customer = $1 OR $1 IS NULL) GROUP BY n.customer, n.environment) \
             AND (d.environment = $2 OR $2 IS NULL) AND ($3 LIKE '%,' || d.customer || ',%' OR $3 IS NULL) \
             AND (d.customer || '/' || d.environment > $4 OR $4 IS NULL) \
             ORDER BY d.customer || '/' || d.environment LIMIT $5",
        )
        .bind(filter.customer.as_ref().map(CustomerId::as_str))
        .bind(filter.environment.as_ref().map(Environment::as_str))
        .bind(listed(filter.within.as_deref()))
        .bind(filter.after.as_deref())
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", read))
    }

    /// All at a glance: one row for each place, in the order of `customer/environment`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn overview(
        &self,
        filter: &OverviewFilter,
        limit: u32,
    ) -> Result<Found<Vec<Standing>>, StoreError> {
        let OverviewFilter { places, search, state } = filter;
        let rows = sqlx::query(
            "SELECT d.id, d.event, d.customer, d.environment, d.source, d.revision, d.purpose, d.requested_by, \
             d.state, d.reason, d.finished, d.version, d.created_at, d.started_at, d.ended_at, \
             d.glance, c.revision AS deployed_revision, c.updated_at AS deployed_at \
             FROM deployments d LEFT JOIN customers c \
             ON c.customer = d.customer AND c.environment = d.environment \
             WHERE d.seq IN (SELECT max(n.seq) FROM deployments n \
             WHERE (n.customer = $1 OR $1 IS NULL) GROUP BY n.customer, n.environment) \
             AND (d.environment = $2 OR $2 IS NULL) AND ($3 LIKE '%,' || d.customer || ',%' OR $3 IS NULL) \
             AND (d.customer || '/' || d.environment > $4 OR $4 IS NULL) \
             AND (d.customer LIKE $5 ESCAPE '!' OR $5 IS NULL) AND (d.state = $6 OR $6 IS NULL) \
             ORDER BY d.customer || '/' || d.environment LIMIT $7",
        )
        .bind(places.customer.as_ref().map(CustomerId::as_str))
        .bind(places.environment.as_ref().map(Environment::as_str))
        .bind(listed(places.within.as_deref()))
        .bind(places.after.as_deref())
        .bind(search.as_deref().map(somewhere))
        .bind(state.as_deref())
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", standing))
    }

    /// Whether a customer was ever deployed, or anything of it refused.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn knows(&self, customer: &CustomerId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT id FROM deployments WHERE customer = $1 LIMIT 1")
            .bind(customer.as_str())
            .fetch_optional(self.readers())
            .await?;
        Ok(row.is_some())
    }

    /// How many deployments there are, by customer and state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn counts(&self, within: Option<&[CustomerId]>) -> Result<Vec<Count>, StoreError> {
        let rows = sqlx::query(
            "SELECT customer, state, finished, count(*) AS number FROM deployments \
             WHERE ($1 LIKE '%,' || customer || ',%' OR $1 IS NULL) \
             GROUP BY customer, state, finished ORDER BY customer, state",
        )
        .bind(listed(within))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(count).collect()
    }

    /// How many events wait to be worked on, and how many dead letters are kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn backlog(&self) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM events WHERE state = 'accepted') AS waiting, \
             (SELECT count(*) FROM dead_letters) AS dead",
        )
        .fetch_one(self.readers())
        .await?;
        Ok((number(&row, "waiting")?, number(&row, "dead")?))
    }

    /// Where the services of each place stand, without what they are: cheap enough to be asked for by scrapers.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn progress(&self) -> Result<Found<Vec<(CustomerId, Progress)>>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, customer, progress FROM deployments WHERE seq IN (SELECT max(n.seq) FROM deployments n \
             WHERE n.started_at IS NOT NULL GROUP BY n.customer, n.environment)",
        )
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", |row| {
            Ok((name(row, "customer")?, from_json(&text(row, "progress")?, "the progress of a deployment")?))
        }))
    }

    /// The epoch of the worker in force; 0 where there never was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn epoch(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT coalesce(max(epoch), 0) AS epoch FROM leases WHERE name = 'worker'")
            .fetch_one(self.readers())
            .await?;
        number(&row, "epoch")
    }

    /// The newest deployment of a place that was started before another one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn before(&self, id: &DeploymentId) -> Result<Option<Deployment>, StoreError> {
        let row = sqlx::query(
            "SELECT d.id, b.brief, d.progress FROM deployments o JOIN deployments d ON d.customer = o.customer \
             AND d.environment = o.environment AND d.seq < o.seq AND d.started_at IS NOT NULL \
             JOIN briefs b ON b.deployment = d.id WHERE o.id = $1 ORDER BY d.seq DESC LIMIT 1",
        )
        .bind(id.as_str())
        .fetch_optional(self.readers())
        .await?;
        row.as_ref().map(read).transpose()
    }
}

fn standing(row: &AnyRow) -> Result<Standing, StoreError> {
    let deployed = match timestamp_if_any(row, "deployed_at")? {
        Some(at) => Some((name(row, "deployed_revision")?, at)),
        None => None,
    };
    let glance = match row.try_get::<Option<String>, _>("glance")? {
        Some(glance) => Some(from_json(&glance, "how a deployment stands")?),
        None => None,
    };
    Ok(Standing { latest: summary(row)?, glance, deployed })
}

/// A pattern for `LIKE` that finds a text anywhere, its own wildcards taken as they stand.
fn somewhere(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

fn count(row: &AnyRow) -> Result<Count, StoreError> {
    Ok(Count {
        customer: name(row, "customer")?,
        state: text(row, "state")?,
        finished: row.try_get::<i64, _>("finished")? != 0,
        count: number(row, "number")?,
    })
}
