//! `check`: whether a cluster and a server are fit, line by line, and what to do about what is not.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use console::Style;
use jiff::{SignedDuration, Timestamp};

use super::{Common, Exit, Failure, output, parts};
use crate::adapters::argocd::inspect::{Account, Inspector};
use crate::client::{Client, ClientError};
use crate::config::argo_cd::{ArgoCd, AutoSync};
use crate::config::{Cluster, Config};
use crate::domain::check::cluster::{self, Time};
use crate::domain::check::permissions::{self, Need, Wanted};
use crate::domain::check::server::{self, Me, Part, Server};
use crate::domain::check::{Check, Finding, Level, Report, argo_cd, events, kinds, workload};
use crate::domain::manifest::bundle::{Layout, Maker};
use crate::domain::names::Namespace;
use crate::domain::removal::RemovedServices;
use crate::ports::ClusterError;

/// The pause between two looks of `--wait`.
const PAUSE: Duration = Duration::from_secs(2);

/// The name of the StatefulSet.
const NAME: &str = "argocd-orchestrator";

/// What is looked at, and how long.
#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub struct Options {
    /// The context of the kubeconfig; without one that of `cluster.argo-cd.context`, or the current
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Only what has to be there before the orchestrator is installed, and whether you may install it
    #[arg(long, conflicts_with_all = ["as_service_account", "namespace"])]
    pre: bool,
    /// Ask what this ServiceAccount may do, and not what you may
    #[arg(long, value_name = "NAMESPACE/NAME")]
    as_service_account: Option<Account>,
    /// The namespace of the orchestrator
    #[arg(long, value_name = "NAME", default_value = NAME)]
    namespace: Namespace,
    /// The namespace of the EventBus, EventSources and Sensors
    #[arg(long, value_name = "NAME", default_value = "argo-events")]
    argo_events_namespace: Namespace,
    /// Look again until nothing is wrong, for this long at most, such as `2m`
    #[arg(long, value_name = "DURATION")]
    wait: Option<SignedDuration>,
}

const NOTES: &str = "\
The cluster is the one that `serve` would work with: KUBECONFIG, or what `cluster.argo-cd` of the configuration names. \
Nothing is changed. With --server the running server is asked as well. What each check is about, by its id in the JSON: \
docs/check.md.

Ends with 0 where nothing is wrong (there may be warnings), 5 where something is, 7 where the cluster does not answer.";

/// What a look found.
struct Look {
    report: Report,
    /// Whether the cluster answered.
    answered: bool,
}

pub(super) async fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let config = parts::config_without_secrets(common)?;
    let settings = match &config.cluster {
        Cluster::ArgoCd(settings) => settings.as_ref().clone(),
        // What is asked for is a real one.
        Cluster::Simulated(_) => ArgoCd::default(),
    };
    let context = options.context.as_deref().or(settings.context.as_deref());
    let inspector = Inspector::connect(settings.kubeconfig.as_deref(), context).await;
    let inspector = inspector.map_err(|error| Failure::new(Exit::InvalidInput, error))?;
    let client = common.server.client().await?;
    let checker = Checker { inspector, client, options, settings, config };
    let look = checker.patiently().await;
    output::print(common.output, &look.report, || text(&look.report))?;
    Ok(match (look.answered, look.report.well) {
        (false, _) => Exit::Unavailable,
        (true, false) => Exit::Refused,
        (true, true) => Exit::Success,
    })
}

/// All that a look needs.
struct Checker<'a> {
    inspector: Inspector,
    client: Option<Client>,
    options: &'a Options,
    settings: ArgoCd,
    config: Config,
}

