//! `audit`: who asked for which change, and what auditors ask of each deployment.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::system::System;
use super::{Common, Exit, Failure, output};
use crate::client::{AuditQuery, Page};
use crate::domain::names::CustomerId;

/// Records that are read in one go.
const AT_ONCE: u32 = 500;

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

/// What of it.
#[derive(Debug, Subcommand)]
enum What {
    /// Show the newest records
    List {
        #[command(flatten)]
        which: Which,
        /// How many at most
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Print all records, the newest first, for keeping them elsewhere
    Export {
        #[command(flatten)]
        which: Which,
        /// As what
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print for each deployment who asked for it, who agreed, whether those were two, and what came of it
    Report {
        #[command(flatten)]
        which: Which,
        /// As what
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Which records.
#[derive(Debug, Args)]
struct Which {
    /// Only about this customer
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only from this time on, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl Which {
    fn query(self) -> AuditQuery {
        AuditQuery { customer: self.customer, since: self.since, until: self.until, cursor: None }
    }
}

/// As what something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// One JSON value a line
    #[default]
    Json,
    /// A table for spreadsheets
    Csv,
}

pub(super) async fn run(common: &Common, options: Options) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    match options.what {
        What::List { which, limit } => list(common, &system, which.query(), limit).await?,
        What::Export { which, format } => export(&system, which.query(), format).await?,
        What::Report { which, format } => report(&system, which.query(), format).await?,
    }
    system.close().await;
    Ok(Exit::Success)
}

async fn list(common: &Common, system: &System, mut wanted: AuditQuery, limit: u32) -> Result<(), Failure> {
    let mut views = Vec::new();
    loop {
        let left = limit.saturating_sub(u32::try_from(views.len()).unwrap_or(u32::MAX));
        let Page { items, next } = system.audit(&wanted, left.min(AT_ONCE)).await?;
        views.extend(items);
        if next.is_none() || views.len() >= limit as usize {
            break;
        }
        wanted.cursor = next;
    }
    output::print(common.output, &views, || {
        if views.is_empty() {
            return "nobody has asked for anything".into();
        }
        let mut table = Grid::new(&["TIME", "VIA", "FROM", "WHAT"]);
        for view in &views {
            table.row([
                Cell::from(view.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
                Cell::from(view.via.as_str()),
                Cell::from(view.address.as_deref().unwrap_or("-")),
                Cell::from(&view.summary),
            ]);
        }
        table.render(Stream::Out.width())
    })
}

async fn export(system: &System, mut wanted: AuditQuery, format: Format) -> Result<(), Failure> {
    let mut lines = Lines::new(format);
    loop {
        let Page { items, next } = system.audit(&wanted, AT_ONCE).await?;
        items.iter().try_for_each(|view| lines.put(view))?;
        if next.is_none() {
            return lines.end();
        }
        wanted.cursor = next;
    }
}

async fn report(system: &System, mut wanted: AuditQuery, format: Format) -> Result<(), Failure> {
    let mut lines = Lines::new(format);
    loop {
        let Page { items, next } = system.audit_report(&wanted, AT_ONCE).await?;
        items.iter().try_for_each(|row| lines.put(row))?;
        if next.is_none() {
            return lines.end();
        }
        wanted.cursor = next;
    }
}

/// Rows on their way out: for spreadsheets the columns are the fields of the JSON values.
enum Lines {
    Json,
    Csv { writer: Box<csv::Writer<std::io::Stdout>>, started: bool },
}

impl Lines {
    fn new(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Csv => {
                Self::Csv { writer: Box::new(csv::Writer::from_writer(std::io::stdout())), started: false }
            }
        }
    }

    fn put(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failure, error);
        match self {
            Self::Json => output::write(&serde_json::to_string(value).map_err(|error| failed(&error))?),
            Self::Csv { writer, started } => {
                let value = serde_json::to_value(value).map_err(|error| failed(&error))?;
                let Value::Object(fields) = value else { return Ok(()) };
                if !std::mem::replace(started, true) {
                    writer.write_record(fields.keys()).map_err(|error| failed(&error))?;
                }
                writer.write_record(fields.values().map(cell)).map_err(|error| failed(&error))
            }
        }
    }

    fn end(self) -> Result<(), Failure> {
        match self {
            Self::Json => Ok(()),
            Self::Csv { mut writer, .. } => Ok(writer.flush()?),
        }
    }
}

/// A value as a cell. Names and reasons come from elsewhere, and a spreadsheet must not take one for a formula.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.iter().all(Value::is_string) => {
            all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (value, expected) in [
            (json!(null), ""),
            (json!("jane"), "jane"),
            (json!("=HYPERLINK(\"http://evil.example\")"), "'=HYPERLINK(\"http://evil.example\")"),
            (json!("@x"), "'@x"),
            (json!(true), "true"),
            (json!(7), "7"),
            (json!(["pause by jane", "abort by joe"]), "pause by jane; abort by joe"),
            (json!({"a": 1}), "{\"a\":1}"),
        ] {
            assert_eq!(cell(&value), expected);
        }
    }
}
