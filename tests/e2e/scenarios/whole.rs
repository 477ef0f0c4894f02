//! The layout with one Application for all services of a customer.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::cluster::{ARGO_CD, Rights, kubectl, until};
use crate::records::{Application, Pods, check_pods, pods, whole};
use crate::repository::{CAC, Customer, Repository};
use crate::world::{FAST, World, fresh};

/// The rights that this layout needs beside the others.
const RIGHTS: &str = "per-customer.yaml";

/// That the Application is synced to the commit as a whole, and is kept there.
fn check_whole(customer: &str, commit: &str) -> anyhow::Result<Application> {
    let kept = || {
        let app = whole(customer)?;
        let fine = app.pinned == commit
            && app.sync == "Synced"
            && app.health == "Healthy"
            && app.automated["enabled"] == true
            && app.automated["selfHeal"] == true;
        Ok(fine.then_some(app))
    };
    until("the Application is synced, healthy and kept at its commit", Duration::from_secs(10), kept)
        .with_context(|| format!("{:?}", whole(customer)))
}

pub(crate) fn both_orders(world: &mut World) -> anyhow::Result<()> {
    let _rights = Rights::grant(RIGHTS)?;
    for (customer, by_waves) in [("customer-a", true), ("customer-b", false)] {
        fresh(&[customer])?;
        let namespace = format!("{customer}-production");
        let folder = world.place().join(customer);
        std::fs::create_dir_all(&folder)?;
        let repository = Repository::examples(&folder, &[customer], FAST)?;
        world.set("/cluster/argo-cd/layout", json!("application-per-customer"))?;
        world.set("/sync-wave/health-check-timeout", json!("240s"))?;
        world.set("/sync-wave/enabled", json!(by_waves))?;
        world.start(&repository)?;
        let (edges, waves) = world.graph(&repository, customer)?;
        let services: usize = waves.iter().map(Vec::len).sum();
        ensure!(services == 55, "{services} services instead of 55");
        let first = world.deployed(customer, "succeeded", &[])?;
        let commit = first["revision"].as_str().context("no revision")?.to_owned();
        let before = pods(customer, &namespace)?;
        ensure!(before.len() == 55, "{} services have pods", before.len());
        let barriers = if by_waves { waves.as_slice() } else { &[] };
        let checked = check_pods(&edges, barriers, &before)?;
        let app = check_whole(customer, &commit)?;
        ensure!(app.history == [commit], "its history is {:?}", app.history);
        let order = if by_waves { "waves" } else { "dependencies" };
        println!("     by {order}: 55 services healthy in one Application, {checked} pairs in order");

        let commit = repository.replace(customer, "image: redis:7-alpine", "image: redis:7.2-alpine")?;
        world.deployed(customer, "succeeded", &[])?;
        let after = pods(customer, &namespace)?;
        let moved: Vec<&String> = after
            .iter()
            .filter(|(service, pods)| before.get(*service) != Some(pods))
            .map(|(name, _)| name)
            .collect();
        ensure!(moved == ["redis"], "pods were replaced: {moved:?}");
        check_whole(customer, &commit)?;
        println!("     by {order}: a new image of redis replaced the pods of redis alone");
        world.kill()?;
        crate::world::clean()?;
        world.forget()?;
    }
    Ok(())
}

/// Values that stand in the Application, `kill -9` in the middle, and somebody else's sync in between.
pub(crate) fn disturbed(world: &mut World) -> anyhow::Result<()> {
    const CUSTOMER: &str = "customer-c";
    let _rights = Rights::grant(RIGHTS)?;
    fresh(&[CUSTOMER])?;
    let repository = Repository::config_as_code(&world.place(), FAST)?;
    world.set("/cluster/argo-cd/layout", json!("application-per-customer"))?;
    world.set("/sync-wave/health-check-timeout", json!("240s"))?;
    world.start(&repository)?;
    let (edges, waves) = world.graph(&repository, CUSTOMER)?;
    let id = world.deploy(CUSTOMER, &[])?;
    for round in 1..=4_usize {
        // At four different moments, each with something new that is healthy.
        until("more of it is healthy", Duration::from_secs(240), || {
            let status = world.status(&id)?;
            let services = status["services"].as_array().context("no services")?;
            let healthy = services.iter().filter(|service| service["state"] == "healthy").count();
            Ok((healthy >= round * 10 || status["state"] == "succeeded").then_some(()))
        })?;
        world.kill()?;
        world.serve()?;
    }
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    let commit = ended["revision"].as_str().context("no revision")?.to_owned();
    let running = pods(CUSTOMER, "customer-c-production")?;
    ensure!(running.len() == 55, "{} services have pods", running.len());
    let checked = check_pods(&edges, &waves, &running)?;
    check_whole(CUSTOMER, &commit)?;
    println!("     killed four times: 55 services of a Config-as-Code file, {checked} pairs in order");

    // Somebody syncs all of it, to the commit before: what has had its turn is looked at again.
    let file = format!("{CAC}/customer-c.yaml");
    let version =
        |number: &str| format!("- name: payment-service\n    enabled: true\n    version: \"{number}\"");
    let next = repository.replace_in(&file, &version("1.8.0"), &version("9.9.9"))?;
    let id = world.deploy(CUSTOMER, &[])?;
    let name = format!("{CUSTOMER}-applications");
    until("it is pinned to the new commit", Duration::from_secs(60), || {
        Ok((whole(CUSTOMER)?.pinned == next).then_some(()))
    })?;
    let theirs = json!({ "operation": {
        "initiatedBy": { "username": "somebody" },
        "sync": { "revision": commit, "syncStrategy": { "hook": {} } },
    } });
    kubectl(&["-n", ARGO_CD, "patch", "application", &name, "--type", "merge", "-p", &theirs.to_string()])?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    check_whole(CUSTOMER, &next)?;
    let runs = crate::cluster::get("rollout", "customer-c-production", "customer-c-payment-service")?
        .context("no payment-service")?["spec"]["template"]
        .to_string();
    ensure!(runs.contains("9.9.9"), "payment-service runs {runs}");
    println!("     somebody's sync to the commit before was noticed, and ours came again");
    Ok(())
}

