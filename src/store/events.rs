//! Accepted events: durable before they are answered, and each only once.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::audit::{self, Entry};
use super::places::listed;
use super::traces;
use super::writer::Write;
use super::{Found, Store, StoreError, from_json, micros, name, number, text, timestamp};
use super::{timestamp_if_any, to_json};
use crate::domain::audit::Origin;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::event::{Request, Trigger};
use crate::domain::names::{CustomerId, DeploymentId, Environment, EventId, SourceName};
use crate::domain::plan::fingerprint;
use crate::domain::trace::TraceContext;

/// An event to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The id it gets if it is new.
    pub id: EventId,
    /// What is asked for.
    pub request: Request,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Who asks, and from where.
    pub origin: Origin,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id; of the first one, for a duplicate.
    pub event: EventId,
    /// Whether it was known already.
    pub duplicate: bool,
    /// The deployments that it led to, as far as they are known.
    pub deployments: Vec<DeploymentId>,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// When it arrived, in whole microseconds.
    pub received_at: Timestamp,
    /// What is asked for.
    pub request: Request,
    /// Where it stands.
    pub state: EventState,
    /// The deployments that it led to.
    pub deployments: Vec<DeploymentId>,
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum EventState {
    /// It is to be worked on.
    Accepted {
        /// When next.
        due_at: Timestamp,
        /// How often it was put off.
        attempts: u64,
        /// Why, the last time.
        reason: Option<String>,
    },
    /// It was worked on.
    Settled {
        /// When.
        at: Timestamp,
        /// With which outcome.
        outcome: Outcome,
    },
}

/// What working on an event led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// To deployments.
    Planned,
    /// To nothing, rightly: nothing that we deploy was touched.
    Ignored {
        /// Why.
        reason: String,
    },
    /// To nothing, because the input is wrong.
    Rejected {
        /// Why, in one sentence.
        reason: String,
        /// All that is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// To nothing, because a newer commit is deployed.
    Superseded {
        /// By what.
        reason: String,
    },
}

impl Outcome {
    /// Its stable name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Ignored { .. } => "ignored",
            Self::Rejected { .. } => "rejected",
            Self::Superseded { .. } => "superseded",
        }
    }
}

/// Which events to list. Nothing set means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Only in this state: `accepted`, or the word of an [`Outcome`].
    pub state: Option<String>,
    /// Only from this repository.
    pub source: Option<SourceName>,
    /// Only for this customer, by the request itself or by a deployment that it led to.
    pub customer: Option<CustomerId>,
    /// Only older ones than this.
    pub before: Option<EventId>,
    /// Only for these customers, by the request itself or by a deployment that it led to.
    pub within: Option<Vec<CustomerId>>,
}

impl Store {
    /// Accepts an event. When this returns, the event is on the disk.
    ///
    /// An event is known already when one with the same delivery (or event) id and the same target was accepted,
    /// or when the last push to the same ref and target went between the same two commits. The target is part
    /// of both: one delivery may reach several triggers, each with a target of its own.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too much waits; others when the database does not take it. In each case the
    /// sender has to try again.
    pub async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError> {
        self.accept_within(event, None).await
    }

