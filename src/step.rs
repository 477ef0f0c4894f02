//! What the steps of an Argo Workflow do: a client's side of the use cases, for the command line and for the
//! executor plugin.
//!
//! Each step is asked again and again where it stands ([`Steps::look`]) until it is over, so that whoever runs it
//! decides how to wait: a container waits here ([`Steps::run`]), the plugin is called again by the workflow's agent.
//! Nothing is printed and no file is written here. What is asked for has an id that comes from the workflow, so that
//! looking again asks for nothing twice.
//!
//! Source of what a container step and a plugin may do: Argo Workflows 4, `docs/executor_plugins.md` and
//! `workflow/executor`.

mod ask;
mod cluster;
mod exit;
mod manifests;
mod monitor;
mod name;
mod places;
mod request;
mod run;
mod validate;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::exit::{Fault, StepExit};
pub use self::manifests::{Manifest, ManifestError, manifests};
pub use self::name::{BadName, Name};
pub use self::request::{Request, Which};
use crate::client::Client;
use crate::domain::names::EventId;
use crate::ports::Objects;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The meaning of its exit code.
    pub exit: StepExit,
    /// The last words, in one line: what was done, or what failed and why.
    pub message: String,
    /// What it hands on, by the names that [`Name::outputs`] lists; what is not in it has its default.
    pub outputs: BTreeMap<&'static str, String>,
}

impl Outcome {
    fn new(exit: StepExit, message: impl Into<String>) -> Self {
        Self { exit, message: one_line(&message.into()), outputs: BTreeMap::new() }
    }

    fn done(message: impl Into<String>) -> Self {
        Self::new(StepExit::Done, message)
    }

    fn with(mut self, output: &'static str, value: impl ToString) -> Self {
        self.outputs.insert(output, value.to_string());
        self
    }

    /// All outputs of a step, defaults among them.
    pub fn all(&self, step: Name) -> Vec<(&'static str, String)> {
        let given = |name: &str| self.outputs.get(name).cloned();
        step.outputs()
            .iter()
            .map(|(name, default)| (*name, given(name).unwrap_or_else(|| (*default).to_owned())))
            .collect()
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        Self::new(fault.exit, fault.message)
    }
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is over.
    Over(Outcome),
    /// It is not; look again.
    Waiting(Standing),
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Services that are done.
    pub healthy: usize,
    /// Of so many; 0 where that is not known.
    pub total: usize,
    /// The same in words, with what is waited for.
    pub message: String,
}

impl Standing {
    pub(crate) fn waiting(message: impl Into<String>) -> Self {
        Self { message: one_line(&message.into()), ..Self::default() }
    }

    /// `N/M`, as Argo Workflows takes it; none where nothing is counted.
    pub fn progress(&self) -> Option<String> {
        (self.total > 0).then(|| format!("{}/{}", self.healthy.min(self.total), self.total))
    }
}

/// What is remembered from one look to the next.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// What this step asked for, or found asked for.
    event: Option<EventId>,
    /// Whether manifests were applied, and whether that changed anything.
    applied: Option<bool>,
}

/// The steps, and whom they ask.
#[derive(Clone, Default)]
pub struct Steps {
    client: Option<Client>,
    cluster: Option<Arc<dyn Objects>>,
}

impl Steps {
    /// Steps that ask a server.
    pub fn of(client: Client) -> Self {
        Self { client: Some(client), cluster: None }
    }

    /// The same with a cluster for those that look at one.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Arc<dyn Objects>) -> Self {
        self.cluster = Some(cluster);
        self
    }

    fn client(&self) -> Result<&Client, Fault> {
        self.client.as_ref().ok_or_else(|| {
            Fault::new(StepExit::Usage, "no server is named: give --server (or ORCHESTRATOR_SERVER)")
        })
    }

    fn cluster(&self, request: &Request) -> Result<&dyn Objects, Fault> {
        self.cluster.as_deref().ok_or_else(|| {
            let message = format!("{} needs a cluster, and none is at hand here", request.step);
            Fault::new(StepExit::Usage, message)
        })
    }

    /// Looks where a step stands, after doing what has to be done for it. What was done before is not done again.
    ///
    /// # Errors
    /// When it failed before anything is known of how it goes; [`StepExit::Transient`] where looking again may help.
    pub async fn look(&self, request: &Request, memory: &mut Memory) -> Result<Turn, Fault> {
        match request.step {
            Name::ValidatePrerequisites => places::prerequisites(self.client()?, request).await,
            Name::ListCustomers => places::list_customers(self.client()?, request).await,
            Name::ValidateHelmValues => values::validate(self.client()?, request).await,
            Name::ResolveWaves => values::resolve_waves(self.client()?, request).await,
            Name::TriggerApplicationSet => ask::trigger(self.client()?, request, memory).await,
            Name::RollBack => ask::roll_back(self.client()?, request, memory).await,
            Name::Abort => ask::abort(self.client()?, request).await,
            Name::MonitorSyncWaves => monitor::monitor(self.client()?, request).await,
            Name::ValidateDeployment => validate::validate(self.client()?, request, memory).await,
            Name::SetupArgoEvents => cluster::argo_events(self.cluster(request)?, request, memory).await,
            Name::DeployOrchestrator => {
                let client = self.client.as_ref();
                cluster::orchestrator(self.cluster(request)?, client, request, memory).await
            }
            Name::NotifyCompletion | Name::WriteImageTag => {
                let message = format!("{} is no step of a client", request.step);
                Err(Fault::new(StepExit::Usage, message))
            }
        }
    }
}

/// A text in one line, without anything that could move a terminal's cursor.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    words.join("; ").chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
