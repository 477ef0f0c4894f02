//! What is said of a deployment to those who are told of it.

use jiff::Timestamp;

use super::deployment::{DeploymentView, ServiceView};
use super::story::Story;
use crate::domain::deployment::JournalEntry;
use crate::domain::notification::{Changed, Failure, MOST, Notice, Trigger, WaveNotice, link};
use crate::domain::plan::Action;
use crate::domain::review::WaveReview;

impl Notice {
    /// What is said of a deployment, as it stands and as its journal tells. `base` is the address of the page, for a
    /// link.
    pub fn of_view(
        trigger: Trigger,
        at: Timestamp,
        view: &DeploymentView,
        story: &Story,
        base: Option<&str>,
    ) -> Self {
        let sync = Action::Sync.word();
        let services = || view.services.iter().filter(|service| service.wave.is_some());
        let changed = |service: &ServiceView| Changed {
            service: service.service.clone(),
            reasons: service.reasons.clone(),
        };
        let synced = view.services.iter().filter(|service| service.action == sync);
        let failed = failures(view, &story.journal);
        let rolled_back = &story.review.rollback_order;
        let began = view.started_at.unwrap_or(view.created_at);
        let over = view.ended_at.map(|ended| ended.duration_since(began).as_secs_f64().max(0.0));
        let rollback_failures = services().filter(|service| service.state == "rollback-failed").count();
        // Turned around, and all that was advanced had nothing to go back to.
        let nothing_back = rolled_back.is_empty() && rollback_failures == 0;
        let trigger = if trigger == Trigger::RolledBack && nothing_back { Trigger::Failed } else { trigger };
        let notice = Self {
            state: view.state.clone(),
            deployment: Some(view.id.to_string()),
            deployment_version: story.journal.last().map(|entry| entry.seq).or(Some(0)),
            purpose: Some(view.purpose),
            revision: Some(view.revision.to_string()),
            plan: Some(view.plan.clone()),
            requested_by: Some(view.requested_by.clone()),
            duration_seconds: over,
            services: view.service_count(),
            synced: view.touched_count(),
            healthy: services().filter(|service| service.passes).count(),
            changes: synced.take(MOST).map(changed).collect(),
            waves: waves(view, &story.review.waves),
            rolled_back: rolled_back.iter().take(MOST).cloned().collect(),
            rolled_back_total: rolled_back.len(),
            rollback_failures,
            link: base.map(|base| link(base, view.id.as_str())),
            ..Self::new(trigger, at, view.customer.as_str(), view.environment.as_str())
        };
        notice.because(view.reason.as_deref()).with_failures(failed)
    }

    /// What is said of a deployment that is over, as a client reads it; none where it is not over.
    pub fn of_end(view: &DeploymentView, story: &Story, base: Option<&str>) -> Option<Self> {
        let transitions = story.journal.last().map(|entry| entry.transitions.as_slice()).unwrap_or_default();
        let trigger = Trigger::of(&view.state, transitions).into_iter().find(|trigger| trigger.is_end())?;
        Some(Self::of_view(trigger, view.ended_at?, view, story, base))
    }
}

/// What failed and is not well since, in the order of the services' turns, and why. Where the input was wrong, all that
/// was wrong with it.
fn failures(view: &DeploymentView, journal: &[JournalEntry]) -> Vec<Failure> {
    let wrong = view.diagnostics.iter().map(|wrong| Failure::new("input", None, &wrong.to_string()));
    let failed = view.services.iter().filter_map(|service| {
        let reason = reason(&service.service, journal)?;
        Some(Failure::new(&service.service, service.wave.map(|wave| wave.0), &reason))
    });
    wrong.chain(failed).collect()
}

/// Why a service failed, where it did and was not well again on its way.
fn reason(service: &str, journal: &[JournalEntry]) -> Option<String> {
    let moves = journal.iter().flat_map(|entry| &entry.transitions);
    let mut reason: Option<String> = None;
    for moved in moves.filter(|moved| moved.service.as_deref() == Some(service)) {
        match moved.to.as_str() {
            "failed" | "unhealthy" => reason = Some(moved.cause.clone()),
            "rollback-failed" => {
                let back = format!("it could not be rolled back: {}", moved.cause);
                reason = Some(reason.map_or(back.clone(), |forward| format!("{forward}; {back}")));
            }
            "waiting" | "syncing" | "healthy" | "skipped" => reason = None,
            _ => {}
        }
    }
    reason
}

fn waves(view: &DeploymentView, reviews: &[WaveReview]) -> Vec<WaveNotice> {
    let of_wave = |review: &WaveReview| {
        let wave = review.wave?;
        let inside = || view.services.iter().filter(|service| service.wave == Some(wave));
        Some(WaveNotice {
            wave: wave.0,
            services: inside().count(),
            synced: review.touched,
            healthy: inside().filter(|service| service.passes).count(),
            duration_seconds: review.started_seconds.zip(review.ended_seconds).map(|(from, to)| to - from),
        })
    };
    reviews.iter().filter_map(of_wave).take(MOST).collect()
}
