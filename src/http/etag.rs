//! Entity tags of deployments: a change is meant for what was looked at.

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use super::problem::Problem;
use crate::domain::deployment::Deployment;

/// The tag of a deployment as it is now. The plan is part of it: one that waits is planned again at its turn.
pub(super) fn of(deployment: &Deployment) -> String {
    let hash = deployment.brief.plan.hash.as_str();
    format!("\"{}-{}\"", deployment.progress.version, hash.get(..12).unwrap_or(hash))
}

/// Whether a header (`"a", "b"` or `*`) names a tag.
pub(super) fn names(header: &HeaderValue, tag: &str) -> bool {
    let Ok(text) = header.to_str() else { return false };
    text.split(',')
        .map(str::trim)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

/// Refuses what was meant for another state than the one that there is.
pub(super) fn check(headers: &HeaderMap, deployment: &Deployment) -> Result<(), Problem> {
    let tag = of(deployment);
    let mut given = headers.get_all(IF_MATCH).iter().peekable();
    if given.peek().is_none() || given.any(|header| names(header, &tag)) {
        return Ok(());
    }
    let detail = format!("the deployment is at {tag} by now: look at it again");
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail))
}
