//! The bare copy of one repository: made, brought up to date, and made again when it is broken.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::GitSettings;
use super::command::{Answer, Call, RunError, git};
use super::remote::Remote;
use crate::domain::names::{Revision, SourceName};
use crate::ports::SourceError;

/// How many reads of one repository run at once; a slow repository cannot take more from the others.
const READERS: usize = 4;

/// One repository.
pub(super) struct Cache {
    pub(super) name: SourceName,
    settings: Arc<GitSettings>,
    remote: Remote,
    directory: PathBuf,
    readers: Semaphore,
    /// Fetches begun so far; the last one that ended, with its number.
    begun: AtomicU64,
    fetched: Mutex<Option<(u64, Result<(), SourceError>)>>,
    /// A read found it broken: the next fetch makes it again.
    broken: AtomicBool,
}

impl Cache {
    pub(super) fn new(name: SourceName, remote: Remote, settings: Arc<GitSettings>) -> Self {
        // Another address is another copy, whatever its name.
        let digest = Sha256::digest(remote.url.as_bytes());
        let address: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self {
            directory: settings.cache_dir.join(format!("{name}-{address}.git")),
            readers: Semaphore::new(READERS),
            begun: AtomicU64::new(0),
            fetched: Mutex::new(None),
            broken: AtomicBool::new(false),
            name,
            settings,
            remote,
        }
    }

