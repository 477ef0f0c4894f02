//! How long things of the store took.

use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{AnyPool, Describe, Either, Execute, Executor, SqlStr};

use crate::domain::spread::Durations;

/// The upper bounds of the buckets, in seconds. What is longer is in none of them.
const BOUNDS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Nothing is counted yet.
pub(super) fn durations() -> Durations {
    Durations::new(&BOUNDS)
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
