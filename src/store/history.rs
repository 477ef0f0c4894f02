//! What services ran healthily, what failed, and what customers were last brought to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use utoipa::ToSchema;

use super::writer::Write;
use super::{Found, Store, StoreError, from_json, micros, name, text, timestamp, to_json};
use crate::domain::names::{CustomerId, DeploymentId, Environment, Fingerprint, Revision, SourceName};
use crate::domain::plan::{Baseline, Baselines};

/// A revision that a service ran healthily.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceRevision {
    /// The service's name, or `base`.
    pub service: String,
    /// What it ran.
    pub baseline: Baseline,
    /// One hash over what that rendered from.
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// The deployment that brought it there.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
}

/// Content of a service that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// The service's name, or `base`.
    pub service: String,
    /// The content.
    pub fingerprint: Fingerprint,
    /// Why it failed.
    pub reason: String,
    /// The deployment in which it failed.
    pub deployment: DeploymentId,
    /// Since when, in whole microseconds.
    pub since: Timestamp,
}

/// What a customer and environment was last brought to, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Whose.
    pub customer: CustomerId,
    /// Where.
    pub environment: Environment,
    /// The configured repository.
    pub source: SourceName,
    /// The commit of the last deployment that succeeded.
    pub revision: Revision,
    /// Digest of all that it was made from.
    pub digest: String,
    /// When, in whole microseconds once it was stored.
    pub updated_at: Timestamp,
}

impl Store {
    /// What each service of a customer and environment last ran healthily. A service whose row cannot be read is
    /// among the broken ones.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn baselines(
        &self,
        customer: &CustomerId,
        environment: &Environment,
    ) -> Result<Found<Baselines>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.service, r.baseline FROM service_revisions r WHERE r.customer = $1 AND r.environment = $2 \
             AND r.seq = (SELECT max(n.seq) FROM service_revisions n WHERE n.customer = $1 \
             AND n.environment = $2 AND n.service = r.service)",
        )
        .bind(customer.as_str())
        .bind(environment.as_str())
        .fetch_all(self.readers())
        .await?;
        let found = Found::collect(&rows, "service", |row| {
            Ok((text(row, "service")?, from_json(&text(row, "baseline")?, "a baseline")?))
        });
        Ok(Found { value: found.value.into_iter().collect(), broken: found.broken })
    }

    /// The healthy revisions of one service, or of all: by service, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn history(
        &self,
        customer: &CustomerId,
        environment: &Environment,
        service: Option<&str>,
    ) -> Result<Found<Vec<ServiceRevision>>, StoreError> {
        let rows = sqlx::query(
            "SELECT service, fingerprint, baseline, deployment FROM service_revisions \
             WHERE customer = $1 AND environment = $2 AND (service = $3 OR $3 IS NULL) \
             ORDER BY service, seq DESC",
        )
        .bind(customer.as_str())
        .bind(environment.as_str())
        .bind(service)
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "service", |row| {
            Ok(ServiceRevision {
                service: text(row, "service")?,
                baseline: from_json(&text(row, "baseline")?, "a baseline")?,
                fingerprint: name(row, "fingerprint")?,
                deployment: name(row, "deployment")?,
            })
        }))
    }

    /// The content that failed, by service.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn quarantined(
        &self,
        customer: &CustomerId,
        environment: &Environment,
    ) -> Result<Found<BTreeMap<String, Vec<Quarantined>>>, StoreError> {
        let rows = sqlx::query(
            "SELECT service, fingerprint, reason, deployment, since_at FROM quarantine \
             WHERE customer = $1 AND environment = $2 ORDER BY service, since_at, fingerprint",
        )
        .bind(customer.as_str())
        .bind(environment.as_str())
        .fetch_all(self.readers())
        .await?;
        let found: Found<Vec<Quarantined>> = Found::collect(&rows, "service", |row| {
            Ok(Quarantined {
                service: text(row, "service")?,
                fingerprint: name(row, "fingerprint")?,
                reason: text(row, "reason")?,
                deployment: name(row, "deployment")?,
                since: timestamp(row, "since_at")?,
            })
        });
        let mut value: BTreeMap<String, Vec<Quarantined>> = BTreeMap::new();
        for row in found.value {
            value.entry(row.service.clone()).or_default().push(row);
        }
        Ok(Found { value, broken: found.broken })
    }

    /// Lets content that failed be deployed again: of the named services, or of all.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn release(
        &self,
        customer: &CustomerId,
        environment: &Environment,
        services: Option<&[String]>,
    ) -> Result<(), StoreError> {
        let services = services.map(<[String]>::to_vec);
        self.write(Release { customer: customer.clone(), environment: environment.clone(), services }).await
    }

    /// Notes what a customer and environment was brought to. In the same transaction as the end of a deployment:
    /// [`super::Save::mark`].
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn mark(&self, mark: Mark) -> Result<(), StoreError> {
        self.write(PutMark(mark)).await
    }

    /// What a customer and environment was last brought to.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_mark(
        &self,
        customer: &CustomerId,
        environment: &Environment,
    ) -> Result<Option<Mark>, StoreError> {
        let row = sqlx::query(
            "SELECT customer, environment, source, revision, digest, updated_at FROM customers \
             WHERE customer = $1 AND environment = $2",
        )
        .bind(customer.as_str())
        .bind(environment.as_str())
        .fetch_optional(self.readers())
        .await?;
        row.as_ref().map(read_mark).transpose()
    }

    /// All customers and environments that were ever brought to something.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_marks(&self) -> Result<Found<Vec<Mark>>, StoreError> {
        let rows = sqlx::query(
            "SELECT customer, environment, source, revision, digest, updated_at FROM customers \
             ORDER BY customer, environment",
        )
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "customer", read_mark))
    }
}

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) customer: &'a CustomerId,
    pub(super) environment: &'a Environment,
}

