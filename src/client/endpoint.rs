//! What the client asks for: each path, method and parameter, so that a test can hold them against the document.

use reqwest::Url;

use super::ClientError;

/// One operation of the HTTP interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is a POST; a GET otherwise.
    pub writes: bool,
    /// Its path, with `{names}`.
    pub path: &'static str,
    /// The query parameters that may be sent.
    pub parameters: &'static [&'static str],
}

const fn read(path: &'static str, parameters: &'static [&'static str]) -> Endpoint {
    Endpoint { writes: false, path, parameters }
}

const fn write(path: &'static str) -> Endpoint {
    Endpoint { writes: true, path, parameters: &[] }
}

macro_rules! endpoints {
    ($($name:ident = $endpoint:expr;)*) => {
        $(pub(super) const $name: Endpoint = $endpoint;)*
        /// All that the client may ask for.
        pub const ENDPOINTS: &[Endpoint] = &[$($name),*];
    };
}

endpoints! {
    DEPLOYMENTS = read(
        "/api/v1/deployments",
        &["customer", "environment", "state", "finished", "limit", "cursor"],
    );
    DEPLOYMENT = read("/api/v1/deployments/{id}", &[]);
    WHY = read("/api/v1/deployments/{id}/why", &["service"]);
    JOURNAL = read("/api/v1/deployments/{id}/journal", &[]);
    HISTORY = read("/api/v1/customers/{customer}/history", &["environment", "service"]);
    CUSTOMERS = read("/api/v1/customers", &["customer", "environment", "limit", "cursor"]);
    EVENTS = read("/api/v1/events", &["customer", "source", "state", "limit", "cursor"]);
    EVENT = read("/api/v1/events/{id}", &[]);
    AUDIT = read("/api/v1/audit", &["customer", "since", "until", "limit", "cursor"]);
    REPORT = read("/api/v1/audit/report", &["customer", "since", "until", "limit", "cursor"]);
    LETTERS = read("/api/v1/dead-letters", &["limit", "cursor"]);
    HEALTH = read("/actuator/health", &[]);
    STATUS = read("/api/v1/orchestrator/status", &[]);
    LOGIN = read("/api/v1/login", &[]);
    ME = read("/api/v1/me", &[]);
    READINESS = read("/actuator/health/readiness", &[]);
    STREAM = read("/api/v1/events/stream", &[]);
    DEPLOY = write("/api/v1/deployments");
    ROLLBACK = write("/api/v1/rollback");
    PLAN = write("/api/v1/plans");
    COMMAND_APPROVE = write("/api/v1/deployments/{id}/approve");
    COMMAND_REJECT = write("/api/v1/deployments/{id}/reject");
    COMMAND_PAUSE = write("/api/v1/deployments/{id}/pause");
    COMMAND_RESUME = write("/api/v1/deployments/{id}/resume");
    COMMAND_ABORT = write("/api/v1/deployments/{id}/abort");
    COMMAND_RETRY = write("/api/v1/deployments/{id}/retry");
    COMMAND_SKIP = write("/api/v1/deployments/{id}/skip");
    COMMAND_ROLLBACK = write("/api/v1/deployments/{id}/rollback");
    REPLAY = write("/api/v1/dead-letters/{id}/replay");
}

/// What fills the names of a path, and stands behind it.
#[derive(Debug, Default)]
pub(super) struct Arguments<'a> {
    path: Vec<(&'static str, &'a str)>,
    query: Vec<(&'static str, String)>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn path(mut self, name: &'static str, value: &'a str) -> Self {
        self.path.push((name, value));
        self
    }

    pub(super) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl Endpoint {
    /// Its address at a server.
    pub(super) fn url(&self, base: &Url, arguments: &Arguments<'_>) -> Result<Url, ClientError> {
        let mut url = base.clone();
        let wrong = |what: &str| ClientError::Setting(format!("{} has no {what}", self.path));
        {
            let mut segments = url.path_segments_mut().map_err(|()| wrong("host"))?;
            segments.pop_if_empty();
            for segment in self.path.split('/').filter(|segment| !segment.is_empty()) {
                let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                match name {
                    None => segments.push(segment),
                    Some(name) => {
                        let given = arguments.path.iter().find(|(other, _)| *other == name);
                        segments.push(given.ok_or_else(|| wrong(name))?.1)
                    }
                };
            }
        }
        for (name, value) in &arguments.query {
            if !self.parameters.contains(name) {
                return Err(wrong(name));
            }
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url)
    }
}
