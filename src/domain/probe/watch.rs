//! One check over time: outcomes in, a verdict out, and when the next attempt is due.

use jiff::{SignedDuration, Timestamp};

use super::breaker::{self, Breaker};
use super::{Outcome, Verdict};

/// The pause after the first attempt. It doubles up to the interval: who waits for a verdict looks often.
pub const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// The pause after the first attempt while a service settles; it doubles.
const SETTLING_PAUSE: SignedDuration = SignedDuration::from_millis(100);

/// How often is asked, and how often the answer must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// From the end of an attempt to the next, while it passes; the longest pause while it does not.
    pub interval: SignedDuration,
    /// Attempts in a row that fail (or say nothing) until it fails (or is not known any more).
    pub failure_threshold: u32,
    /// From the start: a pod that is ready may need a moment until it is reached. Attempts in this time come faster,
    /// and only those that pass count.
    pub settling: SignedDuration,
    /// Attempts in a row that pass until it passes.
    pub success_threshold: u32,
    /// The circuit breaker.
    pub breaker: breaker::Rules,
}

/// One check of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    rules: Rules,
    streak: Streak,
    verdict: Verdict,
    breaker: Breaker,
    /// When the next attempt is to begin; none while one is under way.
    due: Option<Timestamp>,
    /// Attempts since it last passed (that one too), or since the start; none while it passes.
    tries: u32,
    /// Until when it settles.
    settles: Timestamp,
}

/// What the last attempts had in common, and how many they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streak {
    Passed(u32),
    Failed(u32),
    Silent(u32),
}

impl Watch {
    /// A check of which nothing is known. Its first attempt is due at once.
    pub fn new(rules: Rules, now: Timestamp) -> Self {
        Self {
            rules,
            streak: Streak::Silent(0),
            verdict: Verdict::untried(),
            breaker: Breaker::Closed { failures: 0 },
            due: Some(now),
            tries: 0,
            settles: now.checked_add(rules.settling).unwrap_or(now),
        }
    }

    /// What it says.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// When the next attempt is to begin; none while one is under way.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Where the circuit breaker stands.
    pub fn breaker(&self) -> Breaker {
        self.breaker
    }

    /// Begins an attempt, if one is due: the caller makes it, and hands in what it gave.
    pub fn begin(&mut self, now: Timestamp) -> bool {
        let begins = self.due.is_some_and(|due| due <= now);
        if begins {
            self.due = None;
            self.breaker.begin(now);
        }
        begins
    }

    /// Takes in what the attempt under way gave. Does nothing where none is.
    pub fn take(&mut self, outcome: Outcome, now: Timestamp) {
        if self.due.is_some() {
            return;
        }
        let (failures, successes) =
            (self.rules.failure_threshold.max(1), self.rules.success_threshold.max(1));
        self.tries = self.tries.saturating_add(1);
        let outcome = match outcome {
            Outcome::Failed { reason } | Outcome::Silent { reason } if now < self.settles => {
                return self.settle(reason, now);
            }
            counts @ (Outcome::Passed | Outcome::Failed { .. } | Outcome::Silent { .. }) => counts,
        };
        match outcome {
            Outcome::Passed => {
                let count = if let Streak::Passed(count) = self.streak { count.saturating_add(1) } else { 1 };
                self.streak = Streak::Passed(count);
                self.tries = 1;
                self.breaker.passed();
                if count >= successes {
                    self.verdict = Verdict::Passing;
                } else if let Verdict::Unknown { reason } = &mut self.verdict {
                    *reason = format!("it passed {count} of {successes} times in a row");
                }
            }
            Outcome::Failed { reason } => {
                let count = if let Streak::Failed(count) = self.streak { count.saturating_add(1) } else { 1 };
                self.streak = Streak::Failed(count);
                self.breaker.failed(&self.rules.breaker, now);
                self.verdict = match &self.verdict {
                    Verdict::Failing { .. } => Verdict::Failing { reason },
                    Verdict::Passing | Verdict::Unknown { .. } if count >= failures => {
                        Verdict::Failing { reason }
                    }
                    Verdict::Passing => Verdict::Passing,
                    Verdict::Unknown { .. } => Verdict::Unknown { reason },
                };
            }
            Outcome::Silent { reason } => {
                let count = if let Streak::Silent(count) = self.streak { count.saturating_add(1) } else { 1 };
                self.streak = Streak::Silent(count);
                if count >= failures || matches!(self.verdict, Verdict::Unknown { .. }) {
                    self.verdict = Verdict::Unknown { reason };
                }
            }
        }
        if self.verdict == Verdict::Passing {
            self.tries = 0;
        }
        self.due = Some(self.next(now));
    }

