//! Applications that Argo CD makes from an ApplicationSet which the orchestrator applies.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::cluster::{ARGO_CD, Rights, get, kubectl, until};
use crate::records::{applications, check_edges, check_healthy_at, check_waves, pods};
use crate::repository::{CAC, Customer, Repository};
use crate::world::{FAST, World, fresh};

const CUSTOMER: &str = "sets-e2e";

pub(crate) fn made_by_argo_cd(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let small = Customer::new(CUSTOMER, "db 0\n cache 0\n api 1 db\n orders 2 api\n web 3 orders");
    let services = ["base", "db", "cache", "api", "orders", "web"];
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.set("/cluster/argo-cd/provision", json!({ "applications": "application-sets" }))?;
    world.start(&repository)?;

    // Without the right to apply them it is refused, and nothing is made.
    let ended = world.deployed(CUSTOMER, "failed", &[])?;
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("cannot be made"), "it failed for another reason: {reason}");
    ensure!(applications(CUSTOMER)?.is_empty(), "Applications were made");
    println!("     without the right: {reason}");

    let _rights = Rights::grant("application-sets.yaml")?;
    let (edges, waves) = world.graph(&repository, CUSTOMER)?;
    let first = world.deployed(CUSTOMER, "succeeded", &["--force"])?;
    let commit = first["revision"].as_str().context("no revision")?.to_owned();
    let (apps, running) = (applications(CUSTOMER)?, pods(CUSTOMER, "sets-e2e-production")?);
    check_healthy_at(&commit, &apps, services)?;
    let checked = check_edges(&edges, &apps, &running)?;
    check_waves(&waves, &apps, &running)?;
    for service in services {
        let app = get("application", ARGO_CD, &format!("{CUSTOMER}-{service}"))?.context("no Application")?;
        let owner = &app["metadata"]["ownerReferences"][0];
        ensure!(owner["kind"] == "ApplicationSet", "{service} is not of a set: {owner}");
        ensure!(apps[service].automated["selfHeal"] == true, "{service} is not kept at its commit");
    }
    println!("     {} Applications of an ApplicationSet are healthy, {checked} edges in order", apps.len());

    // The set writes its Applications again and again; their pins stay.
    repository.change(CUSTOMER, |customer| {
        customer.service("orders")?.tag = "v2".into();
        Ok(())
    })?;
    let second = world.deployed(CUSTOMER, "succeeded", &[])?;
    let newer = second["revision"].as_str().context("no revision")?.to_owned();
    let apps = applications(CUSTOMER)?;
    check_healthy_at(&newer, &apps, ["orders"])?;
    check_healthy_at(&commit, &apps, ["base", "db", "cache", "api", "web"])?;
    println!("     a push of orders moved its pin alone");

    // A new service is put into the set's list, and a failing push is taken back.
    repository.change(CUSTOMER, |customer| {
        let more = Customer::new(CUSTOMER, "mail 2");
        customer.services.extend(more.services);
        for name in ["api", "orders"] {
            customer.service(name)?.tag = "v3".into();
        }
        customer.service("orders")?.behaviour = "exit".into();
        Ok(())
    })?;
    let ended = world.deployed(CUSTOMER, "failed", &[])?;
    println!("     orders is exit: {}", ended["reason"]);
    let apps = applications(CUSTOMER)?;
    check_healthy_at(&newer, &apps, ["orders"])?;
    check_healthy_at(&commit, &apps, ["base", "db", "cache", "api", "web"])?;
    ensure!(apps.contains_key("mail"), "the new service is not in the set");

    // Somebody deletes the set, and with it the Applications; nothing that they deployed goes.
    let namespace = "sets-e2e-production";
    let before = pods(CUSTOMER, namespace)?;
    kubectl(&["-n", ARGO_CD, "delete", "applicationset", "sets-e2e-services"])?;
    until("the Applications of the set are gone", Duration::from_secs(60), || {
        Ok(applications(CUSTOMER)?.is_empty().then_some(()))
    })?;
    let better = repository.change(CUSTOMER, |customer| {
        customer.service("orders")?.behaviour.clear();
        Ok(())
    })?;
    world.deployed(CUSTOMER, "succeeded", &["--force"])?;
    let apps = applications(CUSTOMER)?;
    check_healthy_at(&better, &apps, services.iter().chain(&["mail"]))?;
    let after = pods(CUSTOMER, namespace)?;
    for service in ["db", "cache", "web"] {
        ensure!(after[service] == before[service], "the pods of {service} did not stay");
    }
    println!("     a set that somebody deleted is applied again, and the pods stayed");
    Ok(())
}

/// A customer in Config as Code: its values stand in the Applications, and come with the pin.
const CAC_FILE: &str = "
customer-id: sets-c-e2e
environment: production
namespace: sets-c-e2e-production
image-prefix: rtte
config-maps: {app-config: sets-c-e2e-app-config}
applications:
  - {name: db, version: '1.0'}
  - {name: api, version: '1.0', dependencies: [db]}
";

pub(crate) fn config_as_code(world: &mut World) -> anyhow::Result<()> {
    const CUSTOMER: &str = "sets-c-e2e";
    fresh(&[CUSTOMER])?;
    let _rights = Rights::grant("application-sets.yaml")?;
    let repository = Repository::config_as_code(&world.place(), FAST)?;
    let file = format!("{CAC}/{CUSTOMER}.yaml");
    std::fs::write(world.place().join(&file), CAC_FILE)?;
    repository.commit("Add a small customer")?;
    world.set("/cluster/argo-cd/provision", json!({ "applications": "application-sets" }))?;
    world.start(&repository)?;
    let first = world.deployed(CUSTOMER, "succeeded", &[])?;
    let commit = first["revision"].as_str().context("no revision")?.to_owned();
    check_healthy_at(&commit, &applications(CUSTOMER)?, ["base", "db", "api"])?;
    let newer = repository.replace_in(&file, "name: api, version: '1.0'", "name: api, version: '1.1'")?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    let apps = applications(CUSTOMER)?;
    check_healthy_at(&newer, &apps, ["api"])?;
    check_healthy_at(&commit, &apps, ["base", "db"])?;
    for service in ["base", "db", "api"] {
        let app = get("application", ARGO_CD, &format!("{CUSTOMER}-{service}"))?.context("no Application")?;
        let owner = &app["metadata"]["ownerReferences"][0];
        ensure!(owner["kind"] == "ApplicationSet", "{service} is not of a set: {owner}");
        let values = &app["spec"]["source"]["helm"]["valuesObject"];
        ensure!(values.is_object(), "the set took the values of {service}: {values}");
    }
    println!("     Config as Code: values came with the pin, and the set left them there");
    Ok(())
}
