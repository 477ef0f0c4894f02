//! A request as it arrives: what the sensor's trigger says (`spec`), and what happened (`payload`).
//!
//! Source: the custom trigger of Argo Events. `spec` is a map of texts, written once in the Sensor; `payload` is
//! what the Sensor builds of the event, either `{push, event, delivery}` or the body of a push as it is. Values
//! that a Sensor cannot find arrive as empty texts. GitHub's payload has far more fields than are read
//! here, and some change their type from event to event: everything that decides nothing is ignored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog::Order;
use super::diagnostic::{Code, Diagnostic, Place};
use super::names::{CustomerId, Environment, NameError, Revision, ServiceName, SourceName, Wave};
use super::nearest::nearest;
use super::trace::TraceContext;

/// A request that can be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is asked for.
    pub kind: Kind,
    /// The configured repository.
    pub source: SourceName,
    /// Only this customer; none for all that the push touches.
    pub customer: Option<CustomerId>,
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only this service (and what it has to wait for).
    pub service: Option<ServiceName>,
    /// Only this wave.
    pub wave: Option<Wave>,
    /// The order mode asked for; none for the configured one.
    pub order: Option<Order>,
    /// The customers that whoever asked may touch; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<CustomerId>,
    /// Who asked.
    pub requested_by: String,
    /// What made it happen.
    pub trigger: Trigger,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Deploy what the push touches.
    #[default]
    Deployment,
    /// Sync one wave.
    SyncWave,
    /// See whether services are healthy.
    HealthCheck,
    /// Take services back.
    Rollback,
}

impl Kind {
    /// Its stable name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::SyncWave => "sync-wave",
            Self::HealthCheck => "health-check",
            Self::Rollback => "rollback",
        }
    }
}

/// What made a request happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trigger", rename_all = "kebab-case")]
pub enum Trigger {
    /// A push to a repository.
    Push(Push),
    /// A person, or another system, by hand.
    Manual {
        /// The commit; none for the head of the configured ref.
        revision: Option<Revision>,
        /// Whether what failed before is tried again, and unchanged services are synced as well.
        force: bool,
        /// The id of the request; the same id is the same request.
        id: String,
    },
    /// Something that starts nothing, such as the ping of a new webhook.
    Other {
        /// What.
        what: String,
        /// Its delivery or event id, where known.
        id: Option<String>,
    },
}

/// The part of GitHub's push payload that decides something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// `repository.full_name`.
    pub repository: String,
    /// Full ref name, such as `refs/heads/main`.
    pub reference: String,
    /// The commit before; none when the ref was created.
    pub before: Option<Revision>,
    /// The commit after; none when the ref was deleted.
    pub after: Option<Revision>,
    /// Whether commits were dropped.
    pub forced: bool,
    /// Delivery id of the webhook, where known.
    pub delivery: Option<String>,
    /// Event id of the bus, where known.
    pub event: Option<String>,
}

/// A repository that requests may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSource {
    /// The name that the configuration gives it.
    pub name: SourceName,
    /// Its `owner/name` at GitHub.
    pub repository: String,
}

/// The keys of `spec`. The token is checked, and taken out, before anything else is looked at.
const SPEC_KEYS: [&str; 11] = [
    "kind",
    "source",
    "customer",
    "environment",
    "service",
    "wave",
    "order",
    "revision",
    "force",
    "requested-by",
    "id",
];

/// What a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    /// What is asked for.
    pub request: Request,
    /// The trace that its payload says it is part of; none where it says nothing that can be one.
    pub trace: Option<TraceContext>,
}

/// Understands a request.
///
/// # Errors
/// All that is wrong with it. Such a request can never succeed, however often it is sent.
pub fn parse(
    spec: &Map<String, Value>,
    payload: &[u8],
    sources: &[KnownSource],
) -> Result<Understood, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    check_keys(spec, &mut faults);
    let body = body(payload);
    let readable = body.is_ok();
    let body = body.unwrap_or_else(|fault| {
        faults.push(fault);
        Map::new()
    });
    let kind =
        text(spec, "kind").map_or(Some(Kind::Deployment), |word| keep(word.parse(), "kind", &mut faults));
    let customer = name::<CustomerId>(spec, "customer", &mut faults);
    let environment = name::<Environment>(spec, "environment", &mut faults);
    let service = name::<ServiceName>(spec, "service", &mut faults);
    let order = text(spec, "order").and_then(|word| keep(word.parse::<Order>(), "order", &mut faults));
    let wave = text(spec, "wave").and_then(|word| {
        let number = word.parse::<u32>().map_err(|_| format!("{word:?} is not the number of a wave"));
        keep(number, "wave", &mut faults).map(Wave)
    });
    let happening = Happening::of(&body);
    let trigger = trigger(spec, payload, &happening, &mut faults);
    let source = source(spec, happening.push.as_ref(), sources, &mut faults);
    if kind == Some(Kind::SyncWave) && wave.is_none() {
        faults.push(
            fault("spec", "`wave` is missing: the kind `sync-wave` says which wave")
                .with_help("set `wave: \"2\"`"),
        );
    }
    let manual = matches!(trigger, Some(Trigger::Manual { .. }));
    // What cannot be read may well have been a push.
    if manual && readable && customer.is_none() {
        let message = "`customer` is missing: a request without a push says whom it is for";
        faults.push(fault("spec", message));
    }
    let (Some(kind), Some(source), Some(trigger), true) = (kind, source, trigger, faults.is_empty()) else {
        return Err(faults);
    };
    let request = Request {
        kind,
        source,
        customer,
        environment,
        service,
        wave,
        order,
        scope: Vec::new(),
        requested_by: text(spec, "requested-by").or(happening.pusher).unwrap_or("argo-events").to_owned(),
        trigger,
    };
    Ok(Understood { request, trace: TraceContext::in_payload(&body) })
}

