//! Every decision of the orchestrator, as pure values and functions.
//!
//! Nothing in here waits, reads a file, asks a clock or draws a random number: facts, the time and ids
//! come in as arguments, and what is to be done goes out as values. That is what makes each rule
//! testable on its own, and a deployment replayable from its journal.
//!
//! Read in this order: [`names`], [`diagnostic`], [`yaml`], [`catalog`] and [`values`] (what a customer
//! wants), [`graph`] (in which order), [`impact`] and [`plan`] (what a push touches), [`application`] and
//! [`gate`] (what Argo CD shows, and what that proves), [`probe`] (what a service says of itself), [`deployment`]
//! (the state machine), [`event`] (how a request arrives), [`manifest`] and [`removal`] (what is made in
//! the cluster, and unmade), [`access`] (who may do what), [`notification`] (who is told what), [`check`] (whether a cluster
//! is fit for it).

pub mod access;
pub mod application;
pub mod audit;
pub mod catalog;
pub mod check;
pub mod claims;
pub mod compliance;
pub mod dag;
pub mod deployment;
pub mod diagnostic;
pub mod drawing;
pub mod event;
pub mod gate;
pub mod graph;
pub mod impact;
pub mod manifest;
pub mod names;
pub mod nearest;
pub mod notification;
pub mod plan;
pub mod predict;
pub mod preview;
pub mod probe;
pub mod refs;
pub mod removal;
pub mod review;
pub mod schema;
pub mod spans;
pub mod spread;
pub mod trace;
pub mod values;
pub mod yaml;
