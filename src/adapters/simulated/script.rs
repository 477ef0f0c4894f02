//! What the simulated cluster does, and how fast: the part of it that people write.
//!
//! Durations are those of a real cluster; [`Script::speed`] divides all of them, the resolution of the
//! timestamps included, so that a demonstration at speed 50 is a real one seen through a time lens.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::application::ApplicationSpec;
use crate::domain::names::{BASE, Revision};

/// How the simulated cluster behaves. Every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Script {
    /// Where its chance comes from: the same seed and the same calls give the same history.
    pub seed: u64,
    /// All durations are divided by this.
    pub speed: Speed,
    /// The grid that `startedAt`, `finishedAt` and `reconciledAt` are cut down to; one second in a real
    /// Argo CD. Divided by `speed` as well. `0s` keeps every digit.
    pub timestamp_resolution: Length,
    /// How every Application behaves that `services` does not name.
    pub default: Behaviour,
    /// Exceptions, by the name of a service (`payment-service`, or `base`) or of an Application
    /// (`customer-a-payment-service`, which wins).
    pub services: BTreeMap<String, Exception>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            seed: 0,
            speed: Speed::default(),
            timestamp_resolution: Length::from_millis(1_000),
            default: Behaviour::default(),
            services: BTreeMap::new(),
        }
    }
}

impl Script {
    /// How one Application behaves.
    pub fn behaviour(&self, spec: &ApplicationSpec) -> Behaviour {
        let service = spec.service.as_ref().map_or(BASE, |service| service.as_str());
        let mut behaviour = self.default.clone();
        for key in [service, spec.name.as_str()] {
            if let Some(exception) = self.services.get(key) {
                behaviour.amend(exception);
            }
        }
        behaviour
    }
}