impl Checker<'_> {
    /// Looks until nothing is wrong, or for as long as is wanted.
    async fn patiently(&self) -> Look {
        let began = Instant::now();
        let patience = self.options.wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
        let mut told = None;
        loop {
            let look = self.look().await;
            let left = patience.saturating_sub(began.elapsed());
            if look.report.well || left.is_zero() {
                return look;
            }
            let wrong = look.report.findings.iter().find(|finding| finding.level == Level::Wrong);
            let wrong = wrong.map(line);
            if told != wrong {
                eprintln!("waiting: {}", wrong.as_deref().unwrap_or_default());
                told = wrong;
            }
            tokio::time::sleep(PAUSE.min(left)).await;
        }
    }

    async fn look(&self) -> Look {
        let mut found = Vec::new();
        let answered = match self.cluster(&mut found).await {
            Ok(()) => true,
            Err(ClusterError::Unavailable(reason)) => {
                found.push(cluster::unanswered(&reason));
                false
            }
            Err(error @ (ClusterError::Refused(_) | ClusterError::Busy(_) | ClusterError::Missing(_))) => {
                found.push(Finding::wrong(
                    Check::API_SERVER,
                    error.to_string(),
                    "log in at the cluster, with an account that may read its version and its kinds",
                ));
                true
            }
        };
        if let Some(client) = &self.client {
            found.extend(asked(client).await);
        }
        Look { report: Report::of(found), answered }
    }

    async fn cluster(&self, found: &mut Vec<Finding>) -> Result<(), ClusterError> {
        found.extend(cluster::findings(&self.inspector.api_server().await?));
        let served = self.inspector.kinds().await?;
        found.extend(kinds::findings(&served));
        let namespace = self.settings.namespace.as_str();
        if self.options.pre {
            found.push(argo_cd::version(&self.inspector.argo_cd_images(namespace).await?));
            return self.permissions(found, &permissions::installation(), &BTreeSet::new()).await;
        }
        let hold = parts::hold(self.settings.auto_sync);
        let sources = self.config.sources.iter();
        let repositories = sources.map(|source| source.seen_by_argo_cd().to_owned()).collect();
        let seen = self.inspector.argo_cd(namespace, hold, &repositories).await?;
        found.extend(argo_cd::findings(&seen));
        let needs = permissions::needs(&self.wanted(served.resources.contains("rollouts")));
        self.permissions(found, &needs, &seen.namespaces).await?;
        let events = self.inspector.argo_events(self.options.argo_events_namespace.as_str()).await?;
        found.extend(events::findings(&events));
        found.extend(events::reachability(&events));
        let namespace = self.options.namespace.as_str();
        let name = format!("{namespace}/{NAME}");
        let read = self.inspector.workload(namespace, NAME).await;
        found.push(match &read {
            Ok(read) => workload::findings(Ok(read.as_ref()), &name),
            Err(ClusterError::Refused(reason)) => workload::findings(Err(reason), &name),
            Err(ClusterError::Unavailable(_) | ClusterError::Busy(_) | ClusterError::Missing(_)) => {
                return read.map(|_| ());
            }
        });
        Ok(())
    }

    async fn permissions(
        &self,
        found: &mut Vec<Finding>,
        needs: &[Need],
        customers: &BTreeSet<String>,
    ) -> Result<(), ClusterError> {
        let account = self.options.as_service_account.as_ref();
        let who = account.map_or_else(|| "you".to_owned(), ToString::to_string);
        let argo_cd = self.settings.namespace.as_str();
        match self.inspector.may(account, argo_cd, customers, needs).await {
            Ok(answers) => found.extend(
                needs
                    .iter()
                    .zip(answers)
                    .map(|(need, answers)| permissions::finding(&who, argo_cd, need, &answers)),
            ),
            Err(ClusterError::Refused(reason)) => found.push(permissions::unknown(&who, &reason)),
            Err(
                error @ (ClusterError::Unavailable(_) | ClusterError::Busy(_) | ClusterError::Missing(_)),
            ) => {
                return Err(error);
            }
        }
        Ok(())
    }

    /// What rights follow from.
    fn wanted(&self, rollouts: bool) -> Wanted {
        let settings = &self.settings;
        let writes = settings.auto_sync != AutoSync::Observe;
        let real = Cluster::ArgoCd(Box::new(settings.clone()));
        Wanted {
            argo_cd: settings.namespace.clone(),
            writes,
            provisions: writes && settings.provision.enabled,
            application_sets: settings.provision.applications == Maker::ApplicationSets,
            prunes: self.config.sync_wave.removed_services == RemovedServices::Prune,
            per_customer: settings.layout == Layout::PerCustomer,
            health_checks: self.config.microservices.health_check.is_made(&real),
            rollouts,
        }
    }
}

/// What a server says of itself.
async fn asked(client: &Client) -> Vec<Finding> {
    let asked = Timestamp::now();
    let health = client.health().await;
    let answered = Timestamp::now();
    if let Err(error @ (ClientError::Unreachable { .. } | ClientError::Redirect { .. })) = &health {
        return vec![server::unanswered(&error.to_string())];
    }
    let date = health.as_ref().ok().and_then(|health| health.date);
    let me = client.me().await;
    let version = match &me {
        Ok(_) => Some(client.status().await.map(|status| status.version)),
        Err(_) => None,
    };
    let facts = Server {
        address: client.server().as_str().trim_end_matches('/').to_owned(),
        health: health
            .map(|health| health.parts.into_iter().map(|(name, up)| Part { name, up }).collect())
            .map_err(|error| error.to_string()),
        time: date.map(|theirs| Time { theirs, asked, answered }),
        version: version.map(|version| version.map_err(|error| error.to_string())),
        me: me
            .map(|me| Me { name: me.name, roles: me.grants.into_iter().map(|grant| grant.role).collect() })
            .map_err(|error| error.to_string()),
    };
    server::findings(&facts, env!("CARGO_PKG_VERSION"))
}

/// For people: under headings, what is wrong with what to do.
fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut heading = None;
    for finding in &report.findings {
        let group = finding.check.group;
        if heading != Some(group) {
            let (space, title) = (if heading.is_some() { "\n" } else { "" }, group.title());
            // A String takes everything.
            let _ = writeln!(text, "{space}{title}\n{}", "-".repeat(title.len()));
            heading = Some(group);
        }
        let (sign, style) = sign(finding.level);
        let _ = writeln!(text, "{} {}", output::paint(&style, sign), line(finding));
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "    {}", output::plain(remedy));
        }
    }
    let (wrong, warnings) = (report.count(Level::Wrong), report.count(Level::Warning));
    let summary = match (wrong, warnings) {
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => format!("nothing is wrong; {}", counted(warnings, "warning")),
        (wrong, warnings) => format!("{} wrong; {}", counted(wrong, "thing"), counted(warnings, "warning")),
    };
    let level = match (wrong, warnings) {
        (0, 0) => Level::Fine,
        (0, _) => Level::Warning,
        _ => Level::Wrong,
    };
    let (sign, style) = sign(level);
    let _ = writeln!(text, "\n{} {summary}", output::paint(&style, sign));
    text
}

/// What was found, with where, in one line.
fn line(finding: &Finding) -> String {
    output::plain(&finding.to_string())
}

fn sign(level: Level) -> (&'static str, Style) {
    match level {
        Level::Fine => ("√", Style::new().green()),
        Level::Note => ("·", Style::new().dim()),
        Level::Warning => ("‼", Style::new().yellow()),
        Level::Wrong => ("×", Style::new().red()),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
