//! What is fine, missing or wrong with a cluster and a server, and what to do about it.
//!
//! Others read the cluster; here facts become [`Finding`]s. Each module has the facts of one matter and a function
//! `findings` that judges them. What has to be so, and why, is in `docs/check.md`, by the ids of [`Check`].

use std::fmt;

use serde::Serialize;

pub mod argo_cd;
pub mod cluster;
pub mod events;
pub mod kinds;
pub mod permissions;
pub mod sensor;
pub mod server;
pub mod source;
#[cfg(test)]
mod tests;
pub mod workload;

/// What is looked at. Its id stays the same: programs may go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Check {
    /// The id, such as `sensor-retry`.
    pub id: &'static str,
    /// What it is about: under this heading it is printed.
    pub group: Group,
}

/// A heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The API server.
    Kubernetes,
    /// The kinds of objects that are used.
    Kinds,
    /// What may be done.
    Permissions,
    /// Argo CD and its Applications.
    ArgoCd,
    /// What hands events to the orchestrator.
    ArgoEvents,
    /// The orchestrator in the cluster, and its server.
    Orchestrator,
}

impl Group {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::Kinds => "Kinds",
            Self::Permissions => "Permissions",
            Self::ArgoCd => "Argo CD",
            Self::ArgoEvents => "Argo Events",
            Self::Orchestrator => "Orchestrator",
        }
    }
}

macro_rules! checks {
    ($($name:ident = $id:literal, $group:ident;)*) => {
        impl Check {
            $(
                #[doc = concat!("`", $id, "`, see `docs/check.md`.")]
                pub const $name: Self = Self { id: $id, group: Group::$group };
            )*
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

checks! {
    API_SERVER = "api-server", Kubernetes;
    API_SERVER_VERSION = "api-server-version", Kubernetes;
    CLOCK = "clock", Kubernetes;
    ARGO_CD_KINDS = "argo-cd-kinds", Kinds;
    ARGO_ROLLOUTS_KINDS = "argo-rollouts-kinds", Kinds;
    ARGO_EVENTS_KINDS = "argo-events-kinds", Kinds;
    ARGO_WORKFLOWS_KINDS = "argo-workflows-kinds", Kinds;
    PERMISSIONS = "permissions", Permissions;
    ARGO_CD_VERSION = "argo-cd-version", ArgoCd;
    APPLICATIONS = "applications", ArgoCd;
    AUTO_SYNC = "auto-sync", ArgoCd;
    ROLLING_SYNC = "rolling-sync", ArgoCd;
    PIN_UNDONE = "pin-undone", ArgoCd;
    EVENT_BUS = "event-bus", ArgoEvents;
    EVENT_BUS_COPIES = "event-bus-copies", ArgoEvents;
    EVENT_BUS_LIMITS = "event-bus-limits", ArgoEvents;
    EVENT_SOURCE = "event-source", ArgoEvents;
    EVENT_SOURCE_NAME = "event-source-name", ArgoEvents;
    EVENT_SOURCE_SECRET = "event-source-secret", ArgoEvents;
    EVENT_SOURCE_SIZE = "event-source-size", ArgoEvents;
    SENSOR = "sensor", ArgoEvents;
    SENSOR_AT_LEAST_ONCE = "sensor-at-least-once", ArgoEvents;
    SENSOR_CONDITIONS = "sensor-conditions", ArgoEvents;
    SENSOR_CONNECTION = "sensor-connection", ArgoEvents;
    SENSOR_DEAD_LETTERS = "sensor-dead-letters", ArgoEvents;
    SENSOR_DEPENDENCY = "sensor-dependency", ArgoEvents;
    SENSOR_FILTER = "sensor-filter", ArgoEvents;
    SENSOR_RETRY = "sensor-retry", ArgoEvents;
    SENSOR_TARGET = "sensor-target", ArgoEvents;
    SENSOR_TLS = "sensor-tls", ArgoEvents;
    SENSOR_TOKEN = "sensor-token", ArgoEvents;
    SENSOR_VALUES = "sensor-values", ArgoEvents;
    STATEFUL_SET = "stateful-set", Orchestrator;
    SERVER = "server", Orchestrator;
    SERVER_CLOCK = "server-clock", Orchestrator;
    SERVER_HEALTH = "server-health", Orchestrator;
    SERVER_TOKEN = "server-token", Orchestrator;
    SERVER_VERSION = "server-version", Orchestrator;
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Fine,
    /// It cannot be told, and need not be.
    Note,
    /// It works, and somebody should look.
    Warning,
    /// It does not work, or will lose something.
    Wrong,
}

/// Where something stands in an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The object, such as `Sensor argo-events/orchestrator-push`.
    pub object: String,
    /// The path of the field, such as `spec.triggers[0].atLeastOnce`; empty for the object as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What stands there; none where nothing does, or where it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// One thing that was looked at, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    #[serde(flatten)]
    pub check: Check,
    /// How it is.
    pub level: Level,
    /// That in words.
    pub text: String,
    /// Where, if it is about an object.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What to do; none where nothing has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl fmt::Display for Finding {
    /// Where, and how it is; without what to do.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            // A text that begins with the object says itself where.
            Some(place) if !self.text.starts_with(&place.object) => {
                let value = place.value.as_ref().map(|value| format!(" ({value})")).unwrap_or_default();
                write!(to, "{} {}{value}: {}", place.object, place.field, self.text)
            }
            Some(_) | None => to.write_str(&self.text),
        }
    }
}

impl Finding {
    fn new(check: Check, level: Level, text: impl Into<String>) -> Self {
        Self { check, level, text: text.into(), place: None, remedy: None }
    }

    /// As it should be.
    pub fn fine(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Level::Fine, text)
    }

    /// It cannot be told, and need not be.
    pub fn note(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Level::Note, text)
    }

    /// Somebody should look, and do this.
    pub fn warning(check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Level::Warning, text) }
    }

    /// It does not work, or will lose something; this mends it.
    pub fn wrong(check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Level::Wrong, text) }
    }

    /// The same about a field of an object.
    #[must_use]
    pub fn at(mut self, object: &str, field: impl Into<String>, value: Option<String>) -> Self {
        self.place = Some(Place { object: object.to_owned(), field: field.into(), value });
        self
    }
}

/// All that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong. There may be warnings.
    pub well: bool,
    /// Each thing, by group.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The findings in the order of their groups.
    pub fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.check.group);
        Self { well: is_well(&findings), findings }
    }

    /// How many are so.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Whether nothing is wrong. There may be warnings.
pub fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level != Level::Wrong)
}

/// The objects of a kind in a namespace, as far as they could be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// They are these.
    Objects {
        /// Each as Kubernetes has it.
        objects: Vec<serde_json::Value>,
        /// Whether there are more than are looked at.
        more: bool,
    },
    /// The API server has no such kind.
    NoSuchKind,
    /// They may not be read; in words.
    Refused(String),
}

impl Listed {
    /// Those that were read.
    pub fn objects(&self) -> &[serde_json::Value] {
        match self {
            Self::Objects { objects, .. } => objects,
            Self::NoSuchKind | Self::Refused(_) => &[],
        }
    }
}

/// `Kind namespace/name` of an object.
fn named(kind: &str, object: &serde_json::Value) -> String {
    let text = |path| object.pointer(path).and_then(serde_json::Value::as_str);
    let name = text("/metadata/name").unwrap_or("(no name)");
    match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}
