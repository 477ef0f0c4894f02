//! The custom trigger over a real connection, called as Argo Events' sensors call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(unreachable_pub, reason = "what tests share is not called by each of them")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod certificates;
mod execute;
mod fetch;
mod once;
mod policy;
mod traces;
mod transport;
