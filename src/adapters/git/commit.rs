//! A commit on the branch that is deployed, with one file changed.
//!
//! Made in the bare copy with an index of its own, and pushed on the condition that the branch is still where it was
//! read: nothing is checked out, and nobody's commit is lost.

use super::{Git, Kind, check_path, check_reference, text};
use crate::adapters::git::{Entry, records};
use crate::domain::names::{Revision, SourceName};
use crate::ports::{SourceError, ValuesSource as _};

/// What to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The branch, such as `refs/heads/main`.
    pub reference: String,
    /// The commit that the file was read at; the branch has to be there still.
    pub head: Revision,
    /// The file; it has to be there.
    pub path: String,
    /// Its new content.
    pub content: Vec<u8>,
    /// The commit's message.
    pub message: String,
    /// The name of its author.
    pub author: String,
    /// The address of its author.
    pub email: String,
}

impl Git {
    /// Makes and pushes the commit. None where somebody else pushed meanwhile: read again, and decide again.
    ///
    /// # Errors
    /// When the file is not there, or the repository does not take the commit.
    pub async fn commit(
        &self,
        source: &SourceName,
        change: &FileChange,
    ) -> Result<Option<Revision>, SourceError> {
        check_reference(&change.reference)?;
        check_path(&change.path)?;
        if !change.reference.starts_with("refs/heads/") {
            let reason = format!("{} is not a branch: commits are made on branches only", change.reference);
            return Err(SourceError::Refused(reason));
        }
        let cache = self.cache(source)?;
        let head = &change.head;
        let arguments = ["ls-tree", "-z", "-l", "--full-tree", head.as_str(), "--", &change.path];
        let listed = self.ask(cache, &arguments, &[head], &[0]).await?;
        let found = records(&listed.stdout).filter_map(Entry::parse);
        let Some(mode) = found
            .filter(|entry| entry.path == change.path && entry.kind == Kind::File)
            .map(|entry| entry.mode.to_owned())
            .next()
        else {
            let reason = format!("{:?} is not a regular file at {}", change.path, head.short());
            return Err(SourceError::Refused(reason));
        };
        let unmade = |error: std::io::Error| cache.unavailable(format!("a folder for the index: {error}"));
        let folder = tempfile::tempdir().map_err(unmade)?;
        let content = folder.path().join("content");
        std::fs::write(&content, &change.content).map_err(unmade)?;
        let variables = [
            ("GIT_INDEX_FILE", folder.path().join("index").to_string_lossy().into_owned()),
            // An empty one, which is never looked into: git wants it for changing an index.
            ("GIT_WORK_TREE", folder.path().to_string_lossy().into_owned()),
            ("GIT_AUTHOR_NAME", change.author.clone()),
            ("GIT_AUTHOR_EMAIL", change.email.clone()),
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
        let blob = write(&["hash-object", "-w", "--no-filters", "--", &content.to_string_lossy()]).await?;
        write(&["read-tree", head.as_str()]).await?;
        write(&["update-index", "--cacheinfo", &format!("{mode},{blob},{}", change.path)]).await?;
        let tree = write(&["write-tree"]).await?;
        let commit = write(&["commit-tree", &tree, "-p", head.as_str(), "-m", &change.message]).await?;
        let commit: Revision = commit.parse().map_err(|_| cache.unavailable("git named no commit"))?;
        match cache.push_onto(&commit, &change.reference, head).await {
            Ok(()) => Ok(Some(commit)),
            Err(error) => {
                // Who lost a race is told so by the branch, in whatever words the server refused.
                self.fetch(source).await?;
                match self.head(source, &change.reference).await? {
                    Some(now) if now == commit => Ok(Some(commit)),
                    Some(now) if &now != head => Ok(None),
                    Some(_) | None => Err(error),
                }
            }
        }
    }
}
