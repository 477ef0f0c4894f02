//! `notify`: trying out who is told what happens.

use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::{Common, Exit, Failure, output, parts};
use crate::app::notify::{Sent, send};
use crate::domain::nearest::nearest;
use crate::domain::notification::{Failure as Failed, Notice, Trigger, WaveNotice};

/// How long a target is tried.
const WITHIN: Duration = Duration::from_secs(15);

/// Options of `notify`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Send a sample to the configured targets, whatever they want to be told of, and say what became of it
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// Only to this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// What became of a sample.
#[derive(Debug, Serialize)]
struct Row {
    target: String,
    taken: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let What::Test(test) = &options.what;
    let config = parts::config(common)?;
    let mut targets = parts::targets(&config)?;
    if targets.is_empty() {
        let message =
            "no `notifications.targets` are configured: nobody would be told anything (see --config)";
        return Err(Failure::new(Exit::InvalidInput, message));
    }
    if let Some(wanted) = &test.target {
        let near = nearest(wanted, targets.iter().map(|target| target.name.as_str())).map(str::to_owned);
        targets.retain(|target| target.name == *wanted);
        if targets.is_empty() {
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            return Err(Failure::new(Exit::NotFound, format!("there is no target {wanted:?}{hint}")));
        }
    }
    let notice = sample(Timestamp::now(), config.notifications.link.as_deref());
    let sent = join_all(targets.iter().map(|target| send(target, &notice, WITHIN))).await;
    let rows: Vec<Row> = sent.into_iter().map(row).collect();
    output::print(common.output, &rows, || table(&rows))?;
    Ok(if rows.iter().all(|row| row.taken) { Exit::Success } else { Exit::Unavailable })
}

fn row(sent: Sent) -> Row {
    let reason = sent.outcome.err().map(|error| error.to_string());
    Row { target: sent.target, taken: reason.is_none(), reason }
}

fn table(rows: &[Row]) -> String {
    let mut table = Grid::new(&["TARGET", "RESULT"]);
    for row in rows {
        let (said, word) = match &row.reason {
            None => ("taken".to_owned(), "succeeded"),
            Some(reason) => (format!("not taken: {reason}"), "failed"),
        };
        table.row([Cell::from(row.target.clone()), Cell::new(said, output::style_of(word))]);
    }
    table.render(Stream::Out.width())
}

/// A notice with something of everything, that says that it is none.
fn sample(at: Timestamp, link: Option<&str>) -> Notice {
    let wave = |wave, healthy, duration_seconds| WaveNotice {
        wave,
        services: 2,
        synced: 2,
        healthy,
        duration_seconds,
    };
    let notice = Notice {
        test: true,
        state: "failed".into(),
        revision: Some("0123456789abcdef0123456789abcdef01234567".into()),
        requested_by: Some("alice".into()),
        duration_seconds: Some(200.0),
        services: 4,
        synced: 4,
        healthy: 2,
        waves: vec![wave(0, 2, Some(42.0)), wave(1, 0, None)],
        rolled_back: vec!["user-service".into()],
        rolled_back_total: 1,
        link: link.map(str::to_owned),
        ..Notice::new(Trigger::RolledBack, at, "customer-a", "production")
    };
    let failed = Failed::new("payment-service", Some(1), "Degraded: back-off restarting failed container");
    notice.because(Some("this is a test: nothing happened")).with_failures(vec![failed])
}
