//! The command line: arguments in, tables and exit codes out.
//!
//! Only this module (and `main`) builds the real parts, reads the environment, prints and exits.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::catalog::Order;

mod audit;
mod check;
mod complete;
mod control;
mod credentials;
mod customers;
mod demo;
mod deploy;
mod events;
mod executor_plugin;
mod exit;
mod explain;
mod files;
mod generate;
mod graph;
mod history;
mod login;
mod notify;
mod output;
mod parts;
mod plan;
mod schema;
mod serve;
mod server;
mod simulate;
mod sources;
mod status;
mod step;
mod system;
mod timeline;
mod validate;
mod why;

pub use exit::{Exit, Failure};

/// Deploys many services in dependency order through Argo CD.
#[derive(Debug, Parser)]
#[command(version, about, after_help = exit::HELP)]
pub struct Cli {
    /// What is common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is common to all commands.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file; defaults hold where there is none
    #[arg(long, short, global = true, env = "ORCHESTRATOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the database, git caches and the simulated cluster live; wins over the configuration
    #[arg(long, global = true, env = "ORCHESTRATOR_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// How results are printed
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub output: Output,
    /// What is logged to standard error, such as `info` or `argocd_orchestrator=debug`
    #[arg(long, global = true, env = "ORCHESTRATOR_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Log as JSON lines
    #[arg(long, global = true, env = "ORCHESTRATOR_LOG_JSON")]
    pub log_json: bool,
    /// Which server is asked, where one is.
    #[command(flatten)]
    pub server: server::Options,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs, and people who read it.
    Yaml,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the custom trigger, and deploy what its events ask for
    Serve(serve::Options),
    /// Show it all on this machine: two pushes to a repository made from the examples, 55 services each
    Demo(demo::Options),
    /// Print what would be deployed, in which order and why
    Plan(plan::Options),
    /// Print the dependency graph: table, JSON, Graphviz, Mermaid or SVG
    Graph(graph::Options),
    /// Say where a service stands in the order, and why
    Explain(explain::Options),
    /// Find everything that is wrong with values files
    Validate(validate::Options),
    /// Print the manifests that customers are deployed by, for Git
    Generate(generate::Options),
    /// Predict how long a deployment takes, wave by wave
    Simulate(simulate::Options),
    /// Ask for a deployment, a check or a rollback by hand
    Deploy(deploy::Options),
    /// Show deployments, or one of them
    Status(status::Options),
    /// Say what each unfinished service of a deployment waits for
    Why(why::Options),
    /// Show what services ran healthily, and how a deployment went
    History(history::Options),
    /// Show all customers and environments at a glance
    Customers(customers::Options),
    /// Show what arrived, and what became of it
    Events(events::Events),
    /// Show requests that could not succeed, or try one again
    DeadLetters(events::Letters),
    /// Log in at a server: open an address, type a code
    Login,
    /// Forget the login at a server
    Logout,
    /// Show who a server takes you for, and what you may do
    Whoami,
    /// Agree to a plan
    Approve(control::Approve),
    /// Refuse a plan
    Reject(control::WithReason),
    /// Start nothing new in a deployment
    Pause(control::Target),
    /// Go on with a paused deployment
    Resume(control::Target),
    /// Stop a deployment and leave everything as it is
    Abort(control::WithReason),
    /// Try failed services again: in a running deployment, or by a new one where it is over
    Retry(control::OneService),
    /// Do without a service: those that wait for it go on
    Skip(control::Service),
    /// Take back what a deployment advanced, or (with a customer) what its services ran before
    Rollback(control::Rollback),
    /// Show and export who asked for which change
    Audit(audit::Options),
    /// Look at a cluster and a server, and say what is missing or wrong and what to do
    Check(check::Options),
    /// Be a step of an Argo Workflow
    Step(Box<step::Options>),
    /// Run steps for the agent of a workflow, as its executor plugin
    ExecutorPlugin(executor_plugin::Options),
    /// Try out who is told what happens
    Notify(notify::Options),
    /// Bring the database's schema up to date
    Migrate,
    /// Print the JSON Schema of values files
    Schema(schema::Options),
    /// Print completions for a shell
    Completion(complete::Options),
}

