//! A notice in words: a title, a text of a few sentences, and lists line by line. Nothing is escaped here.

use super::{Notice, Trigger};
use crate::domain::plan::Purpose;

/// Characters that a list in a text has at most.
pub(super) const PLENTY: usize = 3_000;

/// One line that says what happened, and where.
pub(super) fn title(notice: &Notice) -> String {
    let test = if notice.test { "Test: " } else { "" };
    format!("{test}{} {}: {}", notice.customer, notice.environment, what(notice))
}

fn what(notice: &Notice) -> String {
    let thing = match (notice.workflow.is_some(), notice.purpose) {
        (true, _) => "workflow",
        (false, Some(Purpose::Check)) => "check",
        (false, Some(Purpose::Rollback)) => "rollback",
        (false, Some(Purpose::Deploy) | None) => "deployment",
    };
    match notice.trigger {
        Trigger::Started => format!("{thing} started"),
        Trigger::Succeeded => format!("{thing} succeeded"),
        Trigger::Failed => format!("{thing} failed"),
        Trigger::RolledBack if notice.rollback_failures > 0 => {
            format!("{thing} failed, and not all could be rolled back")
        }
        Trigger::RolledBack => format!("{thing} failed and was rolled back"),
        Trigger::Rejected => format!("{thing} rejected"),
        Trigger::Aborted => format!("{thing} aborted"),
        Trigger::Superseded => format!("{thing} superseded"),
        Trigger::AwaitingApproval => format!("{thing} awaits approval"),
        Trigger::UnhealthyAfter => match notice.failures_total {
            1 => "a service lost its health".to_owned(),
            count => format!("{count} services lost their health"),
        },
    }
}

/// The first digits of the commit.
pub(super) fn short(notice: &Notice) -> &str {
    let revision = notice.revision.as_deref().unwrap_or_default();
    revision.get(..8).unwrap_or(revision)
}

/// A few sentences that say what there is to know at a glance.
pub(super) fn text(notice: &Notice) -> String {
    let mut sentences = vec![who(notice)];
    if notice.services > 0 {
        sentences.push(how_far(notice));
    }
    if let Some(reason) = &notice.reason {
        sentences.push(sentence(reason));
    }
    if notice.trigger == Trigger::AwaitingApproval {
        sentences.push(approval(notice));
    }
    sentences.join(" ")
}

fn who(notice: &Notice) -> String {
    let about = match (&notice.workflow, short(notice)) {
        (Some(workflow), _) => format!("Workflow {workflow}"),
        (None, "") => format!("{} in {}", notice.customer, notice.environment),
        (None, short) => format!("Commit {short}"),
    };
    match &notice.requested_by {
        Some(by) => format!("{about}, asked for by {by}."),
        None => format!("{about}."),
    }
}

fn how_far(notice: &Notice) -> String {
    let (services, synced, healthy) = (notice.services, notice.synced, notice.healthy);
    let plural = if services == 1 { "" } else { "s" };
    let lasted = notice.duration_seconds.map(|seconds| format!(" in {}", length(seconds)));
    match notice.trigger {
        Trigger::Started | Trigger::AwaitingApproval => {
            format!("{synced} of {services} service{plural} to sync.")
        }
        Trigger::Rejected => format!("{services} service{plural}; none was touched."),
        Trigger::Succeeded
        | Trigger::Failed
        | Trigger::RolledBack
        | Trigger::Aborted
        | Trigger::Superseded
        | Trigger::UnhealthyAfter => format!(
            "{synced} of {services} service{plural} to sync, {healthy} healthy{}.",
            lasted.unwrap_or_default()
        ),
    }
}

/// What somebody does to agree, to this plan and no other.
fn approval(notice: &Notice) -> String {
    let plan = notice.plan.as_deref().unwrap_or_default();
    let plan = plan.get(..16).unwrap_or(plan);
    let deployment = notice.deployment.as_deref().unwrap_or_default();
    format!("Agree with: argocd-orchestrator approve {deployment} --plan {plan}")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What is synced and why, a line for each, and how many more there are.
pub(super) fn changes(notice: &Notice) -> (Vec<String>, usize) {
    let line = |changed: &super::Changed| match changed.reasons.as_slice() {
        [] => changed.service.clone(),
        reasons => format!("{}: {}", changed.service, reasons.join("; ")),
    };
    let lines: Vec<_> = notice.changes.iter().map(line).collect();
    let more = notice.synced.saturating_sub(lines.len());
    (lines, more)
}

/// A line for each wave.
pub(super) fn waves(notice: &Notice) -> (Vec<String>, usize) {
    let line = |wave: &super::WaveNotice| {
        let lasted = wave.duration_seconds.map(|seconds| format!(" in {}", length(seconds)));
        format!(
            "wave {}: {} of {} healthy{}",
            wave.wave,
            wave.healthy,
            wave.services,
            lasted.unwrap_or_default()
        )
    };
    (notice.waves.iter().map(line).collect(), 0)
}

/// What failed and why, a line for each, and how many more there are.
pub(super) fn failures(notice: &Notice) -> (Vec<String>, usize) {
    let line = |failure: &super::Failure| match failure.wave {
        Some(wave) => format!("{} (wave {wave}): {}", failure.service, failure.reason),
        None => format!("{}: {}", failure.service, failure.reason),
    };
    let lines: Vec<_> = notice.failures.iter().map(line).collect();
    let more = notice.failures_total.saturating_sub(lines.len());
    (lines, more)
}

/// The names of what was taken back, in so many characters.
pub(super) fn rolled_back(notice: &Notice, most: usize) -> String {
    let more = notice.rolled_back_total.saturating_sub(notice.rolled_back.len());
    joined(&notice.rolled_back, more, ", ", most)
}

/// Lines in so many characters, with how many are left out.
pub(super) fn lines((lines, more): &(Vec<String>, usize), most: usize) -> String {
    joined(lines, *more, "\n", most)
}

/// Texts with something between them, as many as fit into so many characters, and how many more there are.
pub(super) fn joined(texts: &[String], more: usize, between: &str, most: usize) -> String {
    // Room for the words about those that are left out.
    const ROOM: usize = 40;
    let mut text = String::new();
    let mut length = 0;
    for (position, one) in texts.iter().enumerate() {
        let longer = length + one.chars().count() + if position == 0 { 0 } else { between.len() };
        let left = texts.len() - position;
        let last = left == 1 && more == 0;
        if longer + if last { 0 } else { ROOM } > most {
            return with_more(text, left + more, between);
        }
        if position > 0 {
            text.push_str(between);
        }
        text.push_str(one);
        length = longer;
    }
    with_more(text, more, between)
}

fn with_more(text: String, more: usize, between: &str) -> String {
    match more {
        0 => text,
        more if text.is_empty() => format!("{more} more"),
        more => format!("{text}{between}and {more} more"),
    }
}

/// A length of time: `850ms`, `12s`, `3m20s`, `1h05m`.
pub(super) fn length(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0}ms", (seconds * 1000.0).max(0.0));
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3_600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3_600, whole % 3_600 / 60),
    }
}
