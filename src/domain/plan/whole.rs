//! The last change where a customer has one Application for all of its services: the Application as a whole.
//!
//! Services are brought to a commit by partial syncs, of which Argo CD keeps no history. Once all are healthy, the
//! whole is synced: that has nothing left to do but to be remembered, and its verdict is Argo CD's on everything at
//! once, also on objects that are no service's.

use super::{Action, Baselines, Change, Plan, Purpose, Rendering, fingerprint};
use crate::domain::catalog::{RollbackPolicy, Strategy};
use crate::domain::impact::Reason;
use crate::domain::names::{ALL, AppName, NameError, Wave};

/// Adds the whole at the end of a plan, and lets what was covered by the last whole sync go back to its commit.
///
/// There is no whole sync while a service is held back or was not asked for (`narrow`), or runs on though it is not in
/// the values any more: it would bring the one and remove the other.
///
/// # Errors
/// When the Application's name is too long.
pub(super) fn add(plan: &mut Plan, baselines: &Baselines, narrow: bool) -> Result<(), NameError> {
    let previous = baselines.get(ALL);
    if let Some(whole) = previous {
        for covered in plan.changes.iter_mut().filter_map(|change| change.previous.as_mut()) {
            if covered.healthy_at <= whole.healthy_at {
                covered.revision = whole.revision.clone();
            }
        }
    }
    let synced: Vec<u32> = positions(plan, |action| *action == Action::Sync);
    let held = plan.changes.iter().any(|change| matches!(change.action, Action::Hold { .. }));
    let incomplete = narrow || held || !plan.removed.is_empty();
    if plan.purpose != Purpose::Deploy || synced.is_empty() || incomplete {
        return Ok(());
    }
    let last = plan.changes.iter().filter_map(|change| change.wave).max();
    let change = Change {
        app: AppName::of_all(&plan.customer)?,
        service: Some(ALL.parse()?),
        wave: last.map(|last| Wave(last.0.saturating_add(1))),
        action: Action::Sync,
        reasons: vec![Reason::Whole],
        requires: synced,
        priority: 0,
        rendering: rendering(plan),
        previous: previous.cloned(),
        // Its services go back one by one; that is what takes it back.
        rollback: RollbackPolicy { enabled: false, ..RollbackPolicy::default() },
        strategy: Strategy::default(),
        health_check: None,
    };
    plan.changes.push(change);
    Ok(())
}

/// What the whole renders from: what all of its parts do.
fn rendering(plan: &Plan) -> Rendering {
    let parts = |of: fn(&Rendering) -> String| {
        let all: Vec<(&str, String)> =
            plan.changes.iter().map(|change| (change.name(), of(&change.rendering))).collect();
        fingerprint(&all)
    };
    Rendering {
        image: String::new(),
        follows_image_tag: false,
        dependencies: parts(|part| part.dependencies.to_string()),
        config: parts(|part| part.fingerprint().to_string()),
        chart: parts(|part| part.chart.to_string()),
    }
}

fn positions(plan: &Plan, wanted: impl Fn(&Action) -> bool) -> Vec<u32> {
    let places = plan.changes.iter().zip(0..);
    places.filter(|(change, _)| wanted(&change.action)).map(|(_, place)| place).collect()
}
