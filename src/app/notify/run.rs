//! All of it, for a server.

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::follow::Follower;
use super::{FIRST_PAUSE, Target, deliver};
use crate::store::Store;

/// Tells all targets what they want to be told, until `stop` is cancelled. `link` is the address of the page.
///
/// What happened before a target was configured is not told to it. Only one server of a database does this.
pub async fn run(store: Store, targets: Vec<Target>, link: Option<String>, stop: CancellationToken) {
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    let places = loop {
        match store.begin_notifying(names.clone()).await {
            Ok(places) => break places,
            Err(error) => tracing::warn!(%error, "nobody can be notified for now"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FIRST_PAUSE) => {}
        }
    };
    if targets.is_empty() {
        return;
    }
    let targets: Vec<(Target, Notify)> = targets.into_iter().map(|target| (target, Notify::new())).collect();
    let follower = Follower::new(&store, &targets, link.as_deref(), places);
    let delivering = targets.iter().map(|(target, wake)| deliver::run(&store, target, wake, &stop));
    tokio::join!(follower.run(&stop), join_all(delivering));
}
