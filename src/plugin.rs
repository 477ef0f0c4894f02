//! The executor plugin: a sidecar of a workflow's agent, which runs steps of ours without a pod for each.
//!
//! Source of the contract: Argo Workflows 4, `pkg/plugins/executor`, `workflow/executor/agent.go` and
//! `docs/executor_plugins.md`. The agent posts to localhost, gives up after 30 s, tries again on 503, and never again
//! asks a plugin that answered 404. It calls a running node again with the very same body, without saying which node
//! it means: two nodes with the same template and inputs are one to us. That is why what a node asked for is
//! remembered by workflow, template and inputs; where it is forgotten (the sidecar was restarted), ids that come from
//! the workflow find it again.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::plan::fingerprint;
use crate::step::{Fault, Memory, Name, Outcome, Request, Standing, StepExit, Steps, Turn};

/// What stands in `template.plugin` for us.
pub const KEY: &str = "argocd-orchestrator";

/// The path that the agent posts to.
const PATH: &str = "/api/v1/template.execute";

/// The largest body that is read.
const LARGEST: usize = 1 << 20;

/// The longest token that is read.
const TOKEN: u64 = 4_096;

/// How long one call may take; the agent gives up after 30 s.
const CALL: Duration = Duration::from_secs(20);

/// When the agent calls again. A Go duration.
const REQUEUE: &str = "5s";

/// Nodes that are remembered at most.
const NODES: usize = 1_000;

/// What is in a node's message at most.
const MESSAGE: usize = 4_096;

/// What all calls share.
struct Shared {
    steps: Steps,
    token_file: PathBuf,
    nodes: Mutex<HashMap<String, Node>>,
}

/// What is remembered of a node that is under way.
#[derive(Clone)]
struct Node {
    memory: Memory,
    since: Instant,
}

/// Serves the agent until `stop` is cancelled. `token_file` is read for each call: what is in it has to come with the
/// call.
///
/// # Errors
/// When no more connections can be accepted.
pub async fn serve(
    steps: Steps,
    token_file: PathBuf,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let shared = Arc::new(Shared { steps, token_file, nodes: Mutex::default() });
    let router =
        Router::new().route(PATH, post(execute)).layer(DefaultBodyLimit::max(LARGEST)).with_state(shared);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// What the agent posts, as far as it matters.
#[derive(Debug, Deserialize)]
struct Call {
    workflow: Workflow,
    template: Template,
}

#[derive(Debug, Deserialize)]
struct Workflow {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    uid: String,
}

#[derive(Debug, Deserialize)]
struct Template {
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Value,
    #[serde(default)]
    plugin: Map<String, Value>,
}

/// What the agent is answered. Without a node: not ours.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeResult>,
    /// Only while it runs: a final phase with it is called again, and a running one without it never.
    #[serde(skip_serializing_if = "Option::is_none")]
    requeue: Option<&'static str>,
}

