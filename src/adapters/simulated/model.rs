//! Argo CD and the cluster behind it as a pure value: no clock, no waiting, no files.
//!
//! Time comes in with each call, and all that happened since the last one is made up for first, in its order.
//! Hence the law that its tests check: the same script and the same requests at the same times show the same
//! things, however often and whenever somebody looks in between. That makes it the witness of property tests
//! with very many schedules: an event with a look at it takes about 5 us in a test build.
//!
//! Source: Argo CD's controllers as recorded in the contracts, 4.2 to 4.7.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::agenda::{Agenda, Due};
use super::controller::{App, Asked};
use super::log::LogEntry;
use super::script::{Behaviour, Script};
use crate::domain::application::{Application, ApplicationSpec};
use crate::domain::names::{AppName, RequestId, Revision};
use crate::ports::{ClusterError, SyncRequest};

/// A simulated cluster in virtual time.
///
/// `now` never goes backwards: an earlier time than one already seen counts as that one.
#[derive(Debug, Clone)]
pub struct Model {
    script: Script,
    behaviour: Arc<Behaviour>,
    now: Timestamp,
    apps: Vec<App>,
    places: HashMap<AppName, usize>,
    agenda: Agenda,
}

impl Model {
    /// An empty cluster.
    pub fn new(script: Script) -> Self {
        Self {
            behaviour: Arc::new(script.default.clone()),
            now: Timestamp::MIN,
            apps: Vec::new(),
            places: HashMap::new(),
            agenda: Agenda::new(script.speed, script.timestamp_resolution),
            script,
        }
    }

    /// The script it follows.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The latest time it has seen.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Follows another script from now on. What is under way ends as it was going to.
    pub fn follow(&mut self, script: Script, now: Timestamp) {
        self.advance(now);
        self.agenda.pace(script.speed, script.timestamp_resolution);
        self.behaviour = Arc::new(script.default.clone());
        self.script = script;
        for place in 0..self.apps.len() {
            let behaviour = self.behaviour_of(&self.apps[place].spec);
            self.apps[place].follow(behaviour, self.script.seed);
        }
    }

    /// Makes sure that these Applications exist as given.
    pub fn ensure(&mut self, specs: &[ApplicationSpec], now: Timestamp) {
        self.advance(now);
        for spec in specs {
            match self.places.get(&spec.name) {
                Some(&place) => {
                    let app = &mut self.apps[place];
                    if app.spec != *spec {
                        app.respecify(spec.clone(), self.now, &mut self.agenda);
                        let behaviour = self.behaviour_of(spec);
                        self.apps[place].follow(behaviour, self.script.seed);
                    }
                }
                None => {
                    let behaviour = self.behaviour_of(spec);
                    let (place, seed) = (self.apps.len(), self.script.seed);
                    let app = App::new(place, spec.clone(), behaviour, seed, self.now, &mut self.agenda);
                    self.places.insert(spec.name.clone(), place);
                    self.apps.push(app);
                }
            }
        }
    }

    /// Whether [`Model::ensure`] would change anything.
    pub fn would_ensure(&self, specs: &[ApplicationSpec]) -> bool {
        specs.iter().any(|spec| self.find(&spec.name).is_none_or(|app| app.spec != *spec))
    }

    /// One Application as it is shown at a time.
    pub fn application(&mut self, name: &AppName, now: Timestamp) -> Option<Application> {
        self.advance(now);
        self.shown(name).cloned()
    }

    /// One Application as it was shown at the latest time seen, without a copy.
    pub fn shown(&self, name: &AppName) -> Option<&Application> {
        self.find(name).map(|app| &app.shown)
    }

    /// Requests a sync and moves the pin.
    ///
    /// # Errors
    /// As [`crate::ports::Cluster::sync`].
    pub fn sync(&mut self, request: &SyncRequest, now: Timestamp) -> Result<(), ClusterError> {
        if self.would_sync(request, now)? {
            let place = self.place(&request.app)?;
            let asked = Asked {
                request: Some(&request.request),
                revision: &request.revision,
                epoch: Some(request.epoch),
            };
            self.apps[place].request(asked, self.now, &mut self.agenda);
        }
        Ok(())
    }

