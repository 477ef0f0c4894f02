//! A fault or a doubt found in the input, with its place and its remedy.
//!
//! Reading returns what was understood together with all diagnostics, never only the first fault.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where in which file. Lines and columns count from 1; both are 0 when the place is the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// Path as the reader was given it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The file as a whole.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is deployed from this input.
    Error,
    /// It can be deployed, and somebody should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One fault or doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// Whether it forbids a deployment.
    pub severity: Severity,
    /// A stable word for programs, such as `unknown-dependency`.
    #[schema(value_type = String)]
    pub code: Code,
    /// What is wrong, in one sentence, with the value that is.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault that forbids a deployment.
    pub fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), place, help: None }
    }

    /// A doubt that does not.
    pub fn warning(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, message: message.into(), place, help: None }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it forbids a deployment.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} [{}]", self.place, self.severity, self.message, self.code)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Whether any of them forbids a deployment.
pub fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// Text of the input as a message shows it: in backticks, cut to 60 characters, and without anything that could
/// steer a terminal or forge a line of a log.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut out = String::from("`");
    for (position, c) in text.chars().enumerate() {
        if position == SHOWN {
            out.push('…');
            break;
        }
        // Besides control characters: marks that turn the direction of writing around.
        if c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// The stable words for what can be found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is not YAML.
    BadYaml,
    /// Larger, deeper or with more nodes than the limits allow.
    LimitExceeded,
    /// The same key twice in one mapping.
    DuplicateKey,
    /// A list where a text belongs, and so on.
    WrongType,
    /// A value outside what is allowed.
    BadValue,
    /// A required key is not there.
    MissingKey,
    /// A key that nobody reads.
    UnknownKey,
    /// Neither of the formats that can be read.
    UnknownFormat,
    /// A file or folder that should be there is not.
    MissingFile,
    /// A name that Kubernetes would refuse.
    BadName,
    /// Two different things that would get the same name once joined.
    NameCollision,
    /// The customer id or the namespace does not fit its folder or the configured pattern.
    CustomerMismatch,
    /// A service twice.
    DuplicateService,
    /// A list of services names one that the file does not define.
    UnknownService,
    /// A dependency that no service has as its name.
    UnknownDependency,
    /// A dependency on a service that is switched off.
    DisabledDependency,
    /// A service that depends on itself.
    SelfDependency,
    /// The same dependency twice in one list.
    DuplicateDependency,
    /// Services that depend on each other in a ring.
    DependencyCycle,
    /// A service in an earlier wave than what it depends on.
    WaveOrder,
    /// A wave above the configured highest.
    WaveOutOfRange,
    /// Two places of one file give a service different waves.
    WaveConflict,
    /// No wave given; one was taken from the graph.
    MissingWave,
    /// An image tag that is empty, or that Helm would read as a number.
    BadImageTag,
    /// A template that is not a `.Values.` path.
    UnsupportedTemplate,
    /// A `.Values.` path that leads nowhere.
    UnknownTemplatePath,
    /// A commit, ref or repository that is not there.
    MissingRevision,
    /// The request itself is wrong (a field of the trigger or of the payload).
    BadRequest,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The serialised form is the one word for it; a unit variant always serialises to a text.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => f.pad(&word),
            Ok(_) | Err(_) => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_like_a_compiler_message() {
        let place = Place { file: "values.yaml".into(), line: 3, column: 7 };
        let diagnostic = Diagnostic::error(Code::UnknownDependency, place, "`user-servic` is not a service")
            .with_help("did you mean `user-service`?");
        assert_eq!(
            diagnostic.to_string(),
            "values.yaml:3:7: error: `user-servic` is not a service [unknown-dependency]\n  help: did you mean `user-service`?"
        );
        let json = serde_json::to_value(&diagnostic).unwrap();
        assert_eq!(json["severity"], "error");
        assert_eq!(json["file"], "values.yaml");
        assert_eq!(json["line"], 3);
    }

    #[test]
    fn quoted_text_cannot_steer_a_terminal() {
        assert_eq!(quoted("user-service"), "`user-service`");
        assert_eq!(quoted("a\u{1b}[31m\nb\u{202e}"), "`a\\u{1b}[31m\\nb\\u{202e}`");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 63);
    }
}
