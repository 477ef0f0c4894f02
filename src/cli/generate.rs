//! `generate`: the manifests that customers are deployed by, for people who keep them in Git.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::sources::{self, Loaded, Read, ReadOptions, count};
use super::{Common, Exit, Failure, Output, output, parts};
use crate::app::customers::Layout as Folders;
use crate::config::{Cluster, Config, Source, Target};
use crate::domain::catalog::Format;
use crate::domain::manifest::bundle::{self, BundleError, Layout, Maker};
use crate::domain::manifest::customer::Customer;
use crate::domain::manifest::{Rules, Tenant};
use crate::domain::names::{Environment, Revision, SourceName};

/// Whose manifests, and which.
#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub struct Options {
    /// Values files, charts, or folders of customers
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The commit that Applications are pinned to; without it the manifests leave the pin alone
    #[arg(long, value_name = "COMMIT")]
    revision: Option<Revision>,
    /// The configured repository that the customers are in; needed where there are several
    #[arg(long, value_name = "NAME")]
    source: Option<SourceName>,
    /// Where Argo CD fetches the repository from, where none is configured: paths are those of the files' own
    #[arg(long, value_name = "URL", conflicts_with = "source")]
    repository: Option<String>,
    /// The folder, in that repository, of the chart that Config as Code is rendered with
    #[arg(long, value_name = "FOLDER", conflicts_with = "source")]
    base_chart: Option<String>,
    /// How many Applications a customer has; without it as configured
    #[arg(long, value_enum)]
    layout: Option<LayoutOption>,
    /// ApplicationSets instead of Applications
    #[arg(long)]
    application_sets: bool,
    /// Only objects of this kind; may be given several times
    #[arg(long = "kind", value_name = "KIND", ignore_case = true, value_parser = kinds())]
    kinds: Vec<String>,
    #[command(flatten)]
    order: super::OrderOption,
    #[command(flatten)]
    reading: ReadOptions,
}

const NOTES: &str = "\
These are the objects that the orchestrator itself applies; `cluster.argo-cd` in the configuration says what they are \
like. Project and namespace are printed also where `provision.enabled` leaves them to others. Automated sync is off, \
so that nothing starts out of order. Leave --revision away where something applies the manifests again and again: it \
would move every pin back. Tables are printed as YAML; JSON is one List.";

/// The name that the repository has where none is configured.
const LOCAL: &str = "local";
const APPLICATION: &str = "Application";
const APPLICATION_SET: &str = "ApplicationSet";
const KINDS: [&str; 7] =
    ["AppProject", "Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", APPLICATION, APPLICATION_SET];

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(KINDS)
}

/// How many Applications a customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutOption {
    /// One for each service, and one for what they share.
    ApplicationPerService,
    /// One with all of it.
    ApplicationPerCustomer,
}

/// Prints them.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    check_kinds(options)?;
    let config = parts::config_without_secrets(common)?;
    let order = options.order.order.unwrap_or(config.order());
    let mut reads = sources::read(&options.paths, &options.reading, order)?;
    sources::add_collisions(&mut reads);
    let sound = sources::sound(&reads, "no manifests can be made")?;
    let rules = rules(&config)?;
    let origin = Origin::of(options, &config)?;
    let customers: Vec<Customer<'_>> =
        sound.into_iter().map(|(read, loaded)| origin.customer(read, loaded)).collect::<Result<_, _>>()?;
    let layout = match options.layout {
        Some(LayoutOption::ApplicationPerService) => Layout::PerService,
        Some(LayoutOption::ApplicationPerCustomer) => Layout::PerCustomer,
        None => config.cluster.layout(),
    };
    let maker = if options.application_sets { Maker::ApplicationSets } else { Maker::Directly };
    let mut objects =
        bundle::objects(&customers, layout, maker, options.revision.as_ref(), &rules).map_err(|error| {
            match error {
                BundleError::Name(_) | BundleError::Twice { .. } | BundleError::Misnamed { .. } => {
                    Failure::new(Exit::InvalidInput, error)
                }
            }
        })?;
    objects.retain(|object| is_wanted(object, &options.kinds));
    if objects.is_empty() {
        eprintln!(
            "note: {} makes nothing of {}",
            count(customers.len(), "customer"),
            options.kinds.join(", ")
        );
    }
    output::write(&text(common.output, objects)?)?;
    Ok(Exit::Success)
}

