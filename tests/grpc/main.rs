//! The custom trigger over a real connection, called as Argo Events' sensors call it.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod execute;
mod fetch;
mod once;
mod policy;
mod transport;
