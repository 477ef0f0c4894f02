//! The way back.

use anyhow::{Context, ensure};

use crate::records::{applications, check_healthy_at};
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const CUSTOMER: &str = "rollback-e2e";

pub(crate) fn in_reverse(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let services = ["db", "api", "orders", "web"];
    let small = Customer::new(CUSTOMER, "db 0\n api 1 db\n orders 2 api\n web 3 orders");
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.start(&repository)?;
    let first = world.deployed(CUSTOMER, "succeeded", &[])?;
    let good = first["revision"].as_str().context("no revision")?.to_owned();
    for (tag, behaviour) in [("v2", "exit"), ("v3", "unready")] {
        repository.change(CUSTOMER, |customer| {
            for service in &mut customer.services {
                service.tag = tag.into();
            }
            customer.service("orders")?.behaviour = behaviour.into();
            Ok(())
        })?;
        let ended = world.deployed(CUSTOMER, "failed", &[])?;
        println!("     orders is {behaviour}: {}", ended["reason"]);
        let apps = applications(CUSTOMER)?;
        check_healthy_at(&good, &apps, services)?;
        // orders goes back before api, and api before db, by Argo CD's own clock; web was never advanced.
        let finished = |service: &str| apps[service].finished.context("no end");
        let started = |service: &str| apps[service].started.context("no start");
        ensure!(started("api")? >= finished("orders")?, "api went back before orders was back");
        ensure!(started("db")? >= finished("api")?, "db went back before api was back");
        for service in ["db", "api", "orders"] {
            ensure!(apps[service].automated["selfHeal"] == true, "{service} is not kept by self-heal");
        }
        ensure!(apps["web"].history.len() == 1, "web was synced: {:?}", apps["web"].history);
    }
    // Automated sync and self-heal are on: what was taken back must stay where it is.
    std::thread::sleep(std::time::Duration::from_secs(20));
    check_healthy_at(&good, &applications(CUSTOMER)?, services)?;
    println!("     20 s later, with automated sync and self-heal on, all are still back");
    let better = repository.change(CUSTOMER, |customer| {
        for service in &mut customer.services {
            service.tag = "v4".into();
            service.behaviour.clear();
        }
        Ok(())
    })?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    check_healthy_at(&better, &applications(CUSTOMER)?, services)?;
    println!("     the next good push went through");
    Ok(())
}
