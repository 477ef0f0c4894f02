//! The orchestrator's server, as whoever asks it sees it.

use super::cluster::{self, Time};
use super::{Check, Finding};

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: String,
    /// Its parts and whether each is up; in words why that is not known.
    pub health: Result<Vec<Part>, String>,
    /// What time it had.
    pub time: Option<Time>,
    /// Its version; none where that was not asked for, because the token was not accepted.
    pub version: Option<Result<String, String>>,
    /// Whom it takes who asks for, and which roles that one has; in words why it does not.
    pub me: Result<Me, String>,
}

/// A part of the server's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, such as `writes`.
    pub name: String,
    /// Whether it works.
    pub up: bool,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The name.
    pub name: String,
    /// The roles.
    pub roles: Vec<String>,
}

/// All that there is to say. `ours` is the version of this program.
pub fn findings(facts: &Server, ours: &str) -> Vec<Finding> {
    let address = &facts.address;
    let mut found = vec![Finding::fine(Check::SERVER, format!("{address} answers"))];
    match &facts.health {
        Ok(parts) => found.extend(parts.iter().map(health)),
        Err(reason) => found.push(Finding::wrong(
            Check::SERVER_HEALTH,
            format!("what its health is, is not understood: {reason}"),
            "see that --server is the orchestrator's own address",
        )),
    }
    if let Some(time) = &facts.time {
        found.push(cluster::clock(Check::SERVER_CLOCK, "the server", time));
    }
    match &facts.me {
        Ok(Me { name, roles }) if roles.is_empty() => found.push(Finding::warning(
            Check::SERVER_TOKEN,
            format!("{name} is known, and may do nothing"),
            "give it a role in the server's configuration",
        )),
        Ok(Me { name, roles }) => {
            let text = format!("the server takes you for {name} ({})", roles.join(", "));
            found.push(Finding::fine(Check::SERVER_TOKEN, text));
        }
        Err(reason) => found.push(Finding::wrong(
            Check::SERVER_TOKEN,
            format!("the server does not accept who asks: {reason}"),
            "`argocd-orchestrator login`, or a token that it knows (--token-file)",
        )),
    }
    match &facts.version {
        None => {}
        Some(Ok(theirs)) if theirs == ours => {
            found.push(Finding::fine(
                Check::SERVER_VERSION,
                format!("the server is of version {theirs}, as this program is"),
            ));
        }
        Some(Ok(theirs)) => found.push(Finding::warning(
            Check::SERVER_VERSION,
            format!("the server is of version {theirs}, this program of {ours}"),
            "use the same version for both",
        )),
        Some(Err(reason)) => found.push(Finding::warning(
            Check::SERVER_VERSION,
            format!("the server's version is not told: {reason}"),
            "see that --server is the orchestrator's own address",
        )),
    }
    found
}

/// It does not answer.
pub fn unanswered(reason: &str) -> Finding {
    Finding::wrong(
        Check::SERVER,
        reason,
        "see that the server runs, and that --server and --ca are right for where you are",
    )
}

fn health(part: &Part) -> Finding {
    let Part { name, up } = part;
    if *up {
        return Finding::fine(Check::SERVER_HEALTH, format!("the server's {name} work"));
    }
    Finding::wrong(
        Check::SERVER_HEALTH,
        format!("the server's {name} do not work"),
        "its log says why; a disk that is full or read-only is what it is most often",
    )
}