    /// Fetches all branches and tags. Callers that come while a fetch runs share the next one: the running one
    /// may have asked the server before what they want to see was there.
    pub(super) async fn fetch(&self) -> Result<(), SourceError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut fetched = self.fetched.lock().await;
        if let Some((number, result)) = &*fetched
            && *number > before
        {
            return result.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let refs =
            ["--prune", "--", &self.remote.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let result = match self.update(&refs).await {
            Ok(answer) if answer.code == Some(0) => Ok(()),
            Ok(answer) => Err(self.failed(&answer)),
            Err(error) => Err(error),
        };
        *fetched = Some((number, result.clone()));
        result
    }

    /// Asks the server for one commit that no branch or tag leads to. False where it has or gives none.
    pub(super) async fn fetch_commit(&self, revision: &Revision) -> Result<bool, SourceError> {
        const REFUSALS: [&str; 4] =
            ["not our ref", "unadvertised object", "couldn't find remote ref", "could not find remote ref"];
        let _alone = self.fetched.lock().await;
        let answer = self.update(&["--", &self.remote.url, revision.as_str()]).await?;
        if answer.code == Some(0) {
            return Ok(true);
        }
        if REFUSALS.iter().any(|refusal| answer.stderr.contains(refusal)) {
            Ok(false)
        } else {
            Err(self.failed(&answer))
        }
    }

    /// Reads something; the first time, after a fetch.
    pub(super) async fn read(&self, arguments: &[&str], max_bytes: u64) -> Result<Answer, SourceError> {
        if !self.is_there() {
            self.fetch().await?;
        }
        let _permit = self.readers.acquire().await.map_err(|closed| self.unavailable(closed.to_string()))?;
        self.git(Some(&self.directory), arguments, max_bytes, None).await
    }

    /// Makes objects, with these variables. Nothing of it has a name until it is pushed.
    pub(super) async fn write(
        &self,
        arguments: &[&str],
        variables: &[(&'static str, String)],
    ) -> Result<Answer, SourceError> {
        let call = Call {
            program: self.settings.program.as_os_str(),
            directory: Some(&self.directory),
            arguments,
            protocols: "",
            configuration: &[],
            variables,
            held: None,
            timeout: self.settings.timeout,
            max_output_bytes: self.settings.max_output_bytes,
        };
        git(call).await.map_err(|error: RunError| self.unavailable(error.to_string()))
    }

    /// Brings a commit to a branch of the remote. Never by force.
    pub(super) async fn push(&self, commit: &Revision, branch: &str) -> Result<(), SourceError> {
        let what = format!("{commit}:{branch}");
        self.send(branch, &["push", "--quiet", "--", &self.remote.url, &what]).await
    }

    /// Brings a commit, made on top of another, to a branch of the remote that is still at that one.
    pub(super) async fn push_onto(
        &self,
        commit: &Revision,
        branch: &str,
        head: &Revision,
    ) -> Result<(), SourceError> {
        let (what, lease) = (format!("{commit}:{branch}"), format!("--force-with-lease={branch}:{head}"));
        self.send(branch, &["push", "--quiet", &lease, "--", &self.remote.url, &what]).await
    }

    async fn send(&self, branch: &str, arguments: &[&str]) -> Result<(), SourceError> {
        let lock = self.lock().await?;
        let answer =
            self.git(Some(&self.directory), arguments, self.settings.max_output_bytes, Some(&lock)).await?;
        if answer.code == Some(0) {
            return Ok(());
        }
        let said = self.remote.scrub(&answer.stderr);
        Err(SourceError::Refused(format!("the repository does not take {branch}: {}", said.trim())))
    }

    /// A read failed although the commit is there: if the copy is to blame, the next fetch makes a new one.
    pub(super) fn suspect(&self, answer: &Answer) {
        if is_broken(answer) {
            self.broken.store(true, Ordering::SeqCst);
        }
    }

    /// What git said of a failure, fit to be shown.
    pub(super) fn failed(&self, answer: &Answer) -> SourceError {
        let said = self.remote.scrub(&answer.stderr);
        self.unavailable(if said.is_empty() { format!("git ended with {:?}", answer.code) } else { said })
    }

    pub(super) fn unavailable(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Unavailable { source_name: self.name.clone(), reason: reason.into() }
    }

    fn is_there(&self) -> bool {
        ["HEAD", "objects", "refs"].iter().all(|part| self.directory.join(part).exists())
    }

    /// One fetch into a copy that nobody else writes to, and another into a new copy where this one is broken.
    async fn update(&self, what: &[&str]) -> Result<Answer, SourceError> {
        let lock = self.lock().await?;
        if self.broken.swap(false, Ordering::SeqCst) {
            self.discard().await?;
        }
        let mut arguments = vec!["fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head"];
        arguments.extend(what);
        let answer = self.update_once(&arguments, &lock).await?;
        if !is_broken(&answer) {
            return Ok(answer);
        }
        tracing::warn!(source = %self.name, fault = self.remote.scrub(&answer.stderr), "copy is broken, made again");
        self.discard().await?;
        self.update_once(&arguments, &lock).await
    }

    async fn update_once(&self, arguments: &[&str], lock: &File) -> Result<Answer, SourceError> {
        if self.is_there() {
            let directory = self.directory.clone();
            self.blocking(move || sweep(&directory)).await?;
        } else {
            let target = self.directory.to_string_lossy();
            let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", &*target];
            let answer = self.git(None, &init, self.settings.max_output_bytes, Some(lock)).await?;
            if answer.code != Some(0) {
                return Err(self.failed(&answer));
            }
        }
        self.git(Some(&self.directory), arguments, self.settings.max_output_bytes, Some(lock)).await
    }

    async fn git(
        &self,
        directory: Option<&Path>,
        arguments: &[&str],
        max_output_bytes: u64,
        lock: Option<&File>,
    ) -> Result<Answer, SourceError> {
        let held =
            lock.map(File::try_clone).transpose().map_err(|error| self.unavailable(error.to_string()))?;
        // Only what goes to the remote gets its credentials.
        let (protocols, configuration, variables) = match held {
            Some(_) => (self.remote.protocol, &*self.remote.configuration, &*self.remote.variables),
            None => ("", &[][..], &[][..]),
        };
        let call = Call {
            program: self.settings.program.as_os_str(),
            directory,
            arguments,
            protocols,
            configuration,
            variables,
            held,
            timeout: self.settings.timeout,
            max_output_bytes,
        };
        git(call).await.map_err(|error: RunError| self.unavailable(error.to_string()))
    }

    /// A lock among processes. Git holds it too (as its standard input), so that a fetch which outlives the
    /// process that began it is waited for, and what it leaves behind is certainly nobody's.
    async fn lock(&self) -> Result<File, SourceError> {
        let path = self.directory.with_extension("lock");
        let failed = |error: io::Error| self.unavailable(format!("{}: {error}", path.display()));
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed)?;
        let until = Instant::now() + self.settings.timeout;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.unavailable("another process has been fetching it for too long"));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    async fn discard(&self) -> Result<(), SourceError> {
        let directory = self.directory.clone();
        self.blocking(move || match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }

    async fn blocking(
        &self,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), SourceError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| self.unavailable(error.to_string())),
            Err(error) => Err(self.unavailable(error.to_string())),
        }
    }
}

/// Whether git says that the copy itself, not the remote, is broken.
fn is_broken(answer: &Answer) -> bool {
    const SIGNS: [&str; 13] = [
        "not a git repository",
        "bad config",
        "does not contain a section",
        "refusing to fetch into branch",
        "corrupt",
        "bad object",
        "missing blob",
        "missing tree",
        "missing commit",
        "unable to read",
        "object file",
        "did not send all necessary objects",
        "packfile",
    ];
    let ours = |line: &str| !line.starts_with("remote:") && SIGNS.iter().any(|sign| line.contains(sign));
    answer.code != Some(0) && answer.stderr.lines().any(ours)
}

/// Removes what an interrupted fetch left behind: lock files, and packs that were being written.
fn sweep(directory: &Path) -> io::Result<()> {
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                // Loose objects are many, and never locked.
                if folder != directory.join("objects") || name == "info" || name == "pack" {
                    folders.push(path);
                }
            } else if name.ends_with(".lock") || name.starts_with("tmp_") || name.starts_with(".tmp-") {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}
