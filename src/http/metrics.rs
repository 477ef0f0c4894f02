//! Metrics, in the OpenMetrics text format: counters since the start of the server or since ever, and gauges as things
//! stand. What each one means is in `docs/metrics.md`.
//!
//! Labels are bounded: customers up to a configured number, everything else by words of ours.

mod dora;
mod follow;
mod listener;
mod meters;
mod spread;
mod standing;
mod waits;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::standing::Standing;
use super::Server;
use super::caller::Caller;
use super::problem::Problem;
use crate::domain::access::Role;

pub(super) use follow::follow;
pub(super) use listener::{bind, serve};
pub(super) use meters::{Meters, Refused};

/// What all names begin with.
const PREFIX: &str = "argocd_orchestrator";

/// The label of customers that are not told apart.
const OTHER: &str = "other";

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(metrics)).routes(routes!(actuator))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCustomer {
    customer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    customer: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByVerdict {
    verdict: &'static str,
    doubt: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByBlocker {
    blocker: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCustomerAndBlocker {
    customer: String,
    blocker: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    verb: &'static str,
    resource: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByNotification {
    target: String,
    trigger: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTime {
    verb: &'static str,
    resource: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
    status: u16,
}

/// All metrics, as scrapers read them.
fn write(meters: &Meters, standing: Standing) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, &meters.registry)?;
    encode_registry(&mut text, &standing.registry())?;
    encode_eof(&mut text)?;
    Ok(text)
}

type Text = ([(HeaderName, &'static str); 1], String);

/// All metrics of a server as they are now.
pub(super) async fn text(server: &Server) -> Result<Text, Problem> {
    let standing = Standing::read(server).await?;
    let written = write(&server.meters, standing);
    let text =
        written.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the server"))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text))
}

/// Metrics for scrapers.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
async fn metrics(State(server): State<Server>, caller: Caller) -> Result<Text, Problem> {
    caller.need_for_all(Role::Viewer)?;
    text(&server).await
}

/// The same metrics.
#[utoipa::path(get, path = "/actuator/metrics", tag = "probes", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
async fn actuator(State(server): State<Server>, caller: Caller) -> Result<Text, Problem> {
    caller.need_for_all(Role::Viewer)?;
    text(&server).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::spread::Durations;
    use crate::ports::{ApiCalls, ApiTimes};
    use crate::store::Notified;

    /// The type of each metric by its name, as it is documented.
    fn documented() -> BTreeMap<String, String> {
        let rows = include_str!("../../docs/metrics.md").lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let name = cells.next()?.trim_end_matches('`').to_owned();
            Some((name, cells.next()?.to_owned()))
        });
        rows.collect()
    }

    /// The type of each metric by its name, as it is written for scrapers.
    fn written(text: &str) -> BTreeMap<String, String> {
        let types = text.lines().filter_map(|line| {
            let (name, kind) = line.strip_prefix("# TYPE argocd_orchestrator_")?.split_once(' ')?;
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            Some((name, kind.to_owned()))
        });
        types.collect()
    }

    #[test]
    fn what_is_exported_is_documented_and_what_is_documented_is_exported() {
        let meters = Meters::new(1);
        let customer = || "customer-a".to_owned();
        // What has labels is written once it has a value.
        meters.request("/metrics", StatusCode::OK);
        meters.deployments.get_or_create(&ByState { customer: customer(), state: "failed".into() }).inc();
        meters.lead_time.get_or_create(&ByCustomer { customer: customer() }).observe(1.0);
        meters.restored.get_or_create(&ByCustomer { customer: customer() }).observe(1.0);
        meters.verdicts.get_or_create(&ByVerdict { verdict: "passed", doubt: "health" }).inc();
        let standing = Standing {
            active: [(customer(), 1)].into(),
            healthy: [(customer(), 1)].into(),
            blocked: [("turn", 1)].into(),
            longest: [((customer(), "turn"), 1.0)].into(),
            waited: [("turn", 1.0)].into(),
            notified: vec![Notified {
                target: "deployments".into(),
                trigger: "failed".into(),
                outcome: "delivered".into(),
                count: 1,
            }],
            calls: vec![ApiCalls { verb: "get", resource: "pods", outcome: "ok", count: 1 }],
            times: vec![ApiTimes { verb: "get", resource: "pods", took: Durations::new(&[1.0]).spread() }],
            ..Standing::default()
        };
        assert_eq!(written(&write(&meters, standing).unwrap()), documented());
    }
}
