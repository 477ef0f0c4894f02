//! Tokens of people and programs with different roles, as a configuration has them.

use argocd_orchestrator::config::Http;
use argocd_orchestrator::config::http::AccessToken;
use argocd_orchestrator::domain::access::{All, Customers, Grant, Role};

use crate::support::web::sha256;

pub const VIEWER_A: &str = "the-token-of-viewer-a";
pub const OPERATOR_A: &str = "the-token-of-operator-a";
pub const APPROVER_A: &str = "the-token-of-approver-a";
pub const OPERATOR_B: &str = "the-token-of-operator-b";
pub const ADMIN: &str = "the-token-of-admin";
pub const NOBODY: &str = "the-token-of-nobody";

fn grant(role: Role, customer: &str) -> Grant {
    Grant { role, customers: Customers::These(vec![customer.parse().unwrap()]) }
}

/// Everybody above may call.
pub fn settings() -> Http {
    let token = |name: &str, token: &str, roles: Vec<Grant>| AccessToken {
        name: name.into(),
        sha256: sha256(token),
        roles,
    };
    Http {
        tokens: vec![
            token("viewer-a", VIEWER_A, vec![grant(Role::Viewer, "customer-a")]),
            token("operator-a", OPERATOR_A, vec![grant(Role::Operator, "customer-a")]),
            token("approver-a", APPROVER_A, vec![grant(Role::Approver, "customer-a")]),
            token("operator-b", OPERATOR_B, vec![grant(Role::Operator, "customer-b")]),
            token("admin", ADMIN, vec![Grant { role: Role::Admin, customers: Customers::All(All::All) }]),
            token("nobody", NOBODY, Vec::new()),
        ],
        ..Http::default()
    }
}
