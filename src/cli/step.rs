//! `step`: a step of an Argo Workflow. Arguments in; output files, progress and an exit code out.
//!
//! What a step does is in [`crate::step`]. Files are written whatever comes of it, because the executor of a workflow
//! takes outputs for any exit code.

mod files;
mod image_tag;
mod notify;
mod standalone;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::signal::unix::{SignalKind, signal};

use self::files::Files;
use super::{Common, Exit, Failure};
use crate::adapters::argocd::KubeObjects;
use crate::step::{Fault, Name, Outcome, Request, StepExit, Steps, Which, manifests};

/// Printed below the help.
const HELP: &str = "Exit codes:
  0   it is done
  1   it failed for a reason of its own
  2   the arguments are wrong
  10  something did not answer (server, cluster, repository); trying again may help
  11  the gate was not passed: the plan was refused, or services failed and were not all taken back
  12  the input is wrong: values, image tag, customer
  13  it took too long
  14  it failed, and what was advanced was taken back
  15  somebody stopped it, or a newer commit took its place
  16  it was told to end (SIGTERM); the deployment goes on
  17  it was refused: token, permission, or the state that things are in

docs/steps.md says which options and outputs each step has.";

/// Options of `step`. An empty text is an option that is not given, because parameters of workflows are often empty.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Options {
    /// Which step
    #[arg(value_parser = PossibleValuesParser::new(Name::ALL.map(Name::word))
        .try_map(|name| name.parse::<Name>()))]
    step: Name,
    #[command(flatten)]
    given: Given,
    /// Where outputs are written, a file for each
    #[arg(long, env = "ORCHESTRATOR_OUTPUTS", value_name = "FOLDER", default_value = "/tmp/outputs")]
    outputs: PathBuf,
    /// The container's termination message, written where this is a regular file that is there
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    termination_log: PathBuf,
    /// A file with manifests to apply first (`setup-argo-events`, `deploy-orchestrator`)
    #[arg(long, value_name = "FILE")]
    apply: Vec<PathBuf>,
    /// Ask no server: work on the database of --data-dir in this process
    #[arg(long)]
    standalone: bool,
}

/// The options that are texts.
#[derive(Debug, Args)]
struct Given {
    /// Whose services
    #[arg(long, value_name = "CUSTOMER")]
    customer_id: Option<String>,
    /// The environment, where there is more than one
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// The configured repository, where there is more than one
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// The commit, in full; the head of the configured ref where it is not given
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
    /// The common image tag: compared with the values', or written (`write-image-tag`)
    #[arg(long, value_name = "TAG")]
    image_tag: Option<String>,
    /// The workflow (`{{workflow.uid}}`): what one asks for twice is done once
    #[arg(long, value_name = "UID")]
    workflow_uid: Option<String>,
    /// Which attempt of the workflow's step this is (`{{retries}}`)
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<String>,
    /// How long it may take, such as 30m (the default) or 1h30m
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Only this wave (`trigger-application-set`)
    #[arg(long, value_name = "WAVE")]
    wave: Option<String>,
    /// Also what did not change, and what failed before (`trigger-application-set`)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    force: Option<String>,
    /// The deployment that it is about; an empty text says that there was nothing to deploy
    #[arg(long, value_name = "DEPLOYMENT")]
    deployment_id: Option<String>,
    /// Only this service (`roll-back`)
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Wait for the end (`roll-back`)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    wait: Option<String>,
    /// Why, for those who look later (`abort`)
    #[arg(long, allow_hyphen_values = true, value_name = "TEXT")]
    reason: Option<String>,
    /// How the workflow ended (`notify-completion`; `{{workflow.status}}`)
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// What failed in the workflow (`notify-completion`; `{{workflow.failures}}`)
    #[arg(long, value_name = "JSON")]
    failures: Option<String>,
    /// Where the objects are (`setup-argo-events`, `deploy-orchestrator`)
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Take over fields of applied objects that others set
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    force_conflicts: Option<String>,
    /// Who writes to Git, as `Name <mail@example.com>` (`write-image-tag`)
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
}

impl Given {
    fn options(self) -> BTreeMap<String, String> {
        let all = [
            ("customer-id", self.customer_id),
            ("environment", self.environment),
            ("source", self.source),
            ("revision", self.revision),
            ("image-tag", self.image_tag),
            ("workflow-uid", self.workflow_uid),
            ("attempt", self.attempt),
            ("timeout", self.timeout),
            ("wave", self.wave),
            ("force", self.force),
            ("deployment-id", self.deployment_id),
            ("service", self.service),
            ("wait", self.wait),
            ("reason", self.reason),
            ("status", self.status),
            ("failures", self.failures),
            ("namespace", self.namespace),
            ("force-conflicts", self.force_conflicts),
            ("author", self.author),
        ];
        all.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
    }
}

