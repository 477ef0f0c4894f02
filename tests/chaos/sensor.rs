//! Sensors that deliver pushes: each delivery is tried until it is answered OK, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use argocd_orchestrator::domain::names::Revision;
use argocd_orchestrator::grpc::generated::trigger_client::TriggerClient;
use argocd_orchestrator::grpc::generated::{ApplyPolicyRequest, ExecuteRequest, FetchResourceRequest};
use argocd_orchestrator::grpc::{Receipt, Taken};
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::world::{REPOSITORY, SOURCE};

/// The pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(30);

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One delivery of a push. Each copy of it is the same to the last byte.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    id: String,
    payload: Arc<Vec<u8>>,
}

impl Delivery {
    /// A push as GitHub tells of it, in the payload that the sensor builds.
    pub(crate) fn of(number: usize, before: Option<&Revision>, after: &Revision) -> Self {
        const NONE: &str = "0000000000000000000000000000000000000000";
        let id = format!("5eed0000-cc78-11e3-81ab-{number:012x}");
        let before = before.map_or(NONE, Revision::as_str);
        let (owner, name) = REPOSITORY.split_once('/').unwrap_or(("", REPOSITORY));
        let payload = json!({
            "event": { "id": format!("{number:032x}"), "type": "github" },
            "delivery": id,
            "push": {
                "X-GitHub-Event": "push",
                "X-GitHub-Delivery": id,
                "ref": "refs/heads/main",
                "before": before,
                "after": after,
                "created": before == NONE,
                "deleted": false,
                "forced": false,
                "base_ref": null,
                "commits": [],
                "head_commit": { "id": after, "message": "chaos" },
                "repository": {
                    "id": 1,
                    "name": name,
                    "full_name": REPOSITORY,
                    "owner": { "login": owner },
                    "default_branch": "main",
                    "pushed_at": 1_763_900_000,
                },
                "pusher": { "name": "chaos", "email": "chaos@example.com" },
                "sender": { "login": "chaos" },
            },
        });
        Self { id, payload: Arc::new(payload.to_string().into_bytes()) }
    }
}

/// What was promised to the sensors: each OK, and the event's id in it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The event ids that each delivery was answered, in order.
    pub(crate) answers: BTreeMap<String, Vec<String>>,
    /// Attempts that were answered OK.
    pub(crate) taken: usize,
    /// Those of them that were told to be duplicates.
    pub(crate) duplicates: usize,
    /// Attempts that were not answered OK, and were repeated.
    pub(crate) failed: usize,
    /// What must never be answered.
    pub(crate) faults: Vec<String>,
}

/// A moment of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Execute is about to be called.
    Executing,
    /// Execute was answered OK.
    Answered,
}

/// All sensors together.
pub(crate) struct Sensors {
    server: watch::Sender<Option<SocketAddr>>,
    ledger: Arc<Mutex<Ledger>>,
    moments: broadcast::Sender<Moment>,
    tasks: JoinSet<()>,
}

impl Sensors {
    /// None has anything to deliver yet.
    pub(crate) fn new() -> Self {
        Self {
            server: watch::Sender::new(None),
            ledger: Arc::default(),
            moments: broadcast::Sender::new(1_024),
            tasks: JoinSet::new(),
        }
    }

    /// Where the server is from now on; none while there is none.
    pub(crate) fn point_at(&self, server: Option<SocketAddr>) {
        self.server.send_replace(server);
    }

    /// The moments of attempts, from now on.
    pub(crate) fn moments(&self) -> broadcast::Receiver<Moment> {
        self.moments.subscribe()
    }

    /// Delivers, in the background, until it is answered OK.
    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        let (mut server, ledger, moments) =
            (self.server.subscribe(), Arc::clone(&self.ledger), self.moments.clone());
        self.tasks.spawn(async move {
            loop {
                let address = match server.wait_for(Option::is_some).await {
                    Ok(address) => *address,
                    Err(_) => return,
                };
                let Some(address) = address else { continue };
                let attempt = attempt(address, &delivery, &ledger, &moments);
                match tokio::time::timeout(TIMEOUT, attempt).await {
                    Ok(Ok(())) => return,
                    Ok(Err(_)) | Err(_) => lock(&ledger).failed += 1,
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// How many deliveries are not answered OK yet.
    pub(crate) fn open(&mut self) -> usize {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len()
    }

    /// Waits until all are.
    pub(crate) async fn finish(&mut self, limit: Duration) -> anyhow::Result<()> {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(limit, all).await.context("some deliveries were never answered OK")
    }

    /// What was promised so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }
}

/// One attempt, in the sensor's order of calls. An error of any of them makes the sensor try again.
async fn attempt(
    address: SocketAddr,
    delivery: &Delivery,
    ledger: &Mutex<Ledger>,
    moments: &broadcast::Sender<Moment>,
) -> anyhow::Result<()> {
    let mut client = TriggerClient::connect(format!("http://{address}")).await?;
    let spec = format!("kind: deployment\nsource: {SOURCE}\n");
    let fetched = client.fetch_resource(FetchResourceRequest { resource: spec.into_bytes() }).await?;
    let resource = fetched.into_inner().resource;
    // Nobody listening is fine, here and below.
    let _listeners = moments.send(Moment::Executing);
    let executed = client.execute(ExecuteRequest { resource, payload: delivery.payload.to_vec() }).await?;
    let response = executed.into_inner().response;
    let receipt: Receipt = serde_json::from_slice(&response).context("Execute answered something else")?;
    {
        let mut ledger = lock(ledger);
        ledger.taken += 1;
        ledger.duplicates += usize::from(receipt.duplicate);
        if receipt.status != Taken::Accepted {
            ledger
                .faults
                .push(format!("delivery {} became a dead letter: {:?}", delivery.id, receipt.faults));
        }
        ledger.answers.entry(delivery.id.clone()).or_default().push(receipt.event);
    }
    let _listeners = moments.send(Moment::Answered);
    client.apply_policy(ApplyPolicyRequest { request: response }).await?;
    Ok(())
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
