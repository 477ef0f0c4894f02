//! From nothing to healthy, in order.

use anyhow::{Context, ensure};
use serde_json::json;

use crate::records::{applications, check_edges, check_healthy_at, check_waves, pods};
use crate::repository::{CAC, Customer, Repository};
use crate::world::{FAST, World, fresh};

pub(crate) fn whole_customer(world: &mut World) -> anyhow::Result<()> {
    let customer = "customer-a";
    fresh(&[customer])?;
    let repository = Repository::examples(&world.place(), &[customer], FAST)?;
    world.set("/sync-wave/health-check-timeout", json!("240s"))?;
    world.start(&repository)?;
    let (edges, waves) = world.graph(&repository, customer)?;
    let all: Vec<String> = waves.iter().flatten().cloned().collect();
    ensure!(all.len() == 55, "{} services instead of 55", all.len());

    let first = world.deployed(customer, "succeeded", &[])?;
    let commit = first["revision"].as_str().context("no revision")?.to_owned();
    let (apps, running) = (applications(customer)?, pods(customer, "customer-a-production")?);
    check_healthy_at(&commit, &apps, all.iter().chain([&"base".to_owned()]))?;
    let checked = check_edges(&edges, &apps, &running)?;
    check_waves(&waves, &apps, &running)?;
    println!("     55 services healthy, {checked} edges and {} waves in order", waves.len());
    for (service, app) in &apps {
        ensure!(app.history.len() == 1, "{service} was synced {} times", app.history.len());
        ensure!(app.automated["selfHeal"] == true, "{service} is not kept at its commit: {}", app.automated);
    }

    repository.replace(customer, "image: redis:7-alpine", "image: redis:7.2-alpine")?;
    let second = world.deployed(customer, "succeeded", &[])?;
    let touched: Vec<&str> = second["services"]
        .as_array()
        .context("no services")?
        .iter()
        .filter(|service| service["action"] == "sync")
        .filter_map(|service| service["service"].as_str())
        .collect();
    ensure!(touched == ["redis"], "touched: {touched:?}");
    let after = applications(customer)?;
    for (service, app) in &after {
        let syncs = if service == "redis" { 2 } else { 1 };
        ensure!(app.history.len() == syncs, "{service} was synced {} times", app.history.len());
    }
    println!("     a new image of redis touched redis alone");
    Ok(())
}

pub(crate) fn by_dependencies(world: &mut World) -> anyhow::Result<()> {
    let customer = "customer-b";
    fresh(&[customer])?;
    let repository = Repository::examples(&world.place(), &[customer], FAST)?;
    world.set("/sync-wave/health-check-timeout", json!("240s"))?;
    world.set("/sync-wave/enabled", json!(false))?;
    world.start(&repository)?;
    let (edges, waves) = world.graph(&repository, customer)?;
    let ended = world.deployed(customer, "succeeded", &[])?;
    let commit = ended["revision"].as_str().context("no revision")?.to_owned();
    let (apps, running) = (applications(customer)?, pods(customer, "customer-b-production")?);
    check_healthy_at(&commit, &apps, waves.iter().flatten())?;
    let checked = check_edges(&edges, &apps, &running)?;
    let early = waves.windows(2).any(|pair| {
        let first = |wave: &[String]| wave.iter().filter_map(|name| apps.get(name)?.started).min();
        let last = |wave: &[String]| wave.iter().filter_map(|name| running.get(name)?.ready).max();
        first(&pair[1]).zip(last(&pair[0])).is_some_and(|(start, ready)| start < ready)
    });
    ensure!(early, "no service started before the wave before its own was through: waves still are barriers");
    println!("     55 services healthy, {checked} edges in order, waves are no barriers");
    Ok(())
}

pub(crate) fn slow_wave(world: &mut World) -> anyhow::Result<()> {
    let customer = "waves-e2e";
    fresh(&[customer])?;
    let mut small = Customer::new(customer, "db 0\n cache 0\n queue 0\n api 1\n stats 1 db\n web 2 api");
    small.service("cache")?.behaviour = "ready-after=12".into();
    let repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.start(&repository)?;
    let (edges, waves) = world.graph(&repository, customer)?;
    world.deployed(customer, "succeeded", &[])?;
    let (apps, running) = (applications(customer)?, pods(customer, "waves-e2e-production")?);
    check_edges(&edges, &apps, &running)?;
    check_waves(&waves, &apps, &running)?;
    let slow = running["cache"].ready.context("cache is not ready")?;
    let wait = slow.duration_since(running["cache"].made).as_secs();
    ensure!(wait >= 12, "cache was ready after {wait} s: it did not behave as it should");
    println!("     wave 1 waited {wait} s for one pod of wave 0, though nothing of it depends on that");
    Ok(())
}

pub(crate) fn config_as_code(world: &mut World) -> anyhow::Result<()> {
    let customer = "customer-c";
    fresh(&[customer])?;
    let repository = Repository::config_as_code(&world.place(), FAST)?;
    world.set("/sync-wave/health-check-timeout", json!("240s"))?;
    world.start(&repository)?;
    let first = world.deployed(customer, "succeeded", &[])?;
    let commit = first["revision"].as_str().context("no revision")?.to_owned();
    let apps = applications(customer)?;
    check_healthy_at(&commit, &apps, apps.keys())?;
    ensure!(pods(customer, "customer-c-production")?.len() == 55, "not all of its services run");
    println!("     55 services of a Config-as-Code file are healthy");

    let file = format!("{CAC}/customer-c.yaml");
    let version =
        |number: &str| format!("- name: payment-service\n    enabled: true\n    version: \"{number}\"");
    repository.replace_in(&file, &version("1.8.0"), &version("9.9.9"))?;
    let second = world.deployed(customer, "succeeded", &[])?;
    let services = second["services"].as_array().context("no services")?;
    let touched: Vec<&str> = services
        .iter()
        .filter(|service| service["action"] == "sync")
        .filter_map(|service| service["service"].as_str())
        .collect();
    ensure!(touched == ["payment-service"], "touched: {touched:?}");
    println!("     a new version of payment-service touched it alone");
    Ok(())
}
