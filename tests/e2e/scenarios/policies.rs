//! Applications that somebody else made, which follow a branch with automated sync on.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::cluster::{ARGO_CD, kubectl, until};
use crate::records::{CUSTOMER as LABEL, applications, check_edges, pods};
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const CUSTOMER: &str = "policies-e2e";
const SERVICES: [&str; 4] = ["base", "db", "api", "web"];

/// What the orchestrator would make, made by somebody else: on a branch, and kept there by Argo CD.
fn make(world: &World, repository: &Repository) -> anyhow::Result<()> {
    let values = repository.values(CUSTOMER);
    let made = world.json(&["generate", &values.to_string_lossy()])?;
    let mut objects = made["items"].as_array().cloned().context("not a list of objects")?;
    for object in &mut objects {
        if object["kind"] == "Application" {
            object["spec"]["source"]["targetRevision"] = json!("main");
            object["spec"]["syncPolicy"]["automated"] = json!({ "prune": true, "selfHeal": true });
            if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
                labels.remove("app.kubernetes.io/managed-by");
            }
        }
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let mut apply = Command::new("kubectl")
        .args(["apply", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    apply.stdin.take().context("no input")?.write_all(list.to_string().as_bytes())?;
    ensure!(apply.wait()?.success(), "the Applications cannot be made");
    Ok(())
}

/// Lets Argo CD look at the repository now, as a webhook of it would.
fn tell_argo_cd() -> anyhow::Result<()> {
    for service in SERVICES {
        let name = format!("{CUSTOMER}-{service}");
        kubectl(&[
            "-n",
            ARGO_CD,
            "annotate",
            "--overwrite",
            "application",
            &name,
            "argocd.argoproj.io/refresh=normal",
        ])?;
    }
    Ok(())
}

/// What of the customer's the orchestrator has written to, by Kubernetes' own record: its Applications, its project and
/// its namespace.
fn written() -> anyhow::Result<Vec<String>> {
    let mut written = Vec::new();
    for (kind, count) in [("applications", SERVICES.len()), ("appprojects", 1), ("namespaces", 1)] {
        let of_customer = format!("{LABEL}={CUSTOMER}");
        // Without being asked for them kubectl leaves out who wrote what.
        let text = kubectl(&[
            "-n",
            ARGO_CD,
            "get",
            kind,
            "-l",
            &of_customer,
            "-o",
            "json",
            "--show-managed-fields",
        ])?;
        let found: Value = serde_json::from_str(&text)?;
        let items = found["items"].as_array().context("not a list")?;
        ensure!(items.len() == count, "{} {kind} instead of {count}", items.len());
        for item in items {
            let fields = item["metadata"]["managedFields"].as_array().context("nobody wrote it")?;
            if fields.iter().any(|entry| entry["manager"] == "argocd-orchestrator") {
                written.push(format!("{kind} {}", item["metadata"]["name"]));
            }
        }
    }
    Ok(written)
}

fn until_synced(commit: &str) -> anyhow::Result<()> {
    until("Argo CD has synced all by itself", Duration::from_secs(120), || {
        let apps = applications(CUSTOMER)?;
        let fine = apps.len() == SERVICES.len()
            // What all share did not change, so there was nothing to sync.
            && apps.iter().filter(|(service, _)| *service != "base").all(|(_, app)| {
                app.synced == commit
                    && app.phase == "Succeeded"
                    && app.sync == "Synced"
                    && app.health == "Healthy"
            });
        Ok(fine.then_some(()))
    })
}

pub(crate) fn followed_branches(world: &mut World) -> anyhow::Result<()> {
    fresh(&[CUSTOMER])?;
    let small = Customer::new(CUSTOMER, "db 0\n api 1 db\n web 2 api");
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.set("/cluster/argo-cd/auto-sync", json!("refuse"))?;
    world.start(&repository)?;
    make(world, &repository)?;
    let tag = |repository: &mut Repository, tag: &str| {
        repository.change(CUSTOMER, |customer| {
            for service in &mut customer.services {
                service.tag = tag.into();
            }
            Ok(())
        })
    };

    let ended = world.deployed(CUSTOMER, "failed", &[])?;
    let reason = ended["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(
        reason.contains("follows a branch with automated sync on"),
        "it failed for another reason: {reason}"
    );
    ensure!(written()?.is_empty(), "written to were {:?}", written()?);
    println!("     refuse: {reason}");

    world.kill()?;
    world.forget()?;
    world.set("/cluster/argo-cd/auto-sync", json!("observe"))?;
    world.start(&repository)?;
    let commit = tag(&mut repository, "v2")?;
    let id = world.deploy(CUSTOMER, &[])?;
    // Argo CD does all of it, in whatever order; the gate only follows.
    until("the observed deployment is over", Duration::from_secs(180), || {
        tell_argo_cd()?;
        let state = world.status(&id)?["state"].clone();
        Ok((state != "running").then_some(()))
    })?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    until_synced(&commit)?;
    ensure!(written()?.is_empty(), "written to were {:?}", written()?);
    println!("     observe: Argo CD synced by itself, the gate followed, nothing was written");

    world.kill()?;
    world.set("/cluster/argo-cd/auto-sync", json!("disable"))?;
    world.start(&repository)?;
    let (edges, _) = world.graph(&repository, CUSTOMER)?;
    let before = applications(CUSTOMER)?;
    let commit = repository.change(CUSTOMER, |customer| {
        for service in &mut customer.services {
            service.tag = "v3".into();
        }
        customer.service("db")?.behaviour = "ready-after=10".into();
        Ok(())
    })?;
    let id = world.deploy(CUSTOMER, &[])?;
    let off = until("automated sync of all that is to move is off", Duration::from_secs(60), || {
        let apps = applications(CUSTOMER)?;
        let off = |service: &str| apps.get(service).is_some_and(|app| app.automated["enabled"] == false);
        Ok(["db", "api", "web"].into_iter().all(off).then_some(apps))
    })?;
    ensure!(off["db"].pinned == "main", "db is pinned to {}", off["db"].pinned);
    // Now Argo CD sees the push, long before the turn of api and web has come.
    tell_argo_cd()?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    let (apps, running) = (applications(CUSTOMER)?, pods(CUSTOMER, "policies-e2e-production")?);
    let checked = check_edges(&edges, &apps, &running)?;
    for service in ["db", "api", "web"] {
        let app = &apps[service];
        ensure!(app.pinned == "main", "{service} is pinned to {}", app.pinned);
        ensure!(app.synced == commit, "{service} is at {}", app.synced);
        let as_before = json!({ "enabled": true, "prune": true, "selfHeal": true });
        ensure!(app.automated == as_before, "automated sync of {service} is {}", app.automated);
        let syncs = app.history.len() - before[service].history.len();
        ensure!(syncs == 1, "{service} was synced {syncs} times");
    }
    // What the orchestrator writes is told from what others write.
    ensure!(!written()?.is_empty(), "nobody can tell what the orchestrator has written to");
    println!("     disable: {checked} edges in order, automated sync off while driven, and on again");
    Ok(())
}