/// A baseline, ready to be stored.
pub(super) struct Remembered {
    service: String,
    revision: Revision,
    fingerprint: Fingerprint,
    baseline: String,
    healthy_at: i64,
    keep: i64,
}

impl Remembered {
    pub(super) fn of(service: &str, baseline: &Baseline, keep: u32) -> Result<Self, StoreError> {
        Ok(Self {
            service: service.to_owned(),
            revision: baseline.revision.clone(),
            fingerprint: baseline.rendering.fingerprint(),
            baseline: to_json(baseline)?,
            healthy_at: micros(baseline.healthy_at),
            keep: i64::from(keep.max(1)),
        })
    }
}

/// Makes this the service's baseline, forgets what is older than it keeps, and frees the content.
pub(super) async fn remember(
    connection: &mut AnyConnection,
    place: Place<'_>,
    deployment: &DeploymentId,
    remembered: &Remembered,
) -> Result<(), StoreError> {
    let Place { customer, environment } = place;
    sqlx::query(
        "INSERT INTO service_revisions (customer, environment, service, revision, seq, fingerprint, baseline, \
         deployment, healthy_at) SELECT $1, $2, $3, $4, coalesce((SELECT max(seq) FROM service_revisions \
         WHERE customer = $1 AND environment = $2 AND service = $3), 0) + 1, $5, $6, $7, $8 WHERE 1 = 1 \
         ON CONFLICT (customer, environment, service, revision) DO UPDATE SET seq = excluded.seq, \
         fingerprint = excluded.fingerprint, baseline = excluded.baseline, deployment = excluded.deployment, \
         healthy_at = excluded.healthy_at",
    )
    .bind(customer.as_str())
    .bind(environment.as_str())
    .bind(remembered.service.as_str())
    .bind(remembered.revision.as_str())
    .bind(remembered.fingerprint.as_str())
    .bind(remembered.baseline.as_str())
    .bind(deployment.as_str())
    .bind(remembered.healthy_at)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM service_revisions WHERE customer = $1 AND environment = $2 AND service = $3 \
         AND seq <= (SELECT seq FROM service_revisions WHERE customer = $1 AND environment = $2 \
         AND service = $3 ORDER BY seq DESC LIMIT 1 OFFSET $4)",
    )
    .bind(customer.as_str())
    .bind(environment.as_str())
    .bind(remembered.service.as_str())
    .bind(remembered.keep)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM quarantine WHERE customer = $1 AND environment = $2 AND service = $3 AND fingerprint = $4",
    )
    .bind(customer.as_str())
    .bind(environment.as_str())
    .bind(remembered.service.as_str())
    .bind(remembered.fingerprint.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what a service ran, and what of it failed.
pub(super) async fn forget(
    connection: &mut AnyConnection,
    place: Place<'_>,
    service: &str,
) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM service_revisions WHERE customer = $1 AND environment = $2 AND service = $3",
        "DELETE FROM quarantine WHERE customer = $1 AND environment = $2 AND service = $3",
    ] {
        sqlx::query(statement)
            .bind(place.customer.as_str())
            .bind(place.environment.as_str())
            .bind(service)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Notes that a service failed with this content: its name and fingerprint.
pub(super) async fn quarantine(
    connection: &mut AnyConnection,
    place: Place<'_>,
    deployment: &DeploymentId,
    content: (&str, &str),
    reason: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (service, fingerprint) = content;
    sqlx::query(
        "INSERT INTO quarantine (customer, environment, service, fingerprint, reason, deployment, since_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (customer, environment, service, fingerprint) \
         DO UPDATE SET reason = excluded.reason, deployment = excluded.deployment, since_at = excluded.since_at",
    )
    .bind(place.customer.as_str())
    .bind(place.environment.as_str())
    .bind(service)
    .bind(fingerprint)
    .bind(reason)
    .bind(deployment.as_str())
    .bind(micros(at))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn put_mark(connection: &mut AnyConnection, mark: &Mark) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO customers (customer, environment, source, revision, digest, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (customer, environment) DO UPDATE SET \
         source = excluded.source, revision = excluded.revision, digest = excluded.digest, \
         updated_at = excluded.updated_at",
    )
    .bind(mark.customer.as_str())
    .bind(mark.environment.as_str())
    .bind(mark.source.as_str())
    .bind(mark.revision.as_str())
    .bind(mark.digest.as_str())
    .bind(micros(mark.updated_at))
    .execute(connection)
    .await?;
    Ok(())
}

fn read_mark(row: &AnyRow) -> Result<Mark, StoreError> {
    Ok(Mark {
        customer: name(row, "customer")?,
        environment: name(row, "environment")?,
        source: name(row, "source")?,
        revision: name(row, "revision")?,
        digest: text(row, "digest")?,
        updated_at: timestamp(row, "updated_at")?,
    })
}

struct Release {
    customer: CustomerId,
    environment: Environment,
    services: Option<Vec<String>>,
}

#[async_trait]
impl Write for Release {
    type Answer = ();

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let services: Vec<Option<&str>> = match &self.services {
            Some(services) => services.iter().map(|service| Some(service.as_str())).collect(),
            None => vec![None],
        };
        for service in services {
            sqlx::query(
                "DELETE FROM quarantine WHERE customer = $1 AND environment = $2 \
                 AND (service = $3 OR $3 IS NULL)",
            )
            .bind(self.customer.as_str())
            .bind(self.environment.as_str())
            .bind(service)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

struct PutMark(Mark);

#[async_trait]
impl Write for PutMark {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        put_mark(connection, &self.0).await
    }
}
