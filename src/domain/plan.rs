//! What one deployment will do, in which order and why: decided once, shown, hashed, approved, then run.

mod diff;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::catalog::{Catalog, HealthCheck, Order, RollbackPolicy, Strategy};
use super::graph::Graph;
use super::impact::{self, Live, Reason};
use super::names::{
    ALL, AppName, BASE, CustomerId, Environment, Fingerprint, NameError, Namespace, Revision, ServiceName,
    SourceName, Wave,
};
use super::removal::Removal;
pub use diff::{Diff, MovedWave};

/// What one deployment will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where to.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The namespace in the cluster.
    #[schema(value_type = String)]
    pub namespace: Namespace,
    /// The configured repository that it comes from.
    #[schema(value_type = String)]
    pub source: SourceName,
    /// The commit that touched services are brought to.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// What it is for.
    pub purpose: Purpose,
    /// In which sense the order is meant.
    #[schema(value_type = String)]
    pub order: Order,
    /// One entry for the shared part and each enabled service, in the order of their turns.
    pub changes: Vec<Change>,
    /// Services that ran here and are not in the catalogue any more. They are left running, unless the policy is to
    /// remove them.
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<ServiceName>,
    /// Those of them that are removed at the end, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>, required = false)]
    pub removals: Vec<Removal>,
    /// Stable over everything above: an approval is bound to it.
    #[schema(value_type = String)]
    pub hash: Fingerprint,
}

/// What a deployment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To bring services to a commit.
    Deploy,
    /// To see, with fresh eyes, whether services are healthy.
    Check,
    /// To take services back to the revision they ran before.
    Rollback,
}

/// What a plan does with one service, or with the shared part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its Application.
    #[schema(value_type = String)]
    pub app: AppName,
    /// Its service; none for the part that all services share.
    #[schema(value_type = Option<String>)]
    pub service: Option<ServiceName>,
    /// Its wave; none for the shared part, which comes before all waves.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// What is done with it.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Its own dependencies, as positions in [`Plan::changes`]; the shared part is one of them.
    pub requires: Vec<u32>,
    /// How long the path behind it is: among those that are ready, the highest goes first.
    pub priority: u64,
    /// What it renders from.
    pub rendering: Rendering,
    /// Where it last ran healthily; what a rollback goes back to.
    pub previous: Option<Baseline>,
    /// When and how far it is rolled back.
    #[schema(value_type = Object)]
    pub rollback: RollbackPolicy,
    /// How its pods are replaced.
    #[serde(default)]
    #[schema(value_type = String)]
    pub strategy: Strategy,
    /// How it is asked whether it is well; none where its values say nothing, or where it has no pod to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub health_check: Option<HealthCheck>,
}

impl Change {
    /// The service's name, or `base` for the shared part.
    pub fn name(&self) -> &str {
        self.service.as_ref().map_or(BASE, ServiceName::as_str)
    }
}

/// What is done with a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// It is synced to the plan's revision.
    Sync,
    /// It is not touched; those that wait for it need to see it healthy.
    Gate,
    /// It is not touched, and nothing waits for it.
    Leave,
    /// It would be synced, but failed with this very content before.
    Hold {
        /// Why it failed then.
        reason: String,
    },
}

impl Action {
    /// Its stable name.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Gate => "gate",
            Self::Leave => "leave",
            Self::Hold { .. } => "hold",
        }
    }
}

/// What a service renders from, part by part: each a hash, so that what changed can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rendering {
    /// The image, as text.
    pub image: String,
    /// Whether the image takes the customer's image tag in.
    pub follows_image_tag: bool,
    /// Hash of its dependencies.
    #[schema(value_type = String)]
    pub dependencies: Fingerprint,
    /// Hash of the rest of its values, and of those parts of `global` that any template may use.
    #[schema(value_type = String)]
    pub config: Fingerprint,
    /// Hash of the chart's files other than the values.
    #[schema(value_type = String)]
    pub chart: Fingerprint,
}

impl Rendering {
    /// One hash over all of it.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&(&self.image, &self.dependencies, &self.config, &self.chart))
    }
}

/// What a service last ran healthily, here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Baseline {
    /// The commit it was synced to.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// What that rendered from.
    pub rendering: Rendering,
    /// When it got its verdict.
    pub healthy_at: Timestamp,
    /// How it is asked whether it is well, at that commit: a way back is gated by what was true there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub health_check: Option<HealthCheck>,
}

/// The SHA-256 of a value's canonical JSON (keys sorted, no white space), in hexadecimal.
pub fn fingerprint(value: &impl Serialize) -> Fingerprint {
    // `Value` keeps its keys sorted, which makes the text canonical. What we hash are our own plain types, and
    // those always serialise.
    let text = serde_json::to_value(value).map(|value| value.to_string()).unwrap_or_default();
    let hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    match hex.parse() {
        Ok(fingerprint) => fingerprint,
        Err(_) => unreachable!("64 hexadecimal digits are a fingerprint"),
    }
}

/// The last healthy state of each service of a customer and environment, the shared part under `base`.
pub type Baselines = BTreeMap<String, Baseline>;

