//! Trying again: how often, and after which pause.

use std::time::Duration;

use reqwest::Response;

use super::ClientError;

/// Attempts in all.
const ATTEMPTS: u32 = 4;

/// The pause after the first failure; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// The longest pause, also where a server asks for more.
const LONGEST: Duration = Duration::from_secs(20);

/// Makes attempts until one is answered for good, or there were enough.
pub(super) async fn retrying<F>(attempt: impl Fn() -> F) -> Result<Response, ClientError>
where
    F: Future<Output = Result<Response, ClientError>>,
{
    let mut made = 0;
    loop {
        made += 1;
        match attempt().await {
            Err(error) if made < ATTEMPTS && may_help(&error) => {
                let pause = pause(made, asked(&error), fastrand::f64());
                tracing::debug!(%error, ?pause, made, "a request is tried again");
                tokio::time::sleep(pause).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether the same may succeed a moment later.
fn may_help(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused { status, .. } => matches!(status, 429 | 502 | 503 | 504),
        ClientError::Setting(_)
        | ClientError::Login(_)
        | ClientError::Redirect { .. }
        | ClientError::Unreadable { .. } => false,
    }
}

fn asked(error: &ClientError) -> Option<Duration> {
    if let ClientError::Refused { retry_after, .. } = error { *retry_after } else { None }
}

/// The pause after so many failures: what the server asks for, or a growing one. `chance` (0 to 1) spreads those who
/// failed together.
pub(super) fn pause(failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let grown = FIRST * 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    match asked {
        Some(asked) => (asked + FIRST.mul_f64(chance)).min(LONGEST),
        None => grown.min(LONGEST).mul_f64(0.5 + chance / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_that_says_when_is_asked_then() {
        assert_eq!(pause(1, Some(Duration::from_secs(3)), 0.0), Duration::from_secs(3));
        assert_eq!(pause(1, Some(Duration::from_secs(3_600)), 1.0), LONGEST);
    }

    proptest! {
        #[test]
        fn a_pause_grows_and_has_a_bound(failures in 1_u32..200, chance in 0.0..1.0) {
            let found = pause(failures, None, chance);
            prop_assert!(found >= FIRST / 2 && found <= LONGEST);
            prop_assert!(pause(failures + 1, None, chance) >= found);
        }
    }
}
