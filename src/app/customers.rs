//! The customers of a repository at a commit: which files each is made from.

use std::collections::BTreeMap;

use crate::config::{Config, Target};
use crate::domain::catalog::{ASSUMED_DURATION, Catalog, Limits, Order};
use crate::domain::diagnostic::{Code, Diagnostic, Place, any_error};
use crate::domain::graph::Graph;
use crate::domain::names::{CustomerId, Environment, Fingerprint, Revision, SourceName};
use crate::domain::plan::fingerprint;
use crate::domain::values::{self, Expected, Pattern};
use crate::ports::{SourceError, ValuesSource};

/// Where a target's charts and values are, all settings resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The folder with a chart for each customer.
    pub charts: String,
    /// The chart that they share.
    pub base: String,
    /// The folder of Config-as-Code files.
    pub cac: Option<String>,
}

impl Layout {
    /// The layout of a target.
    pub fn of(config: &Config, target: &Target) -> Self {
        let trim = |path: &str| path.trim_matches('/').to_owned();
        Self {
            charts: trim(target.charts_path.as_deref().unwrap_or(&config.helm.charts_path)),
            base: trim(target.base_chart.as_deref().unwrap_or(&config.helm.base_chart)),
            cac: target.cac_path.as_deref().map(trim),
        }
    }
}

/// The files that one customer is made from, at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerFiles {
    /// Whose.
    pub customer: CustomerId,
    /// The chart's folder.
    pub folder: String,
    /// The values file.
    pub values: String,
    /// Hash of the chart's files other than the values.
    pub chart: Fingerprint,
    /// Hash of all of them.
    pub digest: Fingerprint,
}

impl CustomerFiles {
    /// Whether any of these changed paths is one of its files.
    pub fn touched_by(&self, changed: &[String], layout: &Layout) -> bool {
        let below =
            |folder: &str, path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        changed
            .iter()
            .any(|path| path == &self.values || below(&self.folder, path) || below(&layout.base, path))
    }
}

/// All customers of a layout at a commit, and what is wrong with the folders.
///
/// # Errors
/// When the repository cannot be read.
pub async fn customers(
    source: &dyn ValuesSource,
    name: &SourceName,
    revision: &Revision,
    layout: &Layout,
) -> Result<(Vec<CustomerFiles>, Vec<Diagnostic>), SourceError> {
    let base = source.list(name, revision, &layout.base).await?;
    let mut found = Vec::new();
    let mut diagnostics = Vec::new();
    let mut folders: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (path, content) in source.list(name, revision, &layout.charts).await? {
        let rest = path.strip_prefix(&layout.charts).map(|rest| rest.trim_start_matches('/'));
        if let Some((folder, _)) = rest.and_then(|rest| rest.split_once('/')) {
            folders.entry(folder.to_owned()).or_default().insert(path.clone(), content);
        }
    }
    for (folder, mut files) in folders {
        let path =
            if layout.charts.is_empty() { folder.clone() } else { format!("{}/{folder}", layout.charts) };
        let values = format!("{path}/values.yaml");
        let Some(content) = files.remove(&values) else { continue };
        match folder.parse::<CustomerId>() {
            Ok(customer) => {
                let chart = fingerprint(&(&base, &files));
                let digest = fingerprint(&(&chart, &content));
                found.push(CustomerFiles { customer, folder: path, values, chart, digest });
            }
            Err(error) => diagnostics.push(misnamed(&path, &error.to_string())),
        }
    }
    if let Some(cac) = &layout.cac {
        for (path, content) in source.list(name, revision, cac).await? {
            let file =
                path.strip_prefix(cac.as_str()).map(|rest| rest.trim_start_matches('/')).unwrap_or_default();
            let Some(stem) = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")) else {
                continue;
            };
            match stem.parse::<CustomerId>() {
                Ok(customer) if found.iter().any(|other| other.customer == customer) => {
                    let message =
                        format!("{customer} has a chart of its own as well: nobody can say which counts");
                    let place = Place::file(&path);
                    diagnostics.push(Diagnostic::error(Code::NameCollision, place, message));
                }
                Ok(customer) => {
                    let chart = fingerprint(&(&base, ()));
                    let digest = fingerprint(&(&chart, &content));
                    let folder = layout.base.clone();
                    found.push(CustomerFiles { customer, folder, values: path, chart, digest });
                }
                Err(error) => diagnostics.push(misnamed(&path, &error.to_string())),
            }
        }
    }
    Ok((found, diagnostics))
}

fn misnamed(path: &str, fault: &str) -> Diagnostic {
    Diagnostic::error(Code::BadName, Place::file(path), format!("its name cannot be a customer's: {fault}"))
        .with_help("rename the folder or file")
}

/// A customer's catalogue with its graph.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the customer wants.
    pub catalog: Catalog,
    /// In which order.
    pub graph: Graph,
    /// What is doubtful about it.
    pub warnings: Vec<Diagnostic>,
}

impl Loaded {
    /// How long each service is expected to take, in the graph's order.
    pub fn durations(&self) -> Vec<jiff::SignedDuration> {
        vec![ASSUMED_DURATION; self.graph.len()]
    }
}

/// What is wrong where a customer that is asked for has no files.
pub fn missing(customer: &CustomerId, revision: &Revision, layout: &Layout) -> Diagnostic {
    let message = format!("{customer} is not there at {}", revision.short());
    Diagnostic::error(Code::MissingFile, Place::file(&layout.charts), message)
        .with_help(format!("add {}/{customer}/values.yaml", layout.charts))
}

/// Understands a customer's values.
///
/// # Errors
/// All that is wrong with them, warnings among it.
pub fn load(
    file: &str,
    text: &[u8],
    expected: &Expected,
    order: Order,
    limits: &Limits,
) -> Result<Loaded, Vec<Diagnostic>> {
    let Ok(text) = std::str::from_utf8(text) else {
        let message = "it is not UTF-8 text";
        return Err(vec![Diagnostic::error(Code::BadYaml, Place::file(file), message)]);
    };
    let (catalog, mut diagnostics) = values::read(file, text, expected, limits);
    let Some(catalog) = catalog else { return Err(diagnostics) };
    let (graph, more) = Graph::build(&catalog, order, limits);
    diagnostics.extend(more);
    if any_error(&diagnostics) {
        Err(diagnostics)
    } else {
        Ok(Loaded { catalog, graph, warnings: diagnostics })
    }
}

/// What a customer's file must fit.
pub fn expected(customer: &CustomerId, environment: &Environment, target: &Target) -> Expected {
    let namespace: Option<Pattern> = target.namespace.as_ref().and_then(|text| text.clone().try_into().ok());
    Expected {
        customer: Some(customer.clone()),
        environment: Some(environment.clone()),
        namespace_pattern: namespace.unwrap_or_default(),
        ..Expected::default()
    }
}