/// The order that services are deployed in.
#[derive(Debug, Clone, Args)]
pub struct OrderOption {
    /// `waves` (a wave starts when all of the one before is healthy) or `dependencies`
    #[arg(long, value_name = "ORDER")]
    pub order: Option<Order>,
}

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { common, command } = cli;
    let ready = parts::start_logging(&common, &command).and_then(|()| server::check(&command));
    if let Err(failure) = ready {
        return failure.report().into();
    }
    let outcome = match command {
        // What its exit codes mean is another matter.
        Command::Step(options) => return step::run(&common, *options),
        Command::Plan(options) => plan::run(&common, &options),
        Command::Graph(options) => graph::run(&common, &options),
        Command::Explain(options) => explain::run(&common, &options),
        Command::Validate(options) => validate::run(&common, &options),
        Command::Generate(options) => generate::run(&common, &options),
        Command::Simulate(options) => simulate::run(&common, &options),
        Command::Schema(options) => schema::run(&common, &options),
        Command::Completion(options) => complete::run(&options),
        Command::Serve(_)
        | Command::Demo(_)
        | Command::Login
        | Command::Logout
        | Command::Whoami
        | Command::Deploy(_)
        | Command::Status(_)
        | Command::Why(_)
        | Command::History(_)
        | Command::Customers(_)
        | Command::Events(_)
        | Command::DeadLetters(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Abort(_)
        | Command::Retry(_)
        | Command::Skip(_)
        | Command::Rollback(_)
        | Command::Audit(_)
        | Command::Check(_)
        | Command::ExecutorPlugin(_)
        | Command::Notify(_)
        | Command::Migrate => parts::block_on(in_runtime(common, command)),
    };
    outcome.unwrap_or_else(Failure::report).into()
}

async fn in_runtime(common: Common, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(options) => serve::run(&common, &options).await,
        Command::Demo(options) => demo::run(&common, &options).await,
        Command::Deploy(options) => deploy::run(&common, options).await,
        Command::Status(options) => status::run(&common, &options).await,
        Command::Why(options) => why::run(&common, &options).await,
        Command::History(options) => history::run(&common, &options).await,
        Command::Login => login::login(&common).await,
        Command::Logout => login::logout(&common).await,
        Command::Whoami => login::whoami(&common).await,
        Command::Customers(options) => customers::run(&common, &options).await,
        Command::Events(options) => events::events(&common, &options).await,
        Command::DeadLetters(options) => events::letters(&common, &options).await,
        Command::Approve(options) => control::approve(&common, options).await,
        Command::Reject(options) => control::reject(&common, options).await,
        Command::Pause(options) => control::pause(&common, options).await,
        Command::Resume(options) => control::resume(&common, options).await,
        Command::Abort(options) => control::abort(&common, options).await,
        Command::Retry(options) => control::retry(&common, options).await,
        Command::Skip(options) => control::skip(&common, options).await,
        Command::Rollback(options) => control::rollback(&common, options).await,
        Command::Audit(options) => audit::run(&common, options).await,
        Command::Check(options) => check::run(&common, &options).await,
        Command::ExecutorPlugin(options) => executor_plugin::run(&common, options).await,
        Command::Notify(options) => notify::run(&common, &options).await,
        Command::Migrate => parts::migrate(&common).await,
        Command::Plan(_)
        | Command::Graph(_)
        | Command::Explain(_)
        | Command::Validate(_)
        | Command::Generate(_)
        | Command::Simulate(_)
        | Command::Schema(_)
        | Command::Step(_)
        | Command::Completion(_) => Ok(Exit::Success),
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
