//! Graphs as pictures, for those who draw them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Cluster;
use crate::config::Config;
use crate::domain::deployment::Deployment;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::drawing::{Picture, Shape};
use crate::domain::graph::GraphView;
use crate::domain::names::{AppName, CustomerId, DeploymentId, Environment, Revision};

/// The graph of a deployment, and where its services are found in Argo CD.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeploymentGraph {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// Where everything goes: `panels` (waves), `services` and `edges`, in pixels, and the `critical_path`.
    #[schema(value_type = Object)]
    pub picture: Picture,
    /// The Applications of its services, in the order of their turns.
    pub applications: Vec<Linked>,
}

/// The Application of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct Linked {
    /// The service, or `base`.
    pub service: String,
    /// Its Application.
    #[schema(value_type = String)]
    pub application: AppName,
    /// Where Argo CD shows it; none where it is not configured where that is.
    pub link: Option<String>,
}

impl DeploymentGraph {
    /// The graph of a deployment; `taken` is the chain that took longest, where that is known by now.
    pub fn of(deployment: &Deployment, taken: Option<Vec<String>>, config: &Config) -> Self {
        let plan = &deployment.brief.plan;
        let picture = Picture::of(&Shape::of_plan(plan));
        let link = |app: &AppName| match &config.cluster {
            Cluster::ArgoCd(settings) => settings.link(&plan.customer, app),
            Cluster::Simulated(_) => None,
        };
        let linked = plan.changes.iter().map(|change| Linked {
            service: change.name().to_owned(),
            application: change.app.clone(),
            link: link(&change.app),
        });
        Self {
            deployment: deployment.id().clone(),
            picture: match taken {
                Some(path) => picture.with_critical_path(path),
                None => picture,
            },
            applications: linked.collect(),
        }
    }
}

/// The graph of a customer at a commit, as its values have it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerGraph {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// For where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// The commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// The file.
    pub file: String,
    /// Where everything goes, in pixels; none where the values cannot be understood at all.
    #[schema(value_type = Option<Object>)]
    pub picture: Option<Picture>,
    /// The graph, each edge with its place in the file, and each ring in `cycles`.
    #[schema(value_type = Option<Object>)]
    pub graph: Option<GraphView>,
    /// All that is wrong or doubtful.
    #[schema(value_type = Vec<Object>)]
    pub diagnostics: Vec<Diagnostic>,
}
