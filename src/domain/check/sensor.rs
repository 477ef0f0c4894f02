//! The settings of a Sensor that hands events to the orchestrator, and what is lost by which.
//!
//! Source: Argo Events' `pkg/sensors` (listener, parameters, custom trigger) and `pkg/shared/util/retry.go`.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::Value;

use super::{Check, Finding, named};

/// The port that the orchestrator's trigger has.
const PORT: &str = ":50051";

/// The name of its Service.
const NAME: &str = "argocd-orchestrator";

/// For how long a delivery has to be tried: longer than a restart of the orchestrator, with a new node for it.
const LONG_ENOUGH: SignedDuration = SignedDuration::from_mins(10);

/// What a token is called in our manifests until somebody sets one.
const PLACEHOLDER: &str = "set-by-an-overlay";

/// What each event of GitHub's has. A filter that looks elsewhere drops what does not have it.
const ALWAYS: [&str; 2] = ["body.X-GitHub-Event", "body.X-GitHub-Delivery"];

/// What every attempt of a delivery takes, where no attempt is told otherwise. Source: `retryStrategy.duration`.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// An event that a Sensor waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency<'a> {
    /// The EventSource that it comes from.
    pub source: &'a str,
    /// Its name there.
    pub event: &'a str,
}

/// Whether one of its triggers calls the orchestrator: by the port of the trigger, or by the name of its Service.
pub fn is_ours(sensor: &Value) -> bool {
    triggers(sensor).iter().any(calls_us)
}

/// What it waits for.
pub fn dependencies(sensor: &Value) -> Vec<Dependency<'_>> {
    let all = list(sensor, "/spec/dependencies").iter();
    all.filter_map(|one| {
        Some(Dependency { source: text(one, "/eventSourceName")?, event: text(one, "/eventName")? })
    })
    .collect()
}

/// A Service of the cluster, and a port of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// The Services that its triggers call the orchestrator by; not those that are addresses out of the cluster.
pub fn targets(sensor: &Value) -> Vec<Target> {
    let ours = triggers(sensor).iter().filter(|one| calls_us(one));
    ours.filter_map(|one| {
        let server = text(one, "/template/custom/serverURL")?;
        let (host, port) = server.strip_prefix("dns:///").unwrap_or(server).rsplit_once(':')?;
        let mut labels = host.trim_end_matches('.').split('.');
        let (name, namespace, third) = (labels.next()?, labels.next(), labels.next());
        let namespace = match (namespace, third) {
            (None, _) => text(sensor, "/metadata/namespace")?,
            (Some(namespace), Some("svc")) => namespace,
            (Some(_), _) => return None,
        };
        let port = port.parse().ok()?;
        // They become part of a path that is asked for.
        let is_label = |label: &str| {
            let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
            (1..=63).contains(&label.len()) && label.chars().all(fits)
        };
        (is_label(name) && is_label(namespace)).then(|| Target {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port,
        })
    })
    .collect()
}

/// What of its settings loses events, or lets anybody read what it carries.
pub fn settings(sensor: &Value) -> Vec<Finding> {
    let object = named("Sensor", sensor);
    let mut at = At { object: &object, path: String::new(), found: Vec::new() };
    let ours: Vec<(usize, &Value)> =
        triggers(sensor).iter().enumerate().filter(|(_, one)| calls_us(one)).collect();
    filters(&mut at, sensor);
    let mut names = BTreeSet::new();
    for (index, trigger) in ours {
        at.path = format!("spec.triggers[{index}]");
        let conditions = text(trigger, "/template/conditions");
        delivery(&mut at, trigger);
        retry(&mut at, trigger.get("retryStrategy"));
        dead_letters(&mut at, trigger);
        order(&mut at, conditions, list(sensor, "/spec/dependencies").len());
        let either = conditions.is_some_and(|conditions| conditions.contains("||"));
        values(&mut at, trigger, either);
        if let Some(custom) = trigger.pointer("/template/custom") {
            connection(&mut at, custom);
            token(&mut at, custom);
        }
        let name = text(trigger, "/template/name").unwrap_or_default();
        if !names.insert(name) {
            at.wrong(
                Check::SENSOR_CONNECTION,
                "template.name",
                Some(name),
                "two triggers have this name, and the sensor keeps one connection for each name",
                "give each trigger a name of its own",
            );
        }
    }
    at.found
}

