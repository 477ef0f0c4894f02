//! Values files that somebody names on the command line, from disk or from an earlier revision.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure};
use crate::domain::catalog::{Catalog, Limits, Order};
use crate::domain::diagnostic::{Code, Diagnostic, Place, any_error};
use crate::domain::graph::Graph;
use crate::domain::names::{CustomerId, Environment, Fingerprint, Revision, ServiceName};
use crate::domain::nearest::nearest;
use crate::domain::plan::fingerprint;
use crate::domain::values::{self, Expected};

mod commit;
pub(super) mod messages;
mod tree;

use super::output::stream::Stream;
use commit::Commit;
use tree::{Fault, Found, Tree};

/// How values files are read.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ReadOptions {
    /// The environment that the files must be for
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<Environment>,
    /// How large they may be.
    #[command(flatten)]
    pub(super) limits: LimitOptions,
}

/// How large values files may be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
    /// Bytes of one file [default: 1048576]
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
    /// How deep lists and mappings may nest [default: 32]
    #[arg(long, value_name = "N")]
    max_depth: Option<u32>,
    /// Nodes of one file, aliases counted as what they expand to [default: 250000]
    #[arg(long, value_name = "N")]
    max_nodes: Option<u32>,
    /// Services of one customer [default: 2000]
    #[arg(long, value_name = "N")]
    max_services: Option<u32>,
    /// Dependencies of one customer, all together [default: 50000]
    #[arg(long, value_name = "N")]
    max_dependencies: Option<u32>,
    /// How many waves: the highest is one less [default: 10]
    #[arg(long, value_name = "N")]
    max_waves: Option<u32>,
}

impl LimitOptions {
    /// The limits, defaults where none are given.
    pub(super) fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            max_bytes: self.max_bytes.unwrap_or(default.max_bytes),
            max_depth: self.max_depth.unwrap_or(default.max_depth),
            max_nodes: self.max_nodes.unwrap_or(default.max_nodes),
            max_services: self.max_services.unwrap_or(default.max_services),
            max_dependencies: self.max_dependencies.unwrap_or(default.max_dependencies),
            max_waves: self.max_waves.unwrap_or(default.max_waves),
        }
    }
}

/// One values file, and what was understood of it.
#[derive(Debug)]
pub(super) struct Read {
    /// Its path, as people are shown it.
    pub(super) file: String,
    /// Its content; empty where it could not be read.
    pub(super) text: String,
    /// Hash of its chart's files other than the values.
    pub(super) chart: Fingerprint,
    /// Whether it has a chart of its own.
    pub(super) has_chart: bool,
    /// What the customer wants and in which order, as far as it was understood.
    pub(super) loaded: Option<Loaded>,
    /// Everything that is wrong.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What was understood of a file.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What the customer wants.
    pub(super) catalog: Catalog,
    /// In which order.
    pub(super) graph: Graph,
}

impl Loaded {
    /// Customer and environment.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.catalog.customer, self.catalog.environment)
    }

    /// The number of the service of this name.
    pub(super) fn service(&self, name: &str) -> Result<usize, Failure> {
        let found = name.parse::<ServiceName>().ok().and_then(|name| self.graph.index(&name));
        found.ok_or_else(|| {
            let name = super::output::plain(name);
            let off = self.catalog.services.iter().find(|service| service.name.as_str() == name);
            let known = (0..self.graph.len()).map(|at| self.graph.name(at).as_str());
            let help = match (off, nearest(&name, known)) {
                (Some(off), _) => format!("it is switched off at {}", off.place),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("`graph` lists the {} there are", self.graph.len()),
            };
            Failure::new(Exit::NotFound, format!("{} has no service `{name}`; {help}", self.title()))
        })
    }
}

