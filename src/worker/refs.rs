//! Looks at the refs of each repository, again and again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{App, refs};
use crate::config::Source;

/// Looks are spread by so much of the pause, so that not all repositories are asked at once.
const SPREAD: f64 = 0.2;

/// Begins to look at the refs of all repositories that are to be looked at: at once, and then with each one's pause.
pub(super) fn watch(app: &App, epoch: u64, stop: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for source in app.config.sources.iter().filter(|source| !source.poll.is_zero()) {
        let (app, source, stop) = (app.clone(), Arc::new(source.clone()), stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(follow(&app, &source, epoch)).await;
        });
    }
    tasks
}

async fn follow(app: &App, source: &Source, epoch: u64) {
    loop {
        if let Err(error) = refs::look_at(app, source, epoch, Timestamp::now()).await {
            tracing::warn!(source = %source.name, %error, "the refs of a repository could not be looked at; trying again");
        }
        let pause = Duration::try_from(source.poll).unwrap_or(Duration::MAX);
        tokio::time::sleep(pause.mul_f64(1.0 - SPREAD * fastrand::f64())).await;
    }
}
