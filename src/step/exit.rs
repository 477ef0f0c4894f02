//! What the exit code of a step means. 64 and 65 are never used: Argo Workflows' executor has them.

use crate::client::ClientError;
use crate::domain::diagnostic::Diagnostic;

/// Faults of the input that are told in one message.
const FAULTS_TOLD: usize = 3;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StepExit {
    /// It is done.
    Done = 0,
    /// It failed for a reason of its own.
    Failure = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// Something did not answer; trying again may help.
    Transient = 10,
    /// The gate was not passed: the plan was refused, or services failed and were not all taken back.
    Rejected = 11,
    /// The input is wrong: values, image tag, customer.
    BadInput = 12,
    /// It took too long.
    TimedOut = 13,
    /// It failed, and what was advanced was taken back.
    RolledBack = 14,
    /// Somebody stopped it, or a newer commit took its place.
    Stopped = 15,
    /// It was told to end; the deployment goes on.
    Detached = 16,
    /// It was refused: token, permission, or the state that things are in.
    Refused = 17,
}

impl StepExit {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::Transient,
        Self::Rejected,
        Self::BadInput,
        Self::TimedOut,
        Self::RolledBack,
        Self::Stopped,
        Self::Detached,
        Self::Refused,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a step failed, before anything is known of how it goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The meaning of the exit code.
    pub exit: StepExit,
    /// What is wrong, and what helps.
    pub message: String,
}

impl Fault {
    /// A fault with a message.
    pub fn new(exit: StepExit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Whether trying again may help.
    pub(crate) fn may_pass(&self) -> bool {
        self.exit == StepExit::Transient
    }
}

/// The first faults of some, in words.
pub(super) fn told(diagnostics: &[Diagnostic]) -> String {
    let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|one| one.is_error()).collect();
    let mut told: Vec<String> = errors.iter().take(FAULTS_TOLD).map(|one| one.to_string()).collect();
    if errors.len() > FAULTS_TOLD {
        told.push(format!("and {} more", errors.len() - FAULTS_TOLD));
    }
    told.join("; ")
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Setting(_) => StepExit::Usage,
            ClientError::Unreachable { .. } => StepExit::Transient,
            ClientError::Login(_) | ClientError::Redirect { .. } => StepExit::Refused,
            ClientError::Unreadable { .. } => StepExit::Failure,
            ClientError::Refused { status, .. } => match status {
                400 | 404 | 413 | 415 | 422 => StepExit::BadInput,
                401 | 403 | 409 | 412 => StepExit::Refused,
                408 | 425 | 429 | 500..=599 => StepExit::Transient,
                _ => StepExit::Failure,
            },
        };
        let mut message = error.to_string();
        if let ClientError::Refused { problem, .. } = &error
            && !problem.diagnostics.is_empty()
        {
            message = format!("{message}: {}", told(&problem.diagnostics));
        }
        Self { exit, message }
    }
}