/// Reads what is at the paths: a values file of either format, a chart's folder, or a folder of customers.
///
/// # Errors
/// When there is nothing at a path. All else that is wrong stands beside what was read.
pub(super) fn read(paths: &[PathBuf], options: &ReadOptions, order: Order) -> Result<Vec<Read>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        let real = std::fs::canonicalize(path).ok();
        let top = real.as_deref().map(commit::top).transpose()?.flatten();
        let reader = Reader { tree: Tree::Disk(top), options, limits: options.limits.limits(), order };
        let found = reader.at(path).ok_or_else(|| nothing(path))?;
        if found.is_empty() {
            let message =
                format!("{}: no values.yaml, no folders with one, and no *.yaml files", path.display());
            return Err(Failure::new(Exit::NotFound, message));
        }
        all.extend(found);
    }
    Ok(all)
}

/// What a path is compared with.
#[derive(Debug)]
pub(super) struct Against {
    /// As people are shown it.
    pub(super) name: String,
    /// The commit; none for a path whose files are as no commit has them.
    pub(super) revision: Option<Revision>,
    /// What is there; empty where that has nothing at the path.
    pub(super) reads: Vec<Read>,
}

/// Reads what `path` is compared with: another path, or a revision of the repository that it is in.
///
/// # Errors
/// When `against` is neither.
pub(super) fn read_against(
    path: &Path,
    against: &str,
    options: &ReadOptions,
    order: Order,
) -> Result<Against, Failure> {
    if against.starts_with('-') || against.is_empty() {
        let message = format!("{against:?} is neither a path nor a revision: neither begins with `-`");
        return Err(Failure::new(Exit::Usage, message));
    }
    let other = PathBuf::from(against);
    if other.exists() {
        let reads = read(std::slice::from_ref(&other), options, order)?;
        return Ok(Against { name: against.to_owned(), revision: revision_of(&other)?, reads });
    }
    let missing = |why: &str| {
        Failure::new(
            Exit::NotFound,
            format!("{against:?} is neither a path that exists nor a revision: {why}"),
        )
    };
    let real = std::fs::canonicalize(path).map_err(|_| nothing(path))?;
    let Some(top) = commit::top(&real)? else {
        return Err(missing(&format!("{} is in no git repository", path.display())));
    };
    let Some(revision) = commit::resolve(&top, against)? else {
        return Err(missing(&format!("the repository {} has no such commit", top.display())));
    };
    // Both are without links.
    let inside = real.strip_prefix(&top).map_err(|_| missing("the path is outside the repository"))?;
    let tree = Tree::Commit(Commit::open(&top, &revision, against)?);
    let reader = Reader { tree, options, limits: options.limits.limits(), order };
    let reads = reader.at(inside).unwrap_or_default();
    Ok(Against { name: format!("{against} ({})", revision.short()), revision: Some(revision), reads })
}

/// The commit that a path's files were taken from; none where they are as no commit has them.
///
/// # Errors
/// When there is nothing at the path, or git cannot be run.
pub(super) fn revision_of(path: &Path) -> Result<Option<Revision>, Failure> {
    commit::clean_head(&std::fs::canonicalize(path).map_err(|_| nothing(path))?)
}

/// Where a file's folder is in its repository; none where it is in no repository.
///
/// # Errors
/// When there is nothing at the path, or git cannot be run.
pub(super) fn folder_in_repository(file: &Path) -> Result<Option<String>, Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = std::fs::canonicalize(folder).map_err(|_| nothing(folder))?;
    let top = commit::top(&real)?;
    Ok(top.and_then(|top| Some(real.strip_prefix(&top).ok()?.display().to_string())))
}

/// The one customer at a path.
///
/// # Errors
/// When there is nothing at the path, or more than one customer.
pub(super) fn only(path: &Path, options: &ReadOptions, order: Order) -> Result<Read, Failure> {
    let mut reads = read(&[path.to_owned()], options, order)?;
    if reads.len() > 1 {
        let files: Vec<&str> = reads.iter().map(|read| read.file.as_str()).collect();
        let message =
            format!("{} holds {} customers; name one of: {}", path.display(), files.len(), files.join(", "));
        return Err(Failure::new(Exit::Usage, message));
    }
    reads.pop().ok_or_else(|| nothing(path))
}

