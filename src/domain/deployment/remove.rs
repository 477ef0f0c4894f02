//! The end of a deployment that succeeded: services that are not wanted any more are removed, one after the other.
//!
//! Each is gone before the next one is asked for, so that nothing loses what it needs. One that does not go keeps
//! those behind it, which it may need, and takes nothing back: the others are healthy without it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Blocker, Deployment, Effect, State, Stepper};
use crate::domain::names::AppName;
use crate::domain::plan::Purpose;
use crate::domain::removal::Removal;

/// Where the removal of one service stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "removal", rename_all = "kebab-case")]
pub enum Removing {
    /// Its Application is being deleted.
    Asked {
        /// Since when.
        since: Timestamp,
        /// When it is not waited for any longer.
        deadline: Timestamp,
    },
    /// It is gone.
    Gone {
        /// When that was seen.
        at: Timestamp,
    },
    /// It is left as it is.
    Left {
        /// When that was decided.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

impl Removing {
    /// Its stable name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Asked { .. } => "removing",
            Self::Gone { .. } => "removed",
            Self::Left { .. } => "not-removed",
        }
    }
}

impl Stepper<'_> {
    /// Goes on with removing, if anything is left of that.
    pub(super) fn is_removing(&mut self) -> bool {
        match self.progress.removals.last() {
            Some(Removing::Asked { .. }) => return true,
            // What comes after it may be needed by it.
            Some(Removing::Left { .. }) => return false,
            Some(Removing::Gone { .. }) | None => {}
        }
        let next = self.progress.removals.len();
        let Some(removal) = self.brief.plan.removals.get(next) else { return false };
        if self.brief.plan.purpose != Purpose::Deploy {
            return false;
        }
        let asked =
            Removing::Asked { since: self.now, deadline: self.after(self.brief.policy.health_timeout) };
        self.tell_removal(removal, "waiting", &asked, "it is not in the values any more");
        self.progress.removals.push(asked);
        self.emit(Effect::Remove { removal: next as u32, app: removal.app.clone() });
        true
    }

    /// Its Application was looked for.
    pub(super) fn observe_removal(&mut self, place: usize, exists: bool) {
        if !exists && self.is_asked(place) {
            self.end_removal(place, Removing::Gone { at: self.now }, "its Application is gone");
            let service = self.brief.plan.removals[place].service.to_string();
            self.emit(Effect::Forget { service });
        }
    }

    /// It will not go, or is not waited for.
    pub(super) fn leave(&mut self, place: usize, reason: &str) {
        if self.is_asked(place) {
            self.end_removal(place, Removing::Left { at: self.now, reason: reason.to_owned() }, reason);
        }
    }

    pub(super) fn expire_removals(&mut self) {
        for place in 0..self.progress.removals.len() {
            if matches!(self.progress.removals[place], Removing::Asked { deadline, .. } if deadline <= self.now)
            {
                self.leave(place, "its Application is not gone in time");
            }
        }
    }

    /// The time that ran out while nobody looked is given again.
    pub(super) fn resume_removals(&mut self) {
        let (now, again) = (self.now, self.after(self.brief.policy.health_timeout));
        for place in 0..self.progress.removals.len() {
            if let Removing::Asked { since, deadline } = self.progress.removals[place]
                && deadline <= now
            {
                let asked = Removing::Asked { since, deadline: again };
                self.end_removal(place, asked, "nobody looked for a while");
            }
        }
    }

    fn is_asked(&self, place: usize) -> bool {
        matches!(self.progress.removals.get(place), Some(Removing::Asked { .. }))
    }

    fn end_removal(&mut self, place: usize, state: Removing, cause: &str) {
        let Some(removal) = self.brief.plan.removals.get(place) else { return };
        let before = self.progress.removals[place].word();
        self.tell_removal(removal, before, &state, cause);
        self.progress.removals[place] = state;
    }

    fn tell_removal(&mut self, removal: &Removal, before: &str, state: &Removing, cause: &str) {
        self.tell(removal.service.as_str(), before, state.word(), cause);
    }
}

impl Deployment {
    /// Services that are removed, in their order, with where each stands; none where its turn has not come.
    pub fn removals(&self) -> impl Iterator<Item = (&Removal, Option<&Removing>)> {
        let states = self.progress.removals.iter().map(Some).chain(std::iter::repeat(None));
        self.brief.plan.removals.iter().zip(states)
    }

    /// The Applications that it is about: those of its changes, then those that are removed. The position in it is
    /// what [`super::Input::Observed`] calls the change.
    pub fn apps(&self) -> impl Iterator<Item = &AppName> {
        let plan = &self.brief.plan;
        let removed = plan.removals.iter().map(|removal| &removal.app);
        plan.changes.iter().map(|change| &change.app).chain(removed)
    }

    /// Whether facts about one of them can move anything now.
    pub fn is_watched(&self, place: u32) -> bool {
        let place = place as usize;
        let removal = || place.checked_sub(self.progress.services.len());
        self.progress.state.is_active()
            && match self.progress.services.get(place) {
                Some(state) => state.is_watched(),
                None => removal().is_some_and(|removal| {
                    matches!(self.progress.removals.get(removal), Some(Removing::Asked { .. }))
                }),
            }
    }

    /// Whether the removal that was decided on is still to be asked for.
    pub(super) fn wants_removal(&self, place: u32) -> bool {
        matches!(self.progress.state, State::Running | State::Paused { .. })
            && matches!(self.progress.removals.get(place as usize), Some(Removing::Asked { .. }))
    }

    /// What removals wait for.
    pub(super) fn removal_blockers(&self) -> impl Iterator<Item = (&str, Blocker)> {
        self.removals().filter_map(|(removal, state)| match state {
            Some(Removing::Asked { since, deadline }) => {
                let blocker = Blocker::Removal { since: *since, until: *deadline };
                Some((removal.service.as_str(), blocker))
            }
            Some(Removing::Gone { .. } | Removing::Left { .. }) | None => None,
        })
    }
}
