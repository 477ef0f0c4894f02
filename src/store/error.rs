//! What can go wrong with the store, by what is to be done about it.

use std::io;
use std::path::Path;

use jiff::Timestamp;

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already. Nothing was stored; try again later.
    #[error("the store is busy: {queued} writes wait already")]
    Busy {
        /// How many wait.
        queued: usize,
    },
    /// No space is left on the disk. Nothing was stored; reads go on.
    #[error("no space is left for the database")]
    Full,
    /// Another process holds the database for longer than we wait.
    #[error("the database is locked by another process")]
    Locked,
    /// The database, or its folder, cannot be written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The file is damaged, or no database of ours.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The disk failed. Whether this write was stored is not known, and the store refuses further ones.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// A later program wrote the database; nothing was changed.
    #[error(
        "the database has schema {found}, this program knows {known}: use the program that wrote it, or a newer one"
    )]
    NewerSchema {
        /// The version found.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// The deployment was saved by somebody else meanwhile; read it again.
    #[error("deployment {id} is at version {found}, not at {expected}")]
    Conflict {
        /// Which deployment.
        id: String,
        /// The version that was expected.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// Another worker took over; this one must stop.
    #[error("another worker took over: the epoch is {found}, ours was {ours}")]
    Fenced {
        /// Our epoch.
        ours: u64,
        /// The epoch in force.
        found: u64,
    },
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// The deployment is over and never moves again.
    #[error("deployment {0} is finished")]
    Finished(String),
    /// Another worker is running on this database.
    #[error("another worker is running on this database: {holder}, since {since}")]
    WorkerRunning {
        /// Who.
        holder: String,
        /// Since when.
        since: Timestamp,
    },
    /// What is stored cannot be understood.
    #[error("stored data cannot be read: {what}")]
    Data {
        /// Which row, and why.
        what: String,
    },
    /// Anything else: the store is closed, or the database does not answer.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// Whether the write was understood and refused, so that the database itself is fine.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Conflict { .. }
            | Self::Fenced { .. }
            | Self::NotFound(_)
            | Self::Finished(_)
            | Self::WorkerRunning { .. }
            | Self::Data { .. }
            | Self::Busy { .. } => true,
            Self::Full
            | Self::Locked
            | Self::ReadOnly(_)
            | Self::Corrupt(_)
            | Self::Disk(_)
            | Self::NewerSchema { .. }
            | Self::Unavailable(_) => false,
        }
    }

    /// Whether nothing may be written any more until people have looked: after a failed fsync the kernel may
    /// call the next one a success although the pages are lost.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Disk(_) | Self::Corrupt(_) => true,
            Self::Busy { .. }
            | Self::Full
            | Self::Locked
            | Self::ReadOnly(_)
            | Self::NewerSchema { .. }
            | Self::Conflict { .. }
            | Self::Fenced { .. }
            | Self::NotFound(_)
            | Self::Finished(_)
            | Self::WorkerRunning { .. }
            | Self::Data { .. }
            | Self::Unavailable(_) => false,
        }
    }

    /// Whether the fault lies in one write alone: others of its batch may succeed without it.
    pub(super) fn is_of_one_write(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A file or folder of the database that cannot be made or opened.
    pub(super) fn of_file(path: &Path, error: &io::Error) -> Self {
        let said = format!("{}: {error}", path.display());
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
            Self::ReadOnly(said)
        } else if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full
        } else {
            Self::Unavailable(said)
        }
    }

    /// What is stored in a row does not parse.
    pub(super) fn data(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Data { what: format!("{what}: {error}") }
    }

    fn of_sqlite(code: u32, said: String) -> Self {
        // https://www.sqlite.org/rescode.html: the low byte is the primary code.
        const SHARED_MEMORY_SIZE: u32 = 4874;
        if code == SHARED_MEMORY_SIZE {
            // Growing the file of the shared index failed, which holds nothing that must last.
            return Self::Full;
        }
        match code & 0xff {
            5 | 6 => Self::Locked,
            8 => Self::ReadOnly(said),
            10 => Self::Disk(said),
            11 | 26 => Self::Corrupt(said),
            13 => Self::Full,
            _ => Self::Unavailable(said),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let said = error.to_string();
        let code = error.as_database_error().and_then(|database| database.code()?.parse().ok());
        if let Some(code) = code {
            Self::of_sqlite(code, said)
        } else if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) {
            Self::Data { what: said }
        } else {
            Self::Unavailable(said)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(u32, StoreError)]) {
        for (code, right) in cases {
            assert_eq!(&StoreError::of_sqlite(*code, "x".into()), right, "{code}");
        }
    }

    #[test]
    fn codes_of_sqlite_are_told_apart_by_what_is_to_be_done() {
        check(&[
            (5, StoreError::Locked),
            (517, StoreError::Locked),
            (8, StoreError::ReadOnly("x".into())),
            (1032, StoreError::ReadOnly("x".into())),
            (1034, StoreError::Disk("x".into())),
            (778, StoreError::Disk("x".into())),
            (4874, StoreError::Full),
            (13, StoreError::Full),
            (11, StoreError::Corrupt("x".into())),
            (26, StoreError::Corrupt("x".into())),
            (1, StoreError::Unavailable("x".into())),
        ]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = StoreError::of_file(Path::new("/var/lib/x"), &denied);
        assert!(matches!(&error, StoreError::ReadOnly(said) if said.contains("/var/lib/x")), "{error}");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(StoreError::of_file(Path::new("/x"), &full), StoreError::Full);
    }
}
