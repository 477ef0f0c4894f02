//! Files as they were at a revision of the repository that somebody works in, read with the `git` binary.
//!
//! Nothing is checked out, and nothing is fetched: this is a person's own repository, where the server only ever
//! reads copies of its own.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::{Exit, Failure};
use super::tree::{Fault, Found, refused, too_large};
use crate::domain::names::Revision;

/// How much git may say at once: bounds the list of all files.
const MOST: u64 = 64 << 20;
/// Symbolic links that one path may lead through, as on Linux.
const MOST_LINKS: usize = 40;

/// The files of a repository at one commit.
#[derive(Debug)]
pub(super) struct Commit {
    top: PathBuf,
    name: String,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    id: String,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Link,
    /// Another repository.
    Other,
}

/// The top folder of the repository that a path is in; none where it is in none.
pub(super) fn top(path: &Path) -> Result<Option<PathBuf>, Failure> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    // Cheap, and no need of git, for folders that are in no repository.
    if !folder.ancestors().any(|folder| folder.join(".git").exists()) {
        return Ok(None);
    }
    let answer = git(folder, &["rev-parse", "--show-toplevel"], MOST)?;
    let text = answer
        .map_err(|said| Failure::new(Exit::Failure, format!("git cannot read this repository: {said}")))?;
    Ok(Some(PathBuf::from(String::from_utf8_lossy(&text).trim_end_matches('\n'))))
}

/// The commit that the repository's files were taken from, where those below `path` are as it has them.
pub(super) fn clean_head(path: &Path) -> Result<Option<Revision>, Failure> {
    let Some(top) = top(path)? else { return Ok(None) };
    let shown = path.to_string_lossy();
    let changed = git(&top, &["--literal-pathspecs", "status", "--porcelain", "-z", "--", &shown], MOST)?;
    if changed.is_ok_and(|changed| changed.is_empty()) { resolve(&top, "HEAD") } else { Ok(None) }
}

/// The full id of a revision such as `HEAD~1`; none where there is no such commit.
pub(super) fn resolve(top: &Path, name: &str) -> Result<Option<Revision>, Failure> {
    let wanted = format!("{name}^{{commit}}");
    let answer = git(top, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted], MOST)?;
    Ok(answer.ok().and_then(|id| String::from_utf8_lossy(&id).trim().parse().ok()))
}

impl Commit {
    /// Lists the files of a commit. `name` is what people are shown.
    pub(super) fn open(top: &Path, revision: &Revision, name: &str) -> Result<Self, Failure> {
        let list = ["ls-tree", "-r", "-z", "-l", "--full-tree", revision.as_str()];
        let listed = git(top, &list, MOST)?.map_err(|said| Failure::new(Exit::Failure, said))?;
        let entries = listed.split(|byte| *byte == 0).filter_map(Entry::parse).collect();
        Ok(Self { top: top.to_owned(), name: name.to_owned(), entries })
    }

    /// The path, relative to the top, as people are shown it.
    pub(super) fn shown(&self, path: &Path) -> String {
        format!("{}:{}", self.name, path.display())
    }

    /// What stands at a path (relative to the top), links followed.
    pub(super) fn find(&self, path: &Path) -> Result<Found, Fault> {
        let real = self.follow(path)?;
        if let Some(entry) = self.entries.get(&real) {
            return match entry.kind {
                Kind::File => Ok(Found::File { path: real.into(), bytes: entry.bytes }),
                Kind::Link | Kind::Other => {
                    Err(refused(self.shown(path), "it is another repository, which is not read"))
                }
            };
        }
        let is_folder = real.is_empty() || self.below(&real).next().is_some();
        Ok(if is_folder { Found::Folder { path: real.into() } } else { Found::Nothing })
    }

    /// The names in a folder that was found.
    pub(super) fn names(&self, folder: &Path) -> Vec<String> {
        let folder = folder.to_string_lossy();
        let mut names: Vec<String> =
            self.below(&folder).filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        names
    }

