//! A commit, on a branch of its own, that brings files back to what they were at an earlier commit.
//!
//! Made in the bare copy with an index of its own, and pushed: nothing is checked out, and no branch that deploys is
//! written to. What it says goes its way through review, like every other change.

use std::collections::BTreeMap;

use super::{Entry, Git, Kind, check_path, check_reference, records, text};
use crate::adapters::git::cache::Cache;
use crate::domain::names::{Revision, SourceName};
use crate::ports::{SourceError, ValuesSource as _};

/// Files that one run of git is given at most.
const FILES_AT_ONCE: usize = 100;

/// What to bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// The ref that is deployed, such as `refs/heads/main`; the commit is made on top of it.
    pub reference: String,
    /// Files and folders.
    pub paths: Vec<String>,
    /// The commit at which they were right.
    pub to: Revision,
    /// The branch to make; it must not be there, or be behind.
    pub branch: String,
    /// The commit's message.
    pub message: String,
    /// Who asks: the commit's author.
    pub by: String,
}

impl Git {
    /// Makes and pushes the commit; answers its id and the files that it changes.
    ///
    /// # Errors
    /// When there is nothing to bring back, a commit is missing, or the repository does not take the branch.
    pub async fn revert(
        &self,
        source: &SourceName,
        revert: &Revert,
    ) -> Result<(Revision, Vec<String>), SourceError> {
        let branch = format!("refs/heads/{}", revert.branch);
        check_reference(&branch)?;
        if branch == revert.reference {
            let reason = format!("{} is deployed: a revert goes to a branch of its own", revert.branch);
            return Err(SourceError::Refused(reason));
        }
        self.fetch(source).await?;
        let head = self
            .head(source, &revert.reference)
            .await?
            .ok_or_else(|| SourceError::Refused(format!("{} is not in the repository", revert.reference)))?;
        let cache = self.cache(source)?;
        let (now, then) =
            (self.files(cache, &head, revert).await?, self.files(cache, &revert.to, revert).await?);
        let changed: Vec<String> = now
            .iter()
            .filter(|(path, file)| then.get(*path) != Some(file))
            .map(|(path, _)| path)
            .chain(then.keys().filter(|path| !now.contains_key(*path)))
            .cloned()
            .collect();
        if changed.is_empty() {
            let (head, to) = (head.short(), revert.to.short());
            return Err(SourceError::Refused(format!(
                "nothing differs between {head} and {to}: nothing to revert"
            )));
        }
        let index = tempfile::tempdir().map_err(|error| cache.unavailable(error.to_string()))?;
        let variables = [
            ("GIT_INDEX_FILE", index.path().join("index").to_string_lossy().into_owned()),
            // An empty one, which is never looked into: git wants it for changing an index.
            ("GIT_WORK_TREE", index.path().to_string_lossy().into_owned()),
            ("GIT_AUTHOR_NAME", revert.by.clone()),
            ("GIT_AUTHOR_EMAIL", "argocd-orchestrator@localhost".to_owned()),
            ("GIT_COMMITTER_NAME", "argocd-orchestrator".to_owned()),
            ("GIT_COMMITTER_EMAIL", "argocd-orchestrator@localhost".to_owned()),
        ];
        let write = async |arguments: &[&str]| -> Result<String, SourceError> {
            let answer = cache.write(arguments, &variables).await?;
            if answer.code == Some(0) {
                Ok(text(&answer.stdout).trim().to_owned())
            } else {
                Err(cache.failed(&answer))
            }
        };
        write(&["read-tree", head.as_str()]).await?;
        for files in changed.chunks(FILES_AT_ONCE) {
            let (mut put, mut removed) = (vec!["update-index".to_owned(), "--add".to_owned()], Vec::new());
            for path in files {
                match then.get(path) {
                    Some((mode, id)) => put.extend(["--cacheinfo".to_owned(), format!("{mode},{id},{path}")]),
                    None => removed.push(path.as_str()),
                }
            }
            write(&put.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            if !removed.is_empty() {
                write(&[&["update-index", "--force-remove", "--"], removed.as_slice()].concat()).await?;
            }
        }
        let tree = write(&["write-tree"]).await?;
        let commit = write(&["commit-tree", &tree, "-p", head.as_str(), "-m", &revert.message]).await?;
        let commit: Revision = commit.parse().map_err(|_| cache.unavailable("git named no commit"))?;
        cache.push(&commit, &branch).await?;
        Ok((commit, changed))
    }

    /// The files of the paths at a commit: mode and content id.
    async fn files(
        &self,
        cache: &Cache,
        revision: &Revision,
        revert: &Revert,
    ) -> Result<BTreeMap<String, (String, String)>, SourceError> {
        let mut files = BTreeMap::new();
        for path in &revert.paths {
            check_path(path)?;
            let arguments = ["ls-tree", "-r", "-z", "-l", "--full-tree", revision.as_str(), "--", path];
            let answer = self.ask(cache, &arguments, &[revision], &[0]).await?;
            for entry in records(&answer.stdout).filter_map(Entry::parse) {
                if entry.kind != Kind::Other {
                    files.insert(entry.path.to_owned(), (entry.mode.to_owned(), entry.id.to_owned()));
                }
            }
        }
        Ok(files)
    }
}
