//! Applications that Argo CD makes from an ApplicationSet which the orchestrator applies.

use anyhow::{Context, ensure};
use serde_json::json;

use crate::cluster::{ARGO_CD, Rights, get};
use crate::records::{applications, check_edges, check_healthy_at, check_waves, pods};
use crate::repository::{Customer, Repository};
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
    Ok(())
}