macro_rules! behaviour {
    ($($(#[$doc:meta])* $field:ident: $ty:ty = $default:expr;)*) => {
        /// How an Application behaves. Every key has a default.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Behaviour {
            $($(#[$doc])* pub $field: $ty,)*
        }

        impl Default for Behaviour {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Behaviour {
            fn amend(&mut self, exception: &Exception) {
                $(if let Some(value) = &exception.$field {
                    self.$field = value.clone();
                })*
            }
        }

        /// In what an Application behaves differently from the default.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Exception {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$ty>,)*
        }
    };
}

behaviour! {
    /// From a requested operation until the controller shows it running.
    pickup: Range = Range::millis(50, 500);
    /// How long an attempt to sync takes.
    sync: Range = Range::millis(1_000, 5_000);
    /// From the end of a sync until the service is healthy (or fails to be).
    healthy: Range = Range::millis(5_000, 40_000);
    /// From the end of a sync until the controller has looked again: meanwhile sync and health are those of
    /// the world before.
    stale: Range = Range::millis(100, 3_000);
    /// How long a full comparison takes, from its beginning (which is what `reconciledAt` shows).
    comparison: Length = Length::from_millis(100);
    /// From a change of the pin, or from a request to refresh, until a comparison begins.
    refresh: Range = Range::millis(50, 300);
    /// From a change of health until the controller shows it.
    health_lag: Range = Range::millis(20, 200);
    /// In how many syncs of a hundred a comparison begins just before the end and shows its verdict just after
    /// it: `reconciledAt` then equals `finishedAt`, and the verdict is the old one.
    early_verdicts: u8 = 50;
    /// From one comparison to the next that nobody asks for. `0s`: never.
    auto_refresh: Length = Length::from_millis(120_000);
    /// At most so much is added to `auto-refresh`.
    auto_refresh_jitter: Length = Length::from_millis(60_000);
    /// Whether and how it fails.
    fail: Option<Fail> = None;
    /// How long a flapping service stays healthy, and how long it then does not.
    flapping_period: Length = Length::from_millis(1_000);
    /// How long a service that degrades later stays healthy.
    degrades_after: Length = Length::from_millis(10_000);
    /// When a service that degraded later is healthy again; never where it is not given.
    recovers_after: Option<Length> = None;
    /// How many attempts Argo CD itself makes in vain before the one that counts.
    retries: u32 = 0;
    /// How long Argo CD waits before such a retry.
    retry_delay: Range = Range::millis(5_000, 5_000);
    /// Until when a sync window holds operations back, from the Application's beginning.
    window_closed_until: Option<Length> = None;
    /// Syncs that somebody else starts. One that meets another operation is not made.
    external_syncs: Vec<ExternalSync> = Vec::new();
}

/// Which operations fail, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fail {
    /// In which way.
    pub how: How,
    /// At which revisions.
    #[serde(default)]
    pub at: At,
    /// From which operation at one revision on; the first is 1.
    #[serde(default = "first")]
    pub from_attempt: u32,
    /// How many operations at one revision; all where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

impl Fail {
    /// Every operation at every revision.
    pub fn always(how: How) -> Self {
        Self { how, at: At::EveryRevision, from_attempt: first(), attempts: None }
    }

    /// How the given operation fails, if it does: the revision asked for, the first one this Application was
    /// ever synced to, and the count of operations at this revision, this one included.
    pub fn of(&self, revision: &Revision, oldest: &Revision, attempt: u32) -> Option<How> {
        let here = match &self.at {
            At::EveryRevision => true,
            At::LaterRevisions => revision != oldest,
            At::Revision(only) => revision == only,
        };
        let now = attempt >= self.from_attempt
            && self.attempts.is_none_or(|attempts| attempt - self.from_attempt < attempts);
        (here && now).then_some(self.how)
    }
}

fn first() -> u32 {
    1
}

/// The revisions at which something fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// All.
    #[default]
    EveryRevision,
    /// All but the first one that this Application was asked to sync.
    LaterRevisions,
    /// This one only.
    Revision(Revision),
}

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The operation ends `Failed`; nothing is applied.
    SyncFailed,
    /// The operation ends in `Error`, with a `ComparisonError`.
    Error,
    /// Applied, then `Degraded` where it would have become healthy.
    Degraded,
    /// Applied, then `Progressing` for ever.
    NeverHealthy,
    /// Applied, then by turns healthy and not.
    Flapping,
    /// Applied and healthy, then `Degraded`.
    DegradesLater,
}

/// A sync that somebody else starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExternalSync {
    /// When, from the Application's beginning.
    pub after: Length,
    /// Of which commit; of the pinned one where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// Why a text or number is not what a script needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Not a duration.
    #[error("{0:?} is not a duration such as 30s, 250ms or 1m30s")]
    Length(String),
    /// The range's end is before its beginning.
    #[error("{0:?} ends before it begins")]
    Range(String),
    /// Out of range, or not a number.
    #[error("a speed must be between 0.001 and 100000")]
    Speed,
}

/// A length of time that is not negative, written `30s`, `250ms`, `1m30s`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Length(u64);

impl Length {
    /// So many thousandths of a second.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// In nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

impl FromStr for Length {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        text.trim()
            .parse::<SignedDuration>()
            .ok()
            .and_then(|length| u64::try_from(length.as_nanos()).ok())
            .filter(|nanos| *nanos <= LONGEST)
            .map(Self)
            .ok_or_else(|| ScriptError::Length(text.to_owned()))
    }
}

/// A century: keeps every sum of lengths within the numbers we use.
const LONGEST: u64 = 100 * 366 * 24 * 3_600 * 1_000_000_000;

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", SignedDuration::from_nanos_i128(i128::from(self.0)))
    }
}

/// From one length of time to another, drawn evenly: `1s..5s`; `5s` is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Range {
    from: Length,
    to: Length,
}

impl Range {
    /// Always the same.
    pub const fn fixed(millis: u64) -> Self {
        Self::millis(millis, millis)
    }

    /// From one to another (exchanged where they are the wrong way round).
    pub const fn millis(from: u64, to: u64) -> Self {
        let (from, to) = if from <= to { (from, to) } else { (to, from) };
        Self { from: Length::from_millis(from), to: Length::from_millis(to) }
    }

    /// At most so long.
    pub const fn from_zero(to: Length) -> Self {
        Self { from: Length(0), to }
    }

    /// The length at a share of the way, the share being `0.0..1.0`.
    pub fn at(self, share: f64) -> Length {
        let width = self.to.0 - self.from.0;
        Length(self.from.0 + (width as f64 * share) as u64)
    }
}

