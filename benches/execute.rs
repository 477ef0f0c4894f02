//! How many events per second are accepted durably, against what the database allows.
//!
//! Ours: [`Store::accept_within`] by 1, 16 and 64 callers at once: keys, idempotency, queue, group commit, answer. Three
//! times, to tell what each part costs: as it is, with a record for the audit and the sender's trace beside each event;
//! without the trace; and without the record as well (a trigger of the database ignores it, so its statement is run, and
//! its row is not written).
//! Bare: a loop on one connection of the same library (sqlx through `Any`) with the same pragmas into the same
//! tables: rows made beforehand, plain inserts, as many rows per commit as ours reached. Both sync each commit to
//! the disk. All take turns, so that a noisy machine is noisy to all; look at the ratios.
//!
//! A plain program: `cargo bench --bench execute`, under a minute.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argocd_orchestrator::domain::audit::Origin;
use argocd_orchestrator::domain::event::{Kind, Push, Request, Trigger};
use argocd_orchestrator::domain::names::Revision;
use argocd_orchestrator::domain::plan::fingerprint;
use argocd_orchestrator::domain::trace::TraceContext;
use argocd_orchestrator::store::{NewEvent, Settings, Store};
use jiff::Timestamp;
use sqlx::{AnyConnection, Connection};

// Short and many: what the machine does beside this changes within seconds.
const TURN: Duration = Duration::from_millis(400);
const TURNS: usize = 9;

/// What is kept beside each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Audit,
    AuditAndTrace,
}

impl Beside {
    const ALL: [Self; 3] = [Self::AuditAndTrace, Self::Audit, Self::Nothing];

    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "neither",
            Self::Audit => "audit",
            Self::AuditAndTrace => "audit, trace",
        }
    }
}

/// What one side did in all its turns.
#[derive(Default)]
struct Tally {
    rows: u64,
    commits: u64,
    seconds: f64,
    latencies: Vec<Duration>,
}

