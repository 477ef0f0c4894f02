//! Config as Code: `customer-id` and the rest of the head, `config-maps`, `sync-waves[]`, `applications[]`.

use std::collections::HashMap;

use crate::domain::catalog::{Catalog, Service};
use crate::domain::diagnostic::{Code, Diagnostic, Place, quoted};
use crate::domain::names::Wave;
use crate::domain::yaml::{Entry, Node, Value};

use super::Expected;
use super::head::{self, HeadNodes};
use super::image::{PREFIX, split_tag};
use super::reading::{Fields, Reader};
use super::service::{self, Given, Services};
use super::shared::{self, CHART_KEYS, GLOBAL_KEYS};

/// Reads a file that has `applications` or `sync-waves`.
pub(super) fn read(reader: &mut Reader<'_>, expected: &Expected) -> Option<Catalog> {
    let mut top = reader.fields(reader.root, "the file")?;
    let global = top.take(reader, "global").and_then(|node| reader.fields(node, "global"));
    let mut outer = Outer { top, global };
    let nodes = HeadNodes {
        at: reader.root,
        customer: outer.take(reader, "customerId"),
        environment: outer.take(reader, "environment"),
        namespace: outer.take(reader, "namespace"),
        image_tag: outer.take(reader, "imageTag"),
    };
    let head = head::read(reader, &nodes, expected);
    let prefix = outer.take(reader, "imagePrefix");
    let prefix = prefix.and_then(|node| reader.checked(node, "image-prefix", &PREFIX));
    let Outer { mut top, global } = outer;
    let config_maps = top.take(reader, "configMaps").map(|node| shared::config_maps(reader, node));
    let waves = top.take(reader, "syncWaves").map(|node| sync_waves(reader, node));
    let mut listed = waves.unwrap_or_default();
    let applications = top.take(reader, "applications");
    let applications = applications.map(|node| reader.list(node, "applications")).unwrap_or_default();
    let common = Common { prefix, image_tag: head.image_tag.clone(), faulty_tag: nodes.image_tag };
    let mut services = Services::default();
    for node in applications {
        if !services.room(reader, node) {
            break;
        }
        if let Some(service) = application(reader, node, &common, &mut listed) {
            services.add(reader, node, service);
        }
    }
    without_application(reader, &listed, applications);
    let mut extra = top.rest(reader, CHART_KEYS);
    if let Some(global) = global {
        shared::keep(&mut extra, "global", shared::rest_of_global(reader, global, GLOBAL_KEYS));
    }
    head::catalog(reader, head, config_maps.unwrap_or_default(), extra, services)
}

/// The head stands at the top or under `global`.
struct Outer<'a> {
    top: Fields<'a>,
    global: Option<Fields<'a>>,
}

impl<'a> Outer<'a> {
    fn take(&mut self, reader: &mut Reader<'a>, key: &'static str) -> Option<&'a Node> {
        let top = self.top.take_entry(reader, key);
        let inner: Option<&'a Entry> = self.global.as_mut().and_then(|global| global.take_entry(reader, key));
        if let (Some(top), Some(inner)) = (top, inner) {
            reader.given_twice(top, inner);
        }
        top.or(inner).map(|entry| &entry.node)
    }
}

/// What applications take from the head.
struct Common<'a> {
    prefix: Option<String>,
    image_tag: Option<String>,
    /// Where the common tag stands; it may be one that was refused.
    faulty_tag: Option<&'a Node>,
}

/// What `sync-waves` says of a service.
struct Listed<'a> {
    group: Option<String>,
    wave: Option<(Wave, Place)>,
    node: &'a Node,
    found: bool,
}

fn sync_waves<'a>(reader: &mut Reader<'a>, node: &'a Node) -> HashMap<&'a str, Listed<'a>> {
    let mut listed: HashMap<&str, Listed<'_>> = HashMap::new();
    for item in reader.list(node, "sync-waves") {
        let Some(mut fields) = reader.fields(item, "sync-waves") else { continue };
        let wave_node = fields.require(reader, "wave", "write `wave: 0`");
        let wave =
            wave_node.and_then(|node| Some((service::wave(reader, node, "wave")?, node.place(reader.file))));
        let name = fields.take(reader, "name").and_then(|node| Some((reader.literal(node, "name")?, node)));
        let group = name.and_then(|(name, node)| shared::group_name(reader, name, node.place(reader.file)));
        let services = fields.take(reader, "services").map(|node| reader.list(node, "services"));
        fields.rest(reader, &["description"]);
        for node in services.unwrap_or_default() {
            let Some(name) = reader.literal(node, "services") else { continue };
            if let Some(first) = listed.get(name) {
                let message = format!(
                    "{} is listed in `sync-waves` twice; first at {}",
                    quoted(name),
                    first.node.place(reader.file)
                );
                reader.error(Code::DuplicateService, node, message, "remove one of them");
                continue;
            }
            listed.insert(name, Listed { group: group.clone(), wave: wave.clone(), node, found: false });
        }
    }
    listed
}

