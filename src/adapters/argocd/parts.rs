//! The services of a customer that has one Application: which objects of it are whose, and what it says of each.
//! Pure.
//!
//! Each service is shown as if it had an Application of its own, so that the same decisions hold in either layout.

use std::collections::{BTreeMap, BTreeSet};

use super::facts;
use super::health::Kind;
use super::resource::{self, Object};
use crate::domain::application::{
    Application, Health, HealthStatus, Operation, Phase, Requested, SyncStatus,
};
use crate::domain::names::{AppName, BASE, CustomerId, RequestId};

/// Which objects of a customer are whose, by their names: `<customer>-<service>`, also with more behind it. What is no
/// service's belongs to the part that all share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Division {
    customer: CustomerId,
    services: BTreeSet<String>,
}

impl Division {
    pub(super) fn new(customer: CustomerId, services: impl IntoIterator<Item = String>) -> Self {
        Self { customer, services: services.into_iter().collect() }
    }

    /// The service that an object belongs to, the one with the longest name; `base` where it is none.
    fn owner(&self, object: &str) -> &str {
        let of_customer = object.strip_prefix(self.customer.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let mut name = of_customer.unwrap_or_default();
        loop {
            if let Some(service) = self.services.get(name) {
                return service;
            }
            match name.rsplit_once('-') {
                Some((front, _)) => name = front,
                None => return BASE,
            }
        }
    }

    /// The objects of a service that can be synced. What is not in the commit any more and is no service's is left to
    /// the sync of the whole: it may be that of a service that is to stay.
    pub(super) fn objects<'a>(&self, app: &'a resource::Application, service: &str) -> Vec<&'a Object> {
        let all = app.status.iter().flat_map(|status| status.resources.iter().flatten());
        all.filter(|object| !object.hook && self.owner(&object.name) == service)
            .filter(|object| service != BASE || !object.requires_pruning)
            .collect()
    }
}

/// The last operations that ended, by service. Argo CD keeps only the very last one of an Application.
#[derive(Debug, Default)]
pub(super) struct Ended {
    parts: BTreeMap<String, Operation>,
    /// One that was about all of it: somebody else's, or the sync of the whole.
    whole: Option<Operation>,
}

impl Ended {
    /// Takes in what an Application shows.
    pub(super) fn take(&mut self, app: &resource::Application) {
        let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
        let Some(state) = state else { return };
        let operation = facts::operation(state);
        if !operation.is_finished() {
            return;
        }
        let mut parts = state.operation.parts().peekable();
        if parts.peek().is_none() {
            if self.whole.as_ref() != Some(&operation) {
                self.parts.clear();
                self.whole = Some(operation);
            }
            return;
        }
        for (service, request) in parts {
            let request = request.parse().ok();
            self.parts.insert(service.to_owned(), Operation { request, ..operation.clone() });
        }
    }

    /// A sync that had nothing to do.
    pub(super) fn put(&mut self, service: &str, operation: Operation) {
        self.parts.insert(service.to_owned(), operation);
    }

    fn of(&self, service: &str) -> Option<&Operation> {
        self.parts.get(service).or(self.whole.as_ref())
    }
}

/// What the customer's Application says of one of its services; none where it has no objects.
///
/// Nothing is said of a pin: the Application has one for all, and which commit a service is at is what its last
/// operation and the comparison say.
pub(super) fn facts(
    name: &AppName,
    app: &resource::Application,
    division: &Division,
    service: &str,
    ended: &Ended,
    health: impl Fn(Kind, &str) -> Option<HealthStatus>,
) -> Option<Application> {
    let objects = division.objects(app, service);
    if objects.is_empty() && service != BASE {
        return None;
    }
    let whole = facts::facts(name, app);
    let mut sync = whole.sync;
    if sync.status == SyncStatus::OutOfSync && objects.iter().all(|object| object.status == "Synced") {
        sync.status = SyncStatus::Synced;
    }
    let requested = app.operation.as_ref().and_then(|operation| match of_part(operation, service) {
        Share::Whole => whole.requested.clone(),
        Share::Mine(request) => Some(Requested {
            request,
            revision: whole.requested.as_ref().and_then(|requested| requested.revision.clone()),
        }),
        Share::Others => None,
    });
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let operation = match state.map(|state| (of_part(&state.operation, service), facts::operation(state))) {
        Some((Share::Whole, operation)) => Some(operation),
        Some((Share::Mine(request), operation)) => Some(Operation { request, ..operation }),
        Some((Share::Others, _)) | None => ended.of(service).cloned(),
    };
    let live = objects.iter().filter(|object| !object.requires_pruning).filter_map(|object| {
        let kind = Kind::of(&object.group, &object.kind)?;
        Some(health(kind, &object.name).unwrap_or(HealthStatus::Missing))
    });
    // Other kinds count as healthy once they are there; the verdict on the whole has Argo CD's word on them.
    let status = live.max().unwrap_or(HealthStatus::Healthy);
    Some(Application {
        pinned: None,
        requested,
        operation,
        sync,
        health: Health { status, message: String::new() },
        ..whole
    })
}

/// Whose an operation is, as a service sees it.
enum Share {
    /// It is about all of the Application.
    Whole,
    /// It is about this service.
    Mine(Option<RequestId>),
    /// It is about other services alone.
    Others,
}

fn of_part(operation: &resource::Operation, service: &str) -> Share {
    let mut parts = operation.parts().peekable();
    if parts.peek().is_none() {
        return Share::Whole;
    }
    match parts.find(|(name, _)| *name == service) {
        Some((_, request)) => Share::Mine(request.parse().ok()),
        None => Share::Others,
    }
}

