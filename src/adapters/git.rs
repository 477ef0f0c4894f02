//! Repositories, read with the `git` binary from bare copies, without ever checking anything out: what a
//! repository contains never becomes a path on this machine.
//!
//! Addresses come from the configuration only, and are checked in `remote`; the binary is run in `command`
//! alone; `cache` keeps the copies.

mod cache;
mod command;
mod commit;
mod remote;
mod revert;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::cache::Cache;
use self::command::Answer;
use self::remote::Remote;
use crate::domain::names::{Revision, SourceName};
use crate::ports::{SourceError, ValuesSource};

pub use self::commit::FileChange;
pub use self::remote::{GitError, Repository, SSH_OPTIONS};
pub use self::revert::Revert;

/// How git is used for all repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSettings {
    /// Where the bare copies are kept. Made where it is not there.
    pub cache_dir: PathBuf,
    /// How long one run of git may take, a fetch included.
    pub timeout: Duration,
    /// How much one run of git may say: bounds lists of files and of changes. The size of a file has its own
    /// limit, given with each read.
    pub max_output_bytes: u64,
    /// The binary.
    pub program: OsString,
    /// The program that git calls where a repository is reached by ssh: one that runs ssh with the options of the variable
    /// [`SSH_OPTIONS`] before its own arguments.
    pub ssh: String,
}

impl GitSettings {
    /// The defaults: 60 s, 16 MiB, `git` as found on the path.
    pub fn new(cache_dir: impl Into<PathBuf>, ssh: impl Into<String>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            timeout: Duration::from_secs(60),
            max_output_bytes: 16 * 1024 * 1024,
            program: "git".into(),
            ssh: ssh.into(),
        }
    }
}

/// The configured repositories.
pub struct Git {
    caches: BTreeMap<SourceName, Cache>,
    max_output_bytes: u64,
}

impl Git {
    /// Checks the repositories. Fetches nothing yet: that is done by the first who reads.
    ///
    /// # Errors
    /// When an address is refused, a name is given twice, or the folder cannot be made.
    pub fn new(
        settings: GitSettings,
        repositories: impl IntoIterator<Item = Repository>,
    ) -> Result<Self, GitError> {
        // Git is given this path from wherever it runs.
        let settings = GitSettings { cache_dir: std::path::absolute(&settings.cache_dir)?, ..settings };
        std::fs::create_dir_all(&settings.cache_dir)?;
        let settings = Arc::new(settings);
        let mut caches = BTreeMap::new();
        for repository in repositories {
            let remote = Remote::new(&repository, &settings.ssh)?;
            let cache = Cache::new(repository.name.clone(), remote, Arc::clone(&settings));
            if caches.insert(repository.name.clone(), cache).is_some() {
                return Err(GitError::Twice(repository.name));
            }
        }
        Ok(Self { caches, max_output_bytes: settings.max_output_bytes })
    }

    fn cache(&self, source: &SourceName) -> Result<&Cache, SourceError> {
        self.caches.get(source).ok_or_else(|| {
            SourceError::Refused(format!("there is no repository {source} in the configuration"))
        })
    }

    /// Runs git for an answer about commits; where it fails, says which commit is missing if one is.
    async fn ask(
        &self,
        cache: &Cache,
        arguments: &[&str],
        revisions: &[&Revision],
        fine: &[i32],
    ) -> Result<Answer, SourceError> {
        let answer = cache.read(arguments, self.max_output_bytes).await?;
        if answer.code.is_some_and(|code| fine.contains(&code)) {
            return Ok(answer);
        }
        for revision in revisions {
            if !self.has(cache, revision).await? {
                return Err(SourceError::MissingRevision {
                    source_name: cache.name.clone(),
                    revision: (*revision).clone(),
                });
            }
        }
        cache.suspect(&answer);
        Err(cache.failed(&answer))
    }

    async fn has(&self, cache: &Cache, revision: &Revision) -> Result<bool, SourceError> {
        let commit = format!("{revision}^{{commit}}");
        Ok(cache.read(&["cat-file", "-e", &commit], self.max_output_bytes).await?.code == Some(0))
    }
}

#[async_trait]
impl ValuesSource for Git {
    async fn fetch(&self, source: &SourceName) -> Result<(), SourceError> {
        self.cache(source)?.fetch().await
    }

