//! What a command would do, before it is given: the state machine itself is asked, on a copy.

use jiff::Timestamp;
use serde::Serialize;

use super::catalog::Order;
use super::deployment::{Command, Deployment, Effect, Input, ServiceState, State, step};
use super::names::{Revision, Wave};
use super::plan::{Action, Change};

/// What a command would do to a deployment as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Why the command would be refused now; none where it would be taken.
    pub refused: Option<String>,
    /// Where the deployment stands now.
    pub from: &'static str,
    /// Where it would stand.
    pub to: &'static str,
    /// The services that the command would move, in the order of their turns.
    pub services: Vec<Affected>,
}

/// A service that a command would move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// The service, or `base`.
    pub service: String,
    /// Its wave; none for the shared part.
    pub wave: Option<Wave>,
    /// Its turn, from 1: services with the same number go together. None where nothing is done with it.
    pub turn: Option<u32>,
    /// Where it stands now, by the state's word.
    pub from: &'static str,
    /// Where it would stand, by the state's word.
    pub to: &'static str,
    /// The commit that it would be synced to, where it would be.
    pub revision: Option<Revision>,
    /// Why.
    pub cause: String,
}

/// What a command would do at a given time.
pub fn preview(deployment: &Deployment, command: Command, now: Timestamp) -> Preview {
    let before = deployment.state().word();
    if let Err(reason) = deployment.accepts(&command) {
        return Preview { refused: Some(reason), from: before, to: before, services: Vec::new() };
    }
    let mut after = deployment.clone();
    let starts = matches!(command, Command::Approve { .. } | Command::Resume);
    let input = Input::Command { by: String::new(), command };
    let step = step(&mut after, input, now);
    let backward = matches!(after.state(), State::RollingBack { .. });
    let turns = if backward { turns_back(&after) } else { Vec::new() };
    let changes = &deployment.brief.plan.changes;
    let mut services = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let (was, is) = (&deployment.progress.services[at], &after.progress.services[at]);
        let turn = turns.get(at).copied().flatten();
        // What waits goes on once the deployment does, although the step itself only opens the way.
        let to_come = starts && change.action == Action::Sync && matches!(is, ServiceState::Waiting { .. });
        let moved =
            step.transitions.iter().rev().find(|moved| moved.service.as_deref() == Some(change.name()));
        if moved.is_none() && turn.is_none() && !to_come {
            continue;
        }
        let synced = step
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Sync { change, .. } if *change as usize == at));
        let revision = if turn.is_some() {
            change.previous.as_ref().map(|previous| previous.revision.clone())
        } else {
            (synced || to_come).then(|| deployment.brief.plan.revision.clone())
        };
        services.push(Affected {
            service: change.name().to_owned(),
            wave: change.wave,
            turn,
            from: was.word(),
            to: is.word(),
            revision,
            cause: moved.map_or_else(|| "it goes on in its turn".to_owned(), |moved| moved.cause.clone()),
        });
    }
    // Those with a turn first, in its order; then what is left as it is.
    services.sort_by_key(|service| service.turn.unwrap_or(u32::MAX));
    Preview { refused: None, from: before, to: after.state().word(), services }
}

/// What a rollback that was just planned would do once its turn comes and it is agreed to: services in the order of
/// their turns, then those that were asked for and are left as they are, with the reason.
pub fn of_rollback(planned: &Deployment, asked: impl Fn(&Change) -> bool, now: Timestamp) -> Vec<Affected> {
    let mut after = planned.clone();
    after.brief.policy.needs_approval = false;
    let step = step(&mut after, Input::Start, now);
    let turns = turns_back(&after);
    let mut services = Vec::new();
    for (at, change) in planned.brief.plan.changes.iter().enumerate() {
        let turn = turns.get(at).copied().flatten();
        if turn.is_none() && !asked(change) {
            continue;
        }
        let told =
            step.transitions.iter().rev().find(|moved| moved.service.as_deref() == Some(change.name()));
        let cause = match (change.action == Action::Sync, turn, told) {
            (true, None, Some(moved)) => moved.cause.clone(),
            (true, _, _) => "it ran this healthily before".to_owned(),
            (false, _, _) => "nothing else ran healthily before, so it is left as it is".to_owned(),
        };
        let back = turn.and(change.previous.as_ref());
        services.push(Affected {
            service: change.name().to_owned(),
            wave: change.wave,
            turn,
            from: planned.progress.services[at].word(),
            to: after.progress.services[at].word(),
            revision: back.map(|previous| previous.revision.clone()),
            cause,
        });
    }
    services.sort_by_key(|service| service.turn.unwrap_or(u32::MAX));
    services
}

/// The turn of each service that goes back, dependants first: that of the state machine, which starts one as soon as
/// all that wait for it are back, and by waves where those are the order.
fn turns_back(deployment: &Deployment) -> Vec<Option<u32>> {
    let changes = &deployment.brief.plan.changes;
    let states = &deployment.progress.services;
    let mut turns = vec![None; changes.len()];
    // The first turn that each may have: after all of those that wait for it, even over ones that stay.
    let mut earliest = vec![1_u32; changes.len()];
    for (at, change) in changes.iter().enumerate().rev() {
        let goes = matches!(states[at], ServiceState::Retreating(_));
        if goes {
            turns[at] = Some(earliest[at]);
        }
        let next = earliest[at] + u32::from(goes);
        for &required in &change.requires {
            let required = required as usize;
            earliest[required] = earliest[required].max(next);
        }
    }
    if deployment.brief.plan.order == Order::Waves {
        by_waves(deployment, &mut turns);
    }
    turns
}

/// Moves the turns of lower waves behind those of higher ones.
fn by_waves(deployment: &Deployment, turns: &mut [Option<u32>]) {
    let changes = &deployment.brief.plan.changes;
    let mut waves: Vec<Option<Wave>> = changes.iter().map(|change| change.wave).collect();
    waves.sort_unstable();
    waves.dedup();
    let mut done = 0;
    for wave in waves.into_iter().rev() {
        let inside: Vec<usize> = (0..changes.len())
            .filter(|&at| changes[at].wave == wave && turns.get(at).is_some_and(Option::is_some))
            .collect();
        let mut distinct: Vec<u32> = inside.iter().filter_map(|&at| turns[at]).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for at in inside {
            let place = turns[at].and_then(|turn| distinct.iter().position(|&other| other == turn));
            turns[at] = place.map(|place| done + place as u32 + 1);
        }
        done += distinct.len() as u32;
    }
}
