//! Templates in values: `{{ .Values.a.b }}`, resolved against the file itself.
//!
//! Helm does not expand templates in values; the chart does, with `tpl`. What is resolved here must therefore be
//! what `tpl` makes of it, and everything that needs more than a look-up is refused.

use crate::domain::diagnostic::{Code, Diagnostic, quoted};
use crate::domain::yaml::{Node, Resolved, Value};

use super::reading::{Reader, kebab};

/// No image or name is longer; a short file could otherwise make a text of gigabytes.
const LONGEST_TEXT: usize = 4096;

/// A text with its templates resolved.
pub(super) struct Expanded {
    pub(super) text: String,
    /// Whether `global.imageTag` is part of it.
    pub(super) follows_image_tag: bool,
}

impl<'a> Reader<'a> {
    /// Resolves the templates of a text that stands at `node`; none after a fault, which is reported.
    pub(super) fn expand(&mut self, text: &str, node: &Node) -> Option<Expanded> {
        let mut expanded = Expanded { text: String::new(), follows_image_tag: false };
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once("{{") {
            let Some((inside, after)) = inside.split_once("}}") else {
                let help = "close it with `}}`";
                self.error(
                    Code::UnsupportedTemplate,
                    node,
                    "a template is opened with `{{` and not closed",
                    help,
                );
                return None;
            };
            let (inside, trims_before) = match inside.strip_prefix('-') {
                Some(inside) if inside.starts_with(char::is_whitespace) => (inside, true),
                Some(_) | None => (inside, false),
            };
            let (inside, trims_after) = match inside.strip_suffix('-') {
                Some(inside) if inside.ends_with(char::is_whitespace) => (inside, true),
                Some(_) | None => (inside, false),
            };
            expanded.text.push_str(if trims_before { before.trim_end() } else { before });
            let path = self.path(inside.trim(), node)?;
            expanded.text.push_str(self.resolved(&path, node)?);
            expanded.follows_image_tag |= path == ["global", "imageTag"];
            if expanded.text.len() > LONGEST_TEXT {
                break;
            }
            rest = if trims_after { after.trim_start() } else { after };
        }
        expanded.text.push_str(rest);
        if expanded.text.len() > LONGEST_TEXT {
            let message = format!("the text is longer than {LONGEST_TEXT} bytes with its templates resolved");
            self.error(Code::LimitExceeded, node, message, "shorten it");
            return None;
        }
        Some(expanded)
    }

    /// The keys behind `.Values`.
    fn path<'t>(&mut self, inside: &'t str, node: &Node) -> Option<Vec<&'t str>> {
        let identifier = |key: &&str| {
            key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let path = inside.strip_prefix(".Values.").map(|path| path.split('.').collect::<Vec<_>>());
        if let Some(path) = path.filter(|path| path.iter().all(identifier)) {
            return Some(path);
        }
        let message = format!("the template {} is more than a path of `.Values`", quoted(inside));
        let help = "only `{{ .Values.a.b }}` is resolved; write the value itself, or a path to it";
        self.error(Code::UnsupportedTemplate, node, message, help);
        None
    }

    fn resolved(&mut self, path: &[&str], node: &Node) -> Option<&'a str> {
        let value = self.look_up(path, node)?;
        if self.was_told(value) {
            return None;
        }
        let name = quoted(&format!(".Values.{}", path.join(".")));
        let Value::Scalar(scalar) = &value.value else {
            let message = format!("{name} is {}, and a template takes it for a text", value.describe());
            self.error(Code::WrongType, node, message, "write the path of a text");
            return None;
        };
        match scalar.resolve() {
            Resolved::Text(text) if text.contains("{{") => {
                let message = format!("{name} is a template itself, and is used in one");
                self.error_once(Code::UnsupportedTemplate, value, message, "write the value itself here");
                None
            }
            Resolved::Text("") if path == ["global", "imageTag"] => {
                let help = "write the tag, such as \"v1.0.0\"";
                self.error_once(Code::BadImageTag, value, "`imageTag` is empty, and images use it", help);
                None
            }
            Resolved::Text(text) => Some(text),
            Resolved::Null | Resolved::Bool(_) | Resolved::Int(_) | Resolved::Float(_) => {
                self.unquoted_tag(value, path.last().copied().unwrap_or_default());
                None
            }
        }
    }

    /// Keys are found in either spelling; the other one is warned about, because Helm finds the exact one only.
    fn look_up(&mut self, path: &[&str], node: &Node) -> Option<&'a Node> {
        let mut value = self.root;
        let mut respelt = None;
        for key in path {
            let inner = value.get(key).or_else(|| {
                let other = value.get(&kebab(key));
                respelt = respelt.or(other.map(|_| *key));
                other
            });
            let Some(inner) = inner.filter(|inner| !inner.is_null()) else {
                let keys: Vec<&str> = match &value.value {
                    Value::Map(entries) => entries.iter().map(|entry| &*entry.key).collect(),
                    Value::Scalar(_) | Value::List(_) => Vec::new(),
                };
                let help =
                    self.did_you_mean(key, keys.into_iter(), format!("add {} to this file", quoted(key)));
                let message = format!("{} leads nowhere", quoted(&format!(".Values.{}", path.join("."))));
                self.error(Code::UnknownTemplatePath, node, message, help);
                return None;
            };
            value = inner;
        }
        if let ["global", key, ..] = path {
            self.used_globals.insert((*key).to_owned());
        }
        if let Some(key) = respelt {
            let message =
                format!("the file has `{}`, which Helm does not find as {}", kebab(key), quoted(key));
            let warning = Diagnostic::warning(Code::UnknownTemplatePath, node.place(self.file), message);
            self.report(warning.with_help(format!("write the key as `{key}`")));
        }
        Some(value)
    }
}
