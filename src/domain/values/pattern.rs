//! What a name must look like, as an operator writes it down.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::names::{CustomerId, Environment};

/// A pattern for names: literal text, `*` for any characters (none among them), `?` for one, and the placeholders
/// `{customer}` and `{environment}`. Default `{customer}-{environment}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern(String);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a pattern for names: use lower-case letters, digits, `-`, `*`, `?`, `{{customer}}` and \
     `{{environment}}`, at most 200 characters"
)]
pub struct PatternError(String);

impl Pattern {
    /// The pattern with its placeholders filled in.
    pub fn filled(&self, customer: &CustomerId, environment: &Environment) -> Self {
        let filled = self.0.replace(CUSTOMER, customer.as_str()).replace(ENVIRONMENT, environment.as_str());
        Self(filled)
    }

    /// The one text that fits; none where there are many.
    pub fn only(&self) -> Option<&str> {
        (!self.0.contains(['*', '?', '{'])).then_some(&self.0)
    }

    /// Whether the text fits. Placeholders that are not filled in fit nothing.
    pub fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // The last `*`, and up to where it has swallowed the text.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match (pattern.get(p), star) {
                (Some(b'*'), _) => {
                    star = Some((p, t));
                    p += 1;
                }
                (Some(b'?'), _) => (p, t) = (p + 1, t + 1),
                (Some(c), _) if *c == text[t] => (p, t) = (p + 1, t + 1),
                (_, Some((at, swallowed))) => {
                    star = Some((at, swallowed + 1));
                    (p, t) = (at + 1, swallowed + 1);
                }
                (_, None) => return false,
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self(format!("{CUSTOMER}-{ENVIRONMENT}"))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let literal = text.replace(CUSTOMER, "").replace(ENVIRONMENT, "");
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'*' | b'?');
        if text.is_empty() || text.len() > 200 || !literal.bytes().all(fine) {
            return Err(PatternError(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

const CUSTOMER: &str = "{customer}";
const ENVIRONMENT: &str = "{environment}";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        let (customer, environment) = ("customer-a".parse().unwrap(), "production".parse().unwrap());
        let pattern: Pattern = pattern.parse().unwrap();
        assert_eq!(pattern.filled(&customer, &environment).fits(text), expected, "{pattern} and {text}");
    }

    #[test]
    fn a_pattern_fits_what_it_describes() {
        check("{customer}-{environment}", "customer-a-production", true);
        check("{customer}-{environment}", "customer-b-production", false);
        check("customer-*", "customer-a", true);
        check("customer-*", "client-a", false);
        check("customer-?", "customer-ab", false);
        check("*-prod*n", "x-prod-n-prodn", true);
        check("*", "", true);
        check("a*b*c", "a-b-b", false);
    }

    #[test]
    fn a_pattern_without_wildcards_is_one_text() {
        let (customer, environment) = ("customer-a".parse().unwrap(), "production".parse().unwrap());
        assert_eq!(Pattern::default().filled(&customer, &environment).only(), Some("customer-a-production"));
        assert_eq!("{customer}-*".parse::<Pattern>().unwrap().filled(&customer, &environment).only(), None);
    }

    #[test]
    fn other_texts_are_no_patterns() {
        for text in ["", "{tenant}-x", "A", "a b", "{customer"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