fn application<'a>(
    reader: &mut Reader<'a>,
    node: &'a Node,
    common: &Common<'a>,
    listed: &mut HashMap<&'a str, Listed<'a>>,
) -> Option<Service> {
    let mut fields = reader.fields(node, "applications")?;
    // Whether the name is fine is asked once, with the rest of the service.
    let name = node.get("name").and_then(text_of);
    let own = fields.take(reader, "syncWave");
    let own = own.and_then(|node| Some((service::wave(reader, node, "sync-wave")?, node)));
    let mut group = None;
    let mut wave = own.map(|(wave, _)| wave);
    if let Some(entry) = name.and_then(|name| listed.get_mut(name)) {
        entry.found = true;
        group = entry.group.clone();
        if let (Some((own, node)), Some((other, place))) = (own, &entry.wave)
            && own != *other
        {
            let message = format!("the wave is {own} here and {other} in `sync-waves`; there at {place}");
            reader.error(Code::WaveConflict, node, message, "write the same in both places, or in one only");
        }
        wave = wave.or(entry.wave.as_ref().map(|(wave, _)| *wave));
    }
    let image = image(reader, &mut fields, name, common);
    service::read(reader, fields, Given { group, wave, image })
}

/// The explicit image, or prefix/name:version; the version is that of the application, else the common tag.
fn image<'a>(
    reader: &mut Reader<'a>,
    fields: &mut Fields<'a>,
    name: Option<&str>,
    common: &Common<'a>,
) -> Option<(String, bool)> {
    let own_prefix = fields.take(reader, "imagePrefix");
    let prefix = match own_prefix {
        Some(node) => Some(reader.checked(node, "image-prefix", &PREFIX)?),
        None => common.prefix.clone(),
    };
    let version_node = fields.take(reader, "version");
    let follows = version_node.and_then(text_of).is_some_and(|text| text.contains(".Values.global.imageTag"));
    let version = version_node.map(|node| reader.tag(node, "version"));
    if let Some(node) = fields.take(reader, "image") {
        let text = reader.literal(node, "image")?;
        let expanded = reader.expand(text, node)?;
        let name = expanded.text.split_once('@').map_or(expanded.text.as_str(), |(name, _)| name);
        let image = match (split_tag(name).1, version) {
            (None, Some(version)) if name == expanded.text => format!("{}:{}", expanded.text, version?),
            (Some(_) | None, _) => expanded.text,
        };
        return reader.image_is_fine(node, &image).then_some((image, expanded.follows_image_tag));
    }
    let name = name?;
    let (version, follows_image_tag) = match (version, &common.image_tag, common.faulty_tag) {
        (Some(version), ..) => (version?, follows),
        (None, Some(tag), _) => (tag.clone(), true),
        // The common tag was reported where it stands.
        (None, None, Some(_)) => return None,
        (None, None, None) => {
            let help = "write `version: \"1.0.0\"`, or `image: name:tag`";
            let message = format!("neither `version` nor `image` is given for {}", quoted(name));
            reader.error(Code::MissingKey, fields.node, message, help);
            return None;
        }
    };
    let image = match prefix {
        Some(prefix) => format!("{}/{name}:{version}", prefix.trim_end_matches('/')),
        None => format!("{name}:{version}"),
    };
    // A name that is none is reported as such.
    let fine = name.parse::<crate::domain::names::ServiceName>().is_ok()
        && reader.image_is_fine(version_node.unwrap_or(fields.node), &image);
    fine.then_some((image, follows_image_tag))
}

fn without_application(reader: &mut Reader<'_>, listed: &HashMap<&str, Listed<'_>>, applications: &[Node]) {
    let names: Vec<&str> = applications.iter().filter_map(|node| text_of(node.get("name")?)).collect();
    let mut missing: Vec<_> = listed.iter().filter(|(_, entry)| !entry.found).collect();
    missing.sort_by_key(|(_, entry)| (entry.node.line, entry.node.column));
    for (name, entry) in missing {
        let otherwise = "add it to `applications`, or remove it here";
        let help = reader.did_you_mean(name, names.iter().copied(), otherwise);
        let message = format!("{} has no entry in `applications`", quoted(name));
        let fault = Diagnostic::error(Code::UnknownService, entry.node.place(reader.file), message);
        reader.report(fault.with_help(help));
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::List(_) | Value::Map(_) => None,
    }
}