impl Tally {
    fn per_second(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    fn per_commit(&self) -> u64 {
        (self.rows as f64 / self.commits as f64).round().max(1.0) as u64
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.latencies.sort_unstable();
        self.latencies[(self.latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }
}

#[tokio::main]
async fn main() {
    println!(
        "durable events per second; each commit is synced to the disk ({})",
        std::env::temp_dir().display()
    );
    println!(
        "callers | beside each | rows/commit | ours/s | p50 ms | p99 ms | bare/s | ours/bare | of as it is"
    );
    for callers in [1, 16, 64] {
        let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let mut sides = Vec::new();
        for (beside, folder) in Beside::ALL.into_iter().zip(&folders) {
            sides.push((beside, open(folder.path(), beside).await, Tally::default()));
        }
        let mut connection = bare(folders[3].path()).await;
        let next = Arc::new(AtomicU64::new(0));
        let (mut reference, mut inserted) = (Tally::default(), 0);
        for turn in 0..TURNS {
            // Each is first as often as the others.
            for place in 0..sides.len() {
                let number = (turn + place) % sides.len();
                let (beside, store, tally) = &mut sides[number];
                accept(store, *beside, callers, &next, tally).await;
            }
            insert(&mut connection, sides[0].2.per_commit(), &mut inserted, &mut reference).await;
        }
        let as_it_is = sides[0].2.per_second();
        for (beside, store, mut tally) in sides {
            println!(
                "{callers:>7} | {:>11} | {:>11} | {:>6.0} | {:>6.2} | {:>6.2} | {:>6.0} | {:>9.2} | {:>10.2}",
                beside.words(),
                tally.per_commit(),
                tally.per_second(),
                tally.percentile(50),
                tally.percentile(99),
                reference.per_second(),
                tally.per_second() / reference.per_second(),
                tally.per_second() / as_it_is,
            );
            store.close().await;
        }
    }
}

/// A store that keeps this beside each event.
async fn open(folder: &Path, beside: Beside) -> Store {
    if beside == Beside::Nothing {
        let mut connection = bare(folder).await;
        let ignore = "CREATE TRIGGER unaudited BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END";
        sqlx::query(ignore).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    Store::open(Settings::at(folder.join("state.db"))).await.unwrap()
}

/// One turn of ours: each caller sends its next event when the last was answered.
async fn accept(store: &Store, beside: Beside, callers: u64, next: &Arc<AtomicU64>, tally: &mut Tally) {
    let before = store.stats();
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, next) = (store.clone(), Arc::clone(next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < TURN {
                    let event = event(next.fetch_add(1, Ordering::Relaxed));
                    // What a sender would have said of its own.
                    let trace = (beside == Beside::AuditAndTrace).then(|| TraceContext {
                        parent: Some("00f067aa0ba902b7".into()),
                        ..TraceContext::begun_by(&event.id)
                    });
                    let asked = Instant::now();
                    let accepted = store.accept_within(event, trace).await.unwrap();
                    latencies.push(asked.elapsed());
                    assert!(!accepted.duplicate);
                }
                latencies
            })
        })
        .collect();
    for task in tasks {
        tally.latencies.extend(task.await.unwrap());
    }
    tally.seconds += start.elapsed().as_secs_f64();
    let after = store.stats();
    tally.rows += after.writes - before.writes;
    tally.commits += after.commits - before.commits;
}

/// One turn of the bare loop.
async fn insert(connection: &mut AnyConnection, per_commit: u64, inserted: &mut u64, tally: &mut Tally) {
    let mut left = TURN;
    while !left.is_zero() {
        // Made beforehand: the loop is about the database alone.
        let rows: Vec<Row> = (*inserted..*inserted + per_commit * 50).map(row).collect();
        *inserted += rows.len() as u64;
        let start = Instant::now();
        for batch in rows.chunks(per_commit as usize) {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.unwrap();
            for row in batch {
                sqlx::query(
                    "INSERT INTO events (id, seq, received_at, source, customer, environment, delivery_key, \
                     natural_key, lane, generation, request, state, due_at, attempts) VALUES \
                     ($1, $2, $3, $4, NULL, NULL, $5, $6, $7, 0, $8, 'accepted', $3, 0)",
                )
                .bind(row.id.as_str())
                .bind(row.seq)
                .bind(row.received_at)
                .bind("charts")
                .bind(row.delivery_key.as_str())
                .bind(row.natural_key.as_str())
                .bind(row.lane.as_str())
                .bind(row.request.as_str())
                .execute(&mut *connection)
                .await
                .unwrap();
            }
            sqlx::query("COMMIT").execute(&mut *connection).await.unwrap();
        }
        let took = start.elapsed();
        left = left.saturating_sub(took);
        tally.seconds += took.as_secs_f64();
        tally.rows += rows.len() as u64;
        tally.commits += rows.len() as u64 / per_commit;
    }
}

/// A connection as the store's writer has it, to the same tables.
async fn bare(folder: &Path) -> AnyConnection {
    let path = folder.join("state.db");
    Store::open(Settings::at(&path)).await.unwrap().close().await;
    let mut connection = AnyConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"] {
        sqlx::query(pragma).execute(&mut connection).await.unwrap();
    }
    connection
}

struct Row {
    id: String,
    seq: i64,
    received_at: i64,
    delivery_key: String,
    natural_key: String,
    lane: String,
    request: String,
}

fn row(index: u64) -> Row {
    let event = event(index);
    Row {
        id: event.id.to_string(),
        seq: index as i64 + 1,
        received_at: event.received_at.as_microsecond(),
        delivery_key: fingerprint(&("delivery", index)).to_string(),
        natural_key: fingerprint(&("natural", index)).to_string(),
        lane: fingerprint(&("lane", index % 100)).to_string(),
        request: serde_json::to_string(&event.request).unwrap(),
    }
}

/// A push to one of a hundred branches.
fn event(index: u64) -> NewEvent {
    let commit = |index: u64| -> Revision { format!("{index:040x}").parse().unwrap() };
    let push = Push {
        repository: "rtte/charts".into(),
        reference: format!("refs/heads/branch-{}", index % 100),
        before: Some(commit(index)),
        after: Some(commit(index + 100)),
        forced: false,
        delivery: Some(uuid::Uuid::now_v7().to_string()),
        event: None,
    };
    let request = Request {
        kind: Kind::Deployment,
        source: "charts".parse().unwrap(),
        customer: None,
        environment: None,
        service: None,
        wave: None,
        order: None,
        scope: Vec::new(),
        requested_by: "jane".into(),
        trigger: Trigger::Push(push),
    };
    NewEvent {
        id: uuid::Uuid::now_v7().to_string().parse().unwrap(),
        request,
        received_at: Timestamp::now(),
        origin: Origin::cli("jane"),
    }
}