/// Where the findings are about, as they are gathered.
struct At<'a> {
    object: &'a str,
    path: String,
    found: Vec<Finding>,
}

impl At<'_> {
    fn add(&mut self, finding: Finding, field: &str, value: Option<&str>) {
        let field = if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) };
        self.found.push(finding.at(self.object, field, value.map(str::to_owned)));
    }

    fn wrong(&mut self, check: Check, field: &str, value: Option<&str>, what: &str, remedy: &str) {
        self.add(Finding::wrong(check, what, remedy), field, value);
    }

    fn warn(&mut self, check: Check, field: &str, value: Option<&str>, what: &str, remedy: &str) {
        self.add(Finding::warning(check, what, remedy), field, value);
    }
}

fn delivery(at: &mut At<'_>, trigger: &Value) {
    let value = trigger.get("atLeastOnce");
    if value == Some(&Value::Bool(true)) {
        return;
    }
    at.wrong(
        Check::SENSOR_AT_LEAST_ONCE,
        "atLeastOnce",
        shown(value).as_deref(),
        "an event counts as done before it is delivered; retryStrategy and dlqTrigger are not used",
        "set `atLeastOnce: true`",
    );
}

const RETRY: &str = "set `retryStrategy: {steps: 360, duration: 5s, factor: 1, jitter: 0.2}`";

fn retry(at: &mut At<'_>, strategy: Option<&Value>) {
    let check = Check::SENSOR_RETRY;
    let Some(strategy) = strategy.filter(|strategy| strategy.is_object()) else {
        at.wrong(check, "retryStrategy", None, "there is one attempt, and then the event is done", RETRY);
        return;
    };
    for key in ["factor", "jitter"] {
        if let Some(Value::String(value)) = strategy.get(key) {
            let what = "a text where a number has to be: each event is dropped with one warning";
            let remedy = format!("write it without quotes: `{key}: {value}`");
            at.wrong(check, &format!("retryStrategy.{key}"), Some(&format!("{value:?}")), what, &remedy);
            return;
        }
    }
    let steps = strategy.get("steps");
    let Some(count) = steps.and_then(Value::as_u64).filter(|count| *count > 0) else {
        let what = "there are five attempts, and then the event is done";
        at.wrong(check, "retryStrategy.steps", shown(steps).as_deref(), what, RETRY);
        return;
    };
    let pause = match strategy.get("duration") {
        None | Some(Value::Null) => Some(PAUSE),
        Some(Value::String(text)) => go_duration(text),
        Some(value) => value.as_i64().map(SignedDuration::from_nanos),
    };
    let Some(pause) = pause else {
        let value = shown(strategy.get("duration"));
        let what = "this is no length of time: the event is dropped with one warning";
        at.wrong(check, "retryStrategy.duration", value.as_deref(), what, "write it such as `5s` or `1m30s`");
        return;
    };
    let factor = strategy.get("factor").and_then(Value::as_f64).unwrap_or(1.0);
    let tried = tried_for(count, pause, factor);
    if tried < LONG_ENOUGH {
        let value = format!("steps: {count}, duration: {pause:#}, factor: {factor}");
        let what = format!(
            "an event is tried for {:#}: when the orchestrator is away for longer than that, it is lost",
            rounded(tried)
        );
        at.warn(check, "retryStrategy", Some(&value), &what, RETRY);
    }
}

/// From the first attempt to the last, without jitter, which only adds; no more than is long enough.
fn tried_for(steps: u64, pause: SignedDuration, factor: f64) -> SignedDuration {
    let (mut total, mut pause) = (0.0, pause.as_secs_f64());
    let enough = LONG_ENOUGH.as_secs_f64();
    // A factor below one never gets there; after so many steps nothing is added any more.
    for _ in 1..steps.min(100_000) {
        if total >= enough {
            break;
        }
        total += pause;
        pause *= factor;
    }
    SignedDuration::try_from_secs_f64(total.clamp(0.0, enough)).unwrap_or(LONG_ENOUGH)
}

