//! Everything that several customers are deployed by, in the order in which it is applied.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::customer::Customer;
use super::{Rules, application, namespace, project, set, whole};
use crate::domain::names::{NameError, Revision};

/// How many Applications a customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Layout {
    /// One for each service and one for what they share.
    #[default]
    #[serde(rename = "application-per-service")]
    PerService,
    /// One with all of the customer. Where the orchestrator drives it, it syncs the objects of one service after
    /// another; otherwise Argo CD orders what is in it.
    #[serde(rename = "application-per-customer")]
    PerCustomer,
}

/// Who makes the Applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// Whoever applies what is printed, or the orchestrator.
    #[default]
    Directly,
    /// Argo CD, from ApplicationSets.
    ApplicationSets,
}

/// Why there are no manifests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A name cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two customers, or two environments of one, claim the same object.
    #[error("{kind} {name} would be made twice: {first} and {second} both claim it")]
    Twice {
        /// Of which kind.
        kind: String,
        /// Its name.
        name: String,
        /// The file that came first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A folder is not called as its customer, but the Application would be called after the folder.
    #[error("{path} is not called as its customer, {customer}, but ApplicationSets go by the folder's name")]
    Misnamed {
        /// The folder in the repository.
        path: String,
        /// Whose it is.
        customer: String,
    },
}

/// All objects: customer by customer its namespace, what lies in that, its project and its Applications; the sets of
/// several customers at the end.
///
/// # Errors
/// When a name cannot be used, or stands for two things.
pub fn objects(
    customers: &[Customer<'_>],
    layout: Layout,
    maker: Maker,
    revision: Option<&Revision>,
    rules: &Rules,
) -> Result<Vec<Value>, BundleError> {
    let mut all = Vec::new();
    let mut claimed = Claims::new();
    for customer in customers {
        let (tenant, before) = (&customer.tenant, all.len());
        all.extend(namespace(tenant, rules));
        all.push(project(tenant, rules));
        let repository = tenant.repository.as_str();
        match (maker, layout) {
            (Maker::Directly, Layout::PerService) => {
                let specs = customer.applications()?;
                all.extend(specs.iter().map(|spec| application(spec, repository, revision, rules)));
            }
            (Maker::Directly, Layout::PerCustomer) => {
                all.push(whole(&customer.whole()?, repository, revision, rules));
            }
            (Maker::ApplicationSets, Layout::PerService) => {
                all.push(set::of_services(customer, revision, rules)?);
            }
            (Maker::ApplicationSets, Layout::PerCustomer) => check_folder(customer)?,
        }
        claim(&all[before..], customer, &mut claimed)?;
    }
    if (maker, layout) == (Maker::ApplicationSets, Layout::PerCustomer) {
        all.extend(set::of_customers(customers, revision, rules)?);
    }
    Ok(all)
}

/// Kind, namespace and name to the file of whom they belong to.
type Claims<'a> = BTreeMap<[String; 3], &'a str>;

fn claim<'a>(made: &[Value], customer: &Customer<'a>, claimed: &mut Claims<'a>) -> Result<(), BundleError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let second = customer.catalog.file.as_str();
    for object in made {
        let metadata = &object["metadata"];
        let [kind, namespace, name] = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
        if let Some(first) = claimed.insert([kind.clone(), namespace, name.clone()], second) {
            let (first, second) = (first.to_owned(), second.to_owned());
            return Err(BundleError::Twice { kind, name, first, second });
        }
    }
    Ok(())
}

fn check_folder(customer: &Customer<'_>) -> Result<(), BundleError> {
    let folder = customer.path.rsplit('/').next().unwrap_or_default();
    if customer.is_generated() || folder == customer.tenant.customer.as_str() {
        return Ok(());
    }
    Err(BundleError::Misnamed { path: customer.path.clone(), customer: customer.tenant.customer.to_string() })
}
