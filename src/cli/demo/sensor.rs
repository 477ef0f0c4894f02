//! What an Argo Events sensor does with an event: FetchResource, Execute, ApplyPolicy, over a real connection.

use std::net::SocketAddr;

use anyhow::Context;
use serde_json::json;
use tonic::transport::Channel;

use crate::cli::Failure;
use crate::domain::catalog::Order;
use crate::domain::names::Revision;
use crate::grpc::Receipt;
use crate::grpc::generated::trigger_client::TriggerClient;
use crate::grpc::generated::{ApplyPolicyRequest, ExecuteRequest, FetchResourceRequest};

/// A sensor with one custom trigger.
pub(super) struct Sensor {
    client: TriggerClient<Channel>,
    /// `custom.spec`, as the sensor sends it: a YAML map of texts, keys sorted.
    spec: String,
}

/// A push, as GitHub tells of it.
pub(super) struct Push<'a> {
    pub(super) repository: &'a str,
    pub(super) before: Option<&'a Revision>,
    pub(super) after: &'a Revision,
    pub(super) number: u32,
}

impl Sensor {
    pub(super) async fn connect(
        address: SocketAddr,
        source: &str,
        order: Option<Order>,
    ) -> Result<Self, Failure> {
        let client = TriggerClient::connect(format!("http://{address}"))
            .await
            .context("cannot reach the trigger's own server")?;
        let order = order.map(|order| format!("order: {order}\n")).unwrap_or_default();
        Ok(Self { client, spec: format!("kind: deployment\n{order}source: {source}\n") })
    }

    /// One attempt, in the sensor's order of calls.
    pub(super) async fn send(&mut self, push: &Push<'_>) -> Result<Receipt, Failure> {
        let fetch = FetchResourceRequest { resource: self.spec.clone().into_bytes() };
        let fetched = self.client.fetch_resource(fetch).await.context("FetchResource failed")?.into_inner();
        let payload = payload(push).to_string().into_bytes();
        let execute = ExecuteRequest { resource: fetched.resource, payload };
        let executed = self.client.execute(execute).await.context("Execute failed")?.into_inner();
        let policy = ApplyPolicyRequest { request: executed.response.clone() };
        let applied = self.client.apply_policy(policy).await.context("ApplyPolicy failed")?.into_inner();
        if !applied.success {
            return Err(anyhow::anyhow!("the push was not taken: {}", applied.message).into());
        }
        let receipt =
            serde_json::from_slice(&executed.response).context("Execute answered something else")?;
        Ok(receipt)
    }
}

/// The payload that the sensor builds of a GitHub EventSource's event: `event`, `delivery` and `push`.
fn payload(push: &Push<'_>) -> serde_json::Value {
    const NONE: &str = "0000000000000000000000000000000000000000";
    let delivery = format!("72d3162e-cc78-11e3-81ab-4c9367dc{:04}", push.number);
    let before = push.before.map_or(NONE, Revision::as_str);
    let (owner, name) = push.repository.split_once('/').unwrap_or(("", push.repository));
    json!({
        "event": { "id": format!("{:032x}", 0xdead_beef_u64 + u64::from(push.number)), "type": "github" },
        "delivery": delivery,
        "push": {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery,
            "ref": "refs/heads/main",
            "before": before,
            "after": push.after,
            "created": push.before.is_none(),
            "deleted": false,
            "forced": false,
            "base_ref": null,
            "commits": [],
            "head_commit": { "id": push.after, "message": "demo" },
            "repository": {
                "id": 1,
                "name": name,
                "full_name": push.repository,
                "owner": { "login": owner },
                "default_branch": "main",
                "pushed_at": 1_763_900_000,
            },
            "pusher": { "name": "demo", "email": "demo@example.com" },
            "sender": { "login": "demo" },
        },
    })
}
