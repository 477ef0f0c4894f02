//! Images and their tags.

use crate::domain::diagnostic::{Code, quoted};
use crate::domain::yaml::{Node, Resolved, Value};

use super::reading::{Kind, Reader};

/// What a tag may be.
pub(super) const TAG: Kind = Kind {
    what: "an image tag",
    help: "use letters, digits, '.', '_' and '-', at most 128, not beginning with '.' or '-'",
    code: Code::BadImageTag,
    fits: is_tag,
};

/// What may stand before a service's name in its image.
pub(super) const PREFIX: Kind = Kind {
    what: "a registry and a path",
    help: "write something like registry.example.com/team",
    code: Code::BadValue,
    fits: |text| is_repository(text.trim_end_matches('/')),
};

impl<'a> Reader<'a> {
    /// The value of `imageTag` or `version`: a text that Helm takes for a text too.
    pub(super) fn tag(&mut self, node: &'a Node, key: &str) -> Option<String> {
        if let Value::Scalar(scalar) = &node.value {
            match scalar.resolve() {
                Resolved::Text("") => {
                    self.error_once(Code::BadImageTag, node, format!("`{key}` is empty"), "write the tag");
                    return None;
                }
                Resolved::Text(_) => {}
                Resolved::Null | Resolved::Bool(_) | Resolved::Int(_) | Resolved::Float(_) => {
                    self.unquoted_tag(node, key);
                    return None;
                }
            }
        }
        self.checked(node, key, &TAG)
    }

    /// A number or boolean where a tag belongs: shows what Helm would make of it.
    pub(super) fn unquoted_tag(&mut self, node: &Node, key: &str) {
        let Value::Scalar(scalar) = &node.value else { return };
        let (kind, written) = match scalar.resolve() {
            Resolved::Int(number) => ("number", go_number(number as f64)),
            Resolved::Float(number) => ("number", go_number(number)),
            Resolved::Bool(value) => ("boolean", value.to_string()),
            Resolved::Null | Resolved::Text(_) => return,
        };
        let given = quoted(&scalar.text);
        let message =
            format!("`{key}` is not quoted: Helm takes {given} for a {kind} and writes `{written}`");
        self.error_once(Code::BadImageTag, node, message, format!("quote it: {key}: \"{}\"", scalar.text));
    }

    /// Whether an image is one that may be deployed; reports why not.
    pub(super) fn image_is_fine(&mut self, node: &Node, image: &str) -> bool {
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (image, None),
        };
        let (repository, tag) = split_tag(name);
        let shown = quoted(image);
        let foreign = image.chars().find(|c| !(c.is_ascii_alphanumeric() || "._/:@-".contains(*c)));
        let (code, message, help) = if image.is_empty() {
            (Code::MissingKey, "the image is empty".into(), "write name:tag")
        } else if let Some(c) = foreign {
            let message = format!("the image {shown} contains {}", quoted(&c.to_string()));
            (Code::BadValue, message, "use letters, digits and `. _ / : @ -` only")
        } else if !is_repository(repository) {
            (Code::BadValue, format!("the image {shown} has no usable name"), "write registry/path/name:tag")
        } else if tag == Some("") {
            (Code::BadImageTag, format!("the image {shown} has an empty tag"), "write the tag after `:`")
        } else if tag.is_some_and(|tag| !is_tag(tag)) {
            (Code::BadImageTag, format!("the tag of {shown} is not one"), TAG.help)
        } else if digest.is_some_and(|digest| !is_digest(digest)) {
            (
                Code::BadImageTag,
                format!("the digest of {shown} is not one"),
                "write @sha256: and 64 hexadecimal digits",
            )
        } else if tag.is_none() && digest.is_none() {
            let help = "add `:` and a tag; without one, what runs would change by itself";
            (Code::BadImageTag, format!("the image {shown} has no tag"), help)
        } else {
            return true;
        };
        self.error(code, node, message, help);
        false
    }
}

/// An image's name and what follows the `:` of its last part (a registry's port is before a `/`).
pub(super) fn split_tag(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        Some(_) | None => (image, None),
    }
}

/// Whether a text can be the tag of an image: letters, digits, `.`, `_` and `-`, at most 128.
pub fn is_tag(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    text.len() <= 128
        && text.bytes().all(fine)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

fn is_digest(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(fine)
    };
    let (registry, rest) = text.split_once('/').unwrap_or(("", text));
    text.len() <= 255
        && text.split('/').all(part)
        && !rest.contains(':')
        && registry.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

/// A number as Go's templates write it: the shortest digits, with an exponent when it is below -4 or above 5.
fn go_number(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..6).contains(&exponent) => number.to_string(),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        Err(_) => scientific,
    }
}
