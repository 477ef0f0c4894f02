//! A notice for Slack: a message of blocks, within Slack's limits (50 blocks, 3000 characters in a section, 150 in a
//! header, 2000 in a field), and a text that says the same where blocks are not shown.

use serde_json::{Value, json};

use super::{Notice, Template, Trigger, words};

/// Characters in the text of a section.
const SECTION: usize = 3_000;
/// Characters in a header.
const HEADER: usize = 150;
/// Characters in a field.
const FIELD: usize = 2_000;
/// Characters of a list of names or lines, so that a message stays one that people read.
const LIST: usize = 1_500;

/// The message.
pub fn message(notice: &Notice, template: Option<&Template>) -> Value {
    let title = format!("{} {}", sign(notice.trigger), escaped(&words::title(notice)));
    let main =
        template.map_or_else(|| escaped(&words::text(notice)), |template| template.fill(notice, escaped));
    let lists = lists(notice);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": within(&title, HEADER), "emoji": true}}),
        section(&main),
    ];
    let fields = fields(notice);
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    blocks.extend(lists.iter().map(|(name, list)| section(&format!("*{name}*\n{list}"))));
    blocks.push(json!({"type": "context", "elements": [markdown(&footer(notice), FIELD)]}));
    let mut text = format!("{title}\n{main}");
    for (name, list) in &lists {
        text.push_str(&format!("\n*{name}*\n{list}"));
    }
    json!({"text": within(&text, SECTION), "blocks": blocks})
}

/// What people see first.
fn sign(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Started => ":rocket:",
        Trigger::Succeeded => ":white_check_mark:",
        Trigger::Failed | Trigger::Rejected => ":x:",
        Trigger::RolledBack => ":leftwards_arrow_with_hook:",
        Trigger::Aborted | Trigger::Superseded => ":black_square_for_stop:",
        Trigger::AwaitingApproval => ":raised_hand:",
        Trigger::UnhealthyAfter => ":warning:",
    }
}

fn fields(notice: &Notice) -> Vec<Value> {
    let mut fields = Vec::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            fields.push(markdown(&format!("*{name}*\n{}", escaped(value)), FIELD));
        }
    };
    field("Customer", &notice.customer);
    field("Environment", &notice.environment);
    field("Commit", words::short(notice));
    field("Asked for by", notice.requested_by.as_deref().unwrap_or_default());
    if notice.services > 0 {
        field("Healthy", &format!("{} of {}", notice.healthy, notice.services));
    }
    field("Took", &notice.duration_seconds.map(words::length).unwrap_or_default());
    fields
}

/// The lists that have something in them, by their headings.
fn lists(notice: &Notice) -> Vec<(&'static str, String)> {
    let list = |(texts, more): (Vec<String>, usize)| {
        let texts: Vec<String> = texts.iter().map(|line| format!("• {}", escaped(line))).collect();
        words::joined(&texts, more, "\n", LIST)
    };
    let failed = if notice.trigger == Trigger::UnhealthyAfter { "Unhealthy" } else { "Failed" };
    let asks = matches!(notice.trigger, Trigger::AwaitingApproval | Trigger::Started);
    let mut lists = vec![(failed, list(words::failures(notice)))];
    lists.push(("Rolled back", escaped(&words::rolled_back(notice, LIST))));
    if asks {
        lists.push(("Changes", list(words::changes(notice))));
    } else {
        lists.push(("Waves", list(words::waves(notice))));
    }
    lists.retain(|(_, list)| !list.is_empty());
    lists
}

/// Where people see more, which deployment it is, and when it was.
fn footer(notice: &Notice) -> String {
    let about = notice.deployment.as_deref().or(notice.workflow.as_deref()).unwrap_or("argocd-orchestrator");
    let about = match &notice.link {
        // A link ends at these two, escaped or not.
        Some(link) if !link.contains(['|', '>']) => format!("<{}|{}>", escaped(link), escaped(about)),
        Some(_) | None => escaped(about),
    };
    let seconds = notice.at.as_second();
    format!("{about} · <!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{}>", notice.at)
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": markdown(text, SECTION)})
}

fn markdown(text: &str, most: usize) -> Value {
    json!({"type": "mrkdwn", "text": within(text, most)})
}

/// A text that Slack takes for nothing but text: these three are all that have to be escaped.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text in so many characters. Where it is cut, no escape is cut in two.
fn within(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most.saturating_sub(1)).collect();
    if let Some(at) = kept.rfind('&')
        && !kept[at..].contains(';')
    {
        kept.truncate(at);
    }
    kept.push('…');
    kept
}
