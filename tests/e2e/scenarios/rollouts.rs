//! Argo Rollouts: blue-green and canary.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::cluster::{get, list};
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

/// What a Prometheus that answers every query with this result would say.
fn prometheus(result: &Arc<Mutex<&'static str>>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    let result = Arc::clone(result);
    // Ends with the program: nobody waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut asked = [0; 4096];
            let Ok(_) = stream.read(&mut asked) else { continue };
            let vector = *result.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let body =
                format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{vector}]}}}}"#);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            // Who asked and went away asks again.
            let _gone = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    Ok(address)
}

/// The phases of all analyses, the oldest first.
fn analyses() -> anyhow::Result<Vec<String>> {
    let mut runs = list("analysisruns", NAMESPACE, "")?;
    runs.sort_by_key(|run| run["metadata"]["creationTimestamp"].to_string());
    Ok(runs.iter().map(|run| run["status"]["phase"].as_str().unwrap_or_default().to_owned()).collect())
}

pub(crate) fn analysed(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let result = Arc::new(Mutex::new(""));
    let address = prometheus(&result)?;
    let mut small = Customer::new(CUSTOMER, "db 0\n search 1 db\n web 2 search");
    small.service("search")?.more = "\n        deploymentStrategy: CANARY".into();
    let analysis = format!(
        "global:\n  analysis: {{prometheus: \"{address}\", interval: 2s, count: 2, failureLimit: 0}}\n"
    );
    let mut repository = Repository::small(&world.place(), vec![small], &format!("{FAST}{analysis}"))?;
    world.set("/sync-wave/health-check-timeout", json!("40s"))?;
    world.start(&repository)?;
    let services = ["db", "search", "web"];
    let first = world.deployed(CUSTOMER, "succeeded", &[])?;
    let mut good = first["revision"].as_str().context("no revision")?.to_owned();
    for (tag, vector, ends, phase) in [
        // Nobody has asked the service for anything: that proves nothing.
        ("v2", "", "failed", "Inconclusive"),
        ("v3", r#"{"metric":{},"value":[1,"0.99"]}"#, "succeeded", "Successful"),
        ("v4", r#"{"metric":{},"value":[1,"0.5"]}"#, "failed", "Failed"),
    ] {
        *result.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = vector;
        let commit = repository.change(CUSTOMER, |customer| {
            for service in &mut customer.services {
                service.tag = tag.into();
            }
            Ok(())
        })?;
        let ended = world.deployed(CUSTOMER, ends, &[])?;
        if ends == "succeeded" {
            good = commit;
        }
        check_healthy_at(&good, &applications(CUSTOMER)?, services)?;
        let phases = analyses()?;
        ensure!(phases.iter().any(|found| found == phase), "the analyses ended {phases:?}");
        println!("     the analysis was {phase}: {ends} {}", ended["reason"]);
    }
    Ok(())
}