impl Request {
    /// Whether what failed before is to be tried again, and what did not change as well.
    pub fn asks_to_force(&self) -> bool {
        match self.trigger {
            Trigger::Manual { force, .. } => force,
            Trigger::Push(_) | Trigger::Other { .. } => false,
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "deployment" => Ok(Self::Deployment),
            "sync-wave" => Ok(Self::SyncWave),
            "health-check" => Ok(Self::HealthCheck),
            "rollback" => Ok(Self::Rollback),
            other => {
                Err(format!("{other:?} is none of `deployment`, `sync-wave`, `health-check`, `rollback`"))
            }
        }
    }
}

/// What the payload tells of the event, whichever form it has.
struct Happening<'a> {
    push: Option<Map<String, Value>>,
    event: Option<&'a str>,
    delivery: Option<String>,
    name: Option<String>,
    pusher: Option<&'a str>,
}

impl<'a> Happening<'a> {
    fn of(body: &'a Map<String, Value>) -> Self {
        let wrapped = ["push", "event", "delivery"].iter().any(|key| body.contains_key(*key));
        let push = if wrapped { object(body.get("push")) } else { Some(body.clone()) };
        let push = push.filter(|push| !push.is_empty());
        let inner = |key: &str| push.as_ref().and_then(|push| text(push, key)).map(str::to_owned);
        let outer = if wrapped { body.get("push") } else { None };
        let pusher = outer.map_or_else(|| body.get("pusher"), |push| push.get("pusher"));
        Self {
            event: match body.get("event") {
                Some(Value::Object(event)) => text(event, "id"),
                Some(Value::String(id)) if !id.is_empty() => Some(id),
                Some(_) | None => None,
            },
            delivery: text(body, "delivery").map(str::to_owned).or_else(|| inner("X-GitHub-Delivery")),
            name: inner("X-GitHub-Event"),
            pusher: pusher.and_then(|pusher| pusher.get("name")).and_then(Value::as_str),
            push,
        }
    }

    fn id(&self) -> Option<String> {
        self.delivery.clone().or_else(|| self.event.map(str::to_owned))
    }
}

fn trigger(
    spec: &Map<String, Value>,
    payload: &[u8],
    happening: &Happening<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Trigger> {
    let looks_like_push = |push: &Map<String, Value>| push.contains_key("ref") || push.contains_key("after");
    match (&happening.push, happening.name.as_deref()) {
        (Some(_), Some(name)) if name != "push" => {
            Some(Trigger::Other { what: name.to_owned(), id: happening.id() })
        }
        (Some(push), _) if looks_like_push(push) => self::push(push, happening, faults).map(Trigger::Push),
        (Some(push), _) if push.contains_key("zen") => {
            Some(Trigger::Other { what: "ping".into(), id: happening.id() })
        }
        (Some(push), _) if text(spec, "customer").is_none() => {
            let keys: Vec<&str> = push.keys().take(5).map(String::as_str).collect();
            let message =
                format!("it is no push (no `ref`, no `after`) and nobody is named; it has {keys:?}");
            faults.push(
                fault("payload", message)
                    .with_help("send the push as `push`, or name a `customer` in `spec`"),
            );
            None
        }
        (Some(_) | None, _) => {
            let revision =
                text(spec, "revision").and_then(|text| keep(named(text.parse()), "revision", faults));
            let force = match text(spec, "force") {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    faults.push(fault("spec", format!("`force` is {other:?}: use `true` or `false`")));
                    false
                }
            };
            let id = text(spec, "id").map(str::to_owned).or_else(|| happening.id());
            let id = id.unwrap_or_else(|| super::plan::fingerprint(&(spec, payload)).to_string());
            Some(Trigger::Manual { revision, force, id })
        }
    }
}

