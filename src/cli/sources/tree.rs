//! Where files come from: this machine's disk, or a commit. Links are followed inside the repository only, and
//! nothing but regular files and folders is read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::commit::Commit;
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::domain::names::Fingerprint;
use crate::domain::plan::fingerprint;

/// Files that one chart may have, its dependencies included.
const MOST_FILES: usize = 10_000;
/// Bytes that one chart may have, its dependencies included.
const MOST_BYTES: u64 = 64 << 20;

/// Why something cannot be read: said beside all else that is wrong.
pub(super) type Fault = Diagnostic;

/// A file or folder that is there, but is not read.
pub(super) fn refused(path: String, message: &str) -> Fault {
    Diagnostic::error(Code::MissingFile, Place::file(path), message)
}

/// A file beyond its limit.
pub(super) fn too_large(path: String, bytes: u64, most: u64) -> Fault {
    let message = format!("it has {bytes} bytes; at most {most} are read");
    Diagnostic::error(Code::LimitExceeded, Place::file(path), message)
        .with_help("split it, or raise max-bytes")
}

/// Where files come from.
#[derive(Debug)]
pub(super) enum Tree {
    /// The disk. Links may not lead out of this folder, the repository's top.
    Disk(Option<PathBuf>),
    /// A commit. Paths are relative to the repository's top.
    Commit(Commit),
}

/// What stands at a path, links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A regular file.
    File {
        /// Without links.
        path: PathBuf,
        /// How long.
        bytes: u64,
    },
    /// A folder.
    Folder {
        /// Without links.
        path: PathBuf,
    },
    /// Nothing.
    Nothing,
}

impl Tree {
    /// The path as people are shown it.
    pub(super) fn shown(&self, path: &Path) -> String {
        match self {
            Self::Disk(_) => path.display().to_string(),
            Self::Commit(commit) => commit.shown(path),
        }
    }

    /// What stands at a path.
    pub(super) fn find(&self, path: &Path) -> Result<Found, Fault> {
        let top = match self {
            Self::Disk(top) => top,
            Self::Commit(commit) => return commit.find(path),
        };
        let missing = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
        let link = match fs::symlink_metadata(path) {
            Ok(facts) => facts.is_symlink(),
            Err(error) if missing(error.kind()) => return Ok(Found::Nothing),
            Err(error) => return Err(refused(self.shown(path), &error.to_string())),
        };
        let real = fs::canonicalize(path).map_err(|error| match (link, error.kind()) {
            (true, ErrorKind::NotFound) => {
                refused(self.shown(path), "it is a symbolic link that leads nowhere")
            }
            (true, _) => {
                refused(self.shown(path), &format!("it is a symbolic link that cannot be followed: {error}"))
            }
            (false, _) => refused(self.shown(path), &error.to_string()),
        })?;
        if top.as_ref().is_some_and(|top| !real.starts_with(top)) {
            let message = format!("a symbolic link leads out of the repository, to {}", real.display());
            return Err(refused(self.shown(path), &message));
        }
        let facts = fs::metadata(&real).map_err(|error| refused(self.shown(path), &error.to_string()))?;
        if facts.is_dir() {
            Ok(Found::Folder { path: real })
        } else if facts.is_file() {
            Ok(Found::File { path: real, bytes: facts.len() })
        } else {
            Err(refused(self.shown(path), "it is neither a regular file nor a folder"))
        }
    }

