//! Argo CD: its version, and Applications that something else would sync, or hold elsewhere than where they are put.

use std::collections::BTreeSet;

use super::{Check, Finding};

/// How many names are told.
const NAMED: usize = 5;

/// The oldest major release of Argo CD that is tested.
const OLDEST: u64 = 3;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArgoCd {
    /// The namespace of the Applications.
    pub namespace: String,
    /// The images of its controllers; empty where they run elsewhere.
    pub images: Vec<String>,
    /// Why the Applications are not known, if they are not.
    pub unreadable: Option<String>,
    /// How many Applications there are, as far as they were read.
    pub applications: usize,
    /// How many of them are driven: they are of a customer, or come from a configured repository.
    pub driven: usize,
    /// Whether there are more than were read.
    pub more: bool,
    /// The namespaces that driven Applications deploy to.
    pub namespaces: BTreeSet<String>,
    /// What conflicts.
    pub conflicts: Vec<Conflict>,
}

/// What makes an Application move on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// It follows a branch with automated sync on, which is refused by the configuration.
    AutoSync,
    /// The same, and its first deployment from here ends that.
    AutoSyncUntilFirst,
    /// Its ApplicationSet syncs its Applications in an order of its own.
    RollingSync,
    /// Its ApplicationSet would undo what is written to it.
    PinUndone,
}

/// Applications that something else moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// By what.
    pub sort: Sort,
    /// The ApplicationSet, where it is one.
    pub set: Option<String>,
    /// The Applications: not empty.
    pub applications: Vec<String>,
    /// What that means, in words.
    pub text: String,
    /// What to do, in words.
    pub remedy: String,
}

/// All that there is to say.
pub fn findings(facts: &ArgoCd) -> Vec<Finding> {
    let mut found = vec![version(&facts.images)];
    if let Some(reason) = &facts.unreadable {
        let text = format!("the Applications of {} cannot be read: {reason}", facts.namespace);
        found.push(Finding::warning(
            Check::APPLICATIONS,
            text,
            "check with an account that may list applications",
        ));
        return found;
    }
    let (all, driven, namespace) = (facts.applications, facts.driven, &facts.namespace);
    if facts.more {
        let text = format!("{namespace} has more than {all} Applications: the others were not looked at");
        found.push(Finding::note(Check::APPLICATIONS, text));
    }
    if facts.conflicts.is_empty() {
        let text =
            format!("{driven} of {all} Applications in {namespace} are driven, and nothing else moves them");
        found.push(Finding::fine(Check::APPLICATIONS, text));
    }
    found.extend(facts.conflicts.iter().map(|conflict| of(namespace, conflict)));
    found
}

fn of(namespace: &str, conflict: &Conflict) -> Finding {
    let Conflict { sort, set, applications, text, remedy } = conflict;
    let named = applications.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let value = match applications.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    };
    let object = match set {
        Some(set) => format!("ApplicationSet {namespace}/{set}"),
        None => format!("Application {namespace}/{}", applications.first().map_or("", String::as_str)),
    };
    let (check, field) = match sort {
        Sort::AutoSync | Sort::AutoSyncUntilFirst => (Check::AUTO_SYNC, "spec.syncPolicy.automated"),
        Sort::RollingSync => (Check::ROLLING_SYNC, "spec.strategy"),
        Sort::PinUndone => (Check::PIN_UNDONE, "spec.ignoreApplicationDifferences"),
    };
    let finding = match sort {
        Sort::AutoSyncUntilFirst => Finding::warning(check, text.as_str(), remedy.as_str()),
        Sort::AutoSync | Sort::RollingSync | Sort::PinUndone => {
            Finding::wrong(check, text.as_str(), remedy.as_str())
        }
    };
    finding.at(&object, field, Some(value))
}

/// Which Argo CD runs, by the images of its controllers.
pub fn version(images: &[String]) -> Finding {
    let check = Check::ARGO_CD_VERSION;
    // `registry:5000/path/name:tag@digest`: the tag stands behind the last path.
    let tag = |image: &str| {
        let image = image.split('@').next().unwrap_or(image);
        let name = image.rsplit('/').next().unwrap_or(image);
        name.split_once(':').map(|(_, tag)| tag.to_owned())
    };
    let Some(tag) = images.iter().find_map(|image| tag(image)) else {
        return Finding::note(
            check,
            "which Argo CD runs is not seen: its controllers are not in that namespace",
        );
    };
    let major = tag.trim_start_matches('v').split('.').next().and_then(|part| part.parse::<u64>().ok());
    match major {
        // A date, or a word such as `latest`.
        None => Finding::note(check, format!("Argo CD {tag} runs; what version that is, is not understood")),
        Some(major) if major < OLDEST => Finding::warning(
            check,
            format!("Argo CD {tag} is older than {OLDEST}.0, the oldest that is tested"),
            format!("upgrade Argo CD to {OLDEST}.0 or newer"),
        ),
        Some(_) => Finding::fine(check, format!("Argo CD {tag} runs")),
    }
}
