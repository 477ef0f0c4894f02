//! Many customers at once.

use anyhow::{Context, ensure};

use crate::records::applications;
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const SERVICES: &str = "db 0\n cache 0\n queue 0\n users 1 db\n orders 1 db queue\n search 1 cache\n \
                        payments 2 orders users\n mail 2 queue\n api 3 payments search\n web 4 api";

pub(crate) fn ten_at_once(world: &mut World) -> anyhow::Result<()> {
    let names: Vec<String> = (0..10).map(|number| format!("tenant-{number}-e2e")).collect();
    fresh(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut customers: Vec<Customer> = names.iter().map(|name| Customer::new(name, SERVICES)).collect();
    customers[3].service("payments")?.behaviour = "exit".into();
    let repository = Repository::small(&world.place(), customers, FAST)?;
    world.set("/sync-wave/health-check-timeout", serde_json::json!("240s"))?;
    world.start(&repository)?;
    let ids = names.iter().map(|name| world.deploy(name, &[])).collect::<anyhow::Result<Vec<_>>>()?;
    let mut times = Vec::new();
    for (number, (name, id)) in names.iter().zip(&ids).enumerate() {
        let ended = world.ended(id)?;
        let wanted = if number == 3 { "failed" } else { "succeeded" };
        ensure!(ended["state"] == wanted, "{name} ended {}: {}", ended["state"], ended["reason"]);
        let time = |key: &str| -> anyhow::Result<jiff::Timestamp> {
            Ok(ended[key].as_str().with_context(|| format!("no {key}"))?.parse()?)
        };
        times.push(time("ended_at")?.duration_since(time("started_at")?).as_secs());
        if number != 3 {
            let apps = applications(name)?;
            ensure!(apps.len() == 11, "{name} has {} Applications", apps.len());
            ensure!(apps.values().all(|app| app.history.len() == 1), "{name}: something was synced twice");
        }
    }
    println!("     nine of ten succeeded, in {times:?} s; the failing one alone failed");
    Ok(())
}
