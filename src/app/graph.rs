//! The graph of a customer at a commit: read from its values, also where they are wrong.

use super::App;
use super::customers::{self, Layout};
use super::later::Later;
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::domain::graph::Graph;
use crate::domain::names::{CustomerId, Environment, Revision, SourceName};
use crate::domain::values;
use crate::ports::SourceError;

/// What a customer's values say at a commit.
#[derive(Debug)]
pub struct Read {
    /// The file.
    pub file: String,
    /// The graph; none where the file cannot be understood. One with rings is there all the same.
    pub graph: Option<Graph>,
    /// All that is wrong or doubtful.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the graph of a customer at a commit; none where the source has no such customer then.
///
/// # Errors
/// When the repository does not answer, or has no such commit.
pub async fn read(
    app: &App,
    source: &SourceName,
    customer: &CustomerId,
    environment: &Environment,
    revision: &Revision,
) -> Result<Option<Read>, Later> {
    let Some(target) = app.config.target(source, environment) else { return Ok(None) };
    let layout = Layout::of(&app.config, target);
    let (found, _) = customers::customers(app.values.as_ref(), source, revision, &layout).await?;
    let Some(files) = found.into_iter().find(|files| &files.customer == customer) else { return Ok(None) };
    let limits = app.config.limits.clone();
    let file = files.values;
    let nothing = |code, message: String| {
        let diagnostics = vec![Diagnostic::error(code, Place::file(&file), message)];
        Ok(Some(Read { file: file.clone(), graph: None, diagnostics }))
    };
    let bytes = match app.values.read(source, revision, &file, limits.max_bytes).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return nothing(Code::MissingFile, "it is not a regular file".into()),
        Err(error @ SourceError::TooLarge { .. }) => return nothing(Code::LimitExceeded, error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return nothing(Code::BadYaml, "it is not UTF-8 text".into());
    };
    let expected = customers::expected(customer, environment, target);
    let (catalog, mut diagnostics) = values::read(&file, text, &expected, &limits);
    let graph = catalog.map(|catalog| {
        let (graph, more) = Graph::build(&catalog, app.config.order(), &limits);
        diagnostics.extend(more);
        graph
    });
    Ok(Some(Read { file, graph, diagnostics }))
}
