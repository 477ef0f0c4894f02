//! Texts that people write for their notices: `{{ name }}` stands for what a notice says under that name.

use serde::Deserialize;

use super::{Notice, words};
use crate::domain::nearest::nearest;

/// Characters that a template may have.
pub const MOST: usize = 2_000;

/// What one name stands for.
type Value = fn(&Notice) -> String;

/// All names, and what each stands for. What is not known is empty.
const NAMES: &[(&str, Value)] = &[
    ("title", |notice| words::title(notice)),
    ("text", |notice| words::text(notice)),
    ("trigger", |notice| notice.trigger.word().to_owned()),
    ("customer", |notice| notice.customer.clone()),
    ("environment", |notice| notice.environment.clone()),
    ("state", |notice| notice.state.clone()),
    ("deployment", |notice| notice.deployment.clone().unwrap_or_default()),
    ("workflow", |notice| notice.workflow.clone().unwrap_or_default()),
    ("revision", |notice| notice.revision.clone().unwrap_or_default()),
    ("short_revision", |notice| words::short(notice).to_owned()),
    ("plan", |notice| notice.plan.clone().unwrap_or_default()),
    ("requested_by", |notice| notice.requested_by.clone().unwrap_or_default()),
    ("reason", |notice| notice.reason.clone().unwrap_or_default()),
    ("duration", |notice| notice.duration_seconds.map(words::length).unwrap_or_default()),
    ("services", |notice| notice.services.to_string()),
    ("synced", |notice| notice.synced.to_string()),
    ("healthy", |notice| notice.healthy.to_string()),
    ("failed", |notice| notice.failures_total.to_string()),
    ("changes", |notice| words::lines(&words::changes(notice), words::PLENTY)),
    ("waves", |notice| words::lines(&words::waves(notice), words::PLENTY)),
    ("failures", |notice| words::lines(&words::failures(notice), words::PLENTY)),
    ("rolled_back", |notice| words::rolled_back(notice, words::PLENTY)),
    ("link", |notice| notice.link.clone().unwrap_or_default()),
];

/// A text with names in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A position in [`NAMES`].
    Name(usize),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is nothing in it.
    #[error("the template is empty: leave it out for the text that is told without one")]
    Empty,
    /// It is too long.
    #[error("the template has {0} characters; at most {MOST} are allowed")]
    TooLong(usize),
    /// A name is opened and not closed.
    #[error("the template has `{{{{` without `}}}}` in {0:?}")]
    Open(String),
    /// There is no such name.
    #[error("the template has `{{{{ {name} }}}}`, which is no name; {remedy}")]
    Unknown {
        /// What was given.
        name: String,
        /// What would be right.
        remedy: String,
    },
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is empty, too long, or has a name that is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        let length = text.chars().count();
        if length > MOST {
            return Err(TemplateError::TooLong(length));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                return Err(TemplateError::Open(after.chars().take(40).collect()));
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Name(position(name.trim())?));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// The names that can stand in a template.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The text for a notice. What stands for a name goes through `escape`, the template's own text does not.
    pub fn fill(&self, notice: &Notice, escape: fn(&str) -> String) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(own) => text.push_str(own),
                Piece::Name(position) => {
                    if let Some((_, value)) = NAMES.get(*position) {
                        text.push_str(&escape(&value(notice)));
                    }
                }
            }
        }
        text
    }
}

fn position(name: &str) -> Result<usize, TemplateError> {
    Template::names().position(|known| known == name).ok_or_else(|| {
        let remedy = match nearest(name, Template::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", Template::names().collect::<Vec<_>>().join(", ")),
        };
        TemplateError::Unknown { name: name.chars().take(40).collect(), remedy }
    })
}
