//! Notifications: telling people what happened to a deployment, where they are.
//!
//! [`send_all`] tells at once, within bounds, whoever is to be told of one notice: a step of a workflow does so. [`run`]
//! does it for a server: what happened is read in the store's own order (`follow`), who is to be told is kept in the same
//! transaction as how far that is, and each target is told on its own until it takes the message (`deliver`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use crate::domain::notification::{Interest, Notice, Template, slack, webhook};
use crate::ports::{Message, Notifier, NotifierError};

mod deliver;
mod follow;
mod run;

pub use run::run;

/// The pauses after which a target is tried again: they double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The longest that a target can ask not to be told anything.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// One that is told.
#[derive(Clone)]
pub struct Target {
    /// Its name, in logs and metrics.
    pub name: String,
    /// The form of its messages.
    pub form: Form,
    /// What it wants to be told of.
    pub interest: Interest,
    /// What people wrote for it, in place of the main text.
    pub template: Option<Template>,
    /// Where it is.
    pub notifier: Arc<dyn Notifier>,
}

/// The form of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Slack's, as others take it too.
    Slack,
    /// JSON in the form of Standard Webhooks.
    Webhook,
}

impl Target {
    /// A notice as this target gets it.
    pub fn message(&self, notice: &Notice) -> Message {
        let template = self.template.as_ref();
        let body = match self.form {
            Form::Slack => slack::message(notice, template),
            Form::Webhook => webhook::body(notice, template),
        };
        Message { id: notice.id(&self.name), body: body.to_string() }
    }
}

/// What became of telling a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The target's name.
    pub target: String,
    /// That it took the message, or why it did not; nothing secret is in that.
    pub outcome: Result<(), NotifierError>,
}

/// Tells all targets that want a notice, side by side, each again until it takes it or the time is over (one attempt is
/// always made). Those that do not want it are not in the answer.
pub async fn send_all(targets: &[Target], notice: &Notice, within: Duration) -> Vec<Sent> {
    let wanted = targets.iter().filter(|target| target.interest.wants(notice));
    join_all(wanted.map(|target| send(target, notice, within))).await
}

/// Tells one target, whether it wants the notice or not.
pub async fn send(target: &Target, notice: &Notice, within: Duration) -> Sent {
    let message = target.message(notice);
    let until = Instant::now() + within;
    let mut attempts = 0;
    let outcome = loop {
        let outcome = target.notifier.tell(&message, Timestamp::now()).await;
        let Err(NotifierError::Unavailable { after, .. }) = &outcome else { break outcome };
        attempts += 1;
        let wait = pause(attempts, *after);
        if Instant::now() + wait > until {
            break outcome;
        }
        tokio::time::sleep(wait).await;
    };
    Sent { target: target.name.clone(), outcome }
}

/// How long to wait after so many attempts in a row that failed, where the target wants so much at least.
fn pause(attempts: u32, wanted: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32 << attempts.saturating_sub(1).min(16));
    doubled.min(LAST_PAUSE).max(wanted.unwrap_or_default().min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_a_target_can_ask_for_longer_ones() {
        let seconds =
            |attempts, wanted: Option<u64>| pause(attempts, wanted.map(Duration::from_secs)).as_secs();
        for (attempts, wanted, expected) in [
            (1, None, 1),
            (2, None, 2),
            (3, None, 4),
            (9, None, 256),
            (10, None, 300),
            (u32::MAX, None, 300),
            (1, Some(30), 30),
            (10, Some(30), 300),
            (1, Some(86_400), 3_600),
        ] {
            assert_eq!(seconds(attempts, wanted), expected, "{attempts} {wanted:?}");
        }
    }
}
