//! Many customers at once.

use anyhow::{Context, ensure};
use jiff::Timestamp;

use crate::records::applications;
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const SERVICES: &str = "db 0\n cache 0\n queue 0\n users 1 db\n orders 1 db queue\n search 1 cache\n \
                        payments 2 orders users\n mail 2 queue\n api 3 payments search\n web 4 api";
/// The one that fails.
const FAILING: usize = 3;

pub(crate) fn ten_at_once(world: &mut World) -> anyhow::Result<()> {
    let names: Vec<String> = (0..10).map(|number| format!("tenant-{number}-e2e")).collect();
    fresh(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let customers: Vec<Customer> = names.iter().map(|name| Customer::new(name, SERVICES)).collect();
    let mut repository = Repository::small(&world.place(), customers, FAST)?;
    world.set("/sync-wave/health-check-timeout", serde_json::json!("240s"))?;
    world.start(&repository)?;
    let mut medians = Vec::new();
    for (round, tag) in ["", "v2", "v3"].into_iter().enumerate() {
        let one_fails = tag == "v3";
        for (number, name) in names.iter().enumerate().filter(|_| !tag.is_empty()) {
            repository.change(name, |customer| {
                for service in &mut customer.services {
                    service.tag = tag.into();
                }
                if one_fails && number == FAILING {
                    customer.service("payments")?.behaviour = "exit".into();
                }
                Ok(())
            })?;
        }
        let ids = names.iter().map(|name| world.deploy(name, &[])).collect::<anyhow::Result<Vec<_>>>()?;
        let mut times = Vec::new();
        for (number, (name, id)) in names.iter().zip(&ids).enumerate() {
            let ended = world.ended(id)?;
            let fails = one_fails && number == FAILING;
            let wanted = if fails { "failed" } else { "succeeded" };
            ensure!(ended["state"] == wanted, "{name} ended {}: {}", ended["state"], ended["reason"]);
            if number == FAILING {
                continue;
            }
            let time = |key: &str| -> anyhow::Result<Timestamp> {
                Ok(ended[key].as_str().with_context(|| format!("no {key}"))?.parse()?)
            };
            times.push(time("ended_at")?.duration_since(time("started_at")?).as_millis());
            let apps = applications(name)?;
            ensure!(apps.len() == 11, "{name} has {} Applications", apps.len());
            // What they share did not change after the first time.
            let wrong = apps.iter().find(|(service, app)| {
                app.history.len() != if service.as_str() == "base" { 1 } else { round + 1 }
            });
            ensure!(wrong.is_none(), "{name}: not synced once each time: {wrong:?}");
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        medians.push(median);
        let what =
            if one_fails { "nine of ten succeeded, the failing one alone failed" } else { "all succeeded" };
        println!("     {what}: the nine took {median} ms (median), from {} to {} ms", times[0], times[8]);
    }
    let [_, without, with] = medians[..] else { anyhow::bail!("three rounds, not {}", medians.len()) };
    println!("     with one failing against without: {:.2}", with as f64 / without as f64);
    Ok(())
}
