//! Changing one value in a file, and nothing else: every other byte stays, comments and quotes among them.

use crate::domain::catalog::Limits;
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::domain::yaml::{self, Form, Node, Resolved, Scalar, Value};

use super::image::is_tag;

/// Where the common image tag may stand, the ways in which it may be spelt among it.
const PLACES: [&[&str]; 4] =
    [&["global", "imageTag"], &["global", "image-tag"], &["imageTag"], &["image-tag"]];

/// The text of a values file with another common image tag; none where it is that already.
///
/// # Errors
/// When the file is not YAML, has no common image tag, or has it in a way that cannot be changed in place.
pub fn with_image_tag(
    file: &str,
    text: &str,
    tag: &str,
    limits: &Limits,
) -> Result<Option<String>, Diagnostic> {
    if !is_tag(tag) {
        let message = "what is to be written is not an image tag";
        return Err(Diagnostic::error(Code::BadImageTag, Place::file(file), message));
    }
    let (node, scalar) = image_tag(file, text, limits)?;
    if &*scalar.text == tag && scalar.resolve() == Resolved::Text(tag) {
        return Ok(None);
    }
    let refused = |what: &str| {
        Diagnostic::error(Code::BadImageTag, node.place(file), format!("the image tag {what}"))
            .with_help("write it as one word in quotes: imageTag: \"v1\"")
    };
    let from = offset(text, node.line, node.column).ok_or_else(|| refused("cannot be found again"))?;
    let rest = &text[from..];
    let (length, quote) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = rest[1..].find(quote).map(|end| &rest[1..=end]);
            if inner != Some(&*scalar.text) {
                return Err(refused("has an escape in it"));
            }
            (scalar.text.len() + 2, Some(quote))
        }
        Some(_) if scalar.form == Form::Plain && rest.starts_with(&*scalar.text) => (scalar.text.len(), None),
        Some(_) | None => {
            return Err(refused("is a block, an alias, has an anchor, or a tag of YAML's"));
        }
    };
    let plain = Scalar { text: tag.into(), form: Form::Plain };
    let written = match quote {
        Some(quote) => format!("{quote}{tag}{quote}"),
        None if plain.resolve() == Resolved::Text(tag) => tag.to_owned(),
        None => format!("\"{tag}\""),
    };
    let changed = format!("{}{written}{}", &text[..from], &rest[length..]);
    match image_tag(file, &changed, limits) {
        Ok((_, now)) if now.resolve() == Resolved::Text(tag) => Ok(Some(changed)),
        Ok(_) | Err(_) => Err(refused("cannot be changed in place")),
    }
}

/// The common image tag of a file.
fn image_tag(file: &str, text: &str, limits: &Limits) -> Result<(Node, Scalar), Diagnostic> {
    let (root, faults) = yaml::parse(file, text, limits);
    if let Some(fault) = faults.into_iter().find(Diagnostic::is_error) {
        return Err(fault);
    }
    let missing = || {
        Diagnostic::error(
            Code::MissingKey,
            Place::file(file),
            "there is no common image tag (`global.imageTag`)",
        )
        .with_help("write `imageTag: \"v1\"` below `global`")
    };
    let root = root.ok_or_else(missing)?;
    let find = |path: &&[&str]| path.iter().try_fold(&root, |node, key| node.get(key));
    let node = PLACES.iter().find_map(find).ok_or_else(missing)?;
    match &node.value {
        Value::Scalar(scalar) => Ok((node.clone(), scalar.clone())),
        Value::List(_) | Value::Map(_) => {
            Err(Diagnostic::error(Code::BadImageTag, node.place(file), "the image tag is no text"))
        }
    }
}

/// Where a line and column (in characters, both from 1) begin in a text, in bytes.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let (line, column) = ((line as usize).checked_sub(1)?, (column as usize).checked_sub(1)?);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let (within, _) = text.get(start..)?.char_indices().nth(column)?;
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edit(text: &str, tag: &str) -> Result<Option<String>, Diagnostic> {
        with_image_tag("values.yaml", text, tag, &Limits::default())
    }

    #[test]
    fn only_the_bytes_of_the_tag_change() {
        for (before, tag, after) in [
            (
                "global:\n  imageTag: \"v1\" # now\n  x: 1\n",
                "v2",
                "global:\n  imageTag: \"v2\" # now\n  x: 1\n",
            ),
            ("global:\n  imageTag: 'v1'\n", "v2", "global:\n  imageTag: 'v2'\n"),
            ("global: {imageTag: v1, a: b}\n", "v2", "global: {imageTag: v2, a: b}\n"),
            ("global:\n  imageTag: v1\n", "1.10", "global:\n  imageTag: \"1.10\"\n"),
            ("global:\n  imageTag: v1\n", "on", "global:\n  imageTag: \"on\"\n"),
            (
                "global:\r\n  # ä, ö\r\n  ü: ß\r\n  imageTag: v1\r\n",
                "v2",
                "global:\r\n  # ä, ö\r\n  ü: ß\r\n  imageTag: v2\r\n",
            ),
            (
                "# imageTag: v1\nimage-tag: \"v1\"\napplications: []\n",
                "v2",
                "# imageTag: v1\nimage-tag: \"v2\"\napplications: []\n",
            ),
            ("global:\n  imageTag: 1.10\n", "1.10", "global:\n  imageTag: \"1.10\"\n"),
            ("global:\n  imageTag:\n    \"v1\"\n", "v2", "global:\n  imageTag:\n    \"v2\"\n"),
        ] {
            assert_eq!(edit(before, tag).unwrap().as_deref(), Some(after), "{before}");
        }
        assert_eq!(edit("global:\n  imageTag: \"v1\"\n", "v1").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_changed_in_place_is_refused_with_a_remedy() {
        for (text, tag, said) in [
            ("global:\n  a: b\n", "v2", "no common image tag"),
            ("global:\n  imageTag: [v1]\n", "v2", "is no text"),
            ("global:\n  imageTag: |\n    v1\n", "v2", "is a block"),
            // Other places would change with it.
            ("global:\n  imageTag: &tag v1\n  x: *tag\n", "v2", "has an anchor"),
            ("x: &t v1\nglobal:\n  imageTag: *t\n", "v2", "is a block, an alias, has an anchor"),
            ("global:\n  imageTag: \"v\\u0031\"\n", "v2", "has an escape"),
            ("global: [\n", "v2", ""),
            ("global:\n  imageTag: v1\n", "-x", "not an image tag"),
        ] {
            let fault = edit(text, tag).unwrap_err();
            assert!(fault.message.contains(said), "no {said:?} in {fault}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_that_was_written_is_read_again_and_going_back_gives_the_first_text(
            first in "[a-z0-9_][A-Za-z0-9._-]{0,20}",
            second in "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}",
            before in "(# [a-zä ]{0,10}\n){0,3}",
        ) {
            let text = format!("{before}global:\n  imageTag: \"{first}\"\n  other: \"{first}\"\n");
            if let Some(changed) = edit(&text, &second).unwrap() {
                prop_assert_eq!(edit(&changed, &second).unwrap(), None);
                prop_assert_eq!(edit(&changed, &first).unwrap(), Some(text));
            } else {
                prop_assert_eq!(first, second);
            }
        }
    }
}