    /// It is too early for this to count.
    fn settle(&mut self, reason: String, now: Timestamp) {
        if let Verdict::Unknown { reason: last } = &mut self.verdict {
            *last = reason;
        }
        let pause = SETTLING_PAUSE.saturating_mul(1 << (self.tries - 1).min(20));
        let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        self.due = Some(if next < self.settles {
            next
        } else {
            // From here on the pauses grow anew.
            self.tries = 0;
            self.settles
        });
    }

    fn next(&self, now: Timestamp) -> Timestamp {
        let pause = match self.tries.checked_sub(1) {
            Some(before) => {
                FIRST_PAUSE.saturating_mul(1 << before.min(20)).min(self.rules.interval.max(FIRST_PAUSE))
            }
            None => self.rules.interval,
        };
        let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        self.breaker.until().map_or(next, |until| next.max(until))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        interval: SignedDuration::from_secs(10),
        failure_threshold: 3,
        success_threshold: 2,
        settling: SignedDuration::ZERO,
        breaker: breaker::Rules { failures: 4, open: SignedDuration::from_secs(60) },
    };

    fn outcome(letter: char) -> Outcome {
        match letter {
            '+' => Outcome::Passed,
            '-' => Outcome::Failed { reason: "answered 503".into() },
            _ => Outcome::Silent { reason: "no data".into() },
        }
    }

    fn seconds(moment: Timestamp) -> i64 {
        moment.duration_since(Timestamp::UNIX_EPOCH).as_secs()
    }

    /// Attempts that take no time, one letter each, lead to these verdicts and begin at these seconds.
    fn check(letters: &str, verdict: &str, begun: &[i64]) {
        let mut watch = Watch::new(RULES, Timestamp::UNIX_EPOCH);
        let mut seen = Vec::new();
        let mut moments = Vec::new();
        for letter in letters.chars() {
            let now = watch.due().unwrap();
            assert!(watch.begin(now));
            moments.push(seconds(now));
            watch.take(outcome(letter), now);
            seen.push(match watch.verdict() {
                Verdict::Passing => '+',
                Verdict::Failing { .. } => '-',
                Verdict::Unknown { .. } => '?',
            });
        }
        assert_eq!(seen.into_iter().collect::<String>(), verdict, "{letters}");
        assert_eq!(moments, begun, "{letters}");
    }

    #[test]
    fn a_verdict_needs_its_number_of_equal_outcomes_and_keeps_until_the_next() {
        check("++++", "?+++", &[0, 1, 11, 21]);
        check("-++", "??+", &[0, 1, 2]);
        check("+-+-+", "?????", &[0, 1, 3, 4, 6]);
        check("---++", "??--+", &[0, 1, 3, 7, 8]);
        check("++--+", "?++++", &[0, 1, 11, 21, 31]);
        check("++---", "?+++-", &[0, 1, 11, 21, 31]);
        check("++??+", "?++++", &[0, 1, 11, 21, 31]);
        check("++???+", "?+++??", &[0, 1, 11, 21, 31, 32]);
        check("---???", "??---?", &[0, 1, 3, 7, 15, 25]);
        check("??????", "??????", &[0, 1, 3, 7, 15, 25]);
    }