/// A sync of nothing, which is done as soon as it is asked for.
pub(super) fn nothing_to_do(request: &crate::ports::SyncRequest, now: jiff::Timestamp) -> Operation {
    // Whole seconds, as Argo CD has them.
    let now = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    Operation {
        request: Some(request.request.clone()),
        phase: Phase::Succeeded,
        message: String::new(),
        started_at: now,
        finished_at: Some(now),
        revision: Some(request.revision.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn division() -> Division {
        Division::new("acme".parse().unwrap(), ["cart", "cart-redis", "web"].map(str::to_owned))
    }

    #[test]
    fn an_object_belongs_to_the_service_with_the_longest_name_that_it_starts_with() {
        for (object, owner) in [
            ("acme-cart", "cart"),
            ("acme-cart-preview", "cart"),
            ("acme-cart-redis", "cart-redis"),
            ("acme-cart-redis-data", "cart-redis"),
            ("acme-cartography", "base"),
            ("acme-common", "base"),
            ("acme", "base"),
            ("acme-", "base"),
            ("other-cart", "base"),
            ("cart", "base"),
        ] {
            assert_eq!(division().owner(object), owner, "{object}");
        }
    }

    /// An Application with a Deployment of each service and a ConfigMap of all, whose last operation asked for the
    /// given services (`cart=id`), or is somebody else's.
    fn app(operation: &str, phase: &str, out_of_sync: &[&str]) -> resource::Application {
        let object = |group: &str, kind: &str, name: &str| {
            let status = if out_of_sync.contains(&name) { "OutOfSync" } else { "Synced" };
            json!({ "group": group, "kind": kind, "namespace": "n", "name": name, "status": status })
        };
        let info: Vec<_> = operation
            .split_whitespace()
            .filter_map(|part| part.split_once('='))
            .map(|(service, id)| {
                json!({ "name": format!("orchestrator.rtte.com/request-id/{service}"), "value": id })
            })
            .collect();
        let sync = if out_of_sync.is_empty() { "Synced" } else { "OutOfSync" };
        let commit = "a".repeat(40);
        serde_json::from_value(json!({
            "metadata": { "name": "acme-applications", "resourceVersion": "7" },
            "spec": { "source": { "targetRevision": commit } },
            "status": {
                "sync": { "status": sync, "revision": commit },
                "health": { "status": "Progressing" },
                "operationState": {
                    "operation": { "info": info },
                    "phase": phase,
                    "startedAt": "2026-11-01T10:00:00Z",
                    "finishedAt": "2026-11-01T10:00:02Z",
                    "syncResult": { "revision": commit },
                },
                "resources": [
                    object("apps", "Deployment", "acme-cart"),
                    object("apps", "Deployment", "acme-cart-redis"),
                    object("", "ConfigMap", "acme-common"),
                    { "kind": "ConfigMap", "name": "acme-old", "status": "OutOfSync", "requiresPruning": true },
                    { "group": "batch", "kind": "Job", "name": "acme-cart-migrate", "hook": true },
                ],
            },
        }))
        .unwrap()
    }

    fn shown(app: &resource::Application, service: &str, ended: &Ended) -> Option<Application> {
        let name = format!("acme-{service}").parse().unwrap();
        facts(&name, app, &division(), service, ended, |_, name| match name {
            "acme-cart" => Some(HealthStatus::Healthy),
            _ => None,
        })
    }

    #[test]
    fn each_service_is_as_synced_and_as_healthy_as_its_own_objects() {
        let app = app("cart=r-1", "Succeeded", &["acme-cart-redis"]);
        let seen = |service| {
            let shown = shown(&app, service, &Ended::default())?;
            Some((shown.sync.status, shown.health.status))
        };
        assert_eq!(seen("cart"), Some((SyncStatus::Synced, HealthStatus::Healthy)));
        assert_eq!(seen("cart-redis"), Some((SyncStatus::OutOfSync, HealthStatus::Missing)));
        // What is to be pruned and nobody's is not looked at, nor are hooks.
        assert_eq!(seen("base"), Some((SyncStatus::Synced, HealthStatus::Healthy)));
        assert_eq!(seen("web"), None, "it has no objects");
    }

    #[test]
    fn an_operation_is_that_of_the_services_it_names_and_others_keep_their_last() {
        let request = |app: &resource::Application, service: &str, ended: &Ended| {
            let shown = shown(app, service, ended).unwrap();
            let operation = shown.operation.map(|operation| (operation.request, operation.phase));
            operation.map(|(request, phase)| (request.map(|id| id.to_string()), phase))
        };
        let mut ended = Ended::default();
        let first = app("cart=r-1", "Succeeded", &[]);
        ended.take(&first);
        let mine = |id: &str, phase| Some((Some(id.to_owned()), phase));
        assert_eq!(request(&first, "cart", &ended), mine("r-1", Phase::Succeeded));
        assert_eq!(request(&first, "cart-redis", &ended), None);

        let second = app("cart-redis=r-2", "Running", &[]);
        ended.take(&second);
        assert_eq!(request(&second, "cart", &ended), mine("r-1", Phase::Succeeded));
        assert_eq!(request(&second, "cart-redis", &ended), mine("r-2", Phase::Running));

        let foreign = app("", "Succeeded", &[]);
        ended.take(&foreign);
        for service in ["cart", "cart-redis", "base"] {
            assert_eq!(request(&foreign, service, &ended), Some((None, Phase::Succeeded)), "{service}");
        }
        // Also once another one of ours has taken its place.
        let third = app("cart=r-3", "Succeeded", &[]);
        ended.take(&third);
        assert_eq!(request(&third, "cart", &ended), mine("r-3", Phase::Succeeded));
        assert_eq!(request(&third, "cart-redis", &ended), Some((None, Phase::Succeeded)));
    }
}
