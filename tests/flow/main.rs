//! From a push to its end: a real git repository, the real store and worker, the simulated cluster.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(unreachable_pub, reason = "what tests share is not called by each of them")]

#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod checks;
mod commands;
mod failures;
mod newer;
mod notifications;
mod pushes;
mod refs;
mod restart;
mod traces;
