//! Dependencies, as the plan of the latest deployment of a place has them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::deployment::Deployment;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::names::{CustomerId, DeploymentId, Environment, Revision, Wave};
use crate::domain::plan::Change;

/// What one service depends on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dependencies)]
pub struct DependencyView {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The service that waits.
    pub service: String,
    /// Its wave; none for the shared part.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// What must be healthy before it.
    pub depends_on: Vec<String>,
    /// What waits for it.
    pub needed_by: Vec<String>,
}

/// The graph of one place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DependencyGraph)]
pub struct PlaceGraph {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The deployment whose plan it is.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Its commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// All services, in the order of their turns.
    pub services: Vec<Node>,
    /// All dependencies.
    pub edges: Vec<EdgeView>,
}

/// A service of a [`PlaceGraph`].
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GraphService)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its wave; none for the shared part.
    #[schema(value_type = Option<u32>)]
    pub wave: Option<Wave>,
    /// Where it stands, by the state's word.
    pub state: &'static str,
}

/// A dependency of a [`PlaceGraph`].
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GraphEdge)]
pub struct EdgeView {
    /// The service that waits.
    pub service: String,
    /// What must be healthy before it.
    pub depends_on: String,
}

/// Services that depend on each other in a ring, so that the place could not be planned.
#[derive(Debug, Serialize, ToSchema)]
pub struct Circular {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The deployment that was rejected for it.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Its commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// Each ring, edge by edge.
    pub diagnostics: Vec<Diagnostic>,
}

/// Whether what the services of a place depend on is healthy.
#[derive(Debug, Serialize, ToSchema)]
pub struct DependencyHealth {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The deployment that tells.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Whether all of it is.
    pub healthy: bool,
    /// Dependencies that are met.
    pub met: usize,
    /// Those that are not.
    pub unmet: Vec<Unmet>,
}

/// A dependency that is not met.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unmet {
    /// The service that waits.
    pub service: String,
    /// What must be healthy before it.
    pub depends_on: String,
    /// Where that stands, by the state's word.
    pub state: &'static str,
}

/// The dependencies of a change, by name.
fn names<'a>(changes: &'a [Change], change: &'a Change) -> impl Iterator<Item = &'a str> {
    change.requires.iter().filter_map(|&at| changes.get(at as usize)).map(Change::name)
}

/// What each service of a deployment depends on.
pub fn dependencies(deployment: &Deployment) -> Vec<DependencyView> {
    let plan = &deployment.brief.plan;
    let mut needed_by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for change in &plan.changes {
        for name in names(&plan.changes, change) {
            needed_by.entry(name).or_default().push(change.name().to_owned());
        }
    }
    let view = |change: &Change| DependencyView {
        customer: plan.customer.clone(),
        environment: plan.environment.clone(),
        service: change.name().to_owned(),
        wave: change.wave,
        depends_on: names(&plan.changes, change).map(str::to_owned).collect(),
        needed_by: needed_by.remove(change.name()).unwrap_or_default(),
    };
    plan.changes.iter().map(view).collect()
}

impl PlaceGraph {
    /// The graph of a deployment's plan.
    pub fn of(deployment: &Deployment) -> Self {
        let plan = &deployment.brief.plan;
        let edge = |change: &Change, name: &str| EdgeView {
            service: change.name().to_owned(),
            depends_on: name.to_owned(),
        };
        let edges = plan.changes.iter().flat_map(|change| {
            names(&plan.changes, change).map(|name| edge(change, name)).collect::<Vec<_>>()
        });
        let node = |(change, state): (&Change, &crate::domain::deployment::ServiceState)| Node {
            name: change.name().to_owned(),
            wave: change.wave,
            state: state.word(),
        };
        Self {
            customer: plan.customer.clone(),
            environment: plan.environment.clone(),
            deployment: deployment.id().clone(),
            revision: plan.revision.clone(),
            services: deployment.services().map(node).collect(),
            edges: edges.collect(),
        }
    }
}

impl DependencyHealth {
    /// Whether the dependencies of a deployment's services are met.
    pub fn of(deployment: &Deployment) -> Self {
        let plan = &deployment.brief.plan;
        let mut unmet = Vec::new();
        let mut met = 0;
        for change in &plan.changes {
            for &at in &change.requires {
                let found = plan.changes.get(at as usize).zip(deployment.progress.services.get(at as usize));
                let Some((needed, state)) = found else { continue };
                if state.passes() {
                    met += 1;
                } else {
                    unmet.push(Unmet {
                        service: change.name().to_owned(),
                        depends_on: needed.name().to_owned(),
                        state: state.word(),
                    });
                }
            }
        }
        Self {
            customer: plan.customer.clone(),
            environment: plan.environment.clone(),
            deployment: deployment.id().clone(),
            healthy: unmet.is_empty(),
            met,
            unmet,
        }
    }
}
