//! What the exit code of a command means. 64 and 65 are never used: Argo Workflows' executor has them.

use std::fmt;

use crate::app::CommandError;
use crate::app::later::Later;
use crate::app::wish::PlaceError;
use crate::client::ClientError;
use crate::config::ConfigError;
use crate::domain::diagnostic::Diagnostic;
use crate::store::StoreError;

/// Printed below the help.
pub(super) const HELP: &str = "Exit codes:
  0  it is done
  1  it failed for a reason of its own
  2  the arguments are wrong
  3  the input (values, configuration, request) is wrong
  4  there is no such thing
  5  it was refused, because of the state that things are in
  6  the deployment did not succeed
  7  something did not answer (database, repository, cluster); trying again may help
  130  interrupted";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It is done.
    Success = 0,
    /// It failed for a reason of its own.
    Failure = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// The input is wrong.
    InvalidInput = 3,
    /// There is no such thing.
    NotFound = 4,
    /// It was refused, because of the state that things are in.
    Refused = 5,
    /// The deployment did not succeed.
    DeploymentFailed = 6,
    /// Something did not answer; trying again may help.
    Unavailable = 7,
    /// Interrupted.
    Interrupted = 130,
}

/// Why a command failed: the code, and what people are told.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), diagnostics: Vec::new() }
    }

    /// Wrong input, with all that is wrong.
    pub fn input(message: impl fmt::Display, diagnostics: Vec<Diagnostic>) -> Self {
        Self { exit: Exit::InvalidInput, message: message.to_string(), diagnostics }
    }

    /// What the code of it is.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints it to standard error.
    pub fn report(self) -> Exit {
        for diagnostic in &self.diagnostics {
            eprintln!("{diagnostic}");
        }
        eprintln!("error: {}", self.message);
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.message)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failure, format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failure, error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::InvalidInput, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::WorkerRunning { .. } | StoreError::Finished(_) | StoreError::NewerSchema { .. } => {
                Exit::Refused
            }
            StoreError::NotFound(_) => Exit::NotFound,
            StoreError::Busy { .. }
            | StoreError::Full
            | StoreError::Locked
            | StoreError::ReadOnly(_)
            | StoreError::Corrupt(_)
            | StoreError::Disk(_)
            | StoreError::Conflict { .. }
            | StoreError::Fenced { .. }
            | StoreError::Data { .. }
            | StoreError::Unavailable(_) => Exit::Unavailable,
        };
        Self::new(exit, error)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Unknown(_) => Self::new(Exit::NotFound, error),
            CommandError::Refused(_) => Self::new(Exit::Refused, error),
            CommandError::Store(error) => error.into(),
        }
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Missing => Self::new(Exit::NotFound, error),
            PlaceError::Several(_) => Self::new(Exit::Usage, error),
            PlaceError::Store(error) => error.into(),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Setting(_) => Exit::Usage,
            ClientError::Unreachable { .. } => Exit::Unavailable,
            ClientError::Redirect { .. } | ClientError::Login(_) => Exit::Refused,
            ClientError::Unreadable { .. } => Exit::Failure,
            ClientError::Refused { status, .. } => match status {
                400 | 413 | 415 | 422 => Exit::InvalidInput,
                404 => Exit::NotFound,
                401 | 403 | 409 | 412 => Exit::Refused,
                429 | 500..=599 => Exit::Unavailable,
                _ => Exit::Failure,
            },
        };
        let message = error.to_string();
        let diagnostics = match error {
            ClientError::Refused { problem, .. } => problem.diagnostics,
            ClientError::Setting(_)
            | ClientError::Login(_)
            | ClientError::Unreachable { .. }
            | ClientError::Redirect { .. }
            | ClientError::Unreadable { .. } => Vec::new(),
        };
        Self { exit, message, diagnostics }
    }
}

impl From<Later> for Failure {
    fn from(error: Later) -> Self {
        Self::new(Exit::Unavailable, error)
    }
}
