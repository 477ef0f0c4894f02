//! A values file to a [`Catalog`], with everything that is wrong in it.
//!
//! Two formats are read, told apart by their keys: a Helm chart's values (`global`, `configMaps`,
//! `microservices.<group>.services[]`) and Config as Code (`sync-waves[]`, `applications[]`). Every key may be
//! written in camelCase or in kebab-case. Keys that nobody here reads are kept, with a warning unless the chart
//! is known to read them. Templates are resolved where they are a path into the file itself
//! (`{{ .Values.global.imageTag }}`); any other is a fault.
//!
//! What needs the whole graph (unknown dependencies, cycles, the order of waves) is not looked at here but in
//! [`crate::domain::graph`].
//!
//! Defaults: `enabled` true, `replicas` 1, no dependencies, rolling update, health checks by `GET` expecting 200
//! within 10 s every 30 s, rollback on with 5 versions kept, the namespace by the configured pattern. A key with
//! nothing behind it (`key:`, `~`, `null`) counts as not given, as it does to Helm.

use super::catalog::{Catalog, Format, Limits};
use super::diagnostic::{Code, Diagnostic, Place};
use super::names::{CustomerId, Environment};
use super::yaml;

mod cac;
mod claims;
mod edit;
mod generate;
mod head;
mod helm;
mod image;
mod kinds;
mod pattern;
mod reading;
mod service;
mod shared;
mod template;

pub use claims::colliding;
pub use edit::with_image_tag;
pub use generate::helm_values;
pub use image::is_tag as is_image_tag;
pub use pattern::{Pattern, PatternError};

use reading::Reader;

/// What the caller knows of a file before it is read; all that the file says must fit it.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The customer whose folder the file is in.
    pub customer: Option<CustomerId>,
    /// The environment that the file was configured for.
    pub environment: Option<Environment>,
    /// What ids of customers look like; none allows any.
    pub customer_pattern: Option<Pattern>,
    /// What namespaces look like. Default `{customer}-{environment}`.
    pub namespace_pattern: Pattern,
}

/// Reads a values file of either format.
///
/// Returns what was understood and everything that is wrong, in the order of the file. A catalogue beside an error
/// serves further checks only (a service may lack its image, for instance): nothing may be deployed from it. There
/// is none where the file has neither format or where customer, environment or namespace cannot be told.
pub fn read(
    file: &str,
    text: &str,
    expected: &Expected,
    limits: &Limits,
) -> (Option<Catalog>, Vec<Diagnostic>) {
    let (root, mut diagnostics) = yaml::parse(file, text, limits);
    let Some(root) = root else { return (None, diagnostics) };
    let has = |key: &str| root.get(key).is_some();
    let format = match (has("microservices"), has("applications") || has("sync-waves") || has("syncWaves")) {
        (true, false) => Ok(Format::Helm),
        (false, true) => Ok(Format::Cac),
        (true, true) => Err("both `microservices` and `applications` (or `sync-waves`) stand here"),
        (false, false) => Err("neither `microservices` nor `applications` stands here"),
    };
    let catalog = match format {
        Ok(format) => {
            let mut reader = Reader::new(file, &root, format, limits);
            let catalog = match format {
                Format::Helm => helm::read(&mut reader, expected),
                Format::Cac => cac::read(&mut reader, expected),
            };
            diagnostics.extend(reader.finish());
            catalog
        }
        Err(message) => {
            let help = "write either Helm values (`global`, `configMaps`, `microservices`) or Config as Code \
                        (`customer-id`, `sync-waves`, `applications`)";
            diagnostics
                .push(Diagnostic::error(Code::UnknownFormat, Place::file(file), message).with_help(help));
            None
        }
    };
    diagnostics.sort_by_key(|diagnostic| (diagnostic.place.line, diagnostic.place.column));
    (catalog, diagnostics)
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod image_tests;
#[cfg(test)]
mod tests;
