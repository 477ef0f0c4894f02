//! Lists in pages, and whose rows a caller gets.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Server;
use super::caller::Caller;
use super::problem::Problem;
use crate::domain::access::Role;
use crate::domain::deployment::Deployment;
use crate::domain::names::{CustomerId, Environment};
use crate::store::{Found, PlaceFilter};

/// Rows on a page, where the caller does not say.
const USUAL: u32 = 50;

/// Rows on a page, at most.
const MOST: u32 = 1_000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The rows. A page may have fewer than asked for, and still not be the last.
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; none where this is the last.
    pub(super) next: Option<String>,
}

/// Which customers and environments, page by page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfPlaces {
    /// Only of this customer.
    #[param(value_type = Option<String>)]
    pub(super) customer: Option<CustomerId>,
    /// Only in this environment.
    #[param(value_type = Option<String>)]
    pub(super) environment: Option<Environment>,
    /// Customers and environments on a page; 50 where it is not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// How many rows a page gets.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(USUAL),
        Some(number @ 1..=MOST) => Ok(number),
        Some(_) => Err(Problem::bad_request(format!("`limit` is a number from 1 to {MOST}"))),
    }
}

/// A cursor, understood.
pub(super) fn cursor<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, Problem> {
    let wrong = |_| Problem::bad_request("`cursor` is not the `next` of a page");
    text.map(str::parse).transpose().map_err(wrong)
}

/// The rows that can be read; the others are logged.
pub(super) fn readable<T>(found: Found<T>) -> T {
    for row in &found.broken {
        tracing::error!(id = %row.id, fault = %row.fault, "a stored row cannot be read and is not shown");
    }
    found.value
}

/// The rows of a page that can be read, and the cursor of the next page: `cursor_of` the last of them, where the page is
/// full. Rows that cannot be read count, or a page with one of them would look like the last.
pub(super) fn rows<T>(
    found: Found<Vec<T>>,
    limit: u32,
    cursor_of: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let full = found.value.len() + found.broken.len() >= limit as usize;
    let rows = readable(found);
    let next = rows.last().filter(|_| full).map(cursor_of);
    (rows, next)
}

/// A customer that has to be there, and visible.
pub(super) async fn known(server: &Server, caller: &Caller, customer: &CustomerId) -> Result<(), Problem> {
    caller.need(Role::Viewer, customer, "customer")?;
    if server.app.store.knows(customer).await? { Ok(()) } else { Err(Problem::not_found("customer")) }
}

impl OfPlaces {
    /// What the caller may see of it.
    pub(super) async fn filter(&self, server: &Server, caller: &Caller) -> Result<PlaceFilter, Problem> {
        if let Some(customer) = &self.customer {
            known(server, caller, customer).await?;
        }
        Ok(PlaceFilter {
            customer: self.customer.clone(),
            environment: self.environment.clone(),
            within: caller.visible(),
            after: self.cursor.clone(),
        })
    }

    /// The deployments that tell how the places of a page stand, and the next page's cursor.
    pub(super) async fn standing(
        &self,
        server: &Server,
        caller: &Caller,
    ) -> Result<(Vec<Deployment>, Option<String>), Problem> {
        let limit = limit(self.limit)?;
        let found = server.app.store.standing(&self.filter(server, caller).await?, limit).await?;
        let (deployments, next) =
            rows(found, limit, |last| place(&last.brief.plan.customer, &last.brief.plan.environment));
        Ok((deployments, next))
    }

    /// A page with the rows of each of its places.
    pub(super) async fn page<T>(
        &self,
        server: &Server,
        caller: &Caller,
        rows: impl Fn(&Deployment) -> Vec<T>,
    ) -> Result<Page<T>, Problem> {
        let (deployments, next) = self.standing(server, caller).await?;
        Ok(Page { items: deployments.iter().flat_map(rows).collect(), next })
    }
}

/// The cursor of a page that ends with this place.
pub(super) fn place(customer: &CustomerId, environment: &Environment) -> String {
    format!("{customer}/{environment}")
}