pub(crate) fn taken_back(world: &mut World) -> anyhow::Result<()> {
    const CUSTOMER: &str = "whole-e2e";
    let namespace = format!("{CUSTOMER}-production");
    let rights = Rights::grant(RIGHTS)?;
    fresh(&[CUSTOMER])?;
    let mut small = Customer::new(CUSTOMER, "db 0\n api 1 db\n orders 2 api\n web 3 orders\n other 0");
    small.service("db")?.behaviour = "ready-after=12".into();
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.set("/cluster/argo-cd/layout", json!("application-per-customer"))?;
    world.start(&repository)?;
    let (edges, waves) = world.graph(&repository, CUSTOMER)?;
    let first = world.deployed(CUSTOMER, "succeeded", &[])?;
    let good = first["revision"].as_str().context("no revision")?.to_owned();
    let before = pods(CUSTOMER, &namespace)?;
    check_pods(&edges, &waves, &before)?;
    let wait = before["db"].ready.context("db is not ready")?.duration_since(before["db"].made).as_secs();
    ensure!(wait >= 12, "db was ready after {wait} s: it did not behave as it should");
    check_whole(CUSTOMER, &good)?;
    println!("     all of one Application waited {wait} s for one slow pod");

    for (tag, behaviour) in [("v2", "exit"), ("v3", "unready")] {
        repository.change(CUSTOMER, |customer| {
            for name in ["db", "api", "orders", "web"] {
                let service = customer.service(name)?;
                service.tag = tag.into();
                service.behaviour.clear();
            }
            customer.service("orders")?.behaviour = behaviour.into();
            Ok(())
        })?;
        let ended = world.deployed(CUSTOMER, "failed", &[])?;
        println!("     orders is {behaviour}: {}", ended["reason"]);
        check_whole(CUSTOMER, &good)?;
        let after = pods(CUSTOMER, &namespace)?;
        let made = |pods: &BTreeMap<String, Pods>, service: &str| {
            pods.get(service).map(|pods| pods.made).with_context(|| format!("{service} has no pods"))
        };
        ensure!(made(&after, "web")? == made(&before, "web")?, "web was touched");
        ensure!(made(&after, "other")? == made(&before, "other")?, "other was touched");
        // By the pods' own times api went back before db did.
        let back = after["api"].ready.context("api is not back")?;
        ensure!(made(&after, "db")? >= back, "db went back before api was back");
    }
    println!("     each time all are back in reverse order, and kept there by self-heal");
    let better = repository.change(CUSTOMER, |customer| {
        for service in &mut customer.services {
            service.tag = "v4".into();
            service.behaviour.clear();
        }
        Ok(())
    })?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    let app = check_whole(CUSTOMER, &better)?;
    ensure!(app.history.last() == Some(&better), "its history is {:?}", app.history);
    println!("     the next good push went through");

    // Whoever may not see the workloads is told so, and goes on once that is mended.
    drop(rights);
    world.kill()?;
    world.serve()?;
    repository.change(CUSTOMER, |customer| {
        customer.service("web")?.tag = "v5".into();
        Ok(())
    })?;
    let id = world.deploy(CUSTOMER, &[])?;
    let told = until("why names the rights that are missing", Duration::from_secs(60), || {
        let why = world.command(&["why", &id])?.text;
        Ok(why.contains("per-customer.yaml").then_some(why))
    })?;
    println!(
        "     without rights: {}",
        told.lines().find(|line| line.contains("per-customer")).unwrap_or_default().trim()
    );
    let _rights = Rights::grant(RIGHTS)?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);

    // The other layout would make more Applications for the same objects.
    world.kill()?;
    world.set("/cluster/argo-cd/layout", json!("application-per-service"))?;
    world.start(&repository)?;
    repository.change(CUSTOMER, |customer| {
        customer.service("web")?.tag = "v6".into();
        Ok(())
    })?;
    let ended = world.deployed(CUSTOMER, "failed", &[])?;
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("which owns their objects"), "it failed for another reason: {reason}");
    ensure!(whole(CUSTOMER)?.sync == "Synced", "it was touched");
    println!("     the other layout is refused: {reason}");
    Ok(())
}
