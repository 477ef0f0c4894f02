//! Telling one target what is kept for it, until it takes it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{FIRST_PAUSE, Target, pause};
use crate::domain::names::DeploymentId;
use crate::domain::notification::{Notice, Trigger};
use crate::ports::NotifierError;
use crate::store::{PendingNotice, Store, StoreError};

/// How long a message is tried, from when it happened.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Tells one target until `stop` is cancelled. One message at a time; while one waits for its next attempt the others
/// go on.
pub(super) async fn run(store: &Store, target: &Target, wake: &Notify, stop: &CancellationToken) {
    loop {
        let wait = tokio::select! {
            // A message under way is told again after the next start, under the same id.
            () = stop.cancelled() => return,
            wait = one(store, target) => wait,
        };
        let wait = match wait {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(target = target.name, %error, "a notification cannot be looked up for now");
                Wait::For(FIRST_PAUSE)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified(), if wait.can_be_ended() => {}
            () = tokio::time::sleep(wait.most()) => {}
        }
    }
}

/// How long to wait until the next look.
enum Wait {
    /// Until something is kept, or this time is over.
    Until(Duration),
    /// This time, whatever is kept meanwhile: the target asked for it, or the database does not answer.
    For(Duration),
}

impl Wait {
    fn can_be_ended(&self) -> bool {
        matches!(self, Self::Until(_))
    }

    fn most(&self) -> Duration {
        match self {
            Self::Until(most) | Self::For(most) => *most,
        }
    }
}

/// How long to wait where nothing is kept. It is woken before, where something is.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// Tells the target the message that is due first, and says how long to wait then.
async fn one(store: &Store, target: &Target) -> Result<Wait, StoreError> {
    let name = target.name.as_str();
    let pending = match store.next_notice(name).await? {
        None => return Ok(Wait::Until(IDLE)),
        Some(Err(id)) => {
            tracing::warn!(target = name, id, "a notification that cannot be read is dropped");
            store.settle_notice(name, &id, "dropped").await?;
            return Ok(Wait::Until(Duration::ZERO));
        }
        Some(Ok(pending)) => pending,
    };
    let now = Timestamp::now();
    if pending.due > now {
        let wait = Duration::try_from(pending.due.duration_since(now)).unwrap_or_default();
        return Ok(Wait::Until(wait));
    }
    let outcome = if is_outdated(store, &pending.notice).await? {
        Ok("outdated")
    } else {
        told(target, &pending, now).await
    };
    match outcome {
        Ok(outcome) => {
            store.settle_notice(name, &pending.id, outcome).await?;
            Ok(Wait::Until(Duration::ZERO))
        }
        Err(after) => {
            let wait = pause(pending.attempts.saturating_add(1), after);
            let due =
                SignedDuration::try_from(wait).ok().and_then(|wait| Timestamp::now().checked_add(wait).ok());
            store.postpone_notice(name, &pending.id, due.unwrap_or(Timestamp::MAX)).await?;
            // What it asked for is asked for all messages.
            Ok(if after.is_some() { Wait::For(wait) } else { Wait::Until(Duration::ZERO) })
        }
    }
}

/// Tells it once: what became of the message, or that it is told again, and how long the target wants to wait.
async fn told(
    target: &Target,
    pending: &PendingNotice,
    now: Timestamp,
) -> Result<&'static str, Option<Duration>> {
    let name = target.name.as_str();
    let PendingNotice { id, notice, attempts, .. } = pending;
    let mut message = target.message(notice);
    // As it was kept, whatever another version of the program would call it.
    message.id.clone_from(id);
    match target.notifier.tell(&message, now).await {
        Ok(()) => Ok("delivered"),
        Err(NotifierError::Refused(reason)) => {
            tracing::warn!(target = name, id, trigger = %notice.trigger, reason, "a notification was refused, and is not sent again");
            Ok("refused")
        }
        Err(NotifierError::Unavailable { reason, .. }) if now.duration_since(notice.at) >= KEPT => {
            tracing::warn!(target = name, id, trigger = %notice.trigger, reason, "a notification was not taken for a day, and is given up");
            Ok("expired")
        }
        Err(NotifierError::Unavailable { reason, after }) => {
            // The first time tells what is wrong; the counter tells how often.
            if *attempts == 0 {
                tracing::warn!(target = name, id, trigger = %notice.trigger, reason, "a notification is sent again later");
            }
            Err(after)
        }
    }
}

/// Whether it asks for an approval that nobody waits for any more.
async fn is_outdated(store: &Store, notice: &Notice) -> Result<bool, StoreError> {
    if notice.trigger != Trigger::AwaitingApproval {
        return Ok(false);
    }
    let id = notice.deployment.as_deref().and_then(|id| id.parse::<DeploymentId>().ok());
    let Some(id) = id else { return Ok(false) };
    match store.deployment(&id).await {
        Ok(deployment) => Ok(deployment.is_none_or(|now| now.state().word() != notice.state)),
        Err(StoreError::Data { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
