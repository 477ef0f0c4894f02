//! Plans for people.

use std::collections::BTreeSet;

use console::Style;

use super::super::graph::chain;
use super::super::output::grid::{Cell, Grid};
use super::super::output::stream::Stream;
use super::super::output::{length, paint};
use super::super::sources::{Against, count};
use super::{NO_COMMIT, Planned};
use crate::domain::catalog::ASSUMED_DURATION;
use crate::domain::names::Wave;
use crate::domain::plan::{Action, Change, Diff, Plan};

/// Differences of one kind that are shown one by one; more are counted.
const SHOWN: usize = 20;

pub(super) fn table(plans: &[Planned], against: Option<&Against>, all: bool) -> String {
    let mut out = String::new();
    for planned in plans {
        out.push_str(&one(planned, against, all));
        out.push('\n');
    }
    if plans.len() > 1 {
        let touched: usize = plans.iter().map(|planned| planned.plan.touched_count()).sum();
        let services: usize = plans.iter().map(|planned| planned.plan.service_count()).sum();
        out.push_str(&format!(
            "{touched} of {services} services of {} customers would be touched\n",
            plans.len()
        ));
    }
    out.trim_end().to_owned()
}

fn one(Planned { plan, diff, predicted }: &Planned, against: Option<&Against>, all: bool) -> String {
    let width = Stream::Out.width();
    let bold = Style::new().bold();
    let from = if plan.revision.as_str() == NO_COMMIT { "uncommitted files" } else { plan.revision.short() };
    let than = against.map(|against| format!(", compared with {}", against.name)).unwrap_or_default();
    let mut out =
        format!("{}: {from}{than}\n\n", paint(&bold, &format!("{} {}", plan.customer, plan.environment)));
    if plan.is_idle() {
        out.push_str("  nothing to do\n\n");
    } else {
        out.push_str(&rows(plan, all).render(width));
        out.push('\n');
    }
    if let Some(diff) = diff {
        // Where all of it is new, the table has said so.
        if plan.changes.len() != diff.added.len() {
            out.push_str(&difference(diff, width));
        }
    }
    let (touched, services) = (plan.touched_count(), plan.service_count());
    let waves = |synced: bool| -> usize {
        let fits = plan.changes.iter().filter(|change| !synced || change.action == Action::Sync);
        fits.filter_map(|change| change.wave).collect::<BTreeSet<Wave>>().len()
    };
    let gated = plan.changes.iter().filter(|change| change.action == Action::Gate).count();
    let left = plan.changes.iter().filter(|change| change.action == Action::Leave).count();
    let mut facts = Grid::new(&["", ""]);
    let mut fact = |name: &str, text: String| facts.row([Cell::new(name, Style::new().dim()), text.into()]);
    let others = [(gated, "only waited for"), (left, "left alone")];
    let others: Vec<String> = others
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    fact(
        "touched",
        format!("{touched} of {services} services, in {} of {} waves{others}", waves(true), waves(false)),
    );
    if !plan.removed.is_empty() {
        let names: Vec<&str> = plan.removed.iter().map(|name| name.as_str()).collect();
        fact(
            "not wanted",
            format!(
                "{}: not in the values any more, so kept, or removed at the end where sync-wave.removed-services is \
                 prune",
                names.join(", ")
            ),
        );
    }
    if let Some(predicted) = predicted.as_ref().filter(|_| touched > 0) {
        let each = length(ASSUMED_DURATION.as_secs_f64());
        fact(
            "predicted",
            format!(
                "{} in the order of {}, if each takes {each}",
                length(predicted.makespan.as_secs_f64()),
                plan.order
            ),
        );
    }
    fact("plan", plan.hash.as_str().chars().take(16).collect());
    out.push_str(&facts.render(width));
    let path = predicted.iter().flat_map(|predicted| &predicted.critical_path);
    let path: Vec<&str> = path.map(String::as_str).collect();
    if path.len() > 1 {
        out.push_str(&chain(&format!("critical path, {}:", count(path.len(), "service")), &path, width));
    }
    out
}

