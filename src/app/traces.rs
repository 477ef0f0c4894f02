//! Traces: what the sender of a request said of its own, and telling a collector of deployments that are over.
//!
//! Nothing is recorded while a deployment runs: its spans are made of its journal once it is over. What is told is read
//! from the store's own order of what happened, and up to where is kept there: a collector that is away holds up
//! nothing, and a crash loses nothing but what the store does not keep any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::trace::{Past, Span, TraceContext, spans};
use crate::ports::{Collector, CollectorError};
use crate::store::{Happening, Store, StoreError};

/// Under which name the store keeps up to where traces were told.
const NAME: &str = "traces";

/// Rows that are read at once.
const ROWS: u32 = 200;

/// The pauses after which a collector that is away is tried again: they double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

tokio::task_local! {
    static GIVEN: Option<TraceContext>;
}

/// Does something for a request whose sender said this of its trace.
pub async fn within<F: Future>(said: Option<&str>, work: F) -> F::Output {
    GIVEN.scope(said.and_then(|said| said.parse().ok()), work).await
}

/// What the sender of the request that is worked on said of its trace.
pub(super) fn given() -> Option<TraceContext> {
    GIVEN.try_with(Clone::clone).ok().flatten()
}

/// The trace's id in what a sender says of it, for log lines; none where it says nothing that can be one.
pub(crate) fn id(said: &str) -> Option<String> {
    Some(said.parse::<TraceContext>().ok()?.trace_id)
}

/// Does something for a request that says by itself which trace it is part of. That comes from further away than what
/// carried it, so it counts more.
pub(crate) async fn of<F: Future>(said: Option<TraceContext>, work: F) -> F::Output {
    match said {
        Some(said) => {
            tracing::Span::current().record("trace_id", &said.trace_id);
            GIVEN.scope(Some(said), work).await
        }
        None => work.await,
    }
}

/// Tells a collector of deployments that are over, until `stop` is cancelled. Of traces that begin here only a part
/// (0 to 1) is recorded.
pub async fn tell(store: Store, collector: Arc<dyn Collector>, ratio: f64, stop: CancellationToken) {
    let mut changed = store.changed();
    let mut after = None;
    let mut pause = FIRST_PAUSE;
    loop {
        changed.mark_unchanged();
        let wait = match catch_up(&store, collector.as_ref(), ratio, &mut after).await {
            Ok(true) => None,
            Ok(false) => {
                pause = FIRST_PAUSE;
                continue;
            }
            Err(reason) => {
                tracing::warn!(reason, "traces cannot be told for now");
                let wait = pause;
                pause = (pause * 2).min(LAST_PAUSE);
                Some(wait)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            moved = changed.changed(), if wait.is_none() => if moved.is_err() { return },
        }
    }
}

/// Tells of what ended since; true once nothing more did. `after` is the last row that was looked at.
async fn catch_up(
    store: &Store,
    collector: &dyn Collector,
    ratio: f64,
    after: &mut Option<u64>,
) -> Result<bool, String> {
    let words = |error: StoreError| error.to_string();
    let last = match *after {
        Some(last) => last,
        None => begin(store).await.map_err(words)?,
    };
    *after = Some(last);
    let rows = store.happenings(last, ROWS).await.map_err(words)?;
    for row in &rows {
        let spans = ended(store, row, ratio).await.map_err(words)?;
        if !spans.is_empty() {
            match collector.take(&spans).await {
                Ok(()) => {}
                Err(CollectorError::Refused(reason)) => {
                    tracing::warn!(deployment = %row.deployment, reason, "a trace was refused, and is not told again");
                }
                Err(CollectorError::Unavailable(reason)) => return Err(reason),
            }
            // Written only where something was told: every write wakes everybody.
            store.tell(NAME, row.seq).await.map_err(words)?;
        }
        *after = Some(row.seq);
    }
    Ok(rows.is_empty())
}

/// Where telling goes on. What was over before anybody listened is not told.
async fn begin(store: &Store) -> Result<u64, StoreError> {
    if let Some(told) = store.told(NAME).await? {
        return Ok(told);
    }
    let newest = store.kept().await?.newest;
    store.tell(NAME, newest).await?;
    Ok(newest)
}

/// The spans of a deployment that ended with this row; none where it did not, or is not recorded.
async fn ended(store: &Store, row: &Happening, ratio: f64) -> Result<Vec<Span>, StoreError> {
    let whole = row.transitions.iter().any(|moved| moved.service.is_none());
    if !whole && row.version > 0 {
        return Ok(Vec::new());
    }
    let Some(deployment) = store.deployment(&row.deployment).await? else { return Ok(Vec::new()) };
    if !deployment.state().is_finished() || deployment.progress.version != row.version {
        return Ok(Vec::new());
    }
    let brief = &deployment.brief;
    let context = store.trace(&brief.event).await?;
    if !context.is_recorded(ratio) {
        return Ok(Vec::new());
    }
    let journal = store.journal(&row.deployment).await?.value;
    let arrived_at = store.event(&brief.event).await?.map_or(brief.created_at, |event| event.received_at);
    let past = Past { brief, state: deployment.state(), journal: &journal, arrived_at };
    Ok(spans(&context, past))
}
