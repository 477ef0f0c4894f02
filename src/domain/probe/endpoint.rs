//! The path of a health check, which can never lead to another host.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A path on the service, with its query: it begins with one `/`, has no `..` (nor one in disguise), and nothing
/// that could be taken for a scheme, a host, credentials or a further line of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Endpoint(String);

/// Why a text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path on the service: begin with one `/`, use letters, digits and `-._~/?=&%:`, and no `..`")]
pub struct EndpointError;

/// Bytes of the longest.
const LONGEST: usize = 1024;

impl Endpoint {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/?=&%:".contains(c);
        let one_slash = text.starts_with('/') && !text.starts_with("//");
        if !one_slash || text.len() > LONGEST || !text.chars().all(allowed) {
            return Err(EndpointError);
        }
        let path = text.split('?').next().unwrap_or(text);
        // What a server may undo before it looks where a path leads: dots, slashes and line ends.
        let plain = path.to_ascii_lowercase().replace("%2e", ".");
        let disguised = ["%2f", "%5c", "%00", "%0a", "%0d", "%25"].iter().any(|one| plain.contains(one));
        if disguised || plain.split('/').any(|part| part == "..") || plain.contains("//") {
            return Err(EndpointError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, fits: bool) {
        assert_eq!(text.parse::<Endpoint>().is_ok(), fits, "{text:?}");
    }

    #[test]
    fn a_path_leads_nowhere_but_to_the_service() {
        for fine in ["/", "/health", "/health/ready?full=1&x=a:b", "/minio/health/live", "/a%20b", "/..a/b.."]
        {
            check(fine, true);
        }
        let tricks = [
            "",
            "health",
            "//evil",
            "/a//evil",
            "http://evil/",
            "https://evil",
            "@evil/",
            "/x@evil",
            ":80/",
            "/\\evil",
            "/a\r\nHost: evil",
            "/a b",
            "/..",
            "/a/../b",
            "/%2e%2e/b",
            "/%2E./b",
            "/a%2f..%2fb",
            "/%252e%252e/b",
            "/a%0d%0aX: y",
            "/a%00",
            "/a#b",
            "/ä",
        ];
        for trick in tricks {
            check(trick, false);
        }
        check(&format!("/{}", "a".repeat(LONGEST)), false);
    }
}
