//! What a look at a ref says: whether a push of it was missed.
//!
//! GitHub sends a push once and never again, an EventSource that is down takes none, and a sensor loses what its consumer
//! on the bus was deleted with. So the refs themselves are looked at now and then.

use super::names::Revision;

/// What a ref's head means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It was never looked at: what is there is where it begins, and deploys nothing.
    First,
    /// It is where it was.
    Same,
    /// It moved, and a push that is stored said so.
    Told,
    /// It moved, and nobody said so.
    Missed,
}

/// What the head of a ref means: `seen` is where it was at the last look, `told` where the newest stored push of it led.
pub fn look(head: &Revision, seen: Option<&Revision>, told: Option<&Revision>) -> Look {
    match seen {
        _ if told == Some(head) => Look::Told,
        None => Look::First,
        Some(seen) if seen == head => Look::Same,
        Some(_) => Look::Missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ref_that_moved_without_a_word_was_missed() {
        let commit = |letter: &str| letter.repeat(40).parse::<Revision>().unwrap();
        for (head, seen, told, expected) in [
            ("a", None, None, Look::First),
            // The first look after an upgrade, or after a push that came before any look.
            ("a", None, Some("a"), Look::Told),
            ("b", None, Some("a"), Look::First),
            ("a", Some("a"), None, Look::Same),
            ("a", Some("a"), Some("a"), Look::Told),
            ("b", Some("a"), Some("b"), Look::Told),
            ("b", Some("a"), Some("a"), Look::Missed),
            ("b", Some("a"), None, Look::Missed),
            // Two pushes, of which the second was missed; and one that was taken back by force.
            ("c", Some("a"), Some("b"), Look::Missed),
            ("a", Some("b"), Some("b"), Look::Missed),
            // A push that is further than the head: the ref was moved back at the same time.
            ("a", Some("a"), Some("b"), Look::Same),
        ] {
            let (seen, told) = (seen.map(commit), told.map(commit));
            assert_eq!(
                look(&commit(head), seen.as_ref(), told.as_ref()),
                expected,
                "{head} {seen:?} {told:?}"
            );
        }
    }
}
