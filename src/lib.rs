//! Deploys many services in dependency order through Argo CD.

pub mod domain;
pub mod ports;
pub mod config;
pub mod adapters;
pub mod store;
