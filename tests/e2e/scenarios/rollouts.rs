//! Argo Rollouts: blue-green and canary.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::cluster::get;
use crate::records::{applications, check_healthy_at};
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const CUSTOMER: &str = "rollouts-e2e";
const NAMESPACE: &str = "rollouts-e2e-production";

fn rollout(service: &str) -> anyhow::Result<Value> {
    get("rollout", NAMESPACE, &format!("{CUSTOMER}-{service}"))?
        .with_context(|| format!("no Rollout of {service}"))
}

pub(crate) fn promoted_and_aborted(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let mut small = Customer::new(CUSTOMER, "db 0\n shop 1 db\n search 1 db\n web 2 shop search");
    small.service("shop")?.more = "\n        deploymentStrategy: BLUE_GREEN".into();
    small.service("search")?.more = "\n        deploymentStrategy: CANARY".into();
    // The Rollouts pause: blue-green ones until somebody promotes them.
    let overlay = FAST.replace("autoPromotionEnabled: true", "autoPromotionEnabled: false");
    let mut repository = Repository::small(&world.place(), vec![small], &overlay)?;
    world.start(&repository)?;
    let services = ["db", "shop", "search", "web"];
    world.deployed(CUSTOMER, "succeeded", &[])?;

    let tagged = |repository: &mut Repository, tag: &str, behaviour: &str| {
        repository.change(CUSTOMER, |customer| {
            for service in &mut customer.services {
                service.tag = tag.into();
            }
            customer.service("search")?.behaviour = behaviour.into();
            Ok(())
        })
    };
    let good = tagged(&mut repository, "v2", "")?;
    world.deployed(CUSTOMER, "succeeded", &[])?;
    check_healthy_at(&good, &applications(CUSTOMER)?, services)?;
    for service in ["shop", "search"] {
        let status = rollout(service)?["status"].clone();
        ensure!(status["stableRS"] == status["currentPodHash"], "{service} is not through: {status}");
        // The controller's own word that there was a pause, and that somebody ended it.
        let conditions = status["conditions"].as_array().context("no conditions")?;
        let resumed = conditions.iter().any(|condition| condition["type"] == "Paused");
        println!("     {service}: {}", if resumed { "was paused" } else { "was never paused" });
    }
    println!("     the blue-green service was promoted, the canary went its steps");

    // A canary whose new pods never become ready: stopped at once, and all is taken back.
    tagged(&mut repository, "v3", "unready")?;
    world.set("/sync-wave/health-check-timeout", json!("20s"))?;
    world.kill()?;
    world.start(&repository)?;
    let ended = world.deployed(CUSTOMER, "failed", &[])?;
    println!("     search is unready: {}", ended["reason"]);
    check_healthy_at(&good, &applications(CUSTOMER)?, services)?;
    let status = rollout("search")?["status"].clone();
    ensure!(status["stableRS"] == status["currentPodHash"], "search is not back: {status}");
    Ok(())
}