#[derive(Debug, PartialEq, Serialize)]
struct NodeResult {
    phase: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Outputs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Outputs {
    parameters: Vec<Parameter>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Parameter {
    name: &'static str,
    value: String,
}

async fn execute(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = authenticate(&shared, &headers).await {
        return refusal.into_response();
    }
    let call: Call = match serde_json::from_slice(&body) {
        Ok(call) => call,
        Err(error) => {
            let message = format!("this is no call of an agent: {error}");
            return (StatusCode::BAD_REQUEST, message).into_response();
        }
    };
    let Some(ours) = call.template.plugin.get(KEY) else { return json(&Reply::default()) };
    match answer(&shared, &call, ours).await {
        Ok(reply) => json(&reply),
        // The agent tries again a few times.
        Err(fault) => (StatusCode::SERVICE_UNAVAILABLE, fault.message).into_response(),
    }
}

fn json(reply: &Reply) -> Response {
    // Texts always become JSON.
    let body = serde_json::to_vec(reply).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Whether the call comes from the agent of this pod.
async fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let length = tokio::fs::metadata(&shared.token_file).await.map(|found| found.len());
    let known = match length {
        Ok(length) if length <= TOKEN => tokio::fs::read(&shared.token_file).await.ok(),
        Ok(_) | Err(_) => None,
    };
    let known = known.map(|token| token.trim_ascii().to_vec()).filter(|token| !token.is_empty());
    let Some(known) = known else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the agent's token cannot be read yet"));
    };
    let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
    if bool::from(given.ct_eq(&known)) {
        Ok(())
    } else {
        tracing::warn!("a call with a wrong token was refused");
        Err((StatusCode::UNAUTHORIZED, "the token is not the agent's"))
    }
}

/// What a node is told.
///
/// # Errors
/// What may pass, before anything is known of the node.
async fn answer(shared: &Shared, call: &Call, ours: &Value) -> Result<Reply, Fault> {
    let request = match request(call, ours) {
        Ok(request) => request,
        Err(fault) => return Ok(failed(&fault)),
    };
    let Template { name, inputs, .. } = &call.template;
    let key = fingerprint(&(&call.workflow.metadata.uid, name, inputs, ours)).as_str().to_owned();
    let mut node = shared.node(&key);
    let turn = timeout(CALL, shared.steps.look(&request, &mut node.memory)).await;
    let running = |standing: Standing| {
        if node.since.elapsed() < request.timeout {
            shared.remember(&key, node.clone());
            return running(&standing);
        }
        shared.forget(&key);
        failed(&Fault::new(StepExit::TimedOut, format!("timed out: {}", standing.message)))
    };
    Ok(match turn {
        Ok(Ok(Turn::Over(outcome))) => {
            shared.forget(&key);
            over(request.step, &outcome)
        }
        Ok(Ok(Turn::Waiting(standing))) => running(standing),
        Ok(Err(fault)) if !fault.may_pass() => {
            shared.forget(&key);
            failed(&fault)
        }
        Ok(Err(fault)) if request.is_patient(&node.memory) => running(Standing::waiting(fault.message)),
        Ok(Err(fault)) => return Err(fault),
        Err(_elapsed) => running(Standing::waiting("the server takes its time")),
    })
}

/// What a template asks.
fn request(call: &Call, ours: &Value) -> Result<Request, Fault> {
    let wrong = |message: String| Fault::new(StepExit::Usage, message);
    let Value::Object(keys) = ours else {
        return Err(wrong(format!("template.plugin.{KEY} has to be a mapping with `step` and its options")));
    };
    let mut options = BTreeMap::new();
    for (key, value) in keys {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(wrong(format!("template.plugin.{KEY}.{key} has to be a text")));
            }
        };
        options.insert(key.clone(), text);
    }
    let Some(step) = options.remove("step") else {
        return Err(wrong(format!("template.plugin.{KEY} needs `step`: the name of one")));
    };
    let step: Name = step.parse().map_err(|error: crate::step::BadName| wrong(error.to_string()))?;
    if !step.needs_a_server_only() {
        return Err(wrong(format!("{step} needs a pod of its own: use a container step")));
    }
    options.entry("workflow-uid".to_owned()).or_insert_with(|| call.workflow.metadata.uid.clone());
    Request::parse(step, &options)
}

fn running(standing: &Standing) -> Reply {
    let node = NodeResult {
        phase: "Running",
        message: cut(&standing.message),
        outputs: None,
        progress: standing.progress(),
    };
    Reply { node: Some(node), requeue: Some(REQUEUE) }
}

fn failed(fault: &Fault) -> Reply {
    let message = cut(&format!("{} (exit code {})", fault.message, fault.exit.code()));
    let node = NodeResult { phase: "Failed", message, outputs: None, progress: None };
    Reply { node: Some(node), requeue: None }
}

fn over(step: Name, outcome: &Outcome) -> Reply {
    let done = outcome.exit == StepExit::Done;
    let told = if done {
        outcome.message.clone()
    } else {
        format!("{} (exit code {})", outcome.message, outcome.exit.code())
    };
    let mut parameters: Vec<Parameter> =
        outcome.all(step).into_iter().map(|(name, value)| Parameter { name, value }).collect();
    parameters.push(Parameter { name: "message", value: cut(&outcome.message) });
    let node = NodeResult {
        phase: if done { "Succeeded" } else { "Failed" },
        message: cut(&told),
        outputs: Some(Outputs { parameters }),
        progress: None,
    };
    Reply { node: Some(node), requeue: None }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MESSAGE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl Shared {
    fn node(&self, key: &str) -> Node {
        let known = self.nodes.lock().ok().and_then(|nodes| nodes.get(key).cloned());
        known.unwrap_or_else(|| Node { memory: Memory::default(), since: Instant::now() })
    }

    fn remember(&self, key: &str, node: Node) {
        let Ok(mut nodes) = self.nodes.lock() else { return };
        if nodes.len() >= NODES && !nodes.contains_key(key) {
            let oldest = nodes.iter().min_by_key(|(_, node)| node.since).map(|(key, _)| key.clone());
            oldest.map(|key| nodes.remove(&key));
        }
        nodes.insert(key.to_owned(), node);
    }

    fn forget(&self, key: &str) {
        if let Ok(mut nodes) = self.nodes.lock() {
            nodes.remove(key);
        }
    }
}