fn push(push: &Map<String, Value>, happening: &Happening<'_>, faults: &mut Vec<Diagnostic>) -> Option<Push> {
    let before = commit(push, "before", faults);
    let after = commit(push, "after", faults);
    let reference = text(push, "ref");
    if !reference.is_some_and(|text| text.starts_with("refs/") && text.len() <= 1024) {
        let given = reference.map_or_else(|| "missing".to_owned(), |text| format!("{text:?}"));
        let message = format!("`ref` is {given}: a push has a full ref such as `refs/heads/main`");
        faults.push(fault("payload", message));
    }
    let repository = push.get("repository").and_then(|repository| repository.get("full_name"));
    let repository = repository.and_then(Value::as_str).filter(|name| !name.is_empty());
    if repository.is_none() {
        faults.push(fault(
            "payload",
            "`repository.full_name` is missing: nobody can say which repository was pushed",
        ));
    }
    if after == Some(None) && before == Some(None) {
        faults.push(fault("payload", "`before` and `after` are both missing or zero: nothing was pushed"));
    }
    Some(Push {
        repository: repository?.to_owned(),
        reference: reference?.to_owned(),
        before: before?,
        after: after?,
        forced: push.get("forced").and_then(Value::as_bool).unwrap_or(false),
        delivery: happening.delivery.clone(),
        event: happening.event.map(str::to_owned),
    })
}

/// A commit of a push; `Some(None)` for none, which GitHub writes as forty zeros.
fn commit(push: &Map<String, Value>, key: &str, faults: &mut Vec<Diagnostic>) -> Option<Option<Revision>> {
    let Some(given) = text(push, key) else { return Some(None) };
    if given.bytes().all(|byte| byte == b'0') {
        return Some(None);
    }
    match given.parse() {
        Ok(revision) => Some(Some(revision)),
        Err(error) => {
            faults.push(fault("payload", format!("`{key}`: {error}")));
            None
        }
    }
}

fn source(
    spec: &Map<String, Value>,
    push: Option<&Map<String, Value>>,
    sources: &[KnownSource],
    faults: &mut Vec<Diagnostic>,
) -> Option<SourceName> {
    let names = || sources.iter().map(|source| source.name.as_str());
    let repository = push.and_then(|push| push.get("repository")?.get("full_name")?.as_str());
    let same =
        |source: &&KnownSource| repository.is_none_or(|name| source.repository.eq_ignore_ascii_case(name));
    match text(spec, "source") {
        Some(wanted) => {
            let Some(source) = sources.iter().find(|source| source.name.as_str() == wanted) else {
                let near = nearest(wanted, names()).map(|near| format!("did you mean `{near}`?"));
                let help = near.unwrap_or_else(|| "add it under `sources` in the configuration".into());
                faults.push(fault("spec", format!("`source` {wanted:?} is not configured")).with_help(help));
                return None;
            };
            if !same(&source) {
                let given = repository.unwrap_or_default();
                let message =
                    format!("the push is to {given:?}, but the source `{wanted}` is {:?}", source.repository);
                faults.push(fault("payload", message));
                return None;
            }
            Some(source.name.clone())
        }
        None => match sources.iter().filter(same).collect::<Vec<_>>().as_slice() {
            [source] => Some(source.name.clone()),
            [] => {
                let message =
                    format!("no configured source has the repository {:?}", repository.unwrap_or_default());
                faults
                    .push(fault("payload", message).with_help("add it under `sources` in the configuration"));
                None
            }
            _ => {
                let message = "`source` is missing, and more than one configured repository would fit";
                faults.push(fault("spec", message));
                None
            }
        },
    }
}

fn check_keys(spec: &Map<String, Value>, faults: &mut Vec<Diagnostic>) {
    for (key, value) in spec {
        if !SPEC_KEYS.contains(&key.as_str()) {
            let near = nearest(key, SPEC_KEYS.into_iter()).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("known are {}", SPEC_KEYS.join(", ")));
            faults.push(fault("spec", format!("`{key}` is not known")).with_help(help));
        } else if !value.is_string() {
            faults.push(fault("spec", format!("`{key}` must be a text")));
        }
    }
}

fn body(payload: &[u8]) -> Result<Map<String, Value>, Diagnostic> {
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(payload) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(fault("payload", "it is JSON, but not an object")),
        Err(error) => {
            let place =
                Place { file: "payload".into(), line: error.line() as u32, column: error.column() as u32 };
            // Only the kind of fault: the text of the error could repeat what was sent.
            let kind = if error.is_eof() { "it ends in the middle" } else { "it is not JSON" };
            Err(Diagnostic::error(Code::BadRequest, place, kind))
        }
    }
}

/// An object, also where a Sensor without `useRawData` made a text of it.
fn object(value: Option<&Value>) -> Option<Map<String, Value>> {
    match value? {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// A text that says something: what a Sensor cannot find arrives empty, or as `null` or `<no value>`.
fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str).filter(|text| !matches!(*text, "" | "null" | "<no value>"))
}

fn name<T: std::str::FromStr<Err = NameError>>(
    spec: &Map<String, Value>,
    key: &str,
    faults: &mut Vec<Diagnostic>,
) -> Option<T> {
    text(spec, key).and_then(|text| keep(named(text.parse()), key, faults))
}

fn named<T>(parsed: Result<T, NameError>) -> Result<T, String> {
    parsed.map_err(|error| error.to_string())
}

fn keep<T>(parsed: Result<T, String>, key: &str, faults: &mut Vec<Diagnostic>) -> Option<T> {
    parsed.map_err(|error| faults.push(fault("spec", format!("`{key}`: {error}")))).ok()
}

fn fault(part: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::BadRequest, Place::file(part), message)
}
