//! How deployments go, live: a bar for each wave on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use console::{Style, Term};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use super::output::stream::Stream;
use super::output::{self, plain};
use super::{Exit, Failure};
use crate::domain::deployment::{Deployment, JournalEntry, ServiceState, State};
use crate::domain::names::{DeploymentId, Wave};
use crate::domain::plan::Action;
use crate::store::Store;

/// The shortest time between two looks.
const LOOK: Duration = Duration::from_millis(40);

/// The longest time between two looks: then another process may have written.
const POLL: Duration = Duration::from_millis(200);

/// More deployments than this get one bar each instead of one for each wave.
const IN_FULL: usize = 2;

/// Waits until something may have changed.
pub(super) async fn pause(store: &Store, changed: &mut watch::Receiver<u64>) -> Result<(), Failure> {
    tokio::time::sleep(LOOK).await;
    // Either the signal or the time: what is read next is what counts.
    let _ = tokio::time::timeout(POLL, changed.changed()).await;
    store.poll().await?;
    Ok(())
}

/// Shows deployments until all of them are over.
pub(super) async fn follow(store: &Store, ids: &[DeploymentId]) -> Result<Exit, Failure> {
    let mut changed = store.changed();
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
            let Some(deployment) = store.deployment(id).await? else {
                return Err(Failure::new(Exit::NotFound, format!("there is no deployment {id}")));
            };
            if views.len() == position {
                views.push(View::new(&stage, &deployment, ids.len() <= IN_FULL));
            }
            let journal = store.journal(id).await?.value;
            views[position].show(&stage, &deployment, &journal);
            open |= !views[position].over;
            failed |= views[position].failed;
        }
        if !open {
            return Ok(if failed { Exit::DeploymentFailed } else { Exit::Success });
        }
        tokio::select! {
            paused = pause(store, &mut changed) => paused?,
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
    fn new(stage: &Stage, deployment: &Deployment, by_wave: bool) -> Self {
        let plan = &deployment.brief.plan;
        let label = format!("{} {}", plan.customer, plan.revision.short());
        stage.line(&format!(
            "{} {label} ({}): {} of {} services touched, order {}",
            output::paint(&Style::new().bold(), "deploying"),
            deployment.id(),
            plan.touched_count(),
            plan.service_count(),
            plan.order,
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

    fn show(&mut self, stage: &Stage, deployment: &Deployment, journal: &[JournalEntry]) {
        for entry in journal.iter().filter(|entry| entry.seq > self.told) {
            self.tell(stage, entry);
        }
        self.told = journal.last().map_or(self.told, |entry| entry.seq);
        for (wave, services) in waves(deployment, self.by_wave) {
            let healthy = services.iter().filter(|state| state.passes()).count();
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
        let state = deployment.state();
        if state.is_finished() {
            self.over = true;
            self.failed = !matches!(state, State::Succeeded { .. } | State::Superseded { .. });
            for bar in self.bars.values() {
                bar.abandon();
            }
            let took = deployment.progress.started_at.zip(state.ended_at());
            let took = took.map_or(String::new(), |(start, end)| {
                format!(" after {}", output::length(end.duration_since(start).as_secs_f64()))
            });
            let reason = state.reason().map(|reason| format!(": {}", plain(&reason))).unwrap_or_default();
            stage.line(&format!("{} {}{took}{reason}", self.label, output::state(state.word())));
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
fn waves(deployment: &Deployment, by_wave: bool) -> BTreeMap<Option<Wave>, Vec<&ServiceState>> {
    let mut waves: BTreeMap<Option<Wave>, Vec<&ServiceState>> = BTreeMap::new();
    for (change, state) in deployment.services() {
        if change.action != Action::Leave {
            waves.entry(change.wave.filter(|_| by_wave)).or_default().push(state);
        }
    }
    waves
}

/// How many are in each state, those that say something.
fn counts(services: &[&ServiceState]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in services.iter().filter(|state| !state.passes()) {
        *counts.entry(state.word()).or_default() += 1;
    }
    let texts: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    texts.join(", ")
}
