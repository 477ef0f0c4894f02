//! What goes wrong around us.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::cluster::{ARGO_CD, kubectl, until};
use crate::records::{applications, check_edges, check_healthy_at, pods};
use crate::repository::{Customer, Repository};
use crate::world::{FAST, World, fresh};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits until the blocker of a service says something.
fn blocked(world: &World, id: &str, service: &str, words: &str) -> anyhow::Result<()> {
    let why = until(&format!("{service} waits for: {words}"), MINUTE, || {
        let (_, why) = world.service(id, service)?;
        Ok(why.contains(words).then_some(why))
    })?;
    println!("     {service}: {why}");
    Ok(())
}

pub(crate) fn somebody_else(world: &mut World) -> anyhow::Result<()> {
    let customer = "others-e2e";
    fresh(&[customer])?;
    let small = Customer::new(customer, "db 0\n api 1 db\n web 2 api");
    let mut repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.start(&repository)?;
    let first = world.deployed(customer, "succeeded", &[])?;
    let old = first["revision"].as_str().context("no revision")?.to_owned();
    let bump = |repository: &mut Repository, tag: &str| {
        repository.change(customer, |customer| {
            for service in &mut customer.services {
                service.tag = tag.into();
            }
            customer.service("db")?.behaviour = "ready-after=10".into();
            Ok(())
        })
    };

    // Somebody syncs db to the old commit while ours is verified: ours is the one that counts in the end.
    let new = bump(&mut repository, "v2")?;
    let id = world.deploy(customer, &[])?;
    until("db is verified", MINUTE, || Ok((world.service(&id, "db")?.0 == "verifying").then_some(())))?;
    let operation =
        json!({ "operation": { "initiatedBy": { "username": "somebody" }, "sync": { "revision": old } } });
    kubectl(&[
        "-n",
        ARGO_CD,
        "patch",
        "application",
        "others-e2e-db",
        "--type",
        "merge",
        "-p",
        &operation.to_string(),
    ])?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    check_healthy_at(&new, &applications(customer)?, ["db", "api", "web"])?;
    println!("     somebody's sync to another commit in between was noticed, and ours came again");

    // Somebody deletes an Application that is under way: it is made again.
    let new = bump(&mut repository, "v3")?;
    let id = world.deploy(customer, &[])?;
    until("db is verified", MINUTE, || Ok((world.service(&id, "db")?.0 == "verifying").then_some(())))?;
    kubectl(&["-n", ARGO_CD, "delete", "application", "others-e2e-db"])?;
    let ended = world.ended(&id)?;
    println!("     db's Application was deleted: {} {}", ended["state"], ended["reason"]);
    if ended["state"] != "succeeded" {
        world.deployed(customer, "succeeded", &["--force"])?;
    }
    check_healthy_at(&new, &applications(customer)?, ["db", "api", "web"])?;

    // A sync window is closed.
    let window =
        json!([{ "kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"] }]);
    let patch = json!({ "spec": { "syncWindows": window } });
    kubectl(&["-n", ARGO_CD, "patch", "appproject", customer, "--type", "merge", "-p", &patch.to_string()])?;
    let new = bump(&mut repository, "v4")?;
    let id = world.deploy(customer, &[])?;
    blocked(world, &id, "db", "window")?;
    let open = json!({ "spec": { "syncWindows": [] } });
    kubectl(&["-n", ARGO_CD, "patch", "appproject", customer, "--type", "merge", "-p", &open.to_string()])?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    check_healthy_at(&new, &applications(customer)?, ["db", "api", "web"])?;
    println!("     a closed sync window was named, and waited for");
    Ok(())
}

/// The programs of the test cluster, by its own process ids. Another cluster has no such folder.
struct Program {
    name: &'static str,
    pid: String,
    line: Vec<u8>,
    environment: Vec<u8>,
    folder: PathBuf,
}

impl Program {
    fn find(name: &'static str) -> anyhow::Result<Self> {
        let home = std::env::var("CLUSTER_RUN").map(PathBuf::from).or_else(|_| {
            let home = std::env::var("HOME")?;
            anyhow::Ok(PathBuf::from(home).join(".cache/argocd-orchestrator/cluster/run"))
        })?;
        let file = home.join("pid").join(name);
        let pid = std::fs::read_to_string(&file).with_context(|| {
            format!("{} is not there: this scenario needs the cluster of setup-test-env.sh", file.display())
        })?;
        let pid = pid.trim().to_owned();
        let of = |what: &str| format!("/proc/{pid}/{what}");
        Ok(Self {
            name,
            line: std::fs::read(of("cmdline"))?,
            environment: std::fs::read(of("environ"))?,
            folder: std::fs::read_link(of("cwd"))?,
            pid,
        })
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args([signal, &self.pid]).status()?;
        ensure!(status.success(), "kill {signal} {} ({})", self.pid, self.name);
        Ok(())
    }

