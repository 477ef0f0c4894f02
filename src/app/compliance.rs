//! What auditors ask of deployments, from the store.

use jiff::Timestamp;

use crate::domain::audit::AuditRecord;
use crate::domain::compliance::Compliance;
use crate::domain::names::DeploymentId;
use crate::store::{AuditFilter, Store, StoreError, Summary};

/// Records that are read in one go.
const AT_ONCE: u32 = 500;

/// What auditors ask of those of some deployments that were made from one time on and before another.
///
/// # Errors
/// When the database does not answer.
pub async fn report(
    store: &Store,
    deployments: &[Summary],
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Compliance>, StoreError> {
    let covered =
        |at: Timestamp| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until);
    let mut rows = Vec::new();
    for Summary { id, .. } in deployments.iter().filter(|summary| covered(summary.created_at)) {
        if let Some(deployment) = store.deployment(id).await? {
            rows.push(Compliance::of(&deployment, &about(store, id).await?));
        }
    }
    Ok(rows)
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
