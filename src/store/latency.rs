//! How long things of the store took, counted in buckets that never grow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{AnyPool, Describe, Either, Execute, Executor, SqlStr};

/// The upper bounds of the buckets, in seconds. What is longer is in none of them.
const BOUNDS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Durations, counted.
#[derive(Debug, Default)]
pub(super) struct Durations {
    buckets: [AtomicU64; BOUNDS.len()],
    longer: AtomicU64,
    nanoseconds: AtomicU64,
}

/// How durations are spread, since they are counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spread {
    /// Upper bound of each bucket in seconds, and how many are in it and in no bucket before it; the last bound is
    /// infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All durations together, in seconds.
    pub seconds: f64,
}

impl Spread {
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

impl Durations {
    /// Counts one.
    pub(super) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        let bucket = bucket.and_then(|position| self.buckets.get(position)).unwrap_or(&self.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How they are spread by now.
    pub(super) fn spread(&self) -> Spread {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let mut buckets: Vec<(f64, u64)> = BOUNDS.into_iter().zip(counts).collect();
        buckets.push((f64::INFINITY, self.longer.load(Ordering::Relaxed)));
        Spread { buckets, seconds: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9 }
    }
}

/// The connections that read. How long each read takes is counted, the wait for a free connection included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readers<'a> {
    pub(super) pool: &'a AnyPool,
    pub(super) took: &'a Durations,
}

/// Counts the time until it is dropped.
struct Watch<'a> {
    began: Instant,
    took: &'a Durations,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.took.add(self.began.elapsed());
    }
}

impl<'a> Readers<'a> {
    fn watch(&self) -> Watch<'a> {
        Watch { began: Instant::now(), took: self.took }
    }
}

impl<'p> Executor<'p> for Readers<'p> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let watch = self.watch();
        let rows = self.pool.fetch_many(query);
        rows.inspect(move |_| {
            let _running = &watch;
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let watch = self.watch();
        let row = self.pool.fetch_optional(query);
        Box::pin(async move {
            let row = row.await;
            drop(watch);
            row
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, sqlx::Error>>
    where
        'p: 'e,
    {
        self.pool.describe(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for microseconds in [100, 101, 1_000_000, 3_600_000_000] {
            durations.add(Duration::from_micros(microseconds));
        }
        let spread = durations.spread();
        let filled: Vec<(f64, u64)> =
            spread.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.0001, 1), (0.00025, 1), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(spread.count(), 4);
        assert!((spread.seconds - 3_601.000_201).abs() < 1e-9, "{}", spread.seconds);
    }
}
