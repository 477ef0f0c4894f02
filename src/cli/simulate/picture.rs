//! Bars over time that fit the terminal.

use std::collections::BTreeMap;

use console::Style;

use super::super::graph::chain;
use super::super::output::grid::{Cell, Grid};
use super::super::output::stream::Stream;
use super::super::output::{length, paint};
use super::super::sources::count;
use super::{Durations, Rehearsal, ServiceRun, Simulation};
use crate::domain::catalog::{ASSUMED_DURATION, Order};
use crate::domain::names::{ServiceName, Wave};

/// A bar is at most this wide.
const WIDEST: usize = 72;
/// Between name and bar, and between bar and times.
const GAP: usize = 2;

pub(super) fn picture(simulation: &Simulation, by_service: bool) -> String {
    let width = Stream::Out.width();
    let durations = match simulation.durations {
        Durations::Assumed => format!("each taken to need {}", length(ASSUMED_DURATION.as_secs_f64())),
        Durations::File => "with the durations given".to_owned(),
        Durations::Random => "with random durations".to_owned(),
    };
    let slots = simulation.slots.map_or_else(|| "any number".to_owned(), |slots| format!("at most {slots}"));
    let title = format!("{} {}", simulation.customer, simulation.environment);
    let mut out = format!(
        "{}: {}, {durations}, {slots} at once\n\n",
        paint(&Style::new().bold(), &title),
        count(simulation.services, "service"),
    );
    let end = simulation.orders.iter().map(|run| run.makespan_seconds).fold(0.0, f64::max);
    for run in &simulation.orders {
        out.push_str(&bars(run, end, by_service, width));
        out.push('\n');
    }
    out.push_str(&summary(&simulation.orders, width));
    if let Some(run) = simulation.orders.first() {
        let names: Vec<&str> = run.critical_path.iter().map(ServiceName::as_str).collect();
        let title = format!("critical path, {}:", count(names.len(), "service"));
        out.push('\n');
        out.push_str(&chain(&title, &names, width));
    }
    out
}

fn bars(run: &Rehearsal, end: f64, by_service: bool, width: usize) -> String {
    let rows = if by_service { service_rows(run) } else { wave_rows(run) };
    let names = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let times = rows.iter().map(|row| row.times.chars().count()).max().unwrap_or(0);
    let space = width.saturating_sub(GAP + names + GAP + GAP + times).clamp(10, WIDEST);
    let bold = Style::new().bold();
    let mut out = format!(
        "{} {}\n",
        paint(&bold, &format!("in the order of {}", run.order)),
        paint(
            &Style::new().dim(),
            match run.order {
                Order::Waves => "(a wave waits for all of the one before it)",
                Order::Dependencies => "(a service waits for its own dependencies only)",
            }
        ),
    );
    let critical = Style::new().yellow();
    for row in rows {
        let bar = bar(&row.runs, end, space);
        let style = if row.is_critical { critical.clone() } else { Style::new().cyan() };
        let pad = " ".repeat(names - row.name.chars().count());
        let gap = " ".repeat(space - bar.chars().count());
        let line = format!("  {}{pad}  {}{gap}  {}", row.name, paint(&style, &bar), row.times);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let axis = format!("0s{:>width$}", length(end), width = space - 2);
    out.push_str(&format!("  {}  {}\n", " ".repeat(names), paint(&Style::new().dim(), &axis)));
    out
}

struct Row {
    name: String,
    times: String,
    runs: Vec<(f64, f64)>,
    is_critical: bool,
}

fn wave_rows(run: &Rehearsal) -> Vec<Row> {
    let mut runs: BTreeMap<Wave, Vec<(f64, f64)>> = BTreeMap::new();
    for service in &run.services {
        runs.entry(service.wave).or_default().push((service.start_seconds, service.end_seconds));
    }
    let row = |wave: &super::WaveRun| Row {
        name: format!("wave {:<2} {:>3} services", wave.wave, wave.services)
            .replace("  1 services", "  1 service "),
        times: format!("{:>6} to {}", length(wave.start_seconds), length(wave.end_seconds)),
        runs: runs.remove(&wave.wave).unwrap_or_default(),
        is_critical: false,
    };
    run.waves.iter().map(row).collect()
}

fn service_rows(run: &Rehearsal) -> Vec<Row> {
    let row = |service: &ServiceRun| Row {
        name: format!("{} {}", service.wave, service.service),
        times: format!("{:>6} to {}", length(service.start_seconds), length(service.end_seconds)),
        runs: vec![(service.start_seconds, service.end_seconds)],
        is_critical: run.critical_path.contains(&service.service),
    };
    run.services.iter().map(row).collect()
}

/// `█` where something runs, `░` between where nothing does. At least one cell, however short.
fn bar(runs: &[(f64, f64)], end: f64, space: usize) -> String {
    let cell = |seconds: f64| if end > 0.0 { (seconds / end * space as f64).round() as usize } else { 0 };
    let mut cells = vec![' '; space];
    let first = runs.iter().map(|&(start, _)| cell(start)).min().unwrap_or(0);
    let last = runs.iter().map(|&(_, end)| cell(end)).max().unwrap_or(0).min(space);
    cells[first.min(last)..last].fill('░');
    for &(start, end) in runs {
        let from = cell(start).min(space - 1);
        let to = cell(end).clamp(from + 1, space);
        cells[from..to].fill('█');
    }
    cells.into_iter().collect::<String>().trim_end().to_owned()
}

fn summary(orders: &[Rehearsal], width: usize) -> String {
    let mut grid = Grid::new(&["order", ">makespan", ">at best", ">times that", ">at once", ""]);
    let fastest = orders.iter().map(|run| run.makespan_seconds).fold(f64::INFINITY, f64::min);
    for run in orders {
        let slower = run.makespan_seconds - fastest;
        let remark = if orders.len() > 1 && slower > 0.0 {
            format!("{} longer", length(slower))
        } else {
            String::new()
        };
        grid.row([
            run.order.into(),
            Cell::new(length(run.makespan_seconds), Style::new().bold()),
            length(run.lower_bound_seconds).into(),
            format!("{:.2}", run.ratio).into(),
            run.most_at_once.into(),
            Cell::new(remark, Style::new().dim()),
        ]);
    }
    grid.render(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_when_something_runs() {
        assert_eq!(bar(&[(0.0, 10.0), (20.0, 40.0)], 40.0, 8), "██░░████");
        assert_eq!(bar(&[(20.0, 30.0)], 40.0, 8), "    ██");
        assert_eq!(bar(&[(39.9, 40.0)], 40.0, 8), "       █");
        assert_eq!(bar(&[(0.0, 0.0)], 0.0, 8), "█");
    }
}