/// What failed before and was not asked for since: the service's name to contents and reasons.
pub type Quarantined = BTreeMap<String, Vec<(Fingerprint, String)>>;

/// All that a plan is made from.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// Whether the customer has one Application for all of its services, which is synced as a whole at the end.
    pub whole: bool,
    /// What the customer wants at the commit.
    pub catalog: &'a Catalog,
    /// Its graph, without cycles.
    pub graph: &'a Graph,
    /// Hash of the chart's files other than the values.
    pub chart: &'a Fingerprint,
    /// What each service last ran healthily; for a rollback, what each is to go back to.
    pub baselines: &'a Baselines,
    /// What the cluster has of each service, by its name, where known.
    pub live: &'a BTreeMap<String, Live>,
    /// What failed before.
    pub quarantined: &'a Quarantined,
    /// The configured repository.
    pub source: &'a SourceName,
    /// The commit.
    pub revision: &'a Revision,
    /// What the plan is for.
    pub purpose: Purpose,
    /// In which sense the order is meant.
    pub order: Order,
    /// What was asked for.
    pub selection: &'a Selection,
    /// How long each service is expected to take, in the graph's order.
    pub durations: &'a [SignedDuration],
}

/// Which services were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only these; none for all.
    pub services: Option<BTreeSet<ServiceName>>,
    /// Only those of this wave.
    pub wave: Option<Wave>,
    /// Also what did not change, and what failed with this very content before.
    pub force: bool,
}

impl Selection {
    fn is_narrow(&self) -> bool {
        self.services.is_some() || self.wave.is_some()
    }

    fn takes(&self, service: &ServiceName, wave: Wave) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
            && self.wave.is_none_or(|wanted| wanted == wave)
    }
}

/// Decides what a deployment will do.
///
/// # Errors
/// When the name of an Application would be longer than Kubernetes allows; reading the catalogue has found
/// that before.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, NameError> {
    let Inputs { catalog, graph, .. } = inputs;
    let turns = turns(graph, inputs.order);
    let mut position = vec![0_u32; graph.len()];
    for (turn, &node) in turns.iter().enumerate() {
        position[node] = turn as u32 + 1;
    }
    let remaining = graph.priorities(inputs.order, inputs.durations);
    let mut changes = vec![base(inputs, remaining.iter().max().copied().unwrap_or(0))?];
    for &node in &turns {
        let Some(service) = catalog.service(graph.name(node)) else { continue };
        let wave = graph.wave(node);
        let rendering = impact::rendering(catalog, service, wave, inputs.chart);
        let previous = inputs.baselines.get(service.name.as_str()).cloned();
        let (action, reasons) = decide(
            inputs,
            service.name.as_str(),
            &rendering,
            previous.as_ref(),
            inputs.selection.takes(&service.name, wave),
        );
        let mut requires: Vec<u32> = graph.dependencies(node).map(|required| position[required]).collect();
        requires.push(0);
        requires.sort_unstable();
        requires.dedup();
        changes.push(Change {
            app: AppName::of_service(&catalog.customer, &service.name)?,
            service: Some(service.name.clone()),
            wave: Some(wave),
            action,
            reasons,
            requires,
            priority: remaining[node],
            rendering,
            previous,
            rollback: service.rollback.clone(),
            strategy: service.strategy,
            health_check: service.health_check.clone().filter(|_| service.replicas > 0),
        });
    }
    if inputs.purpose == Purpose::Deploy {
        gate_what_is_waited_for(&mut changes, inputs.order);
    }
    let known: BTreeSet<&str> = changes.iter().map(Change::name).collect();
    let removed = inputs
        .baselines
        .keys()
        .filter(|name| !known.contains(name.as_str()) && name.as_str() != ALL)
        .filter_map(|name| name.parse().ok())
        .collect();
    let mut plan = Plan {
        customer: catalog.customer.clone(),
        environment: catalog.environment.clone(),
        namespace: catalog.namespace.clone(),
        source: inputs.source.clone(),
        revision: inputs.revision.clone(),
        purpose: inputs.purpose,
        order: inputs.order,
        changes,
        removed,
        removals: Vec::new(),
        hash: fingerprint(&""),
    };
    if inputs.whole {
        whole::add(&mut plan, inputs.baselines, inputs.selection.is_narrow())?;
    }
    let hash = plan.content_hash();
    Ok(Plan { hash, ..plan })
}

/// The order of turns: topological, by waves where waves are the order.
fn turns(graph: &Graph, order: Order) -> Vec<usize> {
    let mut turns = graph.order().to_vec();
    if order == Order::Waves {
        // Stable, so the order of dependencies is kept inside each wave.
        turns.sort_by_key(|&node| graph.wave(node));
    }
    turns
}