fn rounded(length: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(length.as_secs())
}

/// A length of time as Go writes it, such as `1m30s`.
pub(super) fn go_duration(text: &str) -> Option<SignedDuration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at(end);
        let end = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let unit = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total += number.parse::<f64>().ok()? * unit;
        rest = behind;
    }
    SignedDuration::try_from_secs_f64(total).ok()
}

fn dead_letters(at: &mut At<'_>, trigger: &Value) {
    let check = Check::SENSOR_DEAD_LETTERS;
    let Some(letters) = trigger.get("dlqTrigger").filter(|letters| letters.is_object()) else {
        let what = "what cannot be delivered is lost without a trace";
        let remedy = "add a dlqTrigger to /api/v1/webhooks/argo-events, as in argo-events/sensor.yaml";
        at.warn(check, "dlqTrigger", None, what, remedy);
        return;
    };
    if letters.get("atLeastOnce") != Some(&Value::Bool(true)) {
        let value = shown(letters.get("atLeastOnce"));
        let what = "the dead letter counts as sent before it is, or the Sensor is not accepted";
        at.wrong(check, "dlqTrigger.atLeastOnce", value.as_deref(), what, "set `atLeastOnce: true`");
    }
    let allowed = letters.pointer("/policy/status/allow").and_then(Value::as_array);
    if letters.pointer("/template/http").is_some() && allowed.is_none_or(Vec::is_empty) {
        let what = "any answer counts as success, 401 and 500 too: then the dead letter is lost";
        at.wrong(
            check,
            "dlqTrigger.policy.status.allow",
            None,
            what,
            "set `policy: {status: {allow: [200, 202]}}`",
        );
    }
    let steps = letters.pointer("/retryStrategy/steps");
    if steps.and_then(Value::as_u64).is_none_or(|steps| steps < 2) {
        let what = "there is hardly an attempt to send the dead letter";
        let remedy = "set `retryStrategy: {steps: 10, duration: 1s, factor: 2, jitter: 0.2}`";
        at.warn(check, "dlqTrigger.retryStrategy.steps", shown(steps).as_deref(), what, remedy);
    }
}

/// Which events have to be there before the trigger fires.
fn order(at: &mut At<'_>, conditions: Option<&str>, dependencies: usize) {
    let all = match conditions {
        None | Some("") => dependencies > 1,
        Some(conditions) => conditions.contains("&&"),
    };
    if all {
        let what = "nothing is sent before each of several events has come, and the first may be arbitrarily old then";
        let remedy = "make one trigger for each dependency, with its name alone as `conditions`";
        at.warn(Check::SENSOR_CONDITIONS, "template.conditions", conditions, what, remedy);
    }
}

/// What is put together from an event needs a value for when the event does not have it.
fn values(at: &mut At<'_>, trigger: &Value, either: bool) {
    let places = [
        ("parameters", true),
        ("template.custom.parameters", true),
        ("template.custom.payload", true),
        ("dlqTrigger.template.http.parameters", false),
        ("dlqTrigger.template.http.payload", false),
    ];
    for (place, sends) in places {
        let pointer = format!("/{}", place.replace('.', "/"));
        for (index, entry) in list(trigger, &pointer).iter().enumerate() {
            let source = entry.get("src").unwrap_or(&Value::Null);
            let has = |key: &str| source.get(key).is_some_and(|value| value.as_str() != Some(""));
            // An empty text is a value.
            if source.get("value").is_some_and(Value::is_string) {
                continue;
            }
            let field = format!("{place}[{index}].src.value");
            let dest = text(entry, "/dest").unwrap_or_default();
            let of_the_event = has("dataKey") || has("dataTemplate");
            let remedy = format!("set `value: \"\"` for {dest:?}, or what is to be sent instead");
            let check = Check::SENSOR_VALUES;
            if either && place.ends_with("payload") {
                let what = "with `||` in conditions, an event of the other dependency ends the sensor's process here";
                at.wrong(check, &field, None, what, &remedy);
            } else if of_the_event && sends {
                let what =
                    "an event without it fails before anything is sent, at each attempt, and is then lost";
                at.wrong(check, &field, None, what, &remedy);
            } else if of_the_event {
                let what = "an event without it has no dead letter";
                at.warn(check, &field, None, what, &remedy);
            }
        }
    }
}

