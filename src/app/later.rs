//! What could not be done now.

use crate::ports::{ClusterError, SourceError};
use crate::store::StoreError;

/// Why something could not be done now, and what it asked.
#[derive(Debug, thiserror::Error)]
pub enum Later {
    /// The repository.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Later {
    /// Whether trying again could help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => match error {
                SourceError::Unavailable { .. } | SourceError::MissingRevision { .. } => true,
                SourceError::TooLarge { .. } | SourceError::Refused(_) => false,
            },
            Self::Cluster(error) => match error {
                ClusterError::Unavailable(_) | ClusterError::Busy(_) => true,
                ClusterError::Missing(_) | ClusterError::Refused(_) => false,
            },
            Self::Store(_) => true,
        }
    }
}
