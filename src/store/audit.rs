//! Who asked for which change: written in the transaction of the change itself, so that there is none without a record.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::places::listed;
use super::writer::Write;
use super::{Found, Store, StoreError, bigint, from_json, micros, number, text, timestamp};
use crate::domain::audit::{AuditRecord, Origin, Via};
use crate::domain::names::{CustomerId, DeploymentId, Environment, EventId};

/// Which records. Nothing set means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Only about this customer.
    pub customer: Option<CustomerId>,
    /// Only about this deployment.
    pub deployment: Option<DeploymentId>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Only older ones than the one with this number.
    pub before: Option<u64>,
    /// Only about these customers; what is about none is left out then.
    pub within: Option<Vec<CustomerId>>,
}

impl Store {
    /// Audit records, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Found<Vec<AuditRecord>>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at, actor, via, address, request, action, customer, environment, deployment, event, \
             detail, before, after FROM audit WHERE (customer = $1 OR $1 IS NULL) AND (actor = $2 OR $2 IS NULL) \
             AND (deployment = $3 OR $3 IS NULL) AND (at >= $4 OR $4 IS NULL) AND (at < $5 OR $5 IS NULL) \
             AND (seq < $6 OR $6 IS NULL) AND ($7 IS NULL OR $7 LIKE '%,' || customer || ',%') \
             ORDER BY seq DESC LIMIT $8",
        )
        .bind(filter.customer.as_ref().map(CustomerId::as_str))
        .bind(filter.actor.as_deref())
        .bind(filter.deployment.as_ref().map(DeploymentId::as_str))
        .bind(filter.since.map(micros))
        .bind(filter.until.map(micros))
        .bind(filter.before.map(bigint))
        .bind(listed(filter.within.as_deref()))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "seq", read))
    }

    /// Records what took effect at once.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn record(&self, deed: Deed, at: Timestamp) -> Result<(), StoreError> {
        self.write((at, deed)).await
    }

    /// Forgets the records before a time. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn forget_audit(&self, before: Timestamp) -> Result<(), StoreError> {
        self.write(Forget { before }).await
    }
}

fn read(row: &AnyRow) -> Result<AuditRecord, StoreError> {
    let via = text(row, "via")?;
    let via = Via::ALL.into_iter().find(|one| one.word() == via);
    let optional = |column: &str| -> Result<Option<String>, StoreError> { Ok(row.try_get(column)?) };
    fn named<T: std::str::FromStr>(text: Option<String>, column: &str) -> Result<Option<T>, StoreError> {
        let wrong = |_| StoreError::data(column.to_owned(), "is no name");
        text.map(|text| text.parse().map_err(wrong)).transpose()
    }
    Ok(AuditRecord {
        seq: number(row, "seq")?,
        at: timestamp(row, "at")?,
        origin: Origin {
            actor: text(row, "actor")?,
            via: via.ok_or_else(|| StoreError::data("via", "is no way that is known"))?,
            address: optional("address")?,
            request: optional("request")?,
        },
        action: text(row, "action")?,
        customer: named::<CustomerId>(optional("customer")?, "customer")?,
        environment: named::<Environment>(optional("environment")?, "environment")?,
        deployment: named::<DeploymentId>(optional("deployment")?, "deployment")?,
        event: named::<EventId>(optional("event")?, "event")?,
        detail: from_json(&text(row, "detail")?, "the detail of an audit record")?,
        before: optional("before")?,
        after: optional("after")?,
    })
}

/// Something that takes effect at once, and is no event and no command.
#[derive(Debug)]
pub struct Deed {
    /// Who, and from where.
    pub origin: Origin,
    /// What, by its word.
    pub action: &'static str,
    /// What exactly.
    pub detail: Value,
    /// How it was.
    pub before: Option<String>,
    /// How it is now.
    pub after: Option<String>,
}

/// A record to be written.
pub(super) struct Entry<'a> {
    pub(super) at: Timestamp,
    pub(super) origin: &'a Origin,
    pub(super) action: &'a str,
    pub(super) customer: Option<&'a str>,
    pub(super) environment: Option<&'a str>,
    pub(super) deployment: Option<&'a str>,
    pub(super) event: Option<&'a str>,
    pub(super) input: Option<i64>,
    /// As JSON.
    pub(super) detail: &'a str,
    pub(super) before: Option<&'a str>,
    pub(super) after: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// A record about no customer, of which nothing more is known.
    pub(super) fn of(at: Timestamp, origin: &'a Origin, action: &'a str) -> Self {
        Self {
            at,
            origin,
            action,
            customer: None,
            environment: None,
            deployment: None,
            event: None,
            input: None,
            detail: "null",
            before: None,
            after: None,
        }
    }
}

pub(super) async fn put(connection: &mut AnyConnection, entry: Entry<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (seq, at, actor, via, address, request, action, customer, environment, deployment, \
         event, input, detail, before, after) SELECT coalesce((SELECT max(seq) FROM audit), 0) + 1, $1, $2, $3, $4, $5, \
         $6, $7, $8, $9, $10, $11, $12, $13, $14",
    )
    .bind(micros(entry.at))
    .bind(entry.origin.actor.as_str())
    .bind(entry.origin.via.word())
    .bind(entry.origin.address.as_deref())
    .bind(entry.origin.request.as_deref())
    .bind(entry.action)
    .bind(entry.customer)
    .bind(entry.environment)
    .bind(entry.deployment)
    .bind(entry.event)
    .bind(entry.input)
    .bind(entry.detail)
    .bind(entry.before)
    .bind(entry.after)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes what came of an input, once the worker has taken it.
pub(super) async fn taken(
    connection: &mut AnyConnection,
    deployment: &DeploymentId,
    input: i64,
    after: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE audit SET after = $3 WHERE deployment = $1 AND input = $2")
        .bind(deployment.as_str())
        .bind(input)
        .bind(after)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes what came of an event.
pub(super) async fn settled(
    connection: &mut AnyConnection,
    event: &EventId,
    after: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE audit SET after = $2 WHERE event = $1")
        .bind(event.as_str())
        .bind(after)
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Write for (Timestamp, Deed) {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let (at, Deed { origin, action, detail, before, after }) = self;
        let entry = Entry {
            detail: &detail.to_string(),
            before: before.as_deref(),
            after: after.as_deref(),
            ..Entry::of(*at, origin, action)
        };
        put(connection, entry).await
    }
}

struct Forget {
    before: Timestamp,
}

#[async_trait]
impl Write for Forget {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        // The last one stays: its number is where the next one goes on.
        sqlx::query("DELETE FROM audit WHERE at < $1 AND seq < (SELECT max(seq) FROM audit)")
            .bind(micros(self.before))
            .execute(connection)
            .await?;
        Ok(())
    }
}
