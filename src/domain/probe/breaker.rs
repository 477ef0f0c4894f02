//! The circuit breaker of a check: what fails again and again is left alone for a while.

use jiff::{SignedDuration, Timestamp};

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open.
    pub open: SignedDuration,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Attempts are made.
    Closed {
        /// Failures since the last attempt that did not fail.
        failures: u32,
    },
    /// None is made before this moment.
    Open {
        /// Which.
        until: Timestamp,
    },
    /// One attempt decides.
    HalfOpen,
}

impl Breaker {
    /// An attempt begins.
    pub fn begin(&mut self, now: Timestamp) {
        if let Self::Open { until } = self
            && *until <= now
        {
            *self = Self::HalfOpen;
        }
    }

    /// An attempt failed.
    pub fn failed(&mut self, rules: &Rules, now: Timestamp) {
        let failures = match self {
            Self::Closed { failures } => failures.saturating_add(1),
            Self::Open { .. } | Self::HalfOpen => rules.failures,
        };
        *self = if failures >= rules.failures.max(1) {
            Self::Open { until: now.checked_add(rules.open).unwrap_or(Timestamp::MAX) }
        } else {
            Self::Closed { failures }
        };
    }

    /// An attempt passed: all is well again.
    pub fn passed(&mut self) {
        *self = Self::Closed { failures: 0 };
    }

    /// The moment before which no attempt is made.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Open { until } => Some(*until),
            Self::Closed { .. } | Self::HalfOpen => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_788_264_000 + second).unwrap()
    }

    /// Attempts at these seconds, `+` for one that passed, `-` for one that failed and `?` for one that said
    /// nothing, lead to this state.
    fn check(attempts: &[(i64, char)], expected: Breaker) {
        let rules = Rules { failures: 3, open: SignedDuration::from_secs(30) };
        let mut breaker = Breaker::Closed { failures: 0 };
        for (second, gave) in attempts {
            breaker.begin(at(*second));
            match gave {
                '+' => breaker.passed(),
                '-' => breaker.failed(&rules, at(*second)),
                _ => {}
            }
        }
        assert_eq!(breaker, expected, "{attempts:?}");
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_attempt_decides_afterwards() {
        check(&[(0, '-'), (1, '-')], Breaker::Closed { failures: 2 });
        check(&[(0, '-'), (1, '-'), (2, '+'), (3, '-')], Breaker::Closed { failures: 1 });
        check(&[(0, '-'), (1, '-'), (2, '-')], Breaker::Open { until: at(32) });
        check(&[(0, '-'), (1, '-'), (2, '-'), (32, '?')], Breaker::HalfOpen);
        check(&[(0, '-'), (1, '-'), (2, '-'), (32, '-')], Breaker::Open { until: at(62) });
        check(&[(0, '-'), (1, '-'), (2, '-'), (32, '+')], Breaker::Closed { failures: 0 });
        check(&[(0, '-'), (1, '-'), (2, '-'), (32, '+'), (33, '-')], Breaker::Closed { failures: 1 });
        check(&[(0, '-'), (1, '-'), (2, '-'), (32, '?'), (33, '-')], Breaker::Open { until: at(63) });
    }
}