/// Names that customers take from each other stand in the file of the second.
pub(super) fn add_collisions(reads: &mut [Read]) {
    let catalogs = reads.iter().filter_map(|read| Some(&read.loaded.as_ref()?.catalog));
    for fault in values::colliding(catalogs) {
        if let Some(read) = reads.iter_mut().find(|read| read.file == fault.place.file) {
            read.diagnostics.push(fault);
            read.diagnostics.sort_by_key(|diagnostic| (diagnostic.place.line, diagnostic.place.column));
        }
    }
}

/// Says on standard error what is wrong, and returns what can be deployed.
///
/// # Errors
/// When something forbids a deployment.
pub(super) fn sound<'a>(reads: &'a [Read], what: &str) -> Result<Vec<(&'a Read, &'a Loaded)>, Failure> {
    let faults = reads.iter().flat_map(|read| &read.diagnostics).filter(|fault| fault.is_error()).count();
    if faults > 0 {
        complain(reads);
        let message = format!("{what} from wrong values: {}", count(faults, "error"));
        return Err(Failure::new(Exit::InvalidInput, message));
    }
    let doubts: usize = reads.iter().map(|read| read.diagnostics.len()).sum();
    if doubts > 0 {
        eprintln!("note: {}; `validate` shows them", count(doubts, "warning"));
    }
    Ok(reads.iter().filter_map(|read| Some((read, read.loaded.as_ref()?))).collect())
}

/// Prints everything that is wrong to standard error.
pub(super) fn complain(reads: &[Read]) {
    let all: Vec<Diagnostic> = reads.iter().flat_map(|read| read.diagnostics.iter().cloned()).collect();
    eprint!("{}", messages::render(&all, &texts(reads), Stream::Err));
}

/// The files' contents by their names.
pub(super) fn texts(reads: &[Read]) -> BTreeMap<&str, &str> {
    reads.iter().map(|read| (read.file.as_str(), read.text.as_str())).collect()
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number if what.ends_with('y') => format!("{number} {}ies", what.trim_end_matches('y')),
        number => format!("{number} {what}s"),
    }
}

/// A chart's hash, for a file without a chart.
fn no_chart() -> Fingerprint {
    fingerprint(&())
}

/// The hash of the chart in a folder.
///
/// # Errors
/// When it cannot be read.
pub(super) fn chart_of(folder: &Path) -> Result<Fingerprint, Failure> {
    let tree = Tree::Disk(None);
    match tree.find(folder) {
        Ok(Found::Folder { .. }) => {
            tree.chart(folder).map_err(|fault| Failure::new(Exit::InvalidInput, fault))
        }
        Ok(Found::File { .. } | Found::Nothing) => Err(nothing(folder)),
        Err(fault) => Err(Failure::new(Exit::InvalidInput, fault)),
    }
}

fn nothing(path: &Path) -> Failure {
    Failure::new(Exit::NotFound, format!("{}: no such file or folder", path.display()))
}

struct Reader<'a> {
    tree: Tree,
    options: &'a ReadOptions,
    limits: Limits,
    order: Order,
}

