//! What both formats have beside services: shared configMaps, groups, and keys that only the chart reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::domain::diagnostic::{Code, Diagnostic, Place, quoted};
use crate::domain::yaml::{Node, Value};

use super::kinds::OBJECT_NAME;
use super::reading::{Fields, Reader};

/// Keys at the top that the chart reads and we do not.
pub(super) const CHART_KEYS: &[&str] = &[
    "configData",
    "ownImagePrefixes",
    "overrides",
    "render",
    "canary",
    "blueGreen",
    "podSecurityContext",
    "securityContext",
    "imagePullSecrets",
    "nameOverride",
    "fullnameOverride",
    "serviceAccount",
    "nodeSelector",
    "tolerations",
    "affinity",
    "labels",
    "annotations",
    "base",
];

/// Keys under `global` that are usual in charts.
pub(super) const GLOBAL_KEYS: &[&str] =
    &["registry", "imageRegistry", "imagePullSecrets", "storageClass", "domain", "region", "analysis"];

/// The shared configMaps, as a mapping `name: object` or a list of `{name, key}`.
pub(super) fn config_maps<'a>(reader: &mut Reader<'a>, node: &'a Node) -> BTreeMap<String, String> {
    let mut maps = BTreeMap::new();
    for (name, object, place) in named(reader, node, "configMaps") {
        let object = if object.is_empty() { name.clone() } else { object };
        if maps.insert(name.clone(), object).is_some() {
            let message = format!("the configMap {} stands twice", quoted(&name));
            let fault = Diagnostic::error(Code::DuplicateKey, place, message);
            reader.report(fault.with_help("remove one of them"));
        }
    }
    maps
}

/// Pairs of names, from a mapping `name: key`, or a list of `{name, key}` or of names alone (the key is then
/// empty). Both are checked to be names of objects.
pub(super) fn named<'a>(reader: &mut Reader<'a>, node: &'a Node, key: &str) -> Vec<(String, String, Place)> {
    let mut pairs = Vec::new();
    match &node.value {
        Value::Map(entries) => {
            for entry in entries.iter().filter(|entry| !entry.node.is_null()) {
                let object = reader.checked(&entry.node, &entry.key, &OBJECT_NAME);
                if let Some(object) = object
                    && reader.fits(&entry.node, key, &entry.key, &OBJECT_NAME)
                {
                    pairs.push((entry.key.to_string(), object, entry.place(reader.file)));
                }
            }
        }
        Value::List(items) => {
            for item in items.iter() {
                let place = item.place(reader.file);
                if let Value::Scalar(_) = &item.value {
                    pairs.extend(
                        reader.checked(item, key, &OBJECT_NAME).map(|name| (name, String::new(), place)),
                    );
                    continue;
                }
                let Some(mut fields) = reader.fields(item, key) else { continue };
                let name = fields.require(reader, "name", "write `- name: ...` and `key: ...`");
                let name = name.and_then(|node| reader.checked(node, "name", &OBJECT_NAME));
                let object = match fields.take(reader, "key") {
                    Some(node) => reader.checked(node, "key", &OBJECT_NAME),
                    None => Some(String::new()),
                };
                fields.rest(reader, &[]);
                pairs.extend(name.zip(object).map(|(name, object)| (name, object, place)));
            }
        }
        Value::Scalar(_) => {
            reader.wrong_type(node, key, "a mapping or a list", "write `name: object` lines under it");
        }
    }
    pairs
}

/// The name of a group; it is only shown, so more is allowed than in a cluster.
pub(super) fn group_name(reader: &mut Reader<'_>, name: &str, place: Place) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if !name.is_empty() && name.len() <= 63 && name.chars().all(fine) {
        return Some(name.to_owned());
    }
    let message = format!("{} is not the name of a group", quoted(name));
    let help = "use letters, digits, '-', '_', '.' and spaces, at most 63";
    reader.report(Diagnostic::error(Code::BadName, place, message).with_help(help));
    None
}

/// What else stands under `global`: templates may refer to any of it, so what one refers to is no unknown key.
pub(super) fn rest_of_global(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    kept: &[&'static str],
) -> BTreeMap<String, Json> {
    let used: BTreeSet<String> = std::mem::take(&mut reader.used_globals);
    fields.rest_but(reader, kept, &used)
}

/// Keeps the unread keys of a nested mapping under its own key.
pub(super) fn keep(extra: &mut BTreeMap<String, Json>, key: &str, rest: BTreeMap<String, Json>) {
    if !rest.is_empty() {
        extra.insert(key.to_owned(), Json::Object(rest.into_iter().collect()));
    }
}
