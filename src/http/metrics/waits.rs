//! How long services waited, by what they waited for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::deployment::{Blocker, Deployment};
use crate::domain::names::DeploymentId;

/// What one service waits for: its blocker's word, and where that is a verdict, what keeps it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    blocker: &'static str,
    doubt: Option<&'static str>,
}

/// What the services of a deployment wait for.
#[derive(Debug)]
struct Known {
    /// Until when their waiting was counted.
    at: Timestamp,
    services: BTreeMap<String, Waiting>,
}

/// Time waited, in seconds of services, counted deployment by deployment as they move.
#[derive(Debug, Default)]
pub(super) struct Waits {
    deployments: BTreeMap<DeploymentId, Known>,
    counted: BTreeMap<&'static str, f64>,
    /// What was told last: a counter never falls.
    told: BTreeMap<&'static str, f64>,
}

impl Waits {
    /// A deployment moved: until now its services waited for what was known, from now on for what is known now.
    pub(super) fn moved(&mut self, deployment: &Deployment, at: Timestamp) {
        self.count(deployment.id(), at);
        let services: BTreeMap<String, Waiting> = deployment
            .blockers()
            .into_iter()
            .map(|(service, blocker)| {
                let doubt =
                    if let Blocker::Verdict { doubt, .. } = &blocker { Some(doubt.word()) } else { None };
                (service.to_owned(), Waiting { blocker: blocker.word(), doubt })
            })
            .collect();
        if services.is_empty() {
            self.deployments.remove(deployment.id());
        } else {
            self.deployments.insert(deployment.id().clone(), Known { at, services });
        }
    }

    /// What kept a service's verdict open, or where it stood, when that was looked at last.
    pub(super) fn doubt(&self, deployment: &DeploymentId, service: &str) -> Option<&'static str> {
        let waiting = self.deployments.get(deployment)?.services.get(service)?;
        Some(waiting.doubt.unwrap_or(waiting.blocker))
    }

    /// The time waited until now, by blocker.
    pub(super) fn told(&mut self, now: Timestamp) -> BTreeMap<&'static str, f64> {
        let mut open = self.counted.clone();
        for known in self.deployments.values() {
            add(&mut open, known, now);
        }
        for (blocker, seconds) in open {
            let told = self.told.entry(blocker).or_default();
            *told = told.max(seconds);
        }
        self.told.clone()
    }

    fn count(&mut self, deployment: &DeploymentId, until: Timestamp) {
        if let Some(known) = self.deployments.get_mut(deployment) {
            add(&mut self.counted, known, until);
            known.at = known.at.max(until);
        }
    }
}

fn add(counted: &mut BTreeMap<&'static str, f64>, known: &Known, until: Timestamp) {
    let seconds = until.duration_since(known.at).as_secs_f64().max(0.0);
    for waiting in known.services.values() {
        *counted.entry(waiting.blocker).or_default() += seconds;
    }
}