impl Reader<'_> {
    /// None where there is nothing at all.
    fn at(&self, path: &Path) -> Option<Vec<Read>> {
        let found = match self.tree.find(path) {
            Ok(found) => found,
            Err(fault) => return Some(vec![self.unread(path, fault)]),
        };
        match found {
            Found::Nothing => None,
            Found::File { path: real, .. } => {
                let is_values = real.file_name().is_some_and(|name| name == "values.yaml");
                let folder =
                    path.parent().filter(|_| is_values && self.has(&path.with_file_name("Chart.yaml")));
                Some(vec![match folder {
                    Some(folder) => self.chart(folder, real.parent()),
                    None => self.file(path, None, None, Vec::new()),
                }])
            }
            Found::Folder { path: real } if self.has(&path.join("values.yaml")) => {
                let named = self.has(&path.join("Chart.yaml")).then_some(real.as_path());
                Some(vec![self.chart(path, named)])
            }
            Found::Folder { .. } => Some(self.customers(path)),
        }
    }

    fn has(&self, path: &Path) -> bool {
        // What is there and cannot be read is complained about when it is read.
        self.tree.find(path).map_or(true, |found| found != Found::Nothing)
    }

    fn customers(&self, folder: &Path) -> Vec<Read> {
        let names = match self.tree.names(folder) {
            Ok(names) => names,
            Err(fault) => return vec![self.unread(folder, fault)],
        };
        let (mut reads, mut seen): (Vec<Read>, BTreeMap<(CustomerId, Environment), String>) =
            Default::default();
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            let path = folder.join(name);
            let mut read = match self.tree.find(&path) {
                Ok(Found::Folder { path: real }) if self.has(&path.join("values.yaml")) => {
                    self.chart(&path, Some(&real))
                }
                Ok(Found::File { .. }) if is_yaml(name) => self.file(&path, None, None, Vec::new()),
                Ok(Found::File { .. } | Found::Folder { .. } | Found::Nothing) => continue,
                Err(fault) => self.unread(&path, fault),
            };
            if let Some(loaded) = &read.loaded {
                let whose = (loaded.catalog.customer.clone(), loaded.catalog.environment.clone());
                if let Some(first) = seen.get(&whose) {
                    let message =
                        format!("{} is also in {first}: nobody can say which counts", loaded.title());
                    read.diagnostics.push(Diagnostic::error(
                        Code::NameCollision,
                        Place::file(&read.file),
                        message,
                    ));
                } else {
                    seen.insert(whose, read.file.clone());
                }
            }
            reads.push(read);
        }
        reads
    }

    /// A chart with its values. The name of `named` must be the customer's.
    fn chart(&self, folder: &Path, named: Option<&Path>) -> Read {
        let mut faults = Vec::new();
        let customer = named.and_then(Path::file_name).and_then(|name| {
            let name = name.to_string_lossy();
            let wrong = |error| {
                let message = format!("its name cannot be a customer's: {error}");
                let place = Place::file(self.tree.shown(folder));
                Diagnostic::error(Code::BadName, place, message).with_help("rename the folder")
            };
            name.parse::<CustomerId>().map_err(|error| faults.push(wrong(error))).ok()
        });
        let chart = self.tree.chart(folder).unwrap_or_else(|fault| {
            faults.push(fault);
            no_chart()
        });
        self.file(&folder.join("values.yaml"), customer, Some(chart), faults)
    }

    fn file(
        &self,
        path: &Path,
        customer: Option<CustomerId>,
        chart: Option<Fingerprint>,
        faults: Vec<Fault>,
    ) -> Read {
        let content = match self.tree.read(path, self.limits.max_bytes) {
            Ok(content) => content,
            Err(fault) => {
                let mut read = self.unread(path, fault);
                read.diagnostics.extend(faults);
                return read;
            }
        };
        let file = self.tree.shown(path);
        let text = match String::from_utf8(content) {
            Ok(text) => text,
            Err(_) => {
                let fault = Diagnostic::error(Code::BadYaml, Place::file(&file), "it is not UTF-8 text");
                return self.unread(path, fault);
            }
        };
        let expected =
            Expected { customer, environment: self.options.environment.clone(), ..Expected::default() };
        let (catalog, understood) = values::read(&file, &text, &expected, &self.limits);
        let mut diagnostics = faults;
        diagnostics.extend(understood);
        let loaded = catalog.map(|catalog| {
            let (graph, more) = Graph::build(&catalog, self.order, &self.limits);
            diagnostics.extend(more);
            Loaded { catalog, graph }
        });
        diagnostics.sort_by_key(|diagnostic| (diagnostic.place.line, diagnostic.place.column));
        let has_chart = chart.is_some();
        Read { file, text, chart: chart.unwrap_or_else(no_chart), has_chart, loaded, diagnostics }
    }

    fn unread(&self, path: &Path, fault: Fault) -> Read {
        let file = self.tree.shown(path);
        Read {
            file,
            text: String::new(),
            chart: no_chart(),
            has_chart: false,
            loaded: None,
            diagnostics: vec![fault],
        }
    }
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

impl Read {
    /// Whether something forbids a deployment.
    pub(super) fn is_wrong(&self) -> bool {
        self.loaded.is_none() || any_error(&self.diagnostics)
    }
}
