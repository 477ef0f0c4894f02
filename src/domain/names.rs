//! The words of the field as types that cannot be wrong: each is checked once, where it is parsed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not the name it was taken for. Says what was given and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} {fault}")]
pub struct NameError {
    what: &'static str,
    given: String,
    fault: String,
}

impl NameError {
    /// The remedy alone, without the name's kind and text.
    pub fn fault(&self) -> &str {
        &self.fault
    }
}

/// Kubernetes' limit for a DNS label (RFC 1123), and for the value of a label.
pub const LABEL_LENGTH: usize = 63;

fn dns_label(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.len() > LABEL_LENGTH {
        return Err(format!("has {} characters; Kubernetes allows {LABEL_LENGTH}", text.len()));
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.iter().copied().all(inner) || !edge(bytes[0]) || !edge(bytes[bytes.len() - 1]) {
        return Err(
            "is not a DNS label: use lower-case letters, digits and '-', and begin and end with a letter or digit"
                .into(),
        );
    }
    Ok(())
}

fn commit_id(text: &str) -> Result<(), String> {
    let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex && (text.len() == 40 || text.len() == 64) {
        Ok(())
    } else {
        Err("is not a full commit id: 40 (or 64) lower-case hexadecimal digits".into())
    }
}

/// An identifier that we make: letters, digits, `-`, `_` and `.`, at most 128.
fn token(text: &str) -> Result<(), String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 128 || !text.bytes().all(fine) {
        return Err("must be 1 to 128 letters, digits, '-', '_' or '.'".into());
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $ty:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $ty(Arc<str>);

        impl $ty {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $ty {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), String> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(fault) => Err(NameError {
                        what: $what,
                        given: text.chars().take(80).collect(),
                        fault,
                    }),
                }
            }
        }

        impl TryFrom<String> for $ty {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$ty> for String {
            fn from(name: $ty) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A customer (tenant), for example `customer-a`.
    CustomerId, "customer", dns_label
);
name!(
    /// An environment of a customer, for example `production`.
    Environment, "environment", dns_label
);
name!(
    /// A service of a customer, for example `payment-service`.
    ServiceName, "service", dns_label
);
name!(
    /// A Kubernetes namespace.
    Namespace, "namespace", dns_label
);
name!(
    /// The name of an Argo CD Application. At most 63 characters, so that it fits a label's value too.
    AppName, "application", dns_label
);
name!(
    /// A configured repository, by the name the configuration gives it.
    SourceName, "source", dns_label
);
name!(
    /// The full id of a git commit.
    Revision, "revision", commit_id
);
name!(
    /// One deployment: one run for one customer and environment.
    DeploymentId, "deployment", token
);
name!(
    /// One accepted event.
    EventId, "event", token
);
name!(
    /// One request for a sync; travels in `operation.info` and is how we recognise our own operation
    /// (contracts of Argo CD: the only identity an operation has).
    RequestId, "request", token
);
name!(
    /// A SHA-256 in hexadecimal over everything that renders a service.
    Fingerprint, "fingerprint", token
);

impl Revision {
    /// The first eight digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl AppName {
    /// The Application of a service, `<customer>-<service>`.
    ///
    /// # Errors
    /// When the joined name is longer than a label may be.
    pub fn of_service(customer: &CustomerId, service: &ServiceName) -> Result<Self, NameError> {
        format!("{customer}-{service}").parse()
    }

    /// The Application of what all services of a customer share, `<customer>-base`.
    ///
    /// # Errors
    /// When the joined name is longer than a label may be.
    pub fn of_base(customer: &CustomerId) -> Result<Self, NameError> {
        format!("{customer}-{BASE}").parse()
    }

    /// The Application with all of a customer, `<customer>-applications`.
    ///
    /// # Errors
    /// When the joined name is longer than a label may be.
    pub fn of_all(customer: &CustomerId) -> Result<Self, NameError> {
        format!("{customer}-{ALL}").parse()
    }
}

/// The last part of the name of an Application with all of a customer.
pub const ALL: &str = "applications";

/// The part of a customer that all its services share (its configMaps); no service may have this name.
pub const BASE: &str = "base";

/// A sync wave. Lower waves come first; the seed's are 0 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Wave(pub u32);

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = NameError> + fmt::Display>(cases: &[(&str, bool)]) {
        for (text, right) in cases {
            let parsed = text.parse::<T>();
            assert_eq!(parsed.is_ok(), *right, "{text:?}");
            if let Ok(name) = parsed {
                assert_eq!(&name.to_string(), text);
            }
        }
    }

    #[test]
    fn names_are_dns_labels() {
        let long = "a".repeat(64);
        check::<CustomerId>(&[
            ("customer-a", true),
            ("7eleven", true),
            ("a", true),
            (&long[..63], true),
            (&long, false),
            ("", false),
            ("Customer", false),
            ("customer_a", false),
            ("-a", false),
            ("a-", false),
            ("a.b", false),
            ("a\nb", false),
            ("{{ .x }}", false),
            ("ä", false),
        ]);
    }

    #[test]
    fn revisions_are_full_commit_ids() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        check::<Revision>(&[(sha, true), (&sha[..39], false), ("HEAD", false), ("--upload-pack=x", false)]);
        check::<Revision>(&[(&sha.to_uppercase(), false), (&sha.repeat(2)[..64], true)]);
    }

    #[test]
    fn the_error_names_what_was_given_and_the_remedy() {
        let error = "customer_A".parse::<CustomerId>().unwrap_err();
        assert!(error.to_string().starts_with(r#"customer "customer_A" is not a DNS label: use lower-case"#));
    }

    #[test]
    fn an_application_is_named_by_customer_and_service() {
        let customer = "customer-a".parse().unwrap();
        let app = AppName::of_service(&customer, &"user-service".parse().unwrap()).unwrap();
        assert_eq!(app.as_str(), "customer-a-user-service");
        assert_eq!(AppName::of_base(&customer).unwrap().as_str(), "customer-a-base");
        assert!(AppName::of_service(&customer, &"x".repeat(60).parse().unwrap()).is_err());
    }
}
