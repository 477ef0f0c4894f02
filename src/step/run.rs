//! Running a step to its end: waiting between looks, and bounds to that.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Fault, Memory, Name, Outcome, Request, Standing, StepExit, Steps, Turn};
use crate::client::Feed;

/// The longest time between two looks at a server, whatever its stream says.
const QUIET: Duration = Duration::from_secs(10);

/// The time between two looks where nothing tells when to look.
const POLL: Duration = Duration::from_secs(2);

/// What happens together is read together.
const TOGETHER: Duration = Duration::from_millis(150);

/// The first pause after something did not answer; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);

/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(15);

impl Steps {
    /// Runs a step to its end, within its time. `tell` hears how far it is, whenever that was looked at.
    ///
    /// What does not answer is waited for while a deployment is followed, so that a restart of the server fails
    /// nothing; before anything was asked for, it ends the step, and whoever runs it may try again.
    pub async fn run(&self, request: &Request, mut tell: impl FnMut(&Standing)) -> Outcome {
        let until = Instant::now() + request.timeout;
        let mut memory = Memory::default();
        let mut pulse = Pulse { feed: self.client.as_ref().map(crate::client::Client::feed), failures: 0 };
        let mut last = Standing::default();
        let mut silence: Option<Fault> = None;
        loop {
            match timeout_at(until, self.look(request, &mut memory)).await {
                Ok(Ok(Turn::Over(outcome))) => return outcome,
                Ok(Ok(Turn::Waiting(standing))) => {
                    tell(&standing);
                    last = standing;
                    silence = None;
                    pulse.failures = 0;
                }
                Ok(Err(fault)) if fault.may_pass() && request.is_patient(&memory) => {
                    tell(&Standing { message: format!("waiting: {}", fault.message), ..last.clone() });
                    pulse.failures += 1;
                    silence = Some(fault);
                }
                Ok(Err(fault)) => return fault.into(),
                Err(_elapsed) => return too_late(request, &last, silence),
            }
            if timeout_at(until, pulse.next()).await.is_err() {
                return too_late(request, &last, silence);
            }
        }
    }
}

impl Request {
    /// Whether what does not answer is waited for.
    pub(crate) fn is_patient(&self, memory: &Memory) -> bool {
        self.step == Name::MonitorSyncWaves || memory.event.is_some() || memory.applied.is_some()
    }
}

/// What is said of a step that took too long.
fn too_late(request: &Request, last: &Standing, silence: Option<Fault>) -> Outcome {
    let after = jiff::SignedDuration::try_from(request.timeout).map(|time| format!("{time:#}"));
    let after = after.unwrap_or_else(|_| "too long".into());
    match silence {
        Some(Fault { message, .. }) => {
            Outcome::new(StepExit::Transient, format!("given up after {after}: {message}"))
        }
        None => {
            let follows = request.step == Name::MonitorSyncWaves;
            let goes_on = if follows { "; the deployment goes on" } else { "" };
            if last.message.is_empty() {
                return Outcome::new(
                    StepExit::Transient,
                    format!("given up after {after}: nothing answered"),
                );
            }
            Outcome::new(StepExit::TimedOut, format!("timed out after {after}: {}{goes_on}", last.message))
        }
    }
}

/// Tells when to look again: the server's stream, and a clock where there is none.
struct Pulse {
    feed: Option<Feed>,
    /// Looks in a row that were not answered.
    failures: u32,
}

impl Pulse {
    async fn next(&mut self) {
        if self.failures > 0 {
            let grown = FIRST.saturating_mul(1 << self.failures.min(6));
            sleep(grown.min(LONGEST).mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            return;
        }
        let Some(feed) = &mut self.feed else {
            sleep(POLL).await;
            return;
        };
        match timeout(QUIET, feed.happened()).await {
            Ok(Ok(())) => sleep(TOGETHER).await,
            // The time is up, and it is looked at regardless.
            Err(_elapsed) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "the stream cannot be followed; looking from time to time");
                self.feed = None;
                sleep(POLL).await;
            }
        }
    }
}
