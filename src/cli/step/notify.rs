//! `notify-completion`: whoever the configuration names is told how a deployment, or the workflow without one, ended.

use std::time::Duration;

use jiff::Timestamp;

use crate::app::notify::{Sent, send_all};
use crate::cli::{Common, parts};
use crate::client::Client;
use crate::domain::names::DeploymentId;
use crate::domain::notification::{Notice, Workflow};
use crate::ports::NotifierError;
use crate::step::{Fault, Outcome, Request, StepExit, Which};

/// How long each is tried.
const WITHIN: Duration = Duration::from_secs(60);

/// The word of a workflow that went well.
const SUCCEEDED: &str = "Succeeded";

pub(super) async fn run(common: &Common, request: &Request) -> Result<Outcome, Fault> {
    let config = parts::config(common).map_err(Fault::from)?;
    let targets = parts::targets(&config).map_err(Fault::from)?;
    if targets.is_empty() {
        return Ok(done("nobody is to be told: no `notifications.targets` are configured (see --config)", 0));
    }
    let link = config.notifications.link.as_deref();
    let of_deployment = match &request.deployment {
        Which::One(id) => of_deployment(common, request, id, link).await?,
        Which::NotSaid | Which::Nothing => None,
    };
    let Some(notice) = of_deployment.or_else(|| of_workflow(request, link)) else {
        return Ok(done(
            "there is nothing to tell: nothing was deployed, and no --status says how it ended",
            0,
        ));
    };
    let sent = send_all(&targets, &notice, WITHIN.min(request.timeout)).await;
    Ok(told(&notice, &sent))
}

/// How the deployment ended; none where it is not over, or where it is not what failed.
async fn of_deployment(
    common: &Common,
    request: &Request,
    id: &DeploymentId,
    link: Option<&str>,
) -> Result<Option<Notice>, Fault> {
    let client = common.server.client().await.map_err(Fault::from)?;
    let client = client.ok_or_else(|| {
        Fault::new(StepExit::Usage, "no server is named: give --server (or ORCHESTRATOR_SERVER)")
    })?;
    let notice = match read(&client, id, link).await {
        // What the workflow says of itself can be told in any case.
        Err(fault) if request.status.is_some() => {
            eprintln!("warning: {id} cannot be read: {}", fault.message);
            return Ok(None);
        }
        read => read?,
    };
    let failed = request.status.as_deref().is_some_and(|status| status != SUCCEEDED);
    Ok(notice.filter(|notice| !(failed && notice.state == "succeeded")))
}

async fn read(client: &Client, id: &DeploymentId, link: Option<&str>) -> Result<Option<Notice>, Fault> {
    let view = client.deployment(id).await?;
    if view.ended_at.is_none() {
        return Ok(None);
    }
    Ok(Notice::of_end(&view, &client.journal(id).await?, link))
}

/// How the workflow ended, where it says so.
fn of_workflow(request: &Request, link: Option<&str>) -> Option<Notice> {
    let workflow = Workflow {
        name: request.workflow.as_deref().unwrap_or("workflow"),
        customer: request.customer.as_ref().map_or("unknown", |customer| customer.as_str()),
        environment: request.environment.as_ref().map_or("unknown", |environment| environment.as_str()),
        status: request.status.as_deref()?,
        failures: request.failures.as_deref().unwrap_or_default(),
        link,
    };
    Some(Notice::of_workflow(&workflow, Timestamp::now()))
}

fn told(notice: &Notice, sent: &[Sent]) -> Outcome {
    let taken = sent.iter().filter(|sent| sent.outcome.is_ok()).count();
    let failed = |sent: &Sent| Some(format!("{}: {}", sent.target, sent.outcome.as_ref().err()?));
    let reasons: Vec<String> = sent.iter().filter_map(failed).collect();
    let what = format!("{} {} is {}", notice.customer, notice.environment, notice.trigger);
    if reasons.is_empty() {
        return match taken {
            0 => done(&format!("{what}: nobody wants to be told of that"), 0),
            taken => done(&format!("{what}: {taken} told"), taken),
        };
    }
    let may_pass = |sent: &Sent| matches!(sent.outcome, Err(NotifierError::Unavailable { .. }));
    let exit = if sent.iter().any(may_pass) { StepExit::Transient } else { StepExit::Refused };
    let message = format!("{what}: {taken} of {} told; {}", sent.len(), reasons.join("; "));
    Outcome { exit, message, outputs: [("sent", taken.to_string())].into() }
}

fn done(message: &str, sent: usize) -> Outcome {
    let outputs = [("sent", sent.to_string())].into();
    Outcome { exit: StepExit::Done, message: message.to_owned(), outputs }
}
