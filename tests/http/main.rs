//! The HTTP interface over real connections, as people, programs, webhooks and probes use it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(unreachable_pub, reason = "what tests share is not called by each of them")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod answers;
mod audit;
mod client;
mod device;
mod frame;
mod login;
mod metrics;
mod oidc;
mod openapi;
mod page;
mod people;
mod plans;
mod reading;
mod rollback;
mod stream;
mod swagger;
mod tls;
mod webhooks;
mod writing;
