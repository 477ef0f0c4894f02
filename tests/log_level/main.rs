//! What is logged, changed while the server runs. There is one such level for a process, so this is a process of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(unreachable_pub, dead_code, reason = "what tests share is not called by each of them")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../http/people.rs"]
mod people;

mod level;
