//! What happens, as it happens: server-sent events, resumable by the store's own sequence.
//!
//! A client that comes back with `Last-Event-ID` gets what it missed. Where that is not kept any more (or is not of
//! this database), it is told so by a `reset` event, and has to read everything anew; the stream goes on from now.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::problem::Problem;
use crate::store::{Happening, Kept};

const LAST: HeaderName = HeaderName::from_static("last-event-id");

/// How often a quiet stream says that it is there, so that nothing between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// After which time a client comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Rows that are read at once.
const ROWS: u32 = 200;

/// How long a stream waits before it asks a store again that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// What happens to deployments, live. Events: `ready` (the stream begins), `reset` (read everything anew), `created`
/// and `moved` (with the deployment, its state, its version and what moved).
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream")))]
async fn stream(
    State(server): State<Server>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let permit = Arc::clone(&server.streams).try_acquire_owned();
    let permit = permit.map_err(|_| Problem::later("too many streams at once; try again", 5))?;
    // Subscribed before the first look, so that nothing falls between the two.
    let changed = server.app.store.changed();
    let kept = server.app.store.kept().await?;
    let beginning = Beginning::of(headers.get(LAST).map(|last| last.to_str().unwrap_or_default()), kept);
    let mut ready = VecDeque::new();
    let after = match beginning {
        Beginning::At(seq) => seq,
        Beginning::Now => kept.newest,
        Beginning::Reset => {
            ready.push_back(told(
                "reset",
                kept.newest,
                &json!({"reason": "what happened since is not kept"}),
            ));
            kept.newest
        }
    };
    ready.push_back(told("ready", after, &json!({})).retry(RETRY));
    let feed = Feed { server, caller, after, ready, changed, _permit: permit };
    let events = futures_util::stream::unfold(feed, Feed::next);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// After this row.
    At(u64),
    /// After the newest row.
    Now,
    /// Likewise, and what was missed cannot be told.
    Reset,
}

impl Beginning {
    fn of(last: Option<&str>, kept: Kept) -> Self {
        let Some(last) = last.filter(|last| !last.is_empty()) else { return Self::Now };
        match last.parse::<u64>() {
            Ok(seq) if seq <= kept.newest && seq + 1 >= kept.oldest => Self::At(seq),
            Ok(_) | Err(_) => Self::Reset,
        }
    }
}

/// One stream.
struct Feed {
    server: Server,
    caller: Caller,
    after: u64,
    ready: VecDeque<Event>,
    changed: watch::Receiver<u64>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Waits for more, and takes it in; false once the server stops.
    async fn more(&mut self) -> bool {
        self.changed.mark_unchanged();
        let rows = match self.server.app.store.happenings(self.after, ROWS).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "a stream cannot go on for now");
                return tokio::select! {
                    () = self.server.stop.cancelled() => false,
                    () = tokio::time::sleep(PAUSE) => true,
                };
            }
        };
        let Some(last) = rows.last() else {
            return tokio::select! {
                () = self.server.stop.cancelled() => false,
                changed = self.changed.changed() => changed.is_ok(),
            };
        };
        self.after = last.seq;
        let visible = rows.iter().filter(|row| self.caller.sees(&row.customer));
        self.ready.extend(visible.map(|row: &Happening| told(row.kind.word(), row.seq, row)));
        !self.server.stop.is_cancelled()
    }
}

fn told(kind: &str, seq: u64, data: &impl serde::Serialize) -> Event {
    // Plain types of ours always serialise, and JSON has no line ends that would break an event apart.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(kind).id(seq.to_string()).data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_where_it_can_and_says_where_it_cannot() {
        use Beginning::{At, Now, Reset};
        let kept = Kept { oldest: 100, newest: 200 };
        let empty = Kept::default();
        for (last, kept, expected) in [
            (None, kept, Now),
            (Some(""), kept, Now),
            (Some("150"), kept, At(150)),
            (Some("200"), kept, At(200)),
            (Some("99"), kept, At(99)),
            (Some("98"), kept, Reset),
            (Some("201"), kept, Reset),
            (Some("x"), kept, Reset),
            (Some("-1"), kept, Reset),
            (Some("18446744073709551615"), kept, Reset),
            (None, empty, Now),
            (Some("0"), empty, At(0)),
            (Some("1"), empty, Reset),
        ] {
            assert_eq!(Beginning::of(last, kept), expected, "{last:?} {kept:?}");
        }
    }
}
