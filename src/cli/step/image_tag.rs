//! `write-image-tag`: the customer's common image tag, written to the branch that is deployed. Only the tag's bytes
//! change.

use crate::adapters::git::FileChange;
use crate::app::customers::{self, Layout};
use crate::cli::{Common, parts};
use crate::config::{Config, Source, Target};
use crate::domain::values::with_image_tag;
use crate::ports::{SourceError, ValuesSource as _};
use crate::step::{Fault, Outcome, Request, StepExit};

/// How often the branch is read again after somebody else pushed.
const ATTEMPTS: usize = 5;

/// The author where none is given.
const AUTHOR: (&str, &str) = ("argocd-orchestrator", "argocd-orchestrator@localhost");

pub(super) async fn run(common: &Common, request: &Request) -> Result<Outcome, Fault> {
    let (Some(customer), Some(tag)) = (&request.customer, &request.image_tag) else {
        return Err(Fault::new(StepExit::Usage, format!("{} needs customer-id and image-tag", request.step)));
    };
    let author = author(request.author.as_deref())?;
    let config = parts::config(common).map_err(Fault::from)?;
    let (source, target) = place(&config, request)?;
    let git = parts::git(&config).map_err(Fault::from)?;
    let layout = Layout::of(&config, target);
    for _ in 0..ATTEMPTS {
        git.fetch(&source.name).await.map_err(unread)?;
        let head = git.head(&source.name, &target.reference).await.map_err(unread)?;
        let missing =
            || Fault::new(StepExit::BadInput, format!("{} is not in {}", target.reference, source.name));
        let head = head.ok_or_else(missing)?;
        let (found, _) = customers::customers(&git, &source.name, &head, &layout).await.map_err(unread)?;
        let Some(files) = found.into_iter().find(|files| &files.customer == customer) else {
            let fault = customers::missing(customer, &head, &layout);
            return Err(Fault::new(StepExit::BadInput, fault.to_string()));
        };
        let text =
            git.read(&source.name, &head, &files.values, config.limits.max_bytes).await.map_err(unread)?;
        let text = text.and_then(|text| String::from_utf8(text).ok()).ok_or_else(|| {
            Fault::new(StepExit::BadInput, format!("{} is no file of UTF-8 text", files.values))
        })?;
        let changed = with_image_tag(&files.values, &text, tag, &config.limits)
            .map_err(|fault| Fault::new(StepExit::BadInput, fault.to_string()))?;
        let Some(changed) = changed else {
            let message = format!("{customer} has the image tag {tag} already, at {}", head.short());
            return Ok(done(message, &head));
        };
        let change = FileChange {
            reference: target.reference.clone(),
            head,
            path: files.values,
            content: changed.into_bytes(),
            message: format!("Set the image tag of {customer} to {tag}"),
            author: author.0.clone(),
            email: author.1.clone(),
        };
        if let Some(commit) = git.commit(&source.name, &change).await.map_err(unread)? {
            let message = format!("{customer} has the image tag {tag} since {}", commit.short());
            return Ok(done(message, &commit));
        }
        tracing::info!("somebody else pushed meanwhile; reading the branch again");
    }
    let message = format!("others pushed to {} {ATTEMPTS} times while the tag was written", target.reference);
    Err(Fault::new(StepExit::Transient, message))
}

fn done(message: String, revision: &crate::domain::names::Revision) -> Outcome {
    let outputs = [("revision", revision.to_string())].into();
    Outcome { exit: StepExit::Done, message, outputs }
}

/// The one target that fits.
fn place<'a>(config: &'a Config, request: &Request) -> Result<(&'a Source, &'a Target), Fault> {
    let all =
        config.sources.iter().flat_map(|source| source.targets.iter().map(move |target| (source, target)));
    let fits = |(source, target): &(&Source, &Target)| {
        request.source.as_ref().is_none_or(|wanted| *wanted == source.name)
            && request.environment.as_ref().is_none_or(|wanted| *wanted == target.environment)
    };
    let mut found: Vec<_> = all.filter(fits).collect();
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => {
            let message =
                "no configured source has such a target (see --config; `sources` and their `targets`)";
            Err(Fault::new(StepExit::BadInput, message))
        }
        _ => {
            let places =
                found.iter().map(|(source, target)| format!("{}/{}", source.name, target.environment));
            let places = places.collect::<Vec<_>>().join(", ");
            let message = format!("more than one place would fit: {places}; give --source and --environment");
            Err(Fault::new(StepExit::Usage, message))
        }
    }
}

/// `Name <mail@example.com>`.
fn author(given: Option<&str>) -> Result<(String, String), Fault> {
    let Some(given) = given else { return Ok((AUTHOR.0.to_owned(), AUTHOR.1.to_owned())) };
    let parts = given.strip_suffix('>').and_then(|rest| rest.split_once('<'));
    let parts = parts.map(|(name, mail)| (name.trim(), mail.trim()));
    let fine = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || "<>".contains(c));
    match parts {
        Some((name, mail)) if fine(name) && fine(mail) && mail.contains('@') => {
            Ok((name.to_owned(), mail.to_owned()))
        }
        Some(_) | None => {
            let message = format!("author: {given:?} is not of the form `Name <mail@example.com>`");
            Err(Fault::new(StepExit::Usage, message))
        }
    }
}

fn unread(error: SourceError) -> Fault {
    let exit = match &error {
        SourceError::Unavailable { .. } => StepExit::Transient,
        SourceError::MissingRevision { .. } | SourceError::TooLarge { .. } => StepExit::BadInput,
        SourceError::Refused(_) => StepExit::Refused,
    };
    Fault::new(exit, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_name_and_an_address() {
        assert_eq!(
            author(Some("CI Bot <ci@example.com>")).unwrap(),
            ("CI Bot".into(), "ci@example.com".into())
        );
        assert_eq!(author(None).unwrap().0, "argocd-orchestrator");
        for wrong in ["ci", "<ci@example.com>", "a <b>", "a <b@c> d", "a\nb <b@c>", "a <<b@c>>"] {
            assert_eq!(author(Some(wrong)).unwrap_err().exit, StepExit::Usage, "{wrong}");
        }
    }
}