fn check_kinds(options: &Options) -> Result<(), Failure> {
    let asked = |kind: &str| options.kinds.iter().any(|one| one.eq_ignore_ascii_case(kind));
    let message = match options.application_sets {
        true if asked(APPLICATION) => "--application-sets prints ApplicationSets instead of Applications",
        false if asked(APPLICATION_SET) => "ApplicationSets are printed with --application-sets",
        true | false => return Ok(()),
    };
    Err(Failure::new(Exit::Usage, message))
}

fn is_wanted(object: &Value, kinds: &[String]) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    kinds.is_empty() || kinds.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
}

fn text(form: Output, objects: Vec<Value>) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failure, error);
    match form {
        Output::Json => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
            serde_json::to_string_pretty(&list).map_err(|error| failed(&error))
        }
        Output::Table | Output::Yaml => {
            let documents: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
            Ok(documents.map_err(|error| failed(&error))?.join("---\n"))
        }
    }
}

fn rules(config: &Config) -> Result<Rules, Failure> {
    match &config.cluster {
        Cluster::ArgoCd(settings) => parts::rules(settings),
        Cluster::Simulated(_) => parts::rules(&Default::default()),
    }
}

/// The repository that the customers are in.
enum Origin<'a> {
    /// One of the configured ones, which says where everything is.
    Configured { source: &'a Source, config: &'a Config },
    /// Another one; its layout is that of the files.
    Named { repository: &'a str, name: SourceName, base: &'a str },
}

impl<'a> Origin<'a> {
    fn of(options: &'a Options, config: &'a Config) -> Result<Self, Failure> {
        if let Some(repository) = options.repository.as_deref() {
            let name = LOCAL.parse().map_err(|error| Failure::new(Exit::Failure, error))?;
            let base = options.base_chart.as_deref().unwrap_or(&config.helm.base_chart).trim_matches('/');
            return Ok(Self::Named { repository, name, base });
        }
        let known = || {
            let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let source = match (&options.source, config.sources.as_slice()) {
            (Some(name), _) => config.source(name).ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("no source is called {name}; configured: {}", known()))
            })?,
            (None, [only]) => only,
            (None, _) => {
                let message = format!(
                    "say where Argo CD fetches the charts from: --repository URL, or --source NAME (configured: {})",
                    known()
                );
                return Err(Failure::new(Exit::Usage, message));
            }
        };
        Ok(Self::Configured { source, config })
    }

    fn customer<'b>(&self, read: &Read, loaded: &'b Loaded) -> Result<Customer<'b>, Failure> {
        let catalog = &loaded.catalog;
        let tenant = |repository: &str| Tenant {
            customer: catalog.customer.clone(),
            environment: catalog.environment.clone(),
            namespace: catalog.namespace.clone(),
            repository: repository.to_owned(),
        };
        let (tenant, source, reference, path) = match self {
            Self::Configured { source, config } => {
                let target = target(source, &catalog.environment)?;
                let folders = Folders::of(config, target);
                let path = match catalog.format {
                    Format::Helm => format!("{}/{}", folders.charts, catalog.customer),
                    Format::Cac => folders.base,
                };
                let branch = target.reference.strip_prefix("refs/heads/").unwrap_or(&target.reference);
                (tenant(source.seen_by_argo_cd()), source.name.clone(), branch.to_owned(), path)
            }
            Self::Named { repository, name, base } => {
                let path = match catalog.format {
                    Format::Helm => own_folder(read)?,
                    Format::Cac => (*base).to_owned(),
                };
                (tenant(repository), name.clone(), "HEAD".to_owned(), path)
            }
        };
        let path = path.trim_matches('/');
        let path = if path.is_empty() { "." } else { path }.to_owned();
        Ok(Customer { tenant, source, reference, path, catalog, graph: &loaded.graph })
    }
}

fn target<'a>(source: &'a Source, environment: &Environment) -> Result<&'a Target, Failure> {
    source.targets.iter().find(|target| &target.environment == environment).ok_or_else(|| {
        let message = format!("nothing of the source {} deploys to {environment}", source.name);
        Failure::new(Exit::InvalidInput, message)
    })
}

/// The folder of a chart in the repository that its files are in.
fn own_folder(read: &Read) -> Result<String, Failure> {
    if !read.has_chart {
        let message = format!("{}: there is no chart beside it that could render it", read.file);
        return Err(Failure::new(Exit::InvalidInput, message));
    }
    sources::folder_in_repository(Path::new(&read.file))?.ok_or_else(|| {
        let message = format!(
            "{} is in no git repository, so where its chart is there is not known: configure it as a source",
            read.file
        );
        Failure::new(Exit::InvalidInput, message)
    })
}
