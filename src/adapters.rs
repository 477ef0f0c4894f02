//! The world behind the [ports](crate::ports).

pub mod argocd;
pub mod git;
pub mod notify;
pub mod otlp;
pub mod probe;
pub mod simulated;
