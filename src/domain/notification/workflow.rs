//! A workflow of Argo Workflows that ended, where there is no deployment to tell of.

use jiff::Timestamp;
use serde_json::Value;

use super::{Failure, Notice, Trigger};

/// A workflow that ended.
#[derive(Debug, Clone, Copy)]
pub struct Workflow<'a> {
    /// Its name, or its uid: the same for the same workflow.
    pub name: &'a str,
    /// For which customer, as it was asked for; it may be what is wrong.
    pub customer: &'a str,
    /// For which environment, likewise.
    pub environment: &'a str,
    /// `{{workflow.status}}`: `Succeeded`, `Failed` or `Error`.
    pub status: &'a str,
    /// `{{workflow.failures}}`: a list of nodes as JSON, or that as a JSON string; empty where none failed.
    pub failures: &'a str,
    /// Where people see it.
    pub link: Option<&'a str>,
}

impl Notice {
    /// What is said of a workflow that ended.
    pub fn of_workflow(workflow: &Workflow<'_>, at: Timestamp) -> Self {
        let succeeded = workflow.status.trim().eq_ignore_ascii_case("succeeded");
        let trigger = if succeeded { Trigger::Succeeded } else { Trigger::Failed };
        let failures = if succeeded { Vec::new() } else { failures(workflow.failures) };
        let reason = (!succeeded && failures.is_empty()).then_some("the workflow does not say why");
        let notice = Self {
            workflow: Some(super::cut(workflow.name, super::LONGEST)),
            link: workflow.link.map(str::to_owned),
            ..Self::new(trigger, at, workflow.customer, workflow.environment)
        };
        notice.because(reason).with_failures(failures)
    }
}

/// The nodes of a list. What is no list is shown as it is.
fn failures(text: &str) -> Vec<Failure> {
    let text = text.trim();
    let mut read = serde_json::from_str::<Value>(text).ok();
    // The controller quotes the list, so that it fits into a manifest.
    if let Some(Value::String(quoted)) = &read {
        read = serde_json::from_str(quoted).ok();
    }
    match read {
        Some(Value::Array(nodes)) => nodes.iter().filter_map(node).collect(),
        Some(Value::Null) => Vec::new(),
        None if text.is_empty() => Vec::new(),
        Some(_) | None => vec![Failure::new("workflow", None, text)],
    }
}

/// A node that failed. Those that only hold others fail because of them and say nothing of their own.
fn node(node: &Value) -> Option<Failure> {
    let field = |name: &str| node.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = field("displayName").or_else(|| field("templateName"))?;
    let reason = field("message").or_else(|| field("phase")).unwrap_or("failed");
    (!reason.starts_with("child '")).then(|| Failure::new(name, None, reason))
}
