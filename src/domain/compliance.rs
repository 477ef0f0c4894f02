//! What auditors ask of each deployment: who asked for it, who agreed, whether those were two, and what came of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audit::AuditRecord;
use super::deployment::Deployment;

/// One deployment, as an auditor looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compliance {
    /// Which one.
    pub deployment: String,
    /// Whose services.
    pub customer: String,
    /// Where.
    pub environment: String,
    /// The commit.
    pub revision: String,
    /// The hash of its plan.
    pub plan: String,
    /// Who asked for it.
    pub requested_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its plan had to be approved.
    pub needed_approval: bool,
    /// Who agreed to the plan; none where nobody did.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<Timestamp>,
    /// Whether who agreed is somebody else than who asked; none where no approval was needed, or nobody gave one yet.
    pub four_eyes: Option<bool>,
    /// How it stands or ended.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What people did with it on the way, oldest first: `pause by jane`.
    pub interventions: Vec<String>,
}

impl Compliance {
    /// What a deployment and the audit records about it tell. `records` may be in any order, and of others as well.
    pub fn of(deployment: &Deployment, records: &[AuditRecord]) -> Self {
        let (brief, id) = (&deployment.brief, deployment.id());
        let mut own: Vec<_> =
            records.iter().filter(|record| record.deployment.as_ref() == Some(id)).collect();
        own.sort_by_key(|record| record.seq);
        // One that was refused, because its hash was another plan's for instance, left the deployment as it was.
        let counted = |record: &&&AuditRecord| {
            record.action == "approve"
                && record.before.as_deref() == Some("awaiting-approval")
                && record
                    .after
                    .as_deref()
                    .is_some_and(|after| after != "awaiting-approval" && after != UNMOVED)
        };
        let approval = own.iter().find(counted);
        let approved_by = approval.map(|record| record.origin.actor.clone());
        let needed_approval = brief.policy.needs_approval;
        let interventions = own.iter().filter(|record| record.action != "approve");
        Self {
            deployment: id.to_string(),
            customer: brief.plan.customer.to_string(),
            environment: brief.plan.environment.to_string(),
            revision: brief.plan.revision.to_string(),
            plan: brief.plan.hash.to_string(),
            requested_by: brief.requested_by.clone(),
            created_at: brief.created_at,
            needed_approval,
            four_eyes: approved_by.as_ref().filter(|_| needed_approval).map(|by| *by != brief.requested_by),
            approved_at: approval.map(|record| record.at),
            approved_by,
            state: deployment.state().word().to_owned(),
            reason: deployment.state().reason(),
            ended_at: deployment.state().ended_at(),
            interventions: interventions
                .map(|record| format!("{} by {}", record.action, record.origin.actor))
                .collect(),
        }
    }
}

/// What an audit record has for an input that moved nothing.
pub const UNMOVED: &str = "nothing was moved";
