//! Diagnostics for people: file by file, each with the line it is about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use console::Style;

use super::super::output::grid::{letters, wrap};
use super::super::output::plain;
use super::super::output::stream::Stream;
use crate::domain::diagnostic::{Diagnostic, Severity};

/// The diagnostics like a compiler's, each file's together. `texts` are the files' contents, by the names that
/// the diagnostics have.
pub(in crate::cli) fn render(
    diagnostics: &[Diagnostic],
    texts: &BTreeMap<&str, &str>,
    stream: Stream,
) -> String {
    let mut out = String::new();
    let width = stream.width();
    for diagnostic in diagnostics {
        let style = match diagnostic.severity {
            Severity::Error => Style::new().red().bold(),
            Severity::Warning => Style::new().yellow().bold(),
        };
        let head = format!("{}[{}]", diagnostic.severity, diagnostic.code);
        let message = plain(&diagnostic.message);
        let mut lines = wrap(&format!("{head}: {message}"), width).into_iter();
        let first = lines.next().unwrap_or_default();
        let first = first.strip_prefix(&head).unwrap_or(&first);
        let bold = Style::new().bold();
        let _ = writeln!(out, "{}{}", stream.paint(&style, &head), stream.paint(&bold, first));
        for line in lines {
            let _ = writeln!(out, "{}", stream.paint(&bold, &line));
        }
        let quiet = Style::new().cyan();
        let place = plain(&diagnostic.place.to_string());
        let line = texts
            .get(diagnostic.place.file.as_str())
            .filter(|_| diagnostic.place.line > 0)
            .and_then(|text| text.lines().nth(diagnostic.place.line as usize - 1));
        let number = if line.is_some() { diagnostic.place.line.to_string() } else { String::new() };
        let gutter = " ".repeat(number.len());
        let bar = stream.paint(&quiet, "│");
        let _ = writeln!(out, "{gutter}{} {place}", stream.paint(&quiet, "-->"));
        if let Some(line) = line {
            let column = (diagnostic.place.column as usize).saturating_sub(1);
            let (shown, before, marked) = window(line, column, width.saturating_sub(number.len() + 3));
            let _ = writeln!(out, "{} {bar} {shown}", stream.paint(&quiet, &number));
            let marks = stream.paint(&style, &"^".repeat(marked));
            let _ = writeln!(out, "{gutter} {bar} {}{marks}", " ".repeat(before));
        }
        if let Some(help) = &diagnostic.help {
            let indent = gutter.len() + 9;
            let mut first = true;
            for line in help.lines().map(str::trim) {
                for part in wrap(&plain(line), width.saturating_sub(indent)) {
                    if first {
                        let _ = writeln!(out, "{gutter} {} {part}", stream.paint(&quiet, "= help:"));
                    } else {
                        let _ = writeln!(out, "{}{part}", " ".repeat(indent));
                    }
                    first = false;
                }
            }
        }
        out.push('\n');
    }
    out
}

/// The part of a line that is shown, how many letters stand in it before the marked ones, and how many are marked.
fn window(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    let line: Vec<char> = plain(&line.replace('\t', " ")).chars().collect();
    let column = column.min(line.len());
    let marked = token(&line[column..]);
    // A long line is shown from a little before the fault.
    let start = if line.len() <= width {
        0
    } else {
        column.saturating_sub(width / 3).min(line.len() - width.min(line.len()))
    };
    let mut shown: String = line[start..line.len().min(start + width)].iter().collect();
    if start + width < line.len() {
        shown.pop();
        shown.push('…');
    }
    let before = column - start;
    (shown.clone(), before, marked.min(letters(&shown).saturating_sub(before)).max(1))
}

/// How long the word or the quoted text is that begins here.
fn token(line: &[char]) -> usize {
    let end = match line.first() {
        Some(quote @ ('"' | '\'')) => line[1..].iter().position(|c| c == quote).map(|end| end + 2),
        Some('{' | '[') => Some(1),
        Some(_) | None => {
            let mut inside = 0_usize;
            line.iter().enumerate().position(|(at, c)| {
                // A template has spaces inside.
                match (c, line.get(at + 1)) {
                    ('{', Some('{')) => inside += 1,
                    ('}', Some('}')) if inside > 0 => inside -= 1,
                    (' ' | ',' | ']' | '#', _) if inside == 0 => return true,
                    // The second of two ends a template.
                    ('}', _) if inside == 0 && (at == 0 || line[at - 1] != '}') => return true,
                    (':', None | Some(' ')) if inside == 0 => return true,
                    _ => {}
                }
                false
            })
        }
    };
    end.unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::diagnostic::{Code, Place};

    fn check(line: &str, column: u32, expected: &str) {
        let place = Place { file: "v.yaml".into(), line: 2, column };
        let diagnostic = Diagnostic::error(Code::BadValue, place, "wrong").with_help("right it");
        let text = format!("a: 1\n{line}\n");
        let shown = render(&[diagnostic], &BTreeMap::from([("v.yaml", text.as_str())]), Stream::Out);
        assert_eq!(
            shown,
            format!("error[bad-value]: wrong\n --> v.yaml:2:{column}\n{expected}  = help: right it\n\n")
        );
    }

    #[test]
    fn what_is_wrong_is_marked() {
        check("  port: abc # x", 9, "2 │   port: abc # x\n  │         ^^^\n");
        check("d: [a, \"b c\", d]", 8, "2 │ d: [a, \"b c\", d]\n  │        ^^^^^\n");
        check("i: x:{{ .Values.a.b }} y", 4, "2 │ i: x:{{ .Values.a.b }} y\n  │    ^^^^^^^^^^^^^^^^^^^\n");
        check("name: x", 1, "2 │ name: x\n  │ ^^^^\n");
        check("name:", 6, "2 │ name:\n  │      ^\n");
        check("a: \u{1b}[31mx", 4, "2 │ a: \u{fffd}[31mx\n  │    ^^^^^^\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let line = format!("a: {}fault, {}", "x, ".repeat(100), "y, ".repeat(100));
        let (shown, before, marked) = window(&line, 303, 60);
        assert_eq!((letters(&shown), before, marked), (60, 20, 5));
        assert_eq!(&shown[before..before + marked], "fault");
    }
}
