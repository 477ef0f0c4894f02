//! A catalogue as values of the base chart: how Config as Code is rendered.

use serde_json::{Map, Value as Json, json};

use crate::domain::catalog::{Catalog, Service};
use crate::domain::names::Wave;

/// The values, in the Helm format, with which the base chart renders a catalogue.
///
/// Reading them again gives the same services. Images are written out, so a change of one touches one service.
/// A service without a wave stays without: assign waves before, where the chart is to show them.
pub fn helm_values(catalog: &Catalog) -> Json {
    let mut global = Map::new();
    global.insert("customerId".into(), catalog.customer.as_str().into());
    global.insert("environment".into(), catalog.environment.as_str().into());
    global.insert("namespace".into(), catalog.namespace.as_str().into());
    if let Some(tag) = &catalog.image_tag {
        global.insert("imageTag".into(), tag.as_str().into());
    }
    let mut groups: Map<String, Json> = Map::new();
    for service in &catalog.services {
        let group = groups.entry(group(service)).or_insert_with(|| {
            let mut group = Map::new();
            group.extend(service.wave.map(|Wave(wave)| ("sync-wave".to_owned(), wave.into())));
            group.insert("services".into(), json!([]));
            Json::Object(group)
        });
        let common = group.get("sync-wave").cloned();
        let mut values = service_values(service);
        if let Some(Wave(wave)) = service.wave
            && common != Some(wave.into())
        {
            values.insert("sync-wave".into(), wave.into());
        }
        if let Some(services) = group.get_mut("services").and_then(Json::as_array_mut) {
            services.push(Json::Object(values));
        }
    }
    let mut values = Map::new();
    values.insert("global".into(), Json::Object(global));
    values.insert("configMaps".into(), json!(catalog.config_maps));
    values.insert("microservices".into(), Json::Object(groups));
    add(&mut values, &catalog.extra);
    Json::Object(values)
}

/// Services without a group stand together by wave.
fn group(service: &Service) -> String {
    match (&service.group, service.wave) {
        (Some(group), _) => group.clone(),
        (None, Some(wave)) => format!("wave-{wave}"),
        (None, None) => "ungrouped".into(),
    }
}

fn service_values(service: &Service) -> Map<String, Json> {
    let mut values = Map::new();
    values.insert("name".into(), service.name.as_str().into());
    values.insert("enabled".into(), service.enabled.into());
    values.insert("image".into(), service.image.as_str().into());
    let on: Vec<&str> = service.dependencies.iter().map(|dependency| dependency.on.as_str()).collect();
    values.insert("dependencies".into(), json!(on));
    if let Some(check) = &service.health_check {
        values.insert("healthCheck".into(), json!(check));
    }
    values.insert("deploymentStrategy".into(), json!(service.strategy));
    values.insert("replicas".into(), service.replicas.into());
    if let Some(resources) = &service.resources {
        values.insert("resources".into(), resources.clone());
    }
    values.insert("configMaps".into(), json!(service.config_maps));
    values.insert("secrets".into(), json!(service.secrets));
    values.insert("volumeClaims".into(), json!(service.volume_claims));
    values.insert("rollback".into(), json!(service.rollback));
    add(&mut values, &service.extra);
    values
}

/// Adds the keys that were kept aside; those of a mapping that is there already go into it.
fn add(values: &mut Map<String, Json>, extra: &std::collections::BTreeMap<String, Json>) {
    for (key, kept) in extra {
        match (values.get_mut(key), kept) {
            (Some(Json::Object(there)), Json::Object(kept)) => {
                for (key, value) in kept {
                    there.entry(key).or_insert_with(|| value.clone());
                }
            }
            (Some(_), _) => {}
            (None, _) => {
                values.insert(key.clone(), kept.clone());
            }
        }
    }
}
