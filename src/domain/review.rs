//! How a deployment went, told from its journal: when each service began and became healthy, how long the whole
//! took, and how long it had to take at least.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::catalog::Order;
use super::deployment::{Brief, JournalEntry};
use super::names::Wave;
use super::plan::Action;

/// How a deployment went. Times are seconds from its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// From the start until the end, or until the last entry.
    pub makespan_seconds: f64,
    /// The longest chain of dependencies, each service with the time it really took: no order that keeps the
    /// dependencies can be faster.
    pub critical_path_seconds: f64,
    /// The services of that chain, first to last.
    pub critical_path: Vec<String>,
    /// The waves, lowest first.
    pub waves: Vec<WaveReview>,
    /// The services that were touched or gated, in the plan's order.
    pub services: Vec<ServiceReview>,
    /// The services that were taken back, in the order in which they were back.
    pub rollback_order: Vec<String>,
}

/// How a wave went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaveReview {
    /// Which; none for the shared part.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// Services in it.
    pub services: usize,
    /// Those that were synced.
    pub touched: usize,
    /// Those that got their verdict.
    pub healthy: usize,
    /// When its first service began.
    pub started_seconds: Option<f64>,
    /// When its last service became healthy.
    pub ended_seconds: Option<f64>,
}

/// How a service went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceReview {
    /// Its name, or `base`.
    pub service: String,
    /// Its wave.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// How many syncs were requested on the way forward.
    pub attempts: u32,
    /// When it began.
    pub started_seconds: Option<f64>,
    /// When it first became healthy.
    pub healthy_seconds: Option<f64>,
    /// The last state.
    pub state: String,
}

/// Tells how a deployment went.
pub fn review(brief: &Brief, journal: &[JournalEntry]) -> Review {
    let started = journal
        .iter()
        .find(|entry| entry.transitions.iter().any(|moved| moved.service.is_none() && moved.to == "running"))
        .or(journal.first())
        .map_or(brief.created_at, |entry| entry.at);
    let seconds = |at: Timestamp| at.duration_since(started).as_secs_f64();
    let changes = &brief.plan.changes;
    let mut services: BTreeMap<&str, ServiceReview> = changes
        .iter()
        .map(|change| {
            let service = change.name().to_owned();
            let state = "waiting".to_owned();
            let review = ServiceReview {
                service,
                wave: change.wave,
                attempts: 0,
                started_seconds: None,
                healthy_seconds: None,
                state,
            };
            (change.name(), review)
        })
        .collect();
    let mut rollback_order = Vec::new();
    for entry in journal {
        for moved in &entry.transitions {
            let Some(review) = moved.service.as_deref().and_then(|name| services.get_mut(name)) else {
                continue;
            };
            review.state.clone_from(&moved.to);
            match moved.to.as_str() {
                "syncing" if moved.from != "syncing" => {
                    review.attempts += 1;
                    review.started_seconds.get_or_insert(seconds(entry.at));
                }
                "checking" => {
                    review.started_seconds.get_or_insert(seconds(entry.at));
                }
                "healthy" => {
                    review.healthy_seconds.get_or_insert(seconds(entry.at));
                }
                "rolled-back" => rollback_order.push(review.service.clone()),
                _ => {}
            }
        }
    }
    let services: Vec<ServiceReview> =
        changes.iter().filter_map(|change| services.remove(change.name())).collect();
    let (critical_path_seconds, critical_path) = critical_path(brief, &services);
    Review {
        makespan_seconds: journal.last().map_or(0.0, |entry| seconds(entry.at)),
        critical_path_seconds,
        critical_path,
        waves: waves(brief, &services),
        services: services
            .into_iter()
            .zip(changes)
            .filter(|(_, change)| change.action != Action::Leave)
            .map(|(service, _)| service)
            .collect(),
        rollback_order,
    }
}

/// For each service that waited for others: how long it took from the last verdict that it waited for until it began,
/// in seconds. What began while others under way were as many as allowed waited for them too, which is in it.
pub fn lags(brief: &Brief, review: &Review) -> Vec<f64> {
    let times: BTreeMap<&str, (Option<f64>, Option<f64>)> = review
        .services
        .iter()
        .map(|service| (service.service.as_str(), (service.started_seconds, service.healthy_seconds)))
        .collect();
    let changes = &brief.plan.changes;
    let healthy = |position: usize| {
        let change = changes.get(position)?;
        times.get(change.name()).and_then(|(_, healthy)| *healthy)
    };
    let by_wave = brief.plan.order == Order::Waves;
    let lag = |position: usize| {
        let change = changes.get(position)?;
        let (started, _) = *times.get(change.name())?;
        let required = change.requires.iter().map(|&required| required as usize);
        let earlier = (0..changes.len()).filter(|&other| by_wave && changes[other].wave < change.wave);
        let last = required.chain(earlier).filter_map(healthy).reduce(f64::max)?;
        Some((started? - last).max(0.0))
    };
    (0..changes.len()).filter_map(lag).collect()
}

fn critical_path(brief: &Brief, services: &[ServiceReview]) -> (f64, Vec<String>) {
    let mut longest: Vec<(f64, Option<usize>)> = Vec::with_capacity(services.len());
    for (change, service) in brief.plan.changes.iter().zip(services) {
        let own =
            service.healthy_seconds.zip(service.started_seconds).map_or(0.0, |(end, start)| end - start);
        let before = change
            .requires
            .iter()
            .map(|&required| required as usize)
            .filter(|&required| required < longest.len())
            .max_by(|&a, &b| longest[a].0.total_cmp(&longest[b].0));
        longest.push((own + before.map_or(0.0, |before| longest[before].0), before));
    }
    let Some(last) = (0..longest.len()).max_by(|&a, &b| longest[a].0.total_cmp(&longest[b].0)) else {
        return (0.0, Vec::new());
    };
    let mut path = Vec::new();
    let mut at = Some(last);
    while let Some(position) = at {
        path.push(services[position].service.clone());
        at = longest[position].1;
    }
    path.reverse();
    (longest[last].0, path)
}

fn waves(brief: &Brief, services: &[ServiceReview]) -> Vec<WaveReview> {
    let mut waves: BTreeMap<Option<Wave>, WaveReview> = BTreeMap::new();
    for (change, service) in brief.plan.changes.iter().zip(services) {
        let wave = waves.entry(change.wave).or_insert_with(|| WaveReview {
            wave: change.wave,
            services: 0,
            touched: 0,
            healthy: 0,
            started_seconds: None,
            ended_seconds: None,
        });
        wave.services += 1;
        wave.touched += usize::from(change.action == Action::Sync);
        wave.healthy += usize::from(service.healthy_seconds.is_some());
        let earlier = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::min);
        let later = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
        wave.started_seconds = earlier(wave.started_seconds, service.started_seconds);
        wave.ended_seconds = later(wave.ended_seconds, service.healthy_seconds);
    }
    waves.into_values().collect()
}
