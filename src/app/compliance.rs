//! What auditors ask of deployments, from the store.

use crate::domain::audit::AuditRecord;
use crate::domain::compliance::Compliance;
use crate::domain::names::DeploymentId;
use crate::store::{AuditFilter, Store, StoreError};

/// Records that are read in one go.
const AT_ONCE: u32 = 500;

/// What auditors ask of one deployment; none where there is no such one.
///
/// # Errors
/// When the database does not answer.
pub async fn of(store: &Store, id: &DeploymentId) -> Result<Option<Compliance>, StoreError> {
    let Some(deployment) = store.deployment(id).await? else { return Ok(None) };
    Ok(Some(Compliance::of(&deployment, &about(store, id).await?)))
}

/// All records about a deployment.
async fn about(store: &Store, id: &DeploymentId) -> Result<Vec<AuditRecord>, StoreError> {
    let mut filter = AuditFilter { deployment: Some(id.clone()), ..AuditFilter::default() };
    let mut all = Vec::new();
    loop {
        let page = store.audit(&filter, AT_ONCE).await?.value;
        let Some(last) = page.last() else { return Ok(all) };
        filter.before = Some(last.seq);
        all.extend(page);
    }
}
