//! Pushes that nobody told of: the refs of a repository are looked at, and what is missing is asked for as a push.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::App;
use super::later::Later;
use super::receive::new_id;
use crate::config::Source;
use crate::domain::audit::{Origin, Via};
use crate::domain::event::{Kind, Push, Request, Trigger};
use crate::domain::names::Revision;
use crate::domain::refs::{Look, look};

/// Who asks for what was missed.
const WHO: &str = "argocd-orchestrator";

/// Looks at the refs of a repository, and asks for each push that nobody told of. It is the same push as the one that a
/// webhook may still tell of later, so it is worked on once.
///
/// # Errors
/// When the repository or the database does not answer, or another worker took over.
pub async fn look_at(app: &App, source: &Source, epoch: u64, now: Timestamp) -> Result<(), Later> {
    app.values.fetch(&source.name).await?;
    let references: BTreeSet<&str> = source.targets.iter().map(|target| target.reference.as_str()).collect();
    for reference in references {
        // One that is gone deploys nothing.
        let Some(head) = app.values.head(&source.name, reference).await? else { continue };
        let seen = app.store.head(&source.name, reference).await?;
        let request = push(source, reference, seen.clone(), head.clone());
        let told = app.store.last_told(&request).await?;
        let found = look(&head, seen.as_ref(), told.as_ref());
        if found == Look::Missed {
            let before = seen.as_ref().map(Revision::short);
            tracing::warn!(source = %source.name, reference, before, after = head.short(), "a push that nobody told of was found");
            let origin = Origin { actor: WHO.into(), via: Via::Poll, address: None, request: None };
            app.submit(request, new_id(), origin, now).await?;
        }
        // After the event is stored: between the two it would be the same event again.
        if seen.as_ref() != Some(&head) {
            app.store.see_head(&source.name, reference, &head, now, epoch).await?;
        }
    }
    Ok(())
}

fn push(source: &Source, reference: &str, before: Option<Revision>, after: Revision) -> Request {
    Request {
        kind: Kind::Deployment,
        source: source.name.clone(),
        customer: None,
        environment: None,
        service: None,
        wave: None,
        order: None,
        scope: Vec::new(),
        requested_by: WHO.into(),
        trigger: Trigger::Push(Push {
            repository: source.repository.clone(),
            reference: reference.to_owned(),
            before,
            after: Some(after),
            forced: false,
            delivery: None,
            event: None,
        }),
    }
}