    /// Whether [`Model::sync`] would request anything: false where the Application carries the request already.
    ///
    /// # Errors
    /// As [`Model::sync`].
    pub fn would_sync(&mut self, request: &SyncRequest, now: Timestamp) -> Result<bool, ClusterError> {
        self.advance(now);
        let app = &self.apps[self.place(&request.app)?].shown;
        if app.carries(&request.request) {
            return Ok(false);
        }
        if app.is_busy() { Err(ClusterError::Busy(request.app.clone())) } else { Ok(true) }
    }

    /// Somebody else starts a sync, without our id and without moving the pin.
    ///
    /// # Errors
    /// When there is no such Application, or another operation is pending or running on it.
    pub fn external_sync(
        &mut self,
        name: &AppName,
        revision: &Revision,
        now: Timestamp,
    ) -> Result<(), ClusterError> {
        self.advance(now);
        let place = self.place(name)?;
        if self.apps[place].shown.is_busy() {
            return Err(ClusterError::Busy(name.clone()));
        }
        self.apps[place].request(Asked { request: None, revision, epoch: None }, self.now, &mut self.agenda);
        Ok(())
    }

    /// Asks for a fresh comparison.
    ///
    /// # Errors
    /// When there is no such Application.
    pub fn refresh(&mut self, name: &AppName, now: Timestamp) -> Result<(), ClusterError> {
        self.advance(now);
        let place = self.place(name)?;
        self.apps[place].refresh(self.now, &mut self.agenda);
        Ok(())
    }

    /// Stops the running operation if it is the given one. As in Argo CD, one that the controller has not picked
    /// up yet cannot be stopped.
    ///
    /// # Errors
    /// When there is no such Application.
    pub fn terminate(
        &mut self,
        name: &AppName,
        request: &RequestId,
        now: Timestamp,
    ) -> Result<(), ClusterError> {
        if self.would_terminate(name, request, now)? {
            let place = self.place(name)?;
            self.apps[place].stop(self.now, &mut self.agenda);
        }
        Ok(())
    }

    /// Whether [`Model::terminate`] would stop anything.
    ///
    /// # Errors
    /// When there is no such Application.
    pub fn would_terminate(
        &mut self,
        name: &AppName,
        request: &RequestId,
        now: Timestamp,
    ) -> Result<bool, ClusterError> {
        self.advance(now);
        Ok(self.apps[self.place(name)?].can_stop(request))
    }

    /// Deletes an Application with all of its objects, at once.
    pub fn delete(&mut self, name: &AppName, now: Timestamp) {
        self.advance(now);
        let Some(place) = self.places.remove(name) else { return };
        // Its place stays, so that those of others do; nothing happens to it any more.
        self.apps[place].delete(&mut self.agenda);
    }

    /// Lets everything happen that happens until then.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(due) = self.agenda.next().filter(|due| due.at <= now) {
            self.agenda.take();
            self.now = self.now.max(due.at);
            if self.apps[due.app].expects(due.event) {
                self.apps[due.app].happen(due.event, due.at, &mut self.agenda);
            }
        }
        self.now = self.now.max(now);
    }

    /// When something may next change by itself: never later than it does, sometimes earlier. None when
    /// nothing is under way.
    pub fn next_change(&mut self) -> Option<Timestamp> {
        loop {
            let Due { at, app, event, .. } = self.agenda.next()?;
            if self.apps[app].expects(event) {
                return Some(at);
            }
            self.agenda.take();
        }
    }

    /// The Applications that were written since this was last asked, each once.
    pub fn take_changed(&mut self) -> Vec<AppName> {
        let places = std::mem::take(&mut self.agenda.changed);
        places
            .into_iter()
            .map(|place| {
                self.apps[place].changed = false;
                self.apps[place].spec.name.clone()
            })
            .collect()
    }

    /// What really happened, in order. At most about a million entries: the oldest go first.
    pub fn log(&self) -> &[LogEntry] {
        &self.agenda.log
    }

    fn find(&self, name: &AppName) -> Option<&App> {
        self.places.get(name).map(|place| &self.apps[*place])
    }

    fn place(&self, name: &AppName) -> Result<usize, ClusterError> {
        self.places.get(name).copied().ok_or_else(|| ClusterError::Missing(name.clone()))
    }

    fn behaviour_of(&self, spec: &ApplicationSpec) -> Arc<Behaviour> {
        if self.script.services.is_empty() {
            Arc::clone(&self.behaviour)
        } else {
            Arc::new(self.script.behaviour(spec))
        }
    }
}