    /// Starts it again as it was, under a new process id.
    fn start(&self) -> anyhow::Result<()> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let words: Vec<String> =
            self.line.split(|byte| *byte == 0).map(text).filter(|word| !word.is_empty()).collect();
        let (program, arguments) = words.split_first().context("no command line")?;
        let log = std::fs::OpenOptions::new()
            .append(true)
            .open(self.folder.join("log").join(format!("{}.log", self.name)))?;
        let variables: BTreeMap<String, String> = self
            .environment
            .split(|byte| *byte == 0)
            .filter_map(|entry| text(entry).split_once('=').map(|(name, value)| (name.into(), value.into())))
            .collect();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .current_dir(&self.folder)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        std::fs::write(self.folder.join("pid").join(self.name), child.id().to_string())?;
        Ok(())
    }
}

const CHAIN: &str = "db 0\n cache 0\n users 1 db\n orders 1 db cache\n api 2 users orders\n web 3 api";

fn away(world: &mut World, customer: &str, program: &'static str, why: &str) -> anyhow::Result<()> {
    fresh(&[customer])?;
    let mut small = Customer::new(customer, CHAIN);
    small.service("users")?.behaviour = "ready-after=5".into();
    let repository = Repository::small(&world.place(), vec![small], FAST)?;
    // Longer than the outage: what is asked here is whether it goes on, not whether it gives up.
    world.set("/sync-wave/health-check-timeout", json!("180s"))?;
    world.start(&repository)?;
    let (edges, _) = world.graph(&repository, customer)?;
    let id = world.deploy(customer, &[])?;
    until("wave 1 is under way", MINUTE, || {
        Ok(["syncing", "verifying"].contains(&world.service(&id, "users")?.0.as_str()).then_some(()))
    })?;
    let program = Program::find(program)?;
    program.signal("-KILL")?;
    println!("     {} was killed", program.name);
    std::thread::sleep(MINUTE);
    let status = world.status(&id)?;
    ensure!(status["state"] == "running", "it did not wait: {} {}", status["state"], status["reason"]);
    let told = world.command(&["why", &id])?.text;
    println!("{told}");
    ensure!(told.contains(why), "`why` does not say {why:?}");
    program.start()?;
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    let commit = ended["revision"].as_str().context("no revision")?.to_owned();
    let apps = applications(customer)?;
    check_healthy_at(&commit, &apps, ["db", "cache", "users", "orders", "api", "web"])?;
    check_edges(&edges, &apps, &pods(customer, &format!("{customer}-production"))?)?;
    ensure!(apps.values().all(|app| app.history.len() == 1), "something was synced twice");
    println!("     it went on, in order, and nothing was synced twice");
    Ok(())
}

pub(crate) fn controller_away(world: &mut World) -> anyhow::Result<()> {
    away(world, "controller-e2e", "argocd-controller", "")
}

pub(crate) fn api_server_away(world: &mut World) -> anyhow::Result<()> {
    away(world, "apiserver-e2e", "kube-apiserver", "")
}

pub(crate) fn killed(world: &mut World) -> anyhow::Result<()> {
    let customer = "killed-e2e";
    fresh(&[customer])?;
    let mut small = Customer::new(customer, CHAIN);
    for service in &mut small.services {
        service.behaviour = "ready-after=4".into();
    }
    let repository = Repository::small(&world.place(), vec![small], FAST)?;
    world.start(&repository)?;
    let (edges, _) = world.graph(&repository, customer)?;
    let id = world.deploy(customer, &[])?;
    let mut kills = 0;
    while kills < 20 {
        std::thread::sleep(Duration::from_millis(300 + 130 * (kills % 9)));
        let status: Value = world.status(&id)?;
        if status["state"] != "running" && status["state"] != "queued" {
            bail!("it was over after {kills} kills: {}", status["state"]);
        }
        world.kill()?;
        kills += 1;
        world.serve()?;
    }
    let ended = world.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "it ended {}: {}", ended["state"], ended["reason"]);
    let apps = applications(customer)?;
    check_edges(&edges, &apps, &pods(customer, "killed-e2e-production")?)?;
    ensure!(apps.values().all(|app| app.history.len() == 1), "something was synced twice");
    println!("     killed {kills} times, in order, and each service was synced once");
    Ok(())
}
