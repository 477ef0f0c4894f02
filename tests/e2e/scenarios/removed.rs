//! Services that are taken out of the values.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::cluster::{ARGO_CD, Rights, get, list, until};
use crate::records::{CUSTOMER as LABEL, applications};
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const CUSTOMER: &str = "removed-e2e";
const NAMESPACE: &str = "removed-e2e-production";

/// The services whose pods are there.
fn running() -> anyhow::Result<Vec<String>> {
    let pods = list("pods", NAMESPACE, &format!("{LABEL}={CUSTOMER}"))?;
    let mut services: Vec<String> = pods
        .iter()
        .filter_map(|pod| pod["metadata"]["labels"]["orchestrator.rtte.com/service"].as_str())
        .map(str::to_owned)
        .collect();
    services.sort();
    services.dedup();
    Ok(services)
}

fn take_out(repository: &mut Repository, services: &[&str]) -> anyhow::Result<String> {
    repository.change(CUSTOMER, |customer| {
        customer.services.retain(|service| !services.contains(&service.name.as_str()));
        Ok(())
    })
}

pub(crate) fn kept_or_gone(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let small = Customer::new(CUSTOMER, "db 0\n cache 0\n api 1 db cache\n web 2 api\n old 0");
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.start(&repository)?;
    world.deployed(CUSTOMER, "succeeded", &[])?;

    // Nobody said that anything is to be removed.
    take_out(&mut repository, &["old"])?;
    repository.change(CUSTOMER, |customer| {
        customer.service("db")?.tag = "v2".into();
        Ok(())
    })?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    ensure!(running()? == ["api", "cache", "db", "old", "web"], "running: {:?}", running()?);
    println!("     by default a service that is taken out of the values runs on");

    // Without the right to delete, it says so, and the deployment succeeds all the same.
    world.kill()?;
    world.set("/sync-wave/removed-services", json!("prune"))?;
    world.start(&repository)?;
    repository.change(CUSTOMER, |customer| {
        customer.service("db")?.tag = "v3".into();
        Ok(())
    })?;
    let ended = world.deployed(CUSTOMER, "succeeded", &[])?;
    let said = ended["removals"][0]["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(said.contains("cannot delete"), "it said {said:?}");
    println!("     without the right: {said}");

    // Two that depend on each other, and the one from before.
    let _right = Rights::grant("pruner.yaml")?;
    take_out(&mut repository, &["api", "web"])?;
    let id = world.deploy(CUSTOMER, &[])?;
    let (mut looks, mut early) = (0, Vec::new());
    until("all of them are gone", Duration::from_secs(180), || {
        // Read in this order: what is gone stays gone.
        let api = get("application", ARGO_CD, &format!("{CUSTOMER}-api"))?;
        let is_going = api.is_none_or(|app| !app["metadata"]["deletionTimestamp"].is_null());
        if is_going {
            let web = format!("{CUSTOMER}-web");
            for (kind, namespace) in [("application", ARGO_CD), ("deployment", NAMESPACE)] {
                if get(kind, namespace, &web)?.is_some() {
                    early.push(kind);
                }
            }
            looks += 1;
        }
        Ok((applications(CUSTOMER)?.len() == 3).then_some(()))
    })?;
    ensure!(early.is_empty(), "api was being deleted while web still had its {early:?}");
    ensure!(looks > 0, "nothing was seen of the deletion of api");
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    let removed: Vec<(&str, &str)> = ended["removals"]
        .as_array()
        .context("no removals")?
        .iter()
        .filter_map(|removal| Some((removal["service"].as_str()?, removal["state"].as_str()?)))
        .collect();
    ensure!(removed.iter().all(|(_, state)| *state == "removed"), "removed: {removed:?}");
    until("their pods are gone", Duration::from_secs(30), || {
        Ok((running()? == ["cache", "db"]).then_some(()))
    })?;
    let apps = applications(CUSTOMER)?;
    ensure!(apps.keys().eq(["base", "cache", "db"]), "left are {:?}", apps.keys());
    println!("     with prune: {removed:?}, each with its objects before the next");
    Ok(())
}
