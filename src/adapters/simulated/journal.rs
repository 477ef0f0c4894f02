//! The simulated cluster's memory: a file of what it was asked, from which it becomes again what it was.
//!
//! One JSON object a line, only ever appended to, one `write(2)` a line, so that a process killed at any
//! moment leaves at most one torn line at the end, which counts as never asked. There is no `fsync`: the file
//! outlives the process, not the machine. It is not compacted; a line is written only for what changes
//! something, so it grows with the number of syncs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::Model;
use super::script::Script;
use crate::domain::application::ApplicationSpec;
use crate::domain::names::{AppName, RequestId, Revision};
use crate::ports::{ClusterError, SyncRequest};

/// What is asked of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Command {
    /// Follow this script from now on.
    Follow(Box<Script>),
    /// Have these Applications.
    Ensure(Vec<ApplicationSpec>),
    /// Sync for us.
    Sync { app: AppName, request: RequestId, revision: Revision, epoch: u64 },
    /// Sync for somebody else.
    External { app: AppName, revision: Revision },
    /// Compare afresh.
    Refresh { app: AppName },
    /// Stop an operation.
    Terminate { app: AppName, request: RequestId },
    /// Have this Application no more.
    Delete { app: AppName },
}

impl Command {
    /// The command for a request.
    pub(super) fn sync(request: &SyncRequest) -> Self {
        Self::Sync {
            app: request.app.clone(),
            request: request.request.clone(),
            revision: request.revision.clone(),
            epoch: request.epoch,
        }
    }

    /// Gives it to the model.
    pub(super) fn apply(self, model: &mut Model, at: Timestamp) -> Result<(), ClusterError> {
        match self {
            Self::Follow(script) => model.follow(*script, at),
            Self::Ensure(specs) => model.ensure(&specs, at),
            Self::Sync { app, request, revision, epoch } => {
                let reason = String::new();
                return model.sync(&SyncRequest { app, request, revision, reason, epoch }, at);
            }
            Self::External { app, revision } => return model.external_sync(&app, &revision, at),
            Self::Refresh { app } => return model.refresh(&app, at),
            Self::Terminate { app, request } => return model.terminate(&app, &request, at),
            Self::Delete { app } => model.delete(&app, at),
        }
        Ok(())
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be opened, read or written.
    #[error("the simulated cluster's file cannot be used: {0}")]
    File(#[from] io::Error),
    /// Another process has it.
    #[error("the simulated cluster's file is used by another process")]
    InUse,
    /// A line other than the last is not one of ours.
    #[error("line {line} of the simulated cluster's file is not understood: {reason}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// After a failed write the end of the file is not known, so nothing more is written.
    broken: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    command: Command,
}

impl Journal {
    /// Opens the file, makes it where there is none, and gives the model that its lines lead to.
    pub(super) fn open(path: &Path, script: Script) -> Result<(Self, Model), JournalError> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse,
            TryLockError::Error(error) => JournalError::File(error),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (lines, whole) = lines(&bytes)?;
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
            file.seek(io::SeekFrom::End(0))?;
        }
        let mut journal = Self { file, broken: false };
        let mut lines = lines.into_iter();
        let mut model = match lines.next() {
            Some(Line { command: Command::Follow(first), .. }) => Model::new(*first),
            Some(Line { .. }) => {
                return Err(JournalError::Line { line: 1, reason: "it does not give the script".into() });
            }
            None => {
                journal.append(Timestamp::now(), &Command::Follow(Box::new(script.clone())))?;
                Model::new(script.clone())
            }
        };
        for Line { at, command } in lines {
            // What the cluster refused then, it refuses again.
            let _refused = command.apply(&mut model, at);
        }
        if *model.script() != script {
            let at = model.now().max(Timestamp::now());
            journal.append(at, &Command::Follow(Box::new(script.clone())))?;
            model.follow(script, at);
        }
        Ok((journal, model))
    }

    /// Writes one line. Once this returns, the command is remembered.
    pub(super) fn append(&mut self, at: Timestamp, command: &Command) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::File(io::Error::other("an earlier write failed")));
        }
        let mut line =
            serde_json::to_vec(&Line { at, command: command.clone() }).map_err(io::Error::other)?;
        line.push(b'\n');
        self.file.write_all(&line).inspect_err(|_| self.broken = true)?;
        Ok(())
    }
}

/// The lines, and how many bytes are whole lines.
fn lines(bytes: &[u8]) -> Result<(Vec<Line>, usize), JournalError> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let parsed = bytes[..whole]
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_slice(line)
                .map_err(|error| JournalError::Line { line: index + 1, reason: error.to_string() })
        })
        .collect::<Result<_, _>>()?;
    Ok((parsed, whole))
}
