//! What is still to happen, and the books that every change goes through.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use jiff::{SignedDuration, Timestamp};

use super::log::LogEntry;
use super::script::{Length, Speed};

/// How many log entries are kept; the older half goes when there are more.
const LOG_LIMIT: usize = 1 << 20;

/// What happens to an Application by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The controller sees the requested operation.
    PicksUp { operation: u64 },
    /// The sync window that held it back opens.
    WindowOpens { operation: u64 },
    /// An attempt to sync ends.
    AttemptEnds { operation: u64 },
    /// Argo CD's own next attempt.
    Retries { operation: u64 },
    /// The operation has been stopped.
    Stops { operation: u64 },
    /// Somebody wants a comparison.
    ComparisonBegins,
    /// Nobody has compared for long.
    AutoRefresh { comparison: u64 },
    /// The running comparison shows its verdict.
    ComparisonEnds,
    /// The health of the service changes.
    Turns { workload: u64 },
    /// The controller shows it.
    Shows { turn: u64 },
    /// Somebody else starts a sync: the script's n-th.
    ExternalSync { index: usize },
}

/// An event of an Application at its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    order: u64,
    pub(super) app: usize,
    pub(super) event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The queue of events, the version counter, the log, and who changed.
#[derive(Debug, Clone)]
pub(super) struct Agenda {
    speed: Speed,
    resolution: i128,
    due: BinaryHeap<Reverse<Due>>,
    order: u64,
    version: u64,
    pub(super) log: Vec<LogEntry>,
    pub(super) changed: Vec<usize>,
}

impl Agenda {
    pub(super) fn new(speed: Speed, resolution: Length) -> Self {
        let mut agenda = Self {
            speed,
            resolution: 0,
            due: BinaryHeap::new(),
            order: 0,
            version: 0,
            log: Vec::new(),
            changed: Vec::new(),
        };
        agenda.pace(speed, resolution);
        agenda
    }

    /// From now on, this fast.
    pub(super) fn pace(&mut self, speed: Speed, resolution: Length) {
        self.speed = speed;
        self.resolution = i128::from(speed.scale(resolution));
    }

    /// A time as Argo CD writes it: cut down to whole seconds (as this cluster's seconds are).
    pub(super) fn whole(&self, at: Timestamp) -> Timestamp {
        if self.resolution <= 1 {
            return at;
        }
        let nanos = at.as_nanosecond();
        Timestamp::from_nanosecond(nanos - nanos.rem_euclid(self.resolution)).unwrap_or(at)
    }

    /// The time that lies so many of this cluster's nanoseconds after another.
    pub(super) fn later(&self, at: Timestamp, length: Length) -> Timestamp {
        let nanos = i64::try_from(self.speed.scale(length)).unwrap_or(i64::MAX);
        at.checked_add(SignedDuration::from_nanos(nanos)).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn put(&mut self, app: usize, at: Timestamp, event: Event) {
        self.order += 1;
        self.due.push(Reverse(Due { at, order: self.order, app, event }));
    }

    pub(super) fn next(&self) -> Option<Due> {
        self.due.peek().map(|Reverse(due)| *due)
    }

    pub(super) fn take(&mut self) {
        self.due.pop();
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn note(&mut self, entry: LogEntry) {
        if self.log.len() >= LOG_LIMIT {
            self.log.drain(..LOG_LIMIT / 2);
        }
        self.log.push(entry);
    }
}