/// Runs a step to its end.
pub(super) fn run(common: &Common, options: Options) -> ExitCode {
    let Options { step, given, outputs, termination_log, apply, standalone } = options;
    let files =
        Files::new(outputs, termination_log, std::env::var_os("ARGO_PROGRESS_FILE").map(PathBuf::from));
    let outcome = match Request::parse(step, &given.options()) {
        Ok(mut request) => match read(&mut request, &apply) {
            Ok(()) => in_runtime(common, &request, standalone, &files),
            Err(fault) => fault.into(),
        },
        Err(fault) => fault.into(),
    };
    files.end(step, &outcome).code().into()
}

/// Reads what is to be applied.
fn read(request: &mut Request, apply: &[PathBuf]) -> Result<(), Fault> {
    if apply.is_empty() {
        return Ok(());
    }
    if !request.step.own_options().contains(&"apply") {
        return Err(Fault::new(
            StepExit::Usage,
            format!("{} applies nothing: leave --apply out", request.step),
        ));
    }
    let default = if request.step == Name::SetupArgoEvents { "argo-events" } else { "argocd-orchestrator" };
    let namespace = match &request.namespace {
        Some(namespace) => namespace.clone(),
        None => default.parse().map_err(|error| Fault::new(StepExit::Failure, format!("{error}")))?,
    };
    for file in apply {
        let text = super::files::read(file).map_err(Fault::from)?;
        let found = manifests(request.step, &file.display().to_string(), &text, &namespace);
        request.manifests.extend(found.map_err(|error| Fault::new(StepExit::BadInput, error.to_string()))?);
    }
    Ok(())
}

/// Runs it on a runtime: a small one, because most steps only wait for a server.
fn in_runtime(common: &Common, request: &Request, standalone: bool, files: &Files) -> Outcome {
    let mut builder = if standalone {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Fault::new(StepExit::Failure, format!("cannot start the runtime: {error}")).into();
        }
    };
    let outcome = runtime.block_on(async {
        let mut terminated = match signal(SignalKind::terminate()) {
            Ok(terminated) => terminated,
            Err(error) => return Fault::new(StepExit::Failure, error.to_string()).into(),
        };
        tokio::select! {
            outcome = ended(common, request, standalone, files) => outcome,
            _ = terminated.recv() => detached(request, standalone),
            _ = tokio::signal::ctrl_c() => detached(request, standalone),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

/// What is said of a step that is told to end. What it asked for goes on, where somebody is at work.
fn detached(request: &Request, standalone: bool) -> Outcome {
    let what = match &request.deployment {
        Which::One(id) => id.as_str(),
        Which::NotSaid | Which::Nothing => "what was asked for",
    };
    let how = if standalone { "goes on with the next step" } else { "goes on" };
    Fault::new(StepExit::Detached, format!("{} was told to end; {what} {how}", request.step)).into()
}

async fn ended(common: &Common, request: &Request, standalone: bool, files: &Files) -> Outcome {
    if standalone {
        return standalone::run(common, request, files).await;
    }
    if request.step == Name::WriteImageTag {
        return image_tag::run(common, request).await.unwrap_or_else(Outcome::from);
    }
    if request.step == Name::NotifyCompletion {
        return notify::run(common, request).await.unwrap_or_else(Outcome::from);
    }
    match steps(common, request).await {
        Ok(steps) => steps.run(request, |standing| files.tell(standing)).await,
        Err(fault) => fault.into(),
    }
}

/// Whom the step asks.
async fn steps(common: &Common, request: &Request) -> Result<Steps, Fault> {
    let mut steps = match common.server.client().await.map_err(Fault::from)? {
        Some(client) => Steps::of(client),
        None => Steps::default(),
    };
    if matches!(request.step, Name::SetupArgoEvents | Name::DeployOrchestrator) {
        steps = steps.with_cluster(Arc::new(KubeObjects::connect().await?));
    }
    Ok(steps)
}

/// What the other commands call by other numbers.
impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let exit = match failure.exit() {
            Exit::Success | Exit::Failure | Exit::DeploymentFailed => StepExit::Failure,
            Exit::Usage => StepExit::Usage,
            Exit::InvalidInput | Exit::NotFound => StepExit::BadInput,
            Exit::Refused => StepExit::Refused,
            Exit::Unavailable => StepExit::Transient,
            Exit::Interrupted => StepExit::Detached,
        };
        Self::new(exit, failure.to_string())
    }
}
