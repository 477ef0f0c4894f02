//! What the health check makes of a real Prometheus' answers: `queries URL` while it answers, and `queries URL down`
//! once it is stopped (see run.py, which has it scrape a real run).

#![allow(clippy::print_stdout, reason = "a program for people who run tests")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use argocd_orchestrator::adapters::probe::{HttpProbe, Settings};
use argocd_orchestrator::domain::names::{AppName, Namespace};
use argocd_orchestrator::domain::probe::address::Service;
use argocd_orchestrator::domain::probe::{Outcome, Question};
use argocd_orchestrator::ports::{ClusterError, Probe, Services};

/// Whoever asks a service and not Prometheus is told that there is none.
struct Nowhere;

#[async_trait::async_trait]
impl Services for Nowhere {
    async fn service(&self, _: &Namespace, _: &AppName) -> Result<Option<Service>, ClusterError> {
        Ok(None)
    }
}

/// What each query gives, as far as its reason is ours; the run is scraped as the job `argocd-orchestrator`.
const CASES: [(&str, &str); 16] = [
    // Above, below, and equal to what is asked.
    ("up{job=\"argocd-orchestrator\"} >= 1", "passed"),
    ("up{job=\"argocd-orchestrator\"} > 1", "silent: the Prometheus query gave no data"),
    ("sum(argocd_orchestrator_deployments_total) >= 6", "passed"),
    ("sum(argocd_orchestrator_deployments_total) > 1000000", "silent: the Prometheus query gave no data"),
    // A value that is 0 and passes its comparison is as good as any.
    ("sum(argocd_orchestrator_events_waiting) < 1", "passed"),
    // So is one that says that a comparison does not hold: nobody can tell the two apart.
    ("up{job=\"argocd-orchestrator\"} > bool 1", "passed"),
    // A scalar is yes or no.
    ("scalar(sum(argocd_orchestrator_deployments_total)) >= bool 6", "passed"),
    (
        "scalar(sum(argocd_orchestrator_deployments_total)) > bool 1000000",
        "failed: the Prometheus query gave 0",
    ),
    ("1 / 0", "passed"),
    // Nothing, and no number.
    ("up{job=\"nobody\"} == 1", "silent: the Prometheus query gave no data"),
    ("vector(0) / 0", "silent: the Prometheus query gave no data"),
    ("scalar(up{job=\"nobody\"})", "silent: the Prometheus query gave no data"),
    // No question of yes or no, and no question at all.
    ("up[1m]", "silent: the Prometheus query gives a matrix, not a vector or a scalar"),
    ("\"up\"", "silent: the Prometheus query gives a string, not a vector or a scalar"),
    ("up{", "silent: Prometheus answered 400: "),
    ("rate(up)", "silent: Prometheus answered 400: "),
];

async fn ask(url: &str, query: &str) -> Result<String, String> {
    let prometheus = url.parse().map_err(|error| format!("{url} {error}"))?;
    let settings = Settings { prometheus: Some(prometheus), ..Settings::default() };
    let probe = HttpProbe::new(Arc::new(Nowhere), settings);
    let question = Question::Prometheus { query: query.to_owned() };
    Ok(match probe.ask(&question, Duration::from_secs(10)).await {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed { reason } => format!("failed: {reason}"),
        Outcome::Silent { reason } => format!("silent: {reason}"),
    })
}

/// How a verdict has to begin; all of it where it does not end with a space.
fn fits(found: &str, expected: &str) -> bool {
    if expected.ends_with(' ') { found.starts_with(expected) && found != expected } else { found == expected }
}

async fn run(url: &str, down: bool) -> Result<usize, String> {
    let mut wrong = Vec::new();
    let away = [("up", "silent: Prometheus: ")];
    let nowhere = format!("{url}/nowhere");
    let missing = "silent: Prometheus answered 404 with something that is no answer to a query";
    let up =
        CASES.iter().map(|(query, expected)| (url, *query, *expected)).chain([(&*nowhere, "up", missing)]);
    let down: Option<Vec<_>> =
        down.then(|| away.iter().map(|(query, expected)| (url, *query, *expected)).collect());
    let cases = down.unwrap_or_else(|| up.collect());
    for (url, query, expected) in &cases {
        let found = ask(url, query).await?;
        if !fits(&found, expected) {
            wrong.push(format!("{query} at {url}: {found:?}, not {expected:?}"));
        }
    }
    if wrong.is_empty() { Ok(cases.len()) } else { Err(wrong.join("\n")) }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, down) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [url] => (*url, false),
        [url, "down"] => (*url, true),
        _ => {
            println!("usage: queries URL [down]");
            return ExitCode::from(2);
        }
    };
    match run(url, down).await {
        Ok(cases) => {
            let when = if down { "that is stopped" } else { "that answers" };
            println!("{cases} verdicts of the health check about a Prometheus {when} are as they should be");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("{wrong}");
            ExitCode::FAILURE
        }
    }
}
