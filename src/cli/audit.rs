//! `audit`: who asked for which change, and what auditors ask of each deployment.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::{Common, Exit, Failure, output, parts};
use crate::domain::audit::AuditRecord;
use crate::domain::compliance::Compliance;
use crate::domain::names::{CustomerId, DeploymentId};
use crate::store::{AuditFilter, DeploymentFilter, Store};
use crate::view::audit::AuditView;

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
    fn filter(&self) -> AuditFilter {
        AuditFilter {
            customer: self.customer.clone(),
            since: self.since,
            until: self.until,
            ..AuditFilter::default()
        }
    }

    fn covers(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
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
    let store = parts::existing_store(common).await?;
    match options.what {
        What::List { which, limit } => list(common, &store, &which, limit).await?,
        What::Export { which, format } => export(&store, &which, format).await?,
        What::Report { which, format } => report(&store, &which, format).await?,
    }
    store.close().await;
    Ok(Exit::Success)
}

async fn list(common: &Common, store: &Store, which: &Which, limit: u32) -> Result<(), Failure> {
    let records = store.audit(&which.filter(), limit).await?.value;
    let views: Vec<_> = records.into_iter().map(AuditView::of).collect();
    output::print(common.output, &views, || {
        if views.is_empty() {
            return "nobody has asked for anything".into();
        }
        let mut table = Grid::new(&["TIME", "VIA", "FROM", "WHAT"]);
        for view in &views {
            table.row([
                Cell::from(view.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
                Cell::from(view.via),
                Cell::from(view.address.as_deref().unwrap_or("-")),
                Cell::from(&view.summary),
            ]);
        }
        table.render(Stream::Out.width())
    })
}

async fn export(store: &Store, which: &Which, format: Format) -> Result<(), Failure> {
    let mut filter = which.filter();
    let mut lines = Lines::new(format);
    loop {
        let found = store.audit(&filter, AT_ONCE).await?;
        if let Some(broken) = found.broken.first() {
            // Silence would look like there being nothing.
            let message = format!("the record {} cannot be read: {}", broken.id, broken.fault);
            return Err(Failure::new(Exit::Failure, message));
        }
        let last = found.value.last().map(|record| record.seq);
        for view in found.value.into_iter().map(AuditView::of) {
            lines.put(&view)?;
        }
        let Some(last) = last else { break };
        filter.before = Some(last);
    }
    lines.end()
}

async fn report(store: &Store, which: &Which, format: Format) -> Result<(), Failure> {
    let mut filter = DeploymentFilter { customer: which.customer.clone(), ..DeploymentFilter::default() };
    let mut lines = Lines::new(format);
    loop {
        let found = store.deployments(&filter, AT_ONCE).await?;
        let last = found.value.last().map(|summary| summary.id.clone());
        for summary in found.value.iter().filter(|summary| which.covers(summary.created_at)) {
            let Some(deployment) = store.deployment(&summary.id).await? else { continue };
            lines.put(&Compliance::of(&deployment, &about(store, &summary.id).await?))?;
        }
        let Some(last) = last else { break };
        filter.before = Some(last);
    }
    lines.end()
}

/// All records about a deployment.
async fn about(store: &Store, id: &DeploymentId) -> Result<Vec<AuditRecord>, Failure> {
    let mut filter = AuditFilter { deployment: Some(id.clone()), ..AuditFilter::default() };
    let mut all = Vec::new();
    loop {
        let page = store.audit(&filter, AT_ONCE).await?.value;
        let Some(last) = page.last() else { return Ok(all) };
        filter.before = Some(last.seq);
        all.extend(page);
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
