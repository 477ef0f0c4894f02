//! What a request would do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::diagnostic::Diagnostic;
use crate::domain::plan::{Diff, Plan};

/// What a request would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DryRun)]
pub struct DryRunView {
    /// The plan, against what runs now.
    pub plan: Plan,
    /// How it differs from the plan of what was last started there; none where nothing ever was.
    pub diff: Option<Diff>,
    /// Whether there is nothing to do, so that a request would be ignored.
    pub idle: bool,
    /// Whether somebody would have to agree first.
    pub needs_approval: bool,
    /// The customer's common image tag (`global.imageTag`) at the commit; none where its values have none.
    #[serde(default)]
    pub image_tag: Option<String>,
    /// What is doubtful about the values.
    pub warnings: Vec<Diagnostic>,
}