fn connection(at: &mut At<'_>, custom: &Value) {
    let server = text(custom, "/serverURL").unwrap_or_default();
    if ["http://", "https://", "grpc://", "grpcs://"].iter().any(|scheme| server.starts_with(scheme)) {
        let what = "this is a target of gRPC and no URL: nothing can be connected to";
        let remedy = "write `dns:///argocd-orchestrator.argocd-orchestrator.svc.cluster.local:50051`";
        at.wrong(Check::SENSOR_CONNECTION, "template.custom.serverURL", Some(server), what, remedy);
    }
    let secure = custom.get("secure");
    if secure != Some(&Value::Bool(true)) {
        let what = "events and the token go in plaintext, and nothing says who answers";
        let remedy = "set `secure: true` with certSecret, unless a mesh encrypts";
        at.warn(Check::SENSOR_TLS, "template.custom.secure", shown(secure).as_deref(), what, remedy);
        return;
    }
    for key in ["name", "key"] {
        if text(custom, &format!("/certSecret/{key}")).is_none_or(str::is_empty) {
            let what = "without it the Sensor is not accepted";
            let remedy = "set `certSecret: {name: argocd-orchestrator-ca, key: ca.crt}`, the authority of its certificate";
            at.wrong(Check::SENSOR_TLS, &format!("template.custom.certSecret.{key}"), None, what, remedy);
        }
    }
}

/// The token is a secret: its value is never told.
fn token(at: &mut At<'_>, custom: &Value) {
    let field = "template.custom.spec.token";
    match text(custom, "/spec/token") {
        None | Some("") => {
            let what = "the orchestrator takes requests without a token on a loopback address alone";
            at.warn(Check::SENSOR_TOKEN, field, None, what, "set a token of `grpc.tokens`, in an overlay");
        }
        Some(PLACEHOLDER) => {
            let what = "this is no token yet: all that is sent will be refused";
            let remedy = "set a token of `grpc.tokens`, in an overlay";
            at.wrong(Check::SENSOR_TOKEN, field, Some(PLACEHOLDER), what, remedy);
        }
        Some(_) => {}
    }
}

/// A filter on what an event may not have drops it without a word.
fn filters(at: &mut At<'_>, sensor: &Value) {
    for (index, dependency) in list(sensor, "/spec/dependencies").iter().enumerate() {
        let data = list(dependency, "/filters/data").iter().enumerate();
        let data = data.filter_map(|(at, one)| Some((format!("data[{at}].path"), text(one, "/path")?)));
        let fields = list(dependency, "/filters/exprs").iter().enumerate().flat_map(|(outer, one)| {
            list(one, "/fields").iter().enumerate().filter_map(move |(inner, field)| {
                Some((format!("exprs[{outer}].fields[{inner}].path"), text(field, "/path")?))
            })
        });
        for (field, path) in data.chain(fields) {
            if ALWAYS.contains(&path) {
                continue;
            }
            let field = format!("spec.dependencies[{index}].filters.{field}");
            let what = "an event that does not have this is dropped without a word";
            let remedy =
                "filter by body.X-GitHub-Event alone: which pushes matter, the orchestrator finds out";
            at.warn(Check::SENSOR_FILTER, &field, Some(path), what, remedy);
        }
    }
}

fn triggers(sensor: &Value) -> &[Value] {
    list(sensor, "/spec/triggers")
}

fn calls_us(trigger: &Value) -> bool {
    let server = text(trigger, "/template/custom/serverURL");
    server.is_some_and(|server| server.ends_with(PORT) || server.contains(NAME))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// A value as people write it; none where there is none.
fn shown(value: Option<&Value>) -> Option<String> {
    value.filter(|value| !value.is_null()).map(ToString::to_string)
}
