//! What the command line prints as JSON and the HTTP interface answers: one shape for both.
//!
//! Field names are a promise. Times are RFC 3339; waves are numbers, names of services are texts, and the shared part
//! is called `base`. Nothing here asks anybody: what is shown is given.

pub mod audit;
pub mod customer;
pub mod dependency;
pub mod deployment;
pub mod dry_run;
pub mod event;
pub mod health;
pub mod notice;
pub mod picture;
pub mod rollback;
pub mod run;
pub mod story;
pub mod timeline;
pub mod waiting;
pub mod wave;
