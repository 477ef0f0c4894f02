//! What moved, in one order for all deployments, for those who watch. The newest rows are kept.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{Store, StoreError, bigint, from_json, name, number, text, timestamp};
use crate::domain::deployment::Transition;
use crate::domain::names::{CustomerId, DeploymentId, Environment};

/// How many rows are kept.
const KEEP: i64 = 10_000;

/// Something that happened to a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// Its place in the order; it only rises.
    #[serde(skip)]
    pub seq: u64,
    /// What.
    #[serde(skip)]
    pub kind: HappeningKind,
    /// When, in whole microseconds.
    pub at: Timestamp,
    /// To which deployment.
    pub deployment: DeploymentId,
    /// Whose.
    pub customer: CustomerId,
    /// Where to.
    pub environment: Environment,
    /// Where the deployment stands since.
    pub state: String,
    /// Its version since.
    pub version: u64,
    /// What moved.
    pub transitions: Vec<Transition>,
}

/// What happened to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HappeningKind {
    /// It was made.
    Created,
    /// Something of it moved.
    Moved,
}

impl HappeningKind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Moved => "moved",
        }
    }
}

/// What is kept of what happened: the numbers of the oldest and the newest, 0 where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// The oldest.
    pub oldest: u64,
    /// The newest.
    pub newest: u64,
}

impl Store {
    /// What happened after a place in the order, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn happenings(&self, after: u64, limit: u32) -> Result<Vec<Happening>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at, kind, deployment, customer, environment, state, version, transitions FROM stream \
             WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(bigint(after))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(read).collect()
    }

    /// What is kept of what happened.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn kept(&self) -> Result<Kept, StoreError> {
        let row = sqlx::query(
            "SELECT coalesce(min(seq), 0) AS oldest, coalesce(max(seq), 0) AS newest FROM stream",
        )
        .fetch_one(self.readers())
        .await?;
        Ok(Kept { oldest: number(&row, "oldest")?, newest: number(&row, "newest")? })
    }
}

fn read(row: &AnyRow) -> Result<Happening, StoreError> {
    let kind: String = row.try_get("kind")?;
    Ok(Happening {
        seq: number(row, "seq")?,
        kind: if kind == "created" { HappeningKind::Created } else { HappeningKind::Moved },
        at: timestamp(row, "at")?,
        deployment: name(row, "deployment")?,
        customer: name(row, "customer")?,
        environment: name(row, "environment")?,
        state: text(row, "state")?,
        version: number(row, "version")?,
        transitions: from_json(&text(row, "transitions")?, "what moved")?,
    })
}

/// A row to be written.
pub(super) struct Entry<'a> {
    pub(super) kind: HappeningKind,
    pub(super) at: i64,
    pub(super) deployment: &'a DeploymentId,
    pub(super) customer: &'a CustomerId,
    pub(super) environment: &'a Environment,
    pub(super) state: &'a str,
    pub(super) version: i64,
    pub(super) transitions: &'a str,
}

/// Writes a row, and lets the oldest go.
pub(super) async fn put(connection: &mut AnyConnection, row: Entry<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO stream (seq, at, kind, deployment, customer, environment, state, version, transitions) \
         SELECT coalesce((SELECT max(seq) FROM stream), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8",
    )
    .bind(row.at)
    .bind(row.kind.word())
    .bind(row.deployment.as_str())
    .bind(row.customer.as_str())
    .bind(row.environment.as_str())
    .bind(row.state)
    .bind(row.version)
    .bind(row.transitions)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM stream WHERE seq <= (SELECT max(seq) FROM stream) - $1")
        .bind(KEEP)
        .execute(connection)
        .await?;
    Ok(())
}
