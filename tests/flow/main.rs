//! From a push to its end: a real git repository, the real store and worker, the simulated cluster.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod commands;
mod failures;
mod newer;
mod pushes;
mod restart;
