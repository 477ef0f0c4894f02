//! Deploys many services in dependency order through Argo CD: waves, gates, rollback, and a reason for every
//! wait.
//!
//! ```text
//! sensor --gRPC--> grpc --event::parse--> app.submit --> store               [answers here, in milliseconds]
//! worker: event -> git -> values -> graph -> impact -> plan -> deployment (queued)
//!         lane of a customer: observe -> step (pure) -> save state and effects -> perform -> observe ...
//! http:   reads the store; what it changes is an event, or an input in a deployment's inbox
//! cli:    reads the store; what it changes is an input in a deployment's inbox
//! ```
//!
//! Read in this order.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod http;
pub mod logging;
pub mod oidc;
pub mod plugin;
pub mod ports;
pub mod step;
pub mod store;
pub mod tls;
pub mod view;
pub mod worker;
