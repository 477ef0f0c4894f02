//! What the tests share: a git repository with small charts, the product wired as `serve` wires it, and waits
//! that end.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub mod authority;
pub mod canned;
pub mod device;
pub mod logged;
pub mod provider;
pub mod repo;
pub mod server;
pub mod web;
pub mod world;

use std::time::Duration;

use argocd_orchestrator::domain::names::Revision;
use argocd_orchestrator::store::{DeploymentFilter, Store};
use serde_json::{Value, json};

/// How long anything may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(40);

/// The configured repository's name, as a sensor's `spec` has it.
pub const SOURCE: &str = "shop";

/// Its `owner/name`, as pushes have it.
pub const REPOSITORY: &str = "rtte/shop";

/// The branch that deploys `production`.
pub const MAIN: &str = "refs/heads/main";

/// Waits until `look` finds something. It looks again after each commit of the store.
pub async fn until<T>(store: &Store, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut changed = store.changed();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            changed.changed().await.expect("the store is open");
        }
    });
    match found.await {
        Ok(found) => found,
        Err(_) => panic!("waited in vain until {what}; there is:\n{}", summary(store).await),
    }
}

/// All deployments and what they wait for, for a test that fails.
pub async fn summary(store: &Store) -> String {
    let mut text = String::new();
    for row in store.deployments(&DeploymentFilter::default(), 50).await.unwrap().value {
        text +=
            &format!("{} {} {} {} {:?}\n", row.id, row.customer, row.revision.short(), row.state, row.reason);
        let Some(deployment) = store.deployment(&row.id).await.unwrap() else { continue };
        for (service, blocker) in deployment.blockers() {
            text += &format!("  {service}: {blocker}\n");
        }
    }
    text
}

/// A push as GitHub tells of it: none before a new ref, none after a deleted one.
pub fn push(reference: &str, before: Option<&Revision>, after: Option<&Revision>) -> Value {
    const NONE: &str = "0000000000000000000000000000000000000000";
    json!({
        "ref": reference,
        "before": before.map_or(NONE, Revision::as_str),
        "after": after.map_or(NONE, Revision::as_str),
        "created": before.is_none(),
        "deleted": after.is_none(),
        "forced": false,
        "base_ref": null,
        "commits": [],
        "repository": { "id": 1, "full_name": REPOSITORY, "pushed_at": 1_763_900_000, "owner": { "login": "rtte" } },
        "pusher": { "name": "alice" },
        "X-GitHub-Event": "push",
    })
}