    /// The same for an event whose sender said of which trace it is part.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub async fn accept_within(
        &self,
        event: NewEvent,
        trace: Option<TraceContext>,
    ) -> Result<Accepted, StoreError> {
        self.write(Accept::new(event, trace)?).await
    }

    /// The events that are to be worked on now, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_events(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Found<Vec<StoredEvent>>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, received_at, request, state, due_at, attempts, reason, settled_at, outcome FROM events \
             WHERE state = 'accepted' AND due_at <= $1 ORDER BY seq LIMIT $2",
        )
        .bind(micros(now))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        Ok(Found::collect(&rows, "id", read))
    }

    /// Puts an event off, because what it needs cannot be had now. Does nothing to an event that is settled.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn postpone_event(
        &self,
        id: &EventId,
        until: Timestamp,
        reason: impl Into<String>,
    ) -> Result<(), StoreError> {
        self.write(Postpone { id: id.clone(), until, reason: reason.into() }).await
    }

    /// One event; none where there is no such one.
    ///
    /// # Errors
    /// [`StoreError::Data`] when what is stored cannot be read; others when the database does not answer.
    pub async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, StoreError> {
        let row = sqlx::query(
            "SELECT id, received_at, request, state, due_at, attempts, reason, settled_at, outcome FROM events \
             WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut event = read(&row)?;
        event.deployments = self.links(id).await?;
        Ok(Some(event))
    }

    /// Events, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn events(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Found<Vec<StoredEvent>>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, received_at, request, state, due_at, attempts, reason, settled_at, outcome FROM events \
             WHERE (state = $1 OR $1 IS NULL) AND (source = $2 OR $2 IS NULL) \
             AND (customer = $3 OR $3 IS NULL OR EXISTS (SELECT 1 FROM event_deployments l \
             JOIN deployments d ON d.id = l.deployment WHERE l.event = events.id AND d.customer = $3)) \
             AND (seq < (SELECT e.seq FROM events e WHERE e.id = $4) OR $4 IS NULL) \
             AND ($5 IS NULL OR $5 LIKE '%,' || customer || ',%' OR EXISTS (SELECT 1 FROM event_deployments l \
             JOIN deployments d ON d.id = l.deployment WHERE l.event = events.id \
             AND $5 LIKE '%,' || d.customer || ',%')) ORDER BY seq DESC LIMIT $6",
        )
        .bind(filter.state.as_deref())
        .bind(filter.source.as_ref().map(SourceName::as_str))
        .bind(filter.customer.as_ref().map(CustomerId::as_str))
        .bind(filter.before.as_ref().map(EventId::as_str))
        .bind(listed(filter.within.as_deref()))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        let mut found = Found::collect(&rows, "id", read);
        for event in &mut found.value {
            event.deployments = self.links(&event.id).await?;
        }
        Ok(found)
    }

    async fn links(&self, event: &EventId) -> Result<Vec<DeploymentId>, StoreError> {
        let mut connection = self.readers().pool.acquire().await?;
        linked(&mut connection, event.as_str()).await
    }
}

async fn linked(connection: &mut AnyConnection, event: &str) -> Result<Vec<DeploymentId>, StoreError> {
    let rows = sqlx::query(
        "SELECT l.deployment FROM event_deployments l JOIN deployments d ON d.id = l.deployment \
         WHERE l.event = $1 ORDER BY d.seq",
    )
    .bind(event)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| name(row, "deployment")).collect()
}

/// Reads a row without its links.
fn read(row: &AnyRow) -> Result<StoredEvent, StoreError> {
    let state = text(row, "state")?;
    let state = if state == "accepted" {
        EventState::Accepted {
            due_at: timestamp(row, "due_at")?,
            attempts: number(row, "attempts")?,
            reason: row.try_get("reason")?,
        }
    } else {
        let at = timestamp_if_any(row, "settled_at")?;
        EventState::Settled {
            at: at.ok_or_else(|| StoreError::data("settled_at", "is missing"))?,
            outcome: from_json(&text(row, "outcome")?, "the outcome of an event")?,
        }
    };
    Ok(StoredEvent {
        id: name(row, "id")?,
        received_at: timestamp(row, "received_at")?,
        request: from_json(&text(row, "request")?, "the request of an event")?,
        state,
        deployments: Vec::new(),
    })
}

/// What pushes that follow one another have in common; none for what is no push.
pub(super) fn lane(request: &Request) -> Option<String> {
    Keys::of(request).lane
}

/// What makes two requests the same.
struct Keys {
    delivery: Option<String>,
    natural: Option<String>,
    lane: Option<String>,
}

impl Keys {
    fn of(request: &Request) -> Self {
        let Request { kind, source, customer, environment, service, wave, order, .. } = request;
        let target = (kind, source, customer, environment, service, wave, order);
        match &request.trigger {
            Trigger::Push(push) => {
                let delivery = push.delivery.as_ref().map(|id| fingerprint(&("delivery", id, target)));
                let event = push.event.as_ref().map(|id| fingerprint(&("event", id, target)));
                let (repository, reference) = (&push.repository, &push.reference);
                let natural = fingerprint(&(repository, reference, &push.before, &push.after, target));
                let lane = fingerprint(&(repository, reference, target));
                Self {
                    delivery: delivery.or(event).map(Into::into),
                    natural: Some(natural.into()),
                    lane: Some(lane.into()),
                }
            }
            Trigger::Other { id, .. } => {
                let delivery = id.as_ref().map(|id| fingerprint(&("other", id, target)).into());
                Self { delivery, natural: None, lane: None }
            }
            Trigger::Manual { id, .. } => {
                let delivery = fingerprint(&("manual", id, target));
                Self { delivery: Some(delivery.into()), natural: None, lane: None }
            }
        }
    }
}

