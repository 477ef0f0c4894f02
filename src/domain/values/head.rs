//! Whose values these are and where they go; and the catalogue that is made once all is read.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::domain::catalog::Catalog;
use crate::domain::diagnostic::{Code, quoted};
use crate::domain::names::{CustomerId, Environment, Namespace};
use crate::domain::yaml::Node;

use super::claims;
use super::reading::Reader;
use super::service::Services;
use super::{Expected, Pattern};

/// Where the head's values stand, in whichever way the format says them.
pub(super) struct HeadNodes<'a> {
    /// Where they would belong.
    pub(super) at: &'a Node,
    pub(super) customer: Option<&'a Node>,
    pub(super) environment: Option<&'a Node>,
    pub(super) namespace: Option<&'a Node>,
    pub(super) image_tag: Option<&'a Node>,
}

/// What they say.
pub(super) struct Head {
    customer: Option<CustomerId>,
    environment: Option<Environment>,
    namespace: Option<Namespace>,
    pub(super) image_tag: Option<String>,
}

/// Reads the head and compares it with what the caller expects.
pub(super) fn read<'a>(reader: &mut Reader<'a>, nodes: &HeadNodes<'a>, expected: &Expected) -> Head {
    let customer = customer(reader, nodes, expected).or_else(|| expected.customer.clone());
    let environment = environment(reader, nodes, expected).or_else(|| expected.environment.clone());
    let pattern = match (&customer, &environment) {
        (Some(customer), Some(environment)) => Some(expected.namespace_pattern.filled(customer, environment)),
        (None, _) | (_, None) => None,
    };
    let namespace = namespace(reader, nodes, pattern.as_ref());
    let image_tag = nodes.image_tag.and_then(|node| reader.tag(node, "imageTag"));
    Head { customer, environment, namespace, image_tag }
}

/// The catalogue of all that was read; none where it cannot be told whose it is.
pub(super) fn catalog(
    reader: &mut Reader<'_>,
    head: Head,
    config_maps: BTreeMap<String, String>,
    extra: BTreeMap<String, Json>,
    services: Services,
) -> Option<Catalog> {
    let mut services = services.read;
    let customer = head.customer?;
    claims::fill_keys(&customer, &config_maps, &mut services);
    let catalog = Catalog {
        file: reader.file.to_owned(),
        format: reader.format,
        environment: head.environment?,
        namespace: head.namespace?,
        image_tag: head.image_tag,
        customer,
        config_maps,
        extra,
        services,
    };
    for fault in claims::check(&catalog) {
        reader.report(fault);
    }
    Some(catalog)
}

fn customer<'a>(reader: &mut Reader<'a>, nodes: &HeadNodes<'a>, expected: &Expected) -> Option<CustomerId> {
    let Some(node) = nodes.customer else {
        missing(reader, nodes.at, "customerId", expected.customer.as_ref().map(CustomerId::as_str));
        return None;
    };
    let customer: CustomerId = reader.name(node, "customerId")?;
    if let Some(folder) = expected.customer.as_ref().filter(|folder| **folder != customer) {
        let message =
            format!("the customer is {}, but `{folder}` is expected here", quoted(customer.as_str()));
        let help = format!("write `{folder}`, or move the file to where {customer} belongs");
        reader.error(Code::CustomerMismatch, node, message, help);
    } else if let Some(pattern) = expected.customer_pattern.as_ref().filter(|p| !p.fits(customer.as_str())) {
        let message =
            format!("the customer {} does not fit the pattern `{pattern}`", quoted(customer.as_str()));
        reader.error(Code::CustomerMismatch, node, message, "rename it, or change the configured pattern");
    }
    Some(customer)
}

fn environment<'a>(
    reader: &mut Reader<'a>,
    nodes: &HeadNodes<'a>,
    expected: &Expected,
) -> Option<Environment> {
    let Some(node) = nodes.environment else {
        missing(reader, nodes.at, "environment", expected.environment.as_ref().map(Environment::as_str));
        return None;
    };
    let environment: Environment = reader.name(node, "environment")?;
    if let Some(configured) = expected.environment.as_ref().filter(|configured| **configured != environment) {
        let message = format!(
            "the environment is {}, but `{configured}` is expected here",
            quoted(environment.as_str())
        );
        let help = format!("write `{configured}`, or configure the source for {environment}");
        reader.error(Code::CustomerMismatch, node, message, help);
    }
    Some(environment)
}

fn namespace<'a>(
    reader: &mut Reader<'a>,
    nodes: &HeadNodes<'a>,
    pattern: Option<&Pattern>,
) -> Option<Namespace> {
    let by_pattern = pattern.and_then(Pattern::only).and_then(|text| text.parse::<Namespace>().ok());
    let Some(node) = nodes.namespace else {
        if by_pattern.is_none() && pattern.is_some() {
            missing(reader, nodes.at, "namespace", None);
        }
        return by_pattern;
    };
    let Some(text) = reader.text(node, "namespace") else { return by_pattern };
    let namespace: Namespace = match text.parse::<Namespace>() {
        Ok(namespace) => namespace,
        Err(error) => {
            reader.bad_name(node, &text, error.fault());
            return by_pattern;
        }
    };
    if let Some(pattern) = pattern.filter(|pattern| !pattern.fits(namespace.as_str())) {
        let message = format!("the namespace {} does not fit `{pattern}`", quoted(namespace.as_str()));
        let help = "write a namespace that fits, or change the configured pattern";
        reader.error(Code::CustomerMismatch, node, message, help);
    }
    Some(namespace)
}

fn missing(reader: &mut Reader<'_>, at: &Node, key: &str, example: Option<&str>) {
    let key = reader.spelt(key);
    let help = format!("write `{key}: {}`", example.unwrap_or("..."));
    reader.error(Code::MissingKey, at, format!("`{key}` is missing"), help);
}
