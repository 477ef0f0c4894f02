//! How deployments go, live: a bar for each wave on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;

use console::{Style, Term};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::stream::Stream;
use super::output::{self, plain};
use super::system::System;
use super::{Exit, Failure};
use crate::domain::deployment::JournalEntry;
use crate::domain::names::{DeploymentId, Wave};
use crate::view::deployment::{DeploymentView, LEAVE, ServiceView};

/// More deployments than this get one bar each instead of one for each wave.
const IN_FULL: usize = 2;

/// Shows deployments until all of them are over.
pub(super) async fn follow(system: &System, ids: &[DeploymentId]) -> Result<Exit, Failure> {
    let mut pulse = system.pulse();
    let mut views: Vec<View> = Vec::new();
    let stage = Stage::new();
    loop {
        let mut open = false;
        let mut failed = false;
        for (position, id) in ids.iter().enumerate() {
            if views.get(position).is_some_and(|view| view.over) {
                failed |= views[position].failed;
                continue;
            }
            let deployment = system.deployment(id).await?;
            if views.len() == position {
                views.push(View::new(&stage, &deployment, ids.len() <= IN_FULL));
            }
            let journal = system.journal(id).await?;
            views[position].show(&stage, &deployment, &journal);
            open |= !views[position].over;
            failed |= views[position].failed;
        }
        if !open {
            return Ok(if failed { Exit::DeploymentFailed } else { Exit::Success });
        }
        tokio::select! {
            woken = pulse.next() => woken?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        }
    }
}

/// Where lines and bars go: standard error, so that results alone are on standard output.
pub(super) struct Stage {
    bars: Option<MultiProgress>,
}

impl Stage {
    fn new() -> Self {
        let terminal = Term::stderr().is_term();
        Self {
            bars: terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15))),
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                // A line above the bars; what cannot be drawn is lost with its terminal.
                let _ = bars.println(text);
            }
            None => eprintln!("{text}"),
        }
    }
}

/// One deployment on the stage.
struct View {
    bars: BTreeMap<Option<Wave>, ProgressBar>,
    by_wave: bool,
    done: BTreeMap<Option<Wave>, bool>,
    told: u64,
    label: String,
    over: bool,
    failed: bool,
}

impl View {
    fn new(stage: &Stage, deployment: &DeploymentView, by_wave: bool) -> Self {
        let label = format!("{} {}", deployment.customer, deployment.revision.short());
        stage.line(&format!(
            "{} {label} ({}): {} of {} services touched, order {}",
            output::paint(&Style::new().bold(), "deploying"),
            deployment.id,
            deployment.touched_count(),
            deployment.service_count(),
            deployment.order,
        ));
        let mut view = Self {
            bars: BTreeMap::new(),
            by_wave,
            done: BTreeMap::new(),
            told: 0,
            label,
            over: false,
            failed: false,
        };
        if let Some(stage) = &stage.bars {
            let style = ProgressStyle::with_template(if Stream::Err.width() < 90 {
                "{prefix:12} {bar:16.green/dim} {pos:>3}/{len:<3} {wide_msg}"
            } else {
                "{prefix:22} {bar:30.green/dim} {pos:>3}/{len:<3} {wide_msg}"
            });
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
            for (wave, services) in waves(deployment, by_wave) {
                let bar = stage.add(ProgressBar::new(services.len() as u64).with_style(style.clone()));
                bar.set_prefix(if by_wave { name(wave) } else { view.label.clone() });
                view.bars.insert(wave, bar);
            }
        }
        view
    }

    fn show(&mut self, stage: &Stage, deployment: &DeploymentView, journal: &[JournalEntry]) {
        for entry in journal.iter().filter(|entry| entry.seq > self.told) {
            self.tell(stage, entry);
        }
        self.told = journal.last().map_or(self.told, |entry| entry.seq);
        for (wave, services) in waves(deployment, self.by_wave) {
            let healthy = services.iter().filter(|service| service.passes).count();
            if let Some(bar) = self.bars.get(&wave) {
                bar.set_position(healthy as u64);
                bar.set_message(counts(&services));
            }
            let done = healthy == services.len();
            if self.done.insert(wave, done) != Some(done) && done && self.by_wave {
                let text = format!("{} {}: {healthy}/{} healthy", self.label, name(wave), services.len());
                if stage.bars.is_none() {
                    stage.line(&text);
                }
            }
        }
        if let Some(end) = deployment.ended_at {
            self.over = true;
            self.failed = !matches!(deployment.state.as_str(), "succeeded" | "superseded");
            for bar in self.bars.values() {
                bar.abandon();
            }
            let took = deployment.started_at.map_or(String::new(), |start| {
                format!(" after {}", output::length(end.duration_since(start).as_secs_f64()))
            });
            let reason =
                deployment.reason.as_ref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
            stage.line(&format!("{} {}{took}{reason}", self.label, output::state(&deployment.state)));
        }
    }

    /// The moves that people want to know of; the others are in the bars.
    fn tell(&self, stage: &Stage, entry: &JournalEntry) {
        for moved in &entry.transitions {
            let told = match (&moved.service, moved.to.as_str()) {
                (None, "running" | "succeeded" | "failed" | "aborted" | "superseded") => false,
                (None, _) => true,
                (
                    Some(_),
                    "retrying" | "failed" | "unhealthy" | "rolled-back" | "rollback-failed" | "kept",
                ) => true,
                (Some(_), _) => false,
            };
            if told && moved.from != moved.to {
                stage.line(&format!(
                    "{} {} {} {}: {}",
                    entry.at.strftime("%H:%M:%S"),
                    self.label,
                    moved.service.as_deref().unwrap_or("deployment"),
                    output::state(&moved.to),
                    plain(&moved.cause),
                ));
            }
        }
    }
}

fn name(wave: Option<Wave>) -> String {
    wave.map_or_else(|| "shared part".to_owned(), |wave| format!("wave {wave}"))
}

/// The services by wave, or all of them as one.
fn waves(deployment: &DeploymentView, by_wave: bool) -> BTreeMap<Option<Wave>, Vec<&ServiceView>> {
    let mut waves: BTreeMap<Option<Wave>, Vec<&ServiceView>> = BTreeMap::new();
    for service in deployment.services.iter().filter(|service| service.action != LEAVE) {
        waves.entry(service.wave.filter(|_| by_wave)).or_default().push(service);
    }
    waves
}

/// How many are in each state, those that say something.
fn counts(services: &[&ServiceView]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for service in services.iter().filter(|service| !service.passes) {
        *counts.entry(&service.state).or_default() += 1;
    }
    let texts: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    texts.join(", ")
}
