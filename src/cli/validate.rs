//! `validate`: everything that is wrong with values files.

use std::path::PathBuf;

use clap::Args;
use console::Style;
use serde::Serialize;

use super::output::stream::Stream;
use super::sources::messages;
use super::sources::{self, Read, ReadOptions, count};
use super::{Common, Exit, Failure, output};
use crate::domain::catalog::Order;
use crate::domain::diagnostic::{Diagnostic, Severity, any_error};

/// What is looked at, and how strictly.
#[derive(Debug, Args)]
pub struct Options {
    /// Values files, charts, or folders of customers
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Let warnings count as errors
    #[arg(long)]
    strict: bool,
    /// The order that the files are for.
    #[command(flatten)]
    order: super::OrderOption,
    #[command(flatten)]
    reading: ReadOptions,
}

#[derive(Debug, Serialize)]
struct Findings {
    diagnostics: Vec<Diagnostic>,
}

/// Prints all that is wrong.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let mut reads =
        sources::read(&options.paths, &options.reading, options.order.order.unwrap_or(Order::Waves))?;
    sources::add_collisions(&mut reads);
    if options.strict {
        for diagnostic in reads.iter_mut().flat_map(|read| &mut read.diagnostics) {
            diagnostic.severity = Severity::Error;
        }
    }
    let diagnostics: Vec<Diagnostic> =
        reads.iter().flat_map(|read| read.diagnostics.iter().cloned()).collect();
    let exit = if any_error(&diagnostics) { Exit::InvalidInput } else { Exit::Success };
    output::print(common.output, &Findings { diagnostics }, || report(&reads))?;
    Ok(exit)
}

fn report(reads: &[Read]) -> String {
    let texts = sources::texts(reads);
    let mut out = String::new();
    for read in reads.iter().filter(|read| !read.diagnostics.is_empty()) {
        let title = format!("{}: {}", output::plain(&read.file), tally(&read.diagnostics));
        let rule = "─".repeat(Stream::Out.width().saturating_sub(title.chars().count() + 4).min(60));
        let quiet = Style::new().dim();
        let (before, after) = (output::paint(&quiet, "──"), output::paint(&quiet, &rule));
        out.push_str(&format!("{before} {} {after}\n", output::paint(&Style::new().bold(), &title)));
        out.push_str(&messages::render(&read.diagnostics, &texts, Stream::Out));
    }
    let all = || reads.iter().flat_map(|read| &read.diagnostics);
    let style = match all().map(|diagnostic| diagnostic.severity).min() {
        None => Style::new().green().bold(),
        Some(Severity::Warning) => Style::new().yellow().bold(),
        Some(Severity::Error) => Style::new().red().bold(),
    };
    let services: usize = reads.iter().filter_map(|read| Some(read.loaded.as_ref()?.graph.len())).sum();
    let found = output::paint(&style, &tally(all()));
    out.push_str(&format!("{found} in {} with {}\n", count(reads.len(), "file"), count(services, "service")));
    out
}

/// `2 errors, 1 warning`.
fn tally<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        diagnostics.into_iter().partition(|diagnostic| diagnostic.is_error());
    match (errors.len(), warnings.len()) {
        (0, 0) => "nothing wrong".to_owned(),
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}