    /// The content of a file that was found.
    pub(super) fn read(&self, file: &Path, most: u64) -> Result<Vec<u8>, Fault> {
        let Some(entry) = self.entries.get(&*file.to_string_lossy()) else {
            return Err(refused(self.shown(file), "there is no such file"));
        };
        if entry.bytes > most {
            return Err(too_large(self.shown(file), entry.bytes, most));
        }
        self.blob(&entry.id, most).map_err(|said| refused(self.shown(file), &said))
    }

    fn blob(&self, id: &str, most: u64) -> Result<Vec<u8>, String> {
        git(&self.top, &["cat-file", "blob", id], most)
            .unwrap_or_else(|_| Err("git cannot be run".to_owned()))
    }

    /// Paths below a folder, relative to it.
    fn below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let from = self.entries.range(prefix.clone()..).map(|(path, _)| path.as_str());
        from.map_while(move |path| path.strip_prefix(prefix.as_str()))
    }

    fn follow(&self, path: &Path) -> Result<String, Fault> {
        let fault = |message: &str| refused(self.shown(path), message);
        let mut todo = parts(path).ok_or_else(|| fault("its path is not text"))?;
        let (mut done, mut links): (Vec<String>, usize) = (Vec::new(), 0);
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop().ok_or_else(|| fault("a symbolic link leads out of the repository"))?;
                continue;
            }
            done.push(part);
            let Some(entry) = self.entries.get(&done.join("/")).filter(|entry| entry.kind == Kind::Link)
            else {
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                return Err(fault("its symbolic links lead in a circle"));
            }
            let target = self.blob(&entry.id, 4096).map_err(|said| fault(&said))?;
            let target = PathBuf::from(String::from_utf8_lossy(&target).into_owned());
            if target.is_absolute() {
                return Err(fault("a symbolic link leads out of the repository"));
            }
            done.pop();
            todo.extend(parts(&target).ok_or_else(|| fault("its path is not text"))?);
        }
        Ok(done.join("/"))
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Option<Vec<String>> {
    let part = |component: Component<'_>| match component {
        Component::Normal(part) => part.to_str().map(str::to_owned),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => Some(String::new()),
    };
    let parts: Option<Vec<String>> = path.components().rev().map(part).collect();
    parts.map(|parts| parts.into_iter().filter(|part| !part.is_empty()).collect())
}

impl Entry {
    /// One line of `ls-tree -l`. None where the path is not text: no path of ours is.
    fn parse(record: &[u8]) -> Option<(String, Self)> {
        let (facts, path) = std::str::from_utf8(record).ok()?.split_once('\t')?;
        let mut facts = facts.split_ascii_whitespace();
        let (mode, _type, id, bytes) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
        let kind = match mode {
            "100644" | "100755" | "100664" => Kind::File,
            "120000" => Kind::Link,
            _submodule => Kind::Other,
        };
        Some((path.to_owned(), Self { kind, id: id.to_owned(), bytes: bytes.parse().unwrap_or(0) }))
    }
}

/// What git answers, or else what it says is wrong. A failure is that of git itself: it is not there, say.
fn git(folder: &Path, arguments: &[&str], most: u64) -> Result<Result<Vec<u8>, String>, Failure> {
    let cannot = |error| Failure::new(Exit::Failure, format!("git cannot be run: {error}"));
    let mut child = Command::new("git")
        .args(["--no-pager", "--no-optional-locks", "-C"])
        .arg(folder)
        .args(arguments)
        // In a hook these name the repository of the hook, relative to where that was started.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_PREFIX")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(most + 1).read_to_end(&mut said).map_err(cannot)?;
    }
    if said.len() as u64 > most {
        // It may have ended meanwhile, and then there is nothing to stop.
        let _ = child.kill();
        let _ = child.wait();
        return Ok(Err(format!("git said more than {most} bytes")));
    }
    let answer = child.wait_with_output().map_err(cannot)?;
    if answer.status.success() {
        return Ok(Ok(said));
    }
    let complaint = String::from_utf8_lossy(&answer.stderr);
    let first = complaint.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
    Ok(Err(super::super::output::plain(first)))
}
