//! `approve`, `pause`, `abort` and the like: a person's command, put before a deployment.
//!
//! The command is stored; the server that runs on the same database takes it, within a moment.

mod revert;

use clap::Args;

use super::system::System;
use super::{Common, Exit, Failure, output};
use crate::client::Wanted;
use crate::domain::deployment::Command;
use crate::domain::event::Kind;
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision, ServiceName, Wave};

/// A deployment, and who asks.
#[derive(Debug, Args)]
pub struct Target {
    /// Which deployment
    deployment: DeploymentId,
    /// Who asks; the user of this machine where it is not given (a server knows by the token)
    #[arg(long, env = "ORCHESTRATOR_USER", value_name = "NAME")]
    by: Option<String>,
}

/// A deployment and a reason.
#[derive(Debug, Args)]
pub struct WithReason {
    #[command(flatten)]
    target: Target,
    /// Why, for those who look later
    #[arg(long, default_value = "no reason given")]
    reason: String,
}

/// A deployment and its plan.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    target: Target,
    /// The hash of the plan that was looked at, or its first 8 digits at least: another plan is not agreed to
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
}

/// A deployment and one of its services.
#[derive(Debug, Args)]
pub struct Service {
    #[command(flatten)]
    target: Target,
    /// Which service
    service: String,
}

/// A deployment and, perhaps, one of its services.
#[derive(Debug, Args)]
pub struct OneService {
    #[command(flatten)]
    target: Target,
    /// Which service; all that failed where it is not given
    #[arg(long)]
    service: Option<String>,
}

/// What to take back.
#[derive(Debug, Args)]
pub struct Rollback {
    /// A running deployment: all that it advanced is taken back
    #[arg(required_unless_present = "customer", conflicts_with = "customer")]
    deployment: Option<DeploymentId>,
    /// A customer: its services go back to what they ran healthily before
    #[arg(long)]
    customer: Option<CustomerId>,
    /// The customer's environment, where there is more than one
    #[arg(long, requires = "customer")]
    environment: Option<Environment>,
    /// Only this service of the customer
    #[arg(long, requires = "customer")]
    service: Option<ServiceName>,
    /// Only this wave of the customer
    #[arg(long, requires = "customer")]
    wave: Option<u32>,
    /// Touch no cluster: make a commit on a branch that brings the customer's files back, for review
    #[arg(long, requires = "customer", conflicts_with_all = ["service", "wave"])]
    git_revert: bool,
    /// The branch of that commit; `revert-<customer>-<commit>` where it is not given
    #[arg(long, requires = "git_revert", value_name = "NAME")]
    branch: Option<String>,
    /// The commit to go back to; the last one that the customer was deployed to as a whole where it is not given
    #[arg(long, requires = "git_revert", value_name = "COMMIT")]
    to: Option<Revision>,
    /// Why, for those who look later
    #[arg(long, default_value = "no reason given")]
    reason: String,
    /// Who asks; the user of this machine where it is not given (a server knows by the token)
    #[arg(long, env = "ORCHESTRATOR_USER", value_name = "NAME")]
    by: Option<String>,
}

/// Who sits here.
pub(super) fn who(by: Option<String>) -> String {
    by.or_else(|| std::env::var("USER").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "somebody".into())
}

async fn send(common: &Common, target: Target, command: Command, done: &str) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    system.command(&target.deployment, who(target.by), command).await?;
    system.close().await;
    output::write(&format!("{}: {done}", target.deployment))?;
    Ok(Exit::Success)
}

pub(super) async fn approve(common: &Common, options: Approve) -> Result<Exit, Failure> {
    send(common, options.target, Command::Approve { plan: options.plan }, "approval sent").await
}

pub(super) async fn reject(common: &Common, options: WithReason) -> Result<Exit, Failure> {
    send(common, options.target, Command::Reject { reason: options.reason }, "refusal sent").await
}

pub(super) async fn pause(common: &Common, options: Target) -> Result<Exit, Failure> {
    send(common, options, Command::Pause, "starts nothing new; what is in flight goes on").await
}

pub(super) async fn resume(common: &Common, options: Target) -> Result<Exit, Failure> {
    send(common, options, Command::Resume, "goes on").await
}

pub(super) async fn abort(common: &Common, options: WithReason) -> Result<Exit, Failure> {
    send(common, options.target, Command::Abort { reason: options.reason }, "is being stopped").await
}

pub(super) async fn skip(common: &Common, options: Service) -> Result<Exit, Failure> {
    let done = format!("does without {}", options.service);
    send(common, options.target, Command::Skip { service: options.service }, &done).await
}

/// In a running deployment a command; of one that is over, a new deployment of the same commit.
pub(super) async fn retry(common: &Common, options: OneService) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    let OneService { target: Target { deployment: id, by }, service } = options;
    match system.command(&id, who(by), Command::Retry { service }).await? {
        Some(event) => {
            let plan = system.deployment(&id).await?;
            let revision = plan.revision.short();
            output::write(&format!("{id} is over; {event} asks for a new deployment of {revision}"))?;
        }
        None => output::write(&format!("{id}: what failed is tried again"))?,
    }
    system.close().await;
    Ok(Exit::Success)
}

pub(super) async fn rollback(common: &Common, options: Rollback) -> Result<Exit, Failure> {
    if options.git_revert {
        return revert::run(common, options).await;
    }
    let by = who(options.by);
    let Some(customer) = options.customer else {
        let Some(deployment) = options.deployment else { return Ok(Exit::Usage) };
        let target = Target { deployment, by: Some(by) };
        return send(common, target, Command::Rollback { reason: options.reason }, "is being rolled back")
            .await;
    };
    let system = System::existing(common).await?;
    let wanted = Wanted {
        environment: options.environment,
        service: options.service,
        wave: options.wave.map(Wave),
        ..Wanted::of(customer)
    };
    let event = system.ask(common, Kind::Rollback, wanted, by).await?;
    system.close().await;
    output::write(&format!("{event} asks for the rollback; `status` shows its deployment"))?;
    Ok(Exit::Success)
}
