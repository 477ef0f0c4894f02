//! Whether the orchestrator runs in the cluster.

use super::{Check, Finding};

/// A StatefulSet, as far as that matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workload {
    /// `namespace/name`.
    pub name: String,
    /// How many pods it is to have.
    pub wanted: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many are of the newest template.
    pub updated: i32,
    /// Whether its controller has seen the newest spec.
    pub observed: bool,
    /// The images of its containers.
    pub images: Vec<String>,
}

impl Workload {
    /// Whether all of its pods are ready, and of the newest template.
    pub fn is_ready(&self) -> bool {
        self.observed && self.wanted > 0 && self.ready >= self.wanted && self.updated >= self.wanted
    }
}

/// Whether it is there and ready; none is one that runs elsewhere, or that may not be read, as the words say.
pub fn findings(workload: Result<Option<&Workload>, &str>, name: &str) -> Finding {
    let check = Check::STATEFUL_SET;
    let object = format!("StatefulSet {name}");
    match workload {
        Err(reason) => Finding::note(check, format!("{object} cannot be read: {reason}")),
        Ok(None) => Finding::note(
            check,
            format!("{object} is not there: the orchestrator runs elsewhere, or not at all"),
        ),
        Ok(Some(found)) if found.is_ready() => {
            let images = found.images.join(", ");
            Finding::fine(check, format!("{object} is ready: {}/{} ({images})", found.ready, found.wanted))
        }
        Ok(Some(found)) => {
            let text = if found.wanted == 0 {
                format!("{object} has no replicas: nothing is deployed")
            } else if !found.observed {
                format!("{object} was changed, and its controller has not seen that yet")
            } else {
                format!(
                    "{object} is not ready: {} of {} pods are ready, {} of the newest template",
                    found.ready, found.wanted, found.updated
                )
            };
            Finding::wrong(check, text, "`kubectl describe` it and its pods, and read their logs")
                .at(&object, "status", None)
        }
    }
}