fn base(inputs: &Inputs<'_>, priority: u64) -> Result<Change, NameError> {
    let rendering = impact::base_rendering(inputs.catalog, inputs.chart);
    let previous = inputs.baselines.get(BASE).cloned();
    let selected = !inputs.selection.is_narrow();
    let (action, reasons) = decide(inputs, BASE, &rendering, previous.as_ref(), selected);
    // What was never brought must be there before anything else, whatever was asked for.
    let missing = previous.is_none() && inputs.purpose == Purpose::Deploy;
    let (action, reasons) = if missing { (Action::Sync, vec![Reason::New]) } else { (action, reasons) };
    Ok(Change {
        app: AppName::of_base(&inputs.catalog.customer)?,
        service: None,
        wave: None,
        action,
        reasons,
        requires: Vec::new(),
        priority,
        rendering,
        previous,
        rollback: RollbackPolicy::default(),
        strategy: Strategy::default(),
        health_check: None,
    })
}

fn decide(
    inputs: &Inputs<'_>,
    name: &str,
    rendering: &Rendering,
    previous: Option<&Baseline>,
    selected: bool,
) -> (Action, Vec<Reason>) {
    let asked = inputs.selection.force || inputs.selection.is_narrow();
    match inputs.purpose {
        Purpose::Check if selected => (Action::Gate, vec![Reason::Asked]),
        Purpose::Rollback if selected && previous.is_some() => (Action::Sync, vec![Reason::Asked]),
        Purpose::Deploy if selected => {
            let mut reasons = impact::differences(previous, rendering, inputs.live.get(name));
            if reasons.is_empty() && asked {
                reasons.push(Reason::Asked);
            }
            if reasons.is_empty() {
                return (Action::Leave, vec![Reason::Unchanged]);
            }
            let content = rendering.fingerprint();
            let failed =
                inputs.quarantined.get(name).into_iter().flatten().find(|(failed, _)| *failed == content);
            match failed {
                Some((_, reason)) if !asked => (Action::Hold { reason: reason.clone() }, reasons),
                Some(_) | None => (Action::Sync, reasons),
            }
        }
        Purpose::Deploy | Purpose::Check | Purpose::Rollback => (Action::Leave, vec![Reason::Unchanged]),
    }
}

/// Untouched services that something touched waits for are gated. One pass from the end to the start, since
/// each change comes after all that it requires.
fn gate_what_is_waited_for(changes: &mut [Change], order: Order) {
    let last_synced =
        changes.iter().filter(|change| change.action == Action::Sync).filter_map(|c| c.wave).max();
    let mut needed = vec![false; changes.len()];
    for position in (0..changes.len()).rev() {
        let synced = changes[position].action == Action::Sync;
        let in_earlier_wave =
            order == Order::Waves && last_synced.is_some_and(|last| changes[position].wave < Some(last));
        needed[position] |= in_earlier_wave;
        if synced || needed[position] {
            for &required in &changes[position].requires.clone() {
                needed[required as usize] = true;
            }
        }
        if needed[position] && changes[position].action == Action::Leave {
            changes[position].action = Action::Gate;
        }
    }
}

impl Plan {
    /// A hash of what would be done: the same input gives the same hash, whenever it is planned.
    fn content_hash(&self) -> Fingerprint {
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|change| {
                let previous = change.previous.as_ref().map(|previous| &previous.revision);
                let fingerprint = change.rendering.fingerprint();
                (change.name(), change.wave, &change.action, &change.requires, fingerprint, previous)
            })
            .collect();
        let content = (
            (&self.customer, &self.environment, &self.namespace),
            (&self.source, &self.revision, self.purpose, self.order),
            changes,
            &self.removed,
        );
        if self.removals.is_empty() { fingerprint(&content) } else { fingerprint(&(content, &self.removals)) }
    }

    /// The same with services that are removed at the end: another plan, which has to be approved anew.
    #[must_use]
    pub fn with_removals(self, removals: Vec<Removal>) -> Self {
        let plan = Self { removals, ..self };
        let hash = plan.content_hash();
        Self { hash, ..plan }
    }

    /// The changes that are synced.
    pub fn touched(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action == Action::Sync)
    }

    /// How many services there are; the shared part does not count.
    pub fn service_count(&self) -> usize {
        self.changes.iter().filter(|change| change.service.is_some()).count()
    }

    /// How many services are synced; the shared part does not count.
    pub fn touched_count(&self) -> usize {
        self.touched().filter(|change| change.service.is_some()).count()
    }

    /// What each Application has to wait for: its dependencies and, where waves are the order, all that is
    /// touched or gated in earlier waves.
    pub fn requirements(&self) -> BTreeMap<AppName, Vec<AppName>> {
        let awaited = |action: &Action| matches!(action, Action::Sync | Action::Gate);
        self.changes
            .iter()
            .map(|change| {
                let own = change.requires.iter().map(|&required| &self.changes[required as usize]);
                let earlier = self.changes.iter().filter(|other| {
                    self.order == Order::Waves && other.wave < change.wave && awaited(&other.action)
                });
                let mut apps: Vec<AppName> = own.chain(earlier).map(|other| other.app.clone()).collect();
                apps.sort();
                apps.dedup();
                (change.app.clone(), apps)
            })
            .collect()
    }

    /// Whether nothing would be done.
    pub fn is_idle(&self) -> bool {
        self.removals.is_empty() && self.changes.iter().all(|change| change.action == Action::Leave)
    }
}

#[cfg(test)]
mod tests;
