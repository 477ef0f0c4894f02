//! The world behind the [ports](crate::ports).

pub mod git;
pub mod simulated;
