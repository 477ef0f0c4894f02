//! The values of a Helm chart: `global`, `configMaps`, `microservices.<group>.services[]`.

use serde_json::Value as Json;

use crate::domain::catalog::{Catalog, Service};
use crate::domain::diagnostic::Code;
use crate::domain::names::Wave;
use crate::domain::yaml::{Entry, Node, Value};

use super::Expected;
use super::head::{self, HeadNodes};
use super::reading::{Fields, Reader};
use super::service::{self, Given, Services};
use super::shared::{self, CHART_KEYS, GLOBAL_KEYS};

/// Reads a file that has `microservices`.
pub(super) fn read(reader: &mut Reader<'_>, expected: &Expected) -> Option<Catalog> {
    let mut top = reader.fields(reader.root, "the file")?;
    let global = top.take(reader, "global").and_then(|node| reader.fields(node, "global"));
    let (head, global) = match global {
        Some(mut fields) => {
            let nodes = HeadNodes {
                at: fields.node,
                customer: fields.take(reader, "customerId"),
                environment: fields.take(reader, "environment"),
                namespace: fields.take(reader, "namespace"),
                image_tag: fields.take(reader, "imageTag"),
            };
            (head::read(reader, &nodes, expected), Some(fields))
        }
        None => {
            let at = reader.root;
            reader.error(
                Code::MissingKey,
                at,
                "`global` is missing",
                "write `global:` with `customerId` in it",
            );
            let nodes = HeadNodes { at, customer: None, environment: None, namespace: None, image_tag: None };
            (head::read(reader, &nodes, expected), None)
        }
    };
    let config_maps = top.take(reader, "configMaps").map(|node| shared::config_maps(reader, node));
    let mut services = Services::default();
    match top.take(reader, "microservices").map(|node| (node, &node.value)) {
        Some((_, Value::Map(groups))) => {
            for group in groups.iter() {
                read_group(reader, group, &mut services);
            }
        }
        Some((node, Value::Scalar(_) | Value::List(_))) => {
            reader.wrong_type(
                node,
                "microservices",
                "a mapping of groups",
                "write `<group>:` lines under it",
            );
        }
        // Nothing stands behind the key: a customer without services.
        None => {}
    }
    let mut extra = top.rest(reader, CHART_KEYS);
    if let Some(global) = global {
        shared::keep(&mut extra, "global", shared::rest_of_global(reader, global, GLOBAL_KEYS));
    }
    head::catalog(reader, head, config_maps.unwrap_or_default(), extra, services)
}

fn read_group<'a>(reader: &mut Reader<'a>, group: &'a Entry, services: &mut Services) {
    if group.node.is_null() {
        return;
    }
    let Some(mut fields) = reader.fields(&group.node, &group.key) else { return };
    let name = shared::group_name(reader, &group.key, group.place(reader.file));
    let wave = take_wave(reader, &mut fields);
    let list = fields.take(reader, "services").map(|node| reader.list(node, "services")).unwrap_or_default();
    // A group's other keys have no place in the catalogue: they are warned about and no more.
    fields.rest(reader, &["description"]);
    for node in list {
        if !services.room(reader, node) {
            return;
        }
        if let Some(service) = read_service(reader, node, name.clone(), wave) {
            services.add(reader, node, service);
        }
    }
}

fn read_service<'a>(
    reader: &mut Reader<'a>,
    node: &'a Node,
    group: Option<String>,
    wave: Option<Wave>,
) -> Option<Service> {
    let mut fields = reader.fields(node, "services")?;
    let wave = take_wave(reader, &mut fields).or(wave);
    let help = "write `image: name:tag`";
    let image = fields.require(reader, "image", help).and_then(|node| service::image(reader, node));
    let version = fields.take(reader, "version").and_then(|node| reader.tag(node, "version"));
    let mut service = service::read(reader, fields, Given { group, wave, image })?;
    if let Some(version) = version {
        service.extra.insert("version".into(), Json::String(version));
    }
    Some(service)
}

fn take_wave<'a>(reader: &mut Reader<'a>, fields: &mut Fields<'a>) -> Option<Wave> {
    let node = fields.take(reader, "syncWave")?;
    service::wave(reader, node, "sync-wave")
}
