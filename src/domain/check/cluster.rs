//! The API server: whether it answers, is new enough, and has the same time as this machine.

use jiff::{SignedDuration, Timestamp};

use super::{Check, Finding};

/// The oldest minor release of Kubernetes 1 that has all that is used: the Pod Security Standards of namespaces came
/// with it.
const OLDEST: u32 = 25;

/// From here on, clocks that differ are worth a look.
const DOUBTFUL: SignedDuration = SignedDuration::from_secs(2);

/// From here on, verdicts come late, or too early.
const TOO_FAR: SignedDuration = SignedDuration::from_secs(10);

/// What the API server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServer {
    /// Its address.
    pub address: String,
    /// Its version, such as `v1.34.3`.
    pub version: String,
    /// What time it had, and when that was here.
    pub time: Option<Time>,
}

/// What time somebody else had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// What their `Date` header said: a whole second, which had begun then.
    pub theirs: Timestamp,
    /// When they were asked, by the clock here.
    pub asked: Timestamp,
    /// When their answer came, by the clock here.
    pub answered: Timestamp,
}

impl Time {
    /// How far their clock is ahead of the one here, at least; negative where it is behind. Zero where what was seen
    /// can be so with equal clocks.
    pub fn ahead(&self) -> SignedDuration {
        let least = self.theirs.duration_since(self.answered);
        let most = self.theirs.duration_since(self.asked) + SignedDuration::from_secs(1);
        if least > SignedDuration::ZERO {
            least
        } else if most < SignedDuration::ZERO {
            most
        } else {
            SignedDuration::ZERO
        }
    }
}

/// All that there is to say.
pub fn findings(facts: &ApiServer) -> Vec<Finding> {
    let ApiServer { address, version, .. } = facts;
    let mut found =
        vec![Finding::fine(Check::API_SERVER, format!("the API server {address} answers")), release(version)];
    found.push(match &facts.time {
        Some(time) => clock(Check::CLOCK, "the API server", time),
        None => Finding::note(Check::CLOCK, "the API server does not tell its time"),
    });
    found
}

/// It does not answer.
pub fn unanswered(reason: &str) -> Finding {
    Finding::wrong(
        Check::API_SERVER,
        format!("the API server does not answer: {reason}"),
        "see that KUBECONFIG (or --context) names the cluster, and that it is reached from here",
    )
}

fn release(version: &str) -> Finding {
    let check = Check::API_SERVER_VERSION;
    let mut parts = version.trim_start_matches('v').split('.');
    let major: Option<u32> = parts.next().and_then(|part| part.parse().ok());
    // Some write `27+`.
    let minor = parts.next().map(|part| part.trim_end_matches(|letter: char| !letter.is_ascii_digit()));
    let minor: Option<u32> = minor.and_then(|part| part.parse().ok());
    match (major, minor) {
        (Some(1), Some(minor)) if minor < OLDEST => Finding::wrong(
            check,
            format!("Kubernetes {version} is older than 1.{OLDEST}"),
            format!("upgrade the cluster to 1.{OLDEST} or newer"),
        ),
        (Some(_), Some(_)) => Finding::fine(check, format!("Kubernetes {version} is new enough")),
        _ => Finding::note(check, format!("what version {version:?} is, is not understood")),
    }
}

/// Whether somebody's clock is near enough to the one here.
pub(super) fn clock(check: Check, whose: &str, time: &Time) -> Finding {
    let ahead = time.ahead();
    let off = ahead.abs();
    if off <= DOUBTFUL {
        return Finding::fine(check, format!("{whose} has the same time as this machine"));
    }
    let side = if ahead > SignedDuration::ZERO { "ahead of" } else { "behind" };
    let effect = if ahead > SignedDuration::ZERO {
        "a comparison from before it was asked for can count as a fresh one"
    } else {
        "fresh comparisons look old, so services that are only waited for wait longer"
    };
    let seconds = off.as_secs_f64();
    let text = format!(
        "the clock of {whose} is {seconds:.0} s {side} this machine's: where the orchestrator's differs like that from \
         Argo CD's, {effect}"
    );
    let remedy = "let NTP or chrony set the clocks of all nodes";
    if off > TOO_FAR { Finding::wrong(check, text, remedy) } else { Finding::warning(check, text, remedy) }
}
