//! Tables that fit the terminal, JSON and YAML, and colours only where somebody looks.

use console::Style;
use serde::Serialize;

use self::grid::Cell;
use super::{Exit, Failure, Output};

pub(super) mod grid;
pub(super) mod stream;

/// Prints a value in the wanted form; `table` makes the one for people.
pub(super) fn print<T: Serialize>(
    output: Output,
    value: &T,
    table: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let text = match output {
        Output::Table => table(),
        Output::Json => {
            serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Failure, error))?
        }
        Output::Yaml => serde_saphyr::to_string(value).map_err(|error| Failure::new(Exit::Failure, error))?,
    };
    write(&text)
}

/// Writes to standard output, with a line's end. A reader that went away is no fault of ours.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// The text in a style, where standard output is a terminal that shows colours.
pub(super) fn paint(style: &Style, text: &str) -> String {
    style.apply_to(text).to_string()
}

/// The style of a state's word.
pub(super) fn style_of(word: &str) -> Style {
    match word {
        "succeeded" | "healthy" | "rolled-back" => Style::new().green(),
        "failed" | "rejected" | "rollback-failed" | "unhealthy" | "error" => Style::new().red(),
        "retrying" | "paused" | "awaiting-approval" | "kept" | "stopping" | "rolling-back" | "warning" => {
            Style::new().yellow()
        }
        "running" | "syncing" | "verifying" | "checking" => Style::new().cyan(),
        _ => Style::new(),
    }
}

/// A state's word in its colour.
pub(super) fn state(word: &str) -> String {
    paint(&style_of(word), word)
}

/// The same as a table's cell.
pub(super) fn state_cell(word: &str) -> Cell {
    Cell::new(word, style_of(word))
}

/// A text without anything that could move a terminal's cursor or start a new line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A length of time for people: `850ms`, `12s`, `3m20s`.
pub(super) fn length(seconds: f64) -> String {
    if seconds == 0.0 {
        "0s".to_owned()
    } else if seconds < 1.0 {
        format!("{:.0}ms", seconds * 1000.0)
    } else if seconds < 60.0 {
        format!("{}s", format!("{seconds:.1}").trim_end_matches(".0"))
    } else {
        let whole = seconds.round() as u64;
        format!("{}m{:02}s", whole / 60, whole % 60)
    }
}