impl FromStr for Range {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (from.parse()?, to.parse()?),
            None => (text.parse()?, text.parse()?),
        };
        if from <= to { Ok(Self { from, to }) } else { Err(ScriptError::Range(text.to_owned())) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { self.from.fmt(f) } else { write!(f, "{}..{}", self.from, self.to) }
    }
}

macro_rules! text {
    ($ty:ident) => {
        impl TryFrom<String> for $ty {
            type Error = ScriptError;

            fn try_from(text: String) -> Result<Self, ScriptError> {
                text.parse()
            }
        }

        impl From<$ty> for String {
            fn from(value: $ty) -> Self {
                value.to_string()
            }
        }
    };
}

text!(Length);
text!(Range);

/// How many times faster than a real cluster: 0.001 to 100000.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Speed(f64);

impl Speed {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// What a length becomes at this speed, in nanoseconds.
    pub fn scale(self, length: Length) -> u64 {
        if self.0 == 1.0 { length.0 } else { (length.0 as f64 / self.0) as u64 }
    }
}

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Speed {
    type Error = ScriptError;

    fn try_from(speed: f64) -> Result<Self, ScriptError> {
        // Below a thousandth, lengths would leave the range of time; far above, they would all be nothing.
        if (0.001..=100_000.0).contains(&speed) { Ok(Self(speed)) } else { Err(ScriptError::Speed) }
    }
}

impl From<Speed> for f64 {
    fn from(speed: Speed) -> Self {
        speed.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_ranges_are_read_and_written_as_people_do() {
        for text in ["30s", "250ms", "1m 30s", "0s", "2h"] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length.to_string().parse::<Length>().unwrap(), length, "{text}");
        }
        for text in ["", "30", "-3s", "soon", "1s..2s", "200y", "99999999999999h"] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
        assert_eq!("1s..5s".parse::<Range>().unwrap(), Range::millis(1_000, 5_000));
        assert_eq!("5s".parse::<Range>().unwrap(), Range::fixed(5_000));
        assert_eq!("5s..1s".parse::<Range>(), Err(ScriptError::Range("5s..1s".into())));
        assert_eq!(Range::millis(1_000, 2_000).at(0.5), Length::from_millis(1_500));
    }

    #[test]
    fn a_script_is_read_from_yaml_and_refuses_unknown_keys() {
        let script: Script = serde_saphyr::from_str(
            "seed: 7\nspeed: 50\ndefault:\n  healthy: 1s..2s\nservices:\n  payment-service:\n    fail:\n      how: degraded\n      at: later-revisions\n      attempts: 2\n    external-syncs:\n      - after: 3s\n",
        )
        .unwrap();
        assert_eq!(script.speed.get(), 50.0);
        assert_eq!(script.speed.scale(Length::from_millis(1_000)), 20_000_000);
        let fail = script.services["payment-service"].fail.clone().unwrap().unwrap();
        assert_eq!((fail.how, fail.at, fail.attempts), (How::Degraded, At::LaterRevisions, Some(2)));
        for wrong in
            ["sped: 1", "speed: 0", "speed: -1", "default: {healthy: 5s..1s}", "services: {a: {x: 1}}"]
        {
            assert!(serde_saphyr::from_str::<Script>(wrong).is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&script).unwrap();
        assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
    }

    #[test]
    fn a_failure_applies_at_its_revisions_and_attempts() {
        let [a, b]: [Revision; 2] = ["a", "b"].map(|digit| digit.repeat(40).parse().unwrap());
        let fail = Fail { from_attempt: 2, attempts: Some(1), ..Fail::always(How::SyncFailed) };
        let failed: Vec<bool> = (1..=4).map(|attempt| fail.of(&a, &a, attempt).is_some()).collect();
        assert_eq!(failed, [false, true, false, false]);
        let later = Fail { at: At::LaterRevisions, ..Fail::always(How::Degraded) };
        assert_eq!((later.of(&a, &a, 1), later.of(&b, &a, 9)), (None, Some(How::Degraded)));
        let only = Fail { at: At::Revision(b.clone()), ..Fail::always(How::Error) };
        assert_eq!((only.of(&a, &a, 1), only.of(&b, &b, 1)), (None, Some(How::Error)));
    }
}
