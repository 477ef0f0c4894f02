//! Whether the server answers and lets this token do its work; and which customers it knows.

use serde_json::json;

use super::ask::json;
use super::{Fault, Outcome, Request, StepExit, Turn};
use crate::client::{Client, Granted, Me};
use crate::domain::names::CustomerId;

/// Customers and environments that are listed at most: what a workflow fans out over has to fit into its object.
const MOST: u32 = 1_000;

/// Whether the server takes requests and writes, and the token may deploy the customer.
pub(super) async fn prerequisites(client: &Client, request: &Request) -> Result<Turn, Fault> {
    client.ready().await?;
    let me = client.me().await?;
    let status = client.status().await?;
    if !status.writable {
        let message = "the server takes no writes now: its database is full, locked or read-only";
        return Err(Fault::new(StepExit::Transient, message));
    }
    let version = &status.version;
    let may = match &request.customer {
        None => String::new(),
        Some(customer) if may_deploy(&me, customer) => format!("; {} may deploy {customer}", me.name),
        Some(customer) => {
            let message = format!(
                "{} may not deploy {customer}: the token needs the role operator for it (`http.tokens` of the server's \
                 configuration)",
                me.name
            );
            return Ok(Turn::Over(Outcome::new(StepExit::Refused, message).with("version", version)));
        }
    };
    let ours = env!("CARGO_PKG_VERSION");
    let other = if version == ours { String::new() } else { format!("; this step is of version {ours}") };
    let message = format!("argocd-orchestrator {version} answers{may}{other}");
    Ok(Turn::Over(Outcome::done(message).with("version", version)))
}

fn may_deploy(me: &Me, customer: &CustomerId) -> bool {
    let covers = |granted: &Granted| match &granted.customers {
        None => true,
        Some(customers) => customers.iter().any(|name| name == customer.as_str()),
    };
    me.grants.iter().any(|granted| matches!(granted.role.as_str(), "operator" | "admin") && covers(granted))
}

/// The customers that were ever deployed, and where.
pub(super) async fn list_customers(client: &Client, request: &Request) -> Result<Turn, Fault> {
    // One more than there may be tells that there are more.
    let found = client.customers_in(request.environment.as_ref(), MOST + 1).await?;
    if found.len() > MOST as usize {
        let message = format!("there are more than {MOST} customers: name an environment");
        return Err(Fault::new(StepExit::BadInput, message));
    }
    let customers: Vec<_> = found
        .iter()
        .map(|place| json!({"customer-id": place.customer, "environment": place.environment}))
        .collect();
    let message = format!("{} customers and environments", customers.len());
    Ok(Turn::Over(Outcome::done(message).with("customers", json(customers))))
}