fn rows(plan: &Plan, all: bool) -> Grid {
    let mut grid = Grid::new(&[">turn", ">wave", "service", "action", ">requires", "why"]);
    let dim = Style::new().dim();
    let mut waited: Vec<&Change> = Vec::new();
    let mut last: Option<Option<Wave>> = None;
    for (turn, change) in plan.changes.iter().enumerate() {
        if last != Some(change.wave) {
            gates(&mut grid, &mut waited);
        }
        match &change.action {
            Action::Leave if !all => continue,
            Action::Gate if !all => {
                waited.push(change);
                last = Some(change.wave);
                continue;
            }
            Action::Sync | Action::Gate | Action::Leave | Action::Hold { .. } => {}
        }
        gates(&mut grid, &mut waited);
        let style = match &change.action {
            Action::Sync => Style::new().green().bold(),
            Action::Gate => Style::new().cyan(),
            Action::Leave => dim.clone(),
            Action::Hold { .. } => Style::new().yellow().bold(),
        };
        let wave = change.wave.map_or_else(|| "-".to_owned(), |wave| wave.to_string());
        // The shared part is required by all, and says nothing.
        let requires = change.requires.iter().filter(|&&position| position != 0).count();
        let why: Vec<String> = change.reasons.iter().map(ToString::to_string).collect();
        grid.row([
            Cell::new(turn, dim.clone()),
            wave.into(),
            Cell::new(
                title(change),
                if change.action == Action::Leave { dim.clone() } else { Style::new().bold() },
            ),
            Cell::new(change.action.word(), style),
            if requires == 0 { Cell::new("-", dim.clone()) } else { requires.into() },
            Cell::new(
                why.join(", "),
                if change.action == Action::Leave { dim.clone() } else { Style::new() },
            ),
        ]);
        last = Some(change.wave);
    }
    gates(&mut grid, &mut waited);
    grid
}

/// A change's service, or what all services share.
fn title(change: &Change) -> &str {
    if change.service.is_some() { change.name() } else { "(shared part)" }
}

/// One row for what is only waited for, one after the other in the same wave.
fn gates(grid: &mut Grid, waited: &mut Vec<&Change>) {
    let (Some(first), dim) = (waited.first(), Style::new().dim()) else { return };
    let names: Vec<&str> = waited.iter().map(|change| title(change)).collect();
    let (what, why) = match names.as_slice() {
        [name] => ((*name).to_owned(), "waited for".to_owned()),
        names => (count(names.len(), "service"), format!("waited for: {}", some(names))),
    };
    let wave = first.wave.map_or_else(|| "-".to_owned(), |wave| wave.to_string());
    grid.row([
        "".into(),
        wave.into(),
        Cell::new(what, dim.clone()),
        Cell::new("gate", Style::new().cyan()),
        "".into(),
        Cell::new(why, dim),
    ]);
    waited.clear();
}

/// The first few names.
fn some(names: &[&str]) -> String {
    match names.len() {
        0..=4 => names.join(", "),
        more => format!("{} and {} more", names[..3].join(", "), more - 3),
    }
}

fn difference(diff: &Diff, width: usize) -> String {
    let (green, red, yellow) = (Style::new().green(), Style::new().red(), Style::new().yellow());
    let wave = |wave: &Option<Wave>| wave.map_or_else(|| "none".to_owned(), |wave| wave.to_string());
    let edge = |(from, on): &(String, String)| format!("{from} waits for {on}");
    let kinds: [(&str, &str, Style, Vec<String>); 5] = [
        ("+", "service", green.clone(), diff.added.clone()),
        ("-", "service", red.clone(), diff.removed.clone()),
        (
            "~",
            "wave",
            yellow,
            diff.moved
                .iter()
                .map(|one| format!("{}: {} -> {}", one.service, wave(&one.from), wave(&one.to)))
                .collect(),
        ),
        ("+", "dependency", green, diff.new_edges.iter().map(edge).collect()),
        ("-", "dependency", red, diff.removed_edges.iter().map(edge).collect()),
    ];
    let mut grid = Grid::new(&["", "changed", ""]);
    let mut any = false;
    for (sign, what, style, mut lines) in kinds {
        let more = lines.len().saturating_sub(SHOWN);
        if more > 0 {
            lines.truncate(SHOWN);
            lines.push(format!("... and {more} more"));
        }
        for line in lines {
            any = true;
            grid.row([Cell::new(sign, style.clone()), what.into(), line.into()]);
        }
    }
    if any {
        format!(
            "{}
",
            grid.render(width)
        )
    } else {
        String::new()
    }
}