    #[test]
    fn what_fails_while_it_settles_is_asked_again_soon_and_does_not_count() {
        let rules = Rules { settling: SignedDuration::from_secs(1), ..RULES };
        for (letters, expected, begun) in [
            // From 1000 ms on it is as without.
            ("-------", "??????-", vec![0, 100, 300, 700, 1000, 2000, 4000]),
            ("--++", "???+", vec![0, 100, 300, 1300]),
            ("?-+-", "????", vec![0, 100, 300, 1300]),
        ] {
            let mut watch = Watch::new(rules, Timestamp::UNIX_EPOCH);
            let (mut seen, mut moments) = (String::new(), Vec::new());
            for letter in letters.chars() {
                let now = watch.due().unwrap();
                assert!(watch.begin(now));
                moments.push(now.as_millisecond());
                watch.take(outcome(letter), now);
                seen.push(match watch.verdict() {
                    Verdict::Passing => '+',
                    Verdict::Failing { .. } => '-',
                    Verdict::Unknown { .. } => '?',
                });
            }
            assert_eq!((seen.as_str(), moments), (expected, begun), "{letters}");
        }
    }

    #[test]
    fn an_open_breaker_leaves_it_alone_and_one_attempt_closes_it() {
        // The fourth failure opens it at 7; half-open at 67, closed by what passes.
        check("----++", "??---+", &[0, 1, 3, 7, 67, 68]);
        check("-----++", "??----+", &[0, 1, 3, 7, 67, 127, 128]);
    }

    #[test]
    fn its_reason_is_that_of_the_last_attempt() {
        let mut watch = Watch::new(RULES, Timestamp::UNIX_EPOCH);
        for (letter, reason) in [
            (' ', "no attempt has ended"),
            ('-', "answered 503"),
            ('?', "no data"),
            ('+', "it passed 1 of 2 times in a row"),
        ] {
            if letter != ' ' {
                let now = watch.due().unwrap();
                watch.begin(now);
                watch.take(outcome(letter), now);
            }
            assert_eq!(watch.verdict(), &Verdict::Unknown { reason: reason.into() });
        }
    }

    proptest! {
        #[test]
        fn no_verdict_comes_of_fewer_outcomes_than_it_needs(
            letters in "[+?-]{0,40}",
            failures in 1_u32..5,
            successes in 1_u32..5,
            open in 1_u32..8,
            takes in 0_i64..20,
        ) {
            let rules = Rules {
                failure_threshold: failures,
                success_threshold: successes,
                breaker: breaker::Rules { failures: open, ..RULES.breaker },
                ..RULES
            };
            let mut watch = Watch::new(rules, Timestamp::UNIX_EPOCH);
            let mut history = String::new();
            let mut failed_in_a_row = 0;
            for letter in letters.chars() {
                let began = watch.due().unwrap();
                let before = watch.verdict().clone();
                let early = began - SignedDuration::from_nanos(1);
                prop_assert!(!watch.begin(early), "never before it is due");
                prop_assert!(watch.begin(began));
                prop_assert!(!watch.begin(began), "one attempt at a time");
                let ended = began + SignedDuration::from_secs(takes);
                watch.take(outcome(letter), ended);
                history.push(letter);
                failed_in_a_row = match letter {
                    '-' => failed_in_a_row + 1,
                    '+' => 0,
                    _ => failed_in_a_row,
                };
                let ends_with = |letter: &str, count: u32| history.ends_with(&letter.repeat(count as usize));
                let turned = std::mem::discriminant(&before) != std::mem::discriminant(watch.verdict());
                match watch.verdict() {
                    Verdict::Passing => prop_assert!(!turned || ends_with("+", successes)),
                    Verdict::Failing { .. } => prop_assert!(!turned || ends_with("-", failures)),
                    Verdict::Unknown { .. } => prop_assert!(!turned || ends_with("?", failures)),
                }
                if ends_with("+", successes) {
                    prop_assert_eq!(watch.verdict(), &Verdict::Passing);
                }
                let pause = watch.due().unwrap().duration_since(ended);
                prop_assert!(pause >= FIRST_PAUSE.min(rules.interval));
                let broken = letter == '-' && failed_in_a_row >= open;
                if broken {
                    prop_assert!(pause >= rules.breaker.open, "{pause:?} after {history}");
                } else {
                    prop_assert!(pause <= rules.interval, "{pause:?} after {history}");
                }
            }
        }
    }
}
