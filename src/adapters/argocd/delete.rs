//! An Application that is deleted, with its objects.

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};

use super::write::{self, MANAGER};
use super::{ArgoCd, CONFLICTS, Hold, failure};
use crate::domain::removal::{self, Removal};
use crate::ports::ClusterError;

impl ArgoCd {
    /// Deletes the Application of a service that is not wanted any more: it gets Argo CD's finalizer first, so that its
    /// objects go before it does. Does nothing where it is gone or going.
    pub(super) async fn remove(&self, removal: &Removal) -> Result<(), ClusterError> {
        let name = &removal.app;
        match self.settings.hold {
            Hold::Pin | Hold::Disable | Hold::Refuse => {}
            Hold::Observe => {
                return Err(ClusterError::Refused("nothing is written (auto-sync: observe)".into()));
            }
        }
        for _ in 0..CONFLICTS {
            let Some(live) = self.ask(name).await? else { return Ok(()) };
            if live.metadata.deletion_timestamp.is_some() {
                return Ok(());
            }
            let labels = live.metadata.labels.clone().unwrap_or_default();
            if !removal.owns(&labels) {
                let reason = format!(
                    "{name} does not carry the labels of {} of {}: delete it by hand if it is to go",
                    removal.service, removal.customer
                );
                return Err(ClusterError::Refused(reason));
            }
            if let Some(set) = write::owner_set(&live) {
                let found = self.sets.get_opt(set).await.map_err(|error| failure(name, error))?;
                if found.is_some_and(|found| write::may_make(&found.data, name.as_str())) {
                    let reason =
                        format!("the ApplicationSet {set} makes {name} again: take it out of its list first");
                    return Err(ClusterError::Refused(reason));
                }
            }
            let version = live.metadata.resource_version.clone().unwrap_or_default();
            let finalizers = live.metadata.finalizers.clone().unwrap_or_default();
            let written = match removal::finalize(&finalizers, &version) {
                Some(patch) => {
                    let parameters =
                        PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
                    self.applications.patch(name.as_str(), &parameters, &Patch::Merge(&patch)).await.map(drop)
                }
                None => {
                    let preconditions =
                        Preconditions { uid: live.metadata.uid.clone(), resource_version: Some(version) };
                    let parameters =
                        DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                    self.applications.delete(name.as_str(), &parameters).await.map(drop)
                }
            };
            match written {
                // Read once more: first the finalizer is there, then it goes.
                Ok(()) => {}
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {}
                Err(error) => return Err(failure(name, error)),
            }
        }
        Err(ClusterError::Unavailable(format!("{name} changes too fast to be deleted")))
    }
}
