//! `demo`, and what can be looked at after it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use argocd_orchestrator::domain::catalog::Limits;
use argocd_orchestrator::domain::values::{self, Expected};
use serde_json::Value;

use crate::{check, run, stderr, stdout};

/// Runs the demo as fast as it goes, and reads the one object that it prints.
fn demo(data: &Path, arguments: &[&str]) -> Value {
    let output = run(data, &[&["demo", "--output", "json", "--speed", "400"], arguments].concat());
    check(&output, 0, &[]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(&output)))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Every run of these went well: all healthy at the end, nothing out of order.
fn check_runs(report: &Value, count: usize) {
    let runs = report["deployments"].as_array().unwrap();
    assert_eq!(runs.len(), count);
    for run in runs {
        let numbers = ["services", "healthy", "rolled_back", "order_violations"].map(|key| run[key].as_u64());
        assert_eq!(numbers, [Some(55), Some(55), Some(0), Some(0)], "{run:#}");
        assert_eq!(run["state"], "succeeded");
    }
    assert_eq!(report["order_violations"], 0);
}

#[test]
fn two_pushes_end_healthy_and_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let report = demo(&data, &[]);
    check_runs(&report, 2);
    let runs = report["deployments"].as_array().unwrap();
    let keys: BTreeSet<&str> = runs[0].as_object().unwrap().keys().map(String::as_str).collect();
    for key in [
        "id",
        "customer",
        "revision",
        "state",
        "services",
        "touched",
        "healthy",
        "rolled_back",
        "order_violations",
        "waves",
        "makespan_seconds",
        "critical_path_seconds",
    ] {
        assert!(keys.contains(key), "{key} in {keys:?}");
    }
    assert_eq!(runs[0]["touched"], 55);
    let touched = runs[1]["touched"].as_u64().unwrap();
    assert!(touched > 0 && touched < 55, "a new image tag touches {touched}");
    for run in runs {
        let (took, critical) =
            (run["makespan_seconds"].as_f64().unwrap(), run["critical_path_seconds"].as_f64().unwrap());
        assert!(critical > 0.0 && critical <= took, "{critical} of {took}");
    }
    let id = runs[1]["id"].as_str().unwrap();
    looked_at(&data, id);
}

/// What was done is shown in each form, and what is over is not moved any more.
fn looked_at(data: &Path, id: &str) {
    let customer = ["history", "--customer", "customer-a", "--environment", "production"];
    for arguments in [&["status"][..], &["status", id], &["history", id], &customer, &["why"], &["why", id]] {
        for format in ["table", "json", "yaml"] {
            let output = run(data, &[arguments, &["--output", format]].concat());
            check(&output, 0, &[]);
            match format {
                "json" => drop(serde_json::from_slice::<Value>(&output.stdout).unwrap()),
                "yaml" => drop(serde_saphyr::from_str::<Value>(stdout(&output)).unwrap()),
                _ => assert!(!stdout(&output).contains('\u{1b}'), "colours without a terminal"),
            }
        }
    }
    let shown: Value =
        serde_json::from_slice(&run(data, &["status", id, "--output", "json"]).stdout).unwrap();
    assert_eq!((shown["id"].as_str(), shown["state"].as_str()), (Some(id), Some("succeeded")));
    let listed: Value = serde_json::from_slice(&run(data, &["status", "--output", "json"]).stdout).unwrap();
    assert_eq!(listed[0]["id"], shown["id"]);
    for command in ["pause", "resume", "approve", "abort", "rollback"] {
        check(&run(data, &[command, id]), 5, &["the deployment is succeeded"]);
    }
    check(&run(data, &["demo"]), 5, &["is there already"]);
}

/// What each service of the examples depends on.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/helm-charts/customers/customer-a/values.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let (catalog, _) = values::read("values.yaml", &text, &Expected::default(), &Limits::default());
    let services = catalog.unwrap().services;
    let on = |service: &argocd_orchestrator::domain::catalog::Service| {
        service.dependencies.iter().map(|dependency| dependency.on.to_string()).collect()
    };
    services.iter().map(|service| (service.name.to_string(), on(service))).collect()
}

#[test]
fn a_failing_service_takes_its_push_back_in_reverse_order() {
    let folder = tempfile::tempdir().unwrap();
    let report = demo(&folder.path().join("data"), &["--fail", "payment-service"]);
    let runs = report["deployments"].as_array().unwrap();
    assert_eq!((runs[0]["state"].as_str(), runs[1]["state"].as_str()), (Some("succeeded"), Some("failed")));
    let reason = runs[1]["reason"].as_str().unwrap();
    assert!(reason.starts_with("payment-service failed: "), "{reason}");
    let order = texts(&runs[1]["rollback_order"]);
    assert_eq!(runs[1]["rolled_back"].as_u64().unwrap() as usize, order.len());
    assert!(order.contains(&"payment-service".to_owned()), "{order:?}");
    assert_eq!((runs[1]["healthy"].as_u64(), report["order_violations"].as_u64()), (Some(55), Some(0)));
    let position: BTreeMap<&str, usize> =
        order.iter().zip(0..).map(|(name, at)| (name.as_str(), at)).collect();
    let mut pairs = 0;
    for (dependant, required) in &dependencies() {
        let Some(dependant) = position.get(dependant.as_str()) else { continue };
        for required in required.iter().filter_map(|name| position.get(name.as_str())) {
            assert!(dependant < required, "{order:?}");
            pairs += 1;
        }
    }
    assert!(pairs > 0, "nothing that was taken back depends on anything: {order:?}");
}

#[test]
fn customers_are_deployed_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let report = demo(&folder.path().join("data"), &["--customers", "2"]);
    check_runs(&report, 4);
    let customers: BTreeSet<&str> = report["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["customer"].as_str().unwrap())
        .collect();
    assert_eq!(customers, BTreeSet::from(["customer-a", "customer-b"]));
}

#[test]
fn dependencies_alone_are_an_order_too() {
    let folder = tempfile::tempdir().unwrap();
    let report = demo(&folder.path().join("data"), &["--order", "dependencies"]);
    check_runs(&report, 2);
    assert_eq!(report["order"], "dependencies");
}

#[test]
fn a_service_that_the_examples_do_not_have_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&folder.path().join("data"), &["demo", "--fail", "payment-servce"]);
    check(&output, 4, &["the examples have no such service"]);
    assert!(!stderr(&output).contains("panicked"));
}