    async fn head(&self, source: &SourceName, reference: &str) -> Result<Option<Revision>, SourceError> {
        let cache = self.cache(source)?;
        check_reference(reference)?;
        // Exactly this ref: `rev-parse` would also take a tag that is called `refs/heads/main`.
        let answer =
            cache.read(&["show-ref", "--verify", "--hash", "--", reference], self.max_output_bytes).await?;
        match answer.code {
            Some(0) => {}
            Some(_) if answer.stderr.contains("not a valid ref") => return Ok(None),
            Some(_) | None => return Err(cache.failed(&answer)),
        }
        // An annotated tag is an object of its own.
        let commit = format!("{}^{{commit}}", text(&answer.stdout).trim());
        let answer = cache
            .read(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], self.max_output_bytes)
            .await?;
        Ok(if answer.code == Some(0) { text(&answer.stdout).trim().parse().ok() } else { None })
    }

    async fn contains(&self, source: &SourceName, revision: &Revision) -> Result<bool, SourceError> {
        let cache = self.cache(source)?;
        if self.has(cache, revision).await? {
            return Ok(true);
        }
        Ok(cache.fetch_commit(revision).await? && self.has(cache, revision).await?)
    }

    async fn is_ancestor(
        &self,
        source: &SourceName,
        ancestor: &Revision,
        descendant: &Revision,
    ) -> Result<bool, SourceError> {
        let arguments = ["merge-base", "--is-ancestor", ancestor.as_str(), descendant.as_str()];
        let answer = self.ask(self.cache(source)?, &arguments, &[ancestor, descendant], &[0, 1]).await?;
        Ok(answer.code == Some(0))
    }

    async fn changed(
        &self,
        source: &SourceName,
        from: Option<&Revision>,
        to: &Revision,
    ) -> Result<Vec<String>, SourceError> {
        let cache = self.cache(source)?;
        let answer = match from {
            Some(from) => {
                let diff =
                    ["diff-tree", "-r", "-z", "--name-only", "--no-renames", from.as_str(), to.as_str()];
                self.ask(cache, &diff, &[from, to], &[0]).await?
            }
            None => {
                let list = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", to.as_str()];
                self.ask(cache, &list, &[to], &[0]).await?
            }
        };
        Ok(records(&answer.stdout).map(text).collect())
    }

    async fn list(
        &self,
        source: &SourceName,
        revision: &Revision,
        folder: &str,
    ) -> Result<BTreeMap<String, String>, SourceError> {
        let cache = self.cache(source)?;
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        let mut arguments = vec!["ls-tree", "-r", "-z", "-l", "--full-tree", revision.as_str()];
        if !folder.is_empty() {
            check_path(folder)?;
            arguments.extend(["--", folder]);
        }
        let answer = self.ask(cache, &arguments, &[revision], &[0]).await?;
        let entries = records(&answer.stdout).filter_map(Entry::parse);
        Ok(entries
            .filter(|entry| entry.kind != Kind::Other)
            .map(|entry| (entry.path.to_owned(), entry.id.to_owned()))
            .collect())
    }

    async fn read(
        &self,
        source: &SourceName,
        revision: &Revision,
        path: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        let cache = self.cache(source)?;
        check_path(path)?;
        let arguments = ["ls-tree", "-z", "-l", "--full-tree", revision.as_str(), "--", path];
        let answer = self.ask(cache, &arguments, &[revision], &[0]).await?;
        let Some(entry) = records(&answer.stdout).filter_map(Entry::parse).find(|entry| entry.path == path)
        else {
            return Ok(None);
        };
        match entry.kind {
            Kind::File => {}
            Kind::Link => {
                return Err(SourceError::Refused(format!(
                    "{path:?} is a symbolic link; only regular files are read"
                )));
            }
            Kind::Other => return Ok(None),
        }
        if entry.bytes > max_bytes {
            return Err(SourceError::TooLarge {
                path: path.to_owned(),
                bytes: entry.bytes,
                limit: max_bytes,
            });
        }
        let content = cache.read(&["cat-file", "blob", entry.id], max_bytes).await?;
        if content.code == Some(0) {
            return Ok(Some(content.stdout));
        }
        cache.suspect(&content);
        Err(cache.failed(&content))
    }
}

/// One line of `ls-tree -l`.
struct Entry<'a> {
    mode: &'a str,
    kind: Kind,
    id: &'a str,
    bytes: u64,
    path: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Link,
    /// A folder, or another repository.
    Other,
}

impl<'a> Entry<'a> {
    /// None where the path is not text: no path of ours is.
    fn parse(record: &'a [u8]) -> Option<Self> {
        let (facts, path) = std::str::from_utf8(record).ok()?.split_once('\t')?;
        let mut facts = facts.split_ascii_whitespace();
        let (mode, _type, id, bytes) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
        let kind = match mode {
            "100644" | "100755" | "100664" => Kind::File,
            "120000" => Kind::Link,
            _folder_or_submodule => Kind::Other,
        };
        Some(Self { mode, kind, id, bytes: bytes.parse().unwrap_or(0), path })
    }
}

fn records(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == 0).filter(|record| !record.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path inside a tree: relative, plain, and not into a repository's own folder.
fn check_path(path: &str) -> Result<(), SourceError> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git");
    let fine = path.len() <= 4_096
        && !path.chars().any(|c| c.is_control() || c == '\\')
        && !path.starts_with(':')
        && path.split('/').all(plain);
    if fine {
        Ok(())
    } else {
        let shown: String = path.chars().take(100).collect();
        Err(SourceError::Refused(format!("{shown:?} is not a path inside a repository")))
    }
}

/// A full ref name, as `git check-ref-format` wants it.
fn check_reference(reference: &str) -> Result<(), SourceError> {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let plain = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with(".lock");
    let fine = reference.len() <= 1_024
        && reference.starts_with("refs/")
        && !reference.chars().any(forbidden)
        && !["..", "@{"].iter().any(|words| reference.contains(words))
        && !reference.ends_with('.')
        && reference.split('/').all(plain);
    if fine {
        Ok(())
    } else {
        let shown: String = reference.chars().take(100).collect();
        Err(SourceError::Refused(format!("{shown:?} is not a full ref name such as refs/heads/main")))
    }
}