struct Accept {
    event: NewEvent,
    trace: Option<TraceContext>,
    keys: Keys,
    request: String,
    action: &'static str,
}

impl Accept {
    fn new(event: NewEvent, trace: Option<TraceContext>) -> Result<Self, StoreError> {
        let keys = Keys::of(&event.request);
        let request = to_json(&event.request)?;
        let action = match &event.request.trigger {
            Trigger::Push(_) => "push",
            Trigger::Other { .. } | Trigger::Manual { .. } => event.request.kind.word(),
        };
        Ok(Self { event, trace, keys, request, action })
    }
}

/// The rank of an event that is known by its natural key alone.
const NATURAL: i64 = 2;

#[async_trait]
impl Write for Accept {
    type Answer = Accepted;

    // After the event is inserted nothing refuses.
    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<Accepted, StoreError> {
        let NewEvent { id, request, received_at: at, origin } = &self.event;
        let received_at = micros(*at);
        let inserted = sqlx::query(
            "INSERT INTO events (id, seq, received_at, source, customer, environment, delivery_key, \
             natural_key, lane, generation, request, state, due_at, attempts) \
             SELECT $1, coalesce((SELECT max(seq) FROM events), 0) + 1, $2, $3, $4, $5, $6, $7, $8, \
             coalesce((SELECT CASE WHEN natural_key = $7 THEN generation ELSE generation + 1 END \
             FROM events WHERE lane = $8 ORDER BY seq DESC LIMIT 1), 0), $9, 'accepted', $2, 0 \
             WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE delivery_key = $6) ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(received_at)
        .bind(request.source.as_str())
        .bind(request.customer.as_ref().map(|customer| customer.as_str()))
        .bind(request.environment.as_ref().map(|environment| environment.as_str()))
        .bind(self.keys.delivery.as_deref())
        .bind(self.keys.natural.as_deref())
        .bind(self.keys.lane.as_deref())
        .bind(self.request.as_str())
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() > 0 {
            let entry = Entry {
                customer: request.customer.as_ref().map(CustomerId::as_str),
                environment: request.environment.as_ref().map(Environment::as_str),
                event: Some(id.as_str()),
                detail: &self.request,
                ..Entry::of(*at, origin, self.action)
            };
            audit::put(connection, entry).await?;
            if let Some(trace) = &self.trace {
                traces::put(connection, id, trace).await?;
            }
            return Ok(Accepted { event: id.clone(), duplicate: false, deployments: Vec::new() });
        }
        let known = sqlx::query(
            "SELECT id, CASE WHEN id = $1 THEN 0 WHEN delivery_key = $2 THEN 1 \
             WHEN id = (SELECT event FROM deliveries WHERE delivery_key = $2) THEN 1 ELSE 2 END AS rank \
             FROM events WHERE id = $1 OR delivery_key = $2 OR natural_key = $3 \
             OR id = (SELECT event FROM deliveries WHERE delivery_key = $2) \
             ORDER BY rank, seq DESC LIMIT 1",
        )
        .bind(id.as_str())
        .bind(self.keys.delivery.as_deref())
        .bind(self.keys.natural.as_deref())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(known) = known else {
            return Err(StoreError::Unavailable("an event is neither new nor known".into()));
        };
        let event: EventId = name(&known, "id")?;
        if let (Some(delivery), NATURAL) = (&self.keys.delivery, known.try_get("rank")?) {
            sqlx::query(
                "INSERT INTO deliveries (delivery_key, event) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(delivery.as_str())
            .bind(event.as_str())
            .execute(&mut *connection)
            .await?;
        }
        let deployments = linked(connection, event.as_str()).await?;
        Ok(Accepted { event, duplicate: true, deployments })
    }
}

struct Postpone {
    id: EventId,
    until: Timestamp,
    reason: String,
}

#[async_trait]
impl Write for Postpone {
    type Answer = ();

    const REFUSES_FIRST: bool = true;

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE events SET due_at = $2, attempts = attempts + 1, reason = $3 \
             WHERE id = $1 AND state = 'accepted'",
        )
        .bind(self.id.as_str())
        .bind(micros(self.until))
        .bind(self.reason.as_str())
        .execute(connection)
        .await?;
        Ok(())
    }
}
