//! What must not count as healthy.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::cluster::until;
use crate::records::{applications, pods};
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const CUSTOMER: &str = "gate-e2e";

pub(crate) fn not_fooled(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let small = Customer::new(CUSTOMER, "db 0\n api 1 db\n web 2 api");
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.set("/sync-wave/health-check-timeout", json!("20s"))?;
    world.start(&repository)?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    old_pods_still_serve(world, &mut repository)?;
    slow_readiness(world, &mut repository)?;
    flapping(world, &mut repository)
}

/// The new version of db never becomes ready; its old pod serves on, so Argo CD shows the old health for a moment.
fn old_pods_still_serve(world: &World, repository: &mut Repository) -> anyhow::Result<()> {
    let before = applications(CUSTOMER)?;
    repository.change(CUSTOMER, |customer| {
        for service in &mut customer.services {
            service.tag = "v2".into();
        }
        customer.service("db")?.behaviour = "unready".into();
        Ok(())
    })?;
    let id = world.deploy(CUSTOMER, &[])?;
    let (_, why) = until("db is being verified", Duration::from_secs(30), || {
        let (state, why) = world.service(&id, "db")?;
        Ok((state == "verifying").then_some((state, why)))
    })?;
    println!("     db: {why}");
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "failed", "it ended {}", ended["state"]);
    let after = applications(CUSTOMER)?;
    for service in ["api", "web"] {
        ensure!(after[service].history == before[service].history, "{service} was synced");
    }
    let back = before["db"].history.last().context("db has no history")?;
    ensure!(&after["db"].pinned == back, "db is pinned to {}", after["db"].pinned);
    println!("     the old pod of db served on, and its dependants did not move");
    Ok(())
}

fn slow_readiness(world: &mut World, repository: &mut Repository) -> anyhow::Result<()> {
    repository.change(CUSTOMER, |customer| {
        for service in &mut customer.services {
            service.tag = "v3".into();
        }
        customer.service("db")?.behaviour = "ready-after=20".into();
        Ok(())
    })?;
    world.set("/sync-wave/health-check-timeout", json!("60s"))?;
    world.kill()?;
    world.start(repository)?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    let (apps, running) = (applications(CUSTOMER)?, pods(CUSTOMER, "gate-e2e-production")?);
    let ready = running["db"].ready.context("db is not ready")?;
    let took = ready.duration_since(running["db"].made).as_secs();
    let started = apps["api"].started.context("api was not synced")?;
    ensure!(took >= 20, "db was ready after {took} s");
    ensure!(started >= ready, "api began at {started}, db was ready at {ready}");
    println!("     db took {took} s to become ready, and api began no earlier");
    Ok(())
}

/// Healthy for about 4 s, as the kubelet sees it, and not for 3 s.
///
/// By what Argo CD shows alone: with a stabilisation time of 5 s it never counts; with none, its first healthy moment
/// counts, what depends on it starts, and the deployment succeeds in a moment in which all are healthy. Its own HTTP
/// check, which asks the pod itself, is not fooled for long enough either way.
fn flapping(world: &mut World, repository: &mut Repository) -> anyhow::Result<()> {
    let cases =
        [("v4", "5s", false, "failed"), ("v5", "0s", false, "succeeded"), ("v6", "5s", true, "failed")];
    for (tag, pause, http, state) in cases {
        repository.change(CUSTOMER, |customer| {
            for service in &mut customer.services {
                service.tag = tag.into();
            }
            customer.service("db")?.behaviour = "flap=1:6".into();
            Ok(())
        })?;
        world.set("/sync-wave/stabilisation", json!(pause))?;
        world.set("/sync-wave/health-check-timeout", json!("30s"))?;
        world.set("/microservices/health-check/http", json!(http))?;
        world.kill()?;
        world.start(repository)?;
        let before = applications(CUSTOMER)?;
        let ended = world.deployed(CUSTOMER, state, &[])?;
        let after = applications(CUSTOMER)?;
        let moved = after["api"].history != before["api"].history;
        let asked = if http { "with" } else { "without" };
        println!("     db flaps, stabilisation {pause}, {asked} its own check: {state}, {}", ended["reason"]);
        ensure!(moved == (state == "succeeded"), "api was synced: {moved}");
    }
    Ok(())
}
