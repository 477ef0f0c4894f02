//! A notice for a webhook: JSON in the form of Standard Webhooks (`type`, `timestamp`, `data`).

use serde_json::{Value, json};

use super::{Notice, Template, words};

/// The version of the form. It changes where a field goes or changes its meaning.
pub const VERSION: u32 = 1;

/// The body of the request.
pub fn body(notice: &Notice, template: Option<&Template>) -> Value {
    let thing = if notice.workflow.is_some() { "workflow" } else { "deployment" };
    let text = template.map_or_else(|| words::text(notice), |template| template.fill(notice, str::to_owned));
    json!({
        "version": VERSION,
        "type": format!("{thing}.{}", notice.trigger),
        "timestamp": notice.at,
        "title": words::title(notice),
        "text": text,
        "data": notice,
    })
}