    /// The names in a folder, sorted; those that are not text are left out.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>, Fault> {
        if let Self::Commit(commit) = self {
            return match commit.find(folder)? {
                Found::Folder { path } => Ok(commit.names(&path)),
                Found::File { .. } | Found::Nothing => Ok(Vec::new()),
            };
        }
        let fault = |error: std::io::Error| refused(self.shown(folder), &error.to_string());
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(fault)? {
            names.extend(entry.map_err(fault)?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    /// The content of a file, where it has at most this many bytes.
    pub(super) fn read(&self, file: &Path, most: u64) -> Result<Vec<u8>, Fault> {
        let (path, bytes) = match self.find(file)? {
            Found::File { path, bytes } => (path, bytes),
            Found::Folder { .. } | Found::Nothing => {
                return Err(refused(self.shown(file), "it is not a file"));
            }
        };
        if bytes > most {
            return Err(too_large(self.shown(file), bytes, most));
        }
        match self {
            Self::Commit(commit) => commit.read(&path, most),
            Self::Disk(_) => {
                let fault = |error: std::io::Error| refused(self.shown(file), &error.to_string());
                let mut content = Vec::new();
                // It may have grown since.
                fs::File::open(path)
                    .map_err(fault)?
                    .take(most + 1)
                    .read_to_end(&mut content)
                    .map_err(fault)?;
                let bytes = content.len() as u64;
                if bytes > most { Err(too_large(self.shown(file), bytes, most)) } else { Ok(content) }
            }
        }
    }

    /// A hash of a chart's files, those of charts that it links to or names by `file://` included; not of its
    /// own `values.yaml`, nor of hidden files and editors' backups. The same on disk and at a commit.
    pub(super) fn chart(&self, folder: &Path) -> Result<Fingerprint, Fault> {
        let mut walk = Walk {
            tree: self,
            files: BTreeMap::new(),
            left: MOST_BYTES,
            inside: Vec::new(),
            seen: Vec::new(),
        };
        walk.folder(folder, "")?;
        for (at, dependency) in walk.dependencies(folder)?.iter().enumerate() {
            if let Found::Folder { path } = self.find(dependency)?
                && !walk.seen.contains(&path)
            {
                walk.folder(dependency, &format!("dependency-{at}/"))?;
            }
        }
        Ok(fingerprint(&walk.files))
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    files: BTreeMap<String, String>,
    left: u64,
    /// Folders on the way here, without links: none of them may come again.
    inside: Vec<PathBuf>,
    seen: Vec<PathBuf>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), Fault> {
        for name in self.tree.names(folder)? {
            let hidden = name.starts_with('.') && name != ".helmignore";
            if hidden || name.ends_with('~') || (prefix.is_empty() && name == "values.yaml") {
                continue;
            }
            let path = folder.join(&name);
            match self.tree.find(&path)? {
                Found::Nothing => {}
                Found::File { .. } => {
                    let content = self.tree.read(&path, self.left)?;
                    self.left -= content.len() as u64;
                    if self.files.len() == MOST_FILES {
                        let message = format!("the chart has more than {MOST_FILES} files");
                        return Err(Diagnostic::error(
                            Code::LimitExceeded,
                            Place::file(self.tree.shown(folder)),
                            message,
                        ));
                    }
                    let hash: String =
                        Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
                    self.files.insert(format!("{prefix}{name}"), hash);
                }
                Found::Folder { path: real } => {
                    // A link to a folder that this one stands in would never end.
                    if self.inside.contains(&real) || self.holds(folder, &real)? {
                        return Err(refused(self.tree.shown(&path), "its symbolic links lead in a circle"));
                    }
                    self.inside.push(real.clone());
                    self.folder(&path, &format!("{prefix}{name}/"))?;
                    self.inside.pop();
                    self.seen.push(real);
                }
            }
        }
        Ok(())
    }

    fn holds(&self, folder: &Path, other: &Path) -> Result<bool, Fault> {
        Ok(match self.tree.find(folder)? {
            Found::Folder { path } => path.starts_with(other),
            Found::File { .. } | Found::Nothing => false,
        })
    }

    /// The folders that `Chart.yaml` names as its dependencies.
    fn dependencies(&self, folder: &Path) -> Result<Vec<PathBuf>, Fault> {
        #[derive(Deserialize)]
        struct Chart {
            #[serde(default)]
            dependencies: Vec<Dependency>,
        }
        #[derive(Deserialize)]
        struct Dependency {
            #[serde(default)]
            repository: String,
        }
        let file = folder.join("Chart.yaml");
        if self.tree.find(&file)? == Found::Nothing {
            return Ok(Vec::new());
        }
        let content = self.tree.read(&file, 1 << 20)?;
        let text = String::from_utf8_lossy(&content);
        // A chart that Helm cannot read either is Helm's to complain about.
        let dependencies =
            serde_saphyr::from_str::<Chart>(&text).map(|chart| chart.dependencies).unwrap_or_default();
        let folders =
            dependencies.iter().filter_map(|dependency| dependency.repository.strip_prefix("file://"));
        Ok(folders.map(|path| folder.join(path)).collect())
    }
}
