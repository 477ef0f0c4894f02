//! Customers and environments at a glance.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::deployment::{Blocked, Tally};
use crate::domain::names::{CustomerId, Environment, Revision};
use crate::store::{Standing, Summary};

/// A customer and environment at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerView {
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where.
    #[schema(value_type = String)]
    pub environment: Environment,
    /// Its newest deployment.
    pub latest: Summary,
    /// How far the services of that are; none where it stands as an older version left it.
    pub progress: Option<Tally>,
    /// What that waits for; none where it is over or waits for nothing.
    pub blocked: Option<Blocked>,
    /// What it was last brought to as a whole; none where nothing ever succeeded.
    pub deployed: Option<Deployed>,
}

/// What a customer and environment was brought to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// The commit.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
}

impl CustomerView {
    /// A place as it is shown.
    pub fn of(Standing { latest, glance, deployed }: Standing) -> Self {
        let (progress, blocked) = glance.map(|glance| (glance.progress, glance.blocked)).unzip();
        Self {
            customer: latest.customer.clone(),
            environment: latest.environment.clone(),
            deployed: deployed.map(|(revision, at)| Deployed { revision, at }),
            latest,
            progress,
            blocked: blocked.flatten(),
        }
    }
}
