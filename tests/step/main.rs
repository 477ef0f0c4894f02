//! The steps of workflows as they run in a container: the binary, against a real server with the simulated cluster.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(unreachable_pub, reason = "what tests share is not called by each of them")]

#[path = "../support/mod.rs"]
mod support;

mod alone;
mod cluster;
mod failures;
mod notify;
mod pipeline;
mod plugin;
mod stage;
mod trouble;
