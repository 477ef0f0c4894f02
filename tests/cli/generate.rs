//! `generate`: manifests as people commit them. What they are made of is tested where it is decided.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::{program, stderr, stdout};

const URL: &str = "https://git.example.com/customers.git";

const VALUES: &str = "global:
  customerId: customer-x
  environment: production
  imageTag: v1
microservices:
  databases:
    sync-wave: 0
    services:
      - {name: redis, image: 'redis:7'}
  apis:
    sync-wave: 1
    services:
      - {name: api, image: 'rtte/api:{{ .Values.global.imageTag }}', dependencies: [redis]}
";

const CAC: &str = "customer-id: customer-y
environment: production
image-prefix: rtte
sync-waves:
  - {wave: 0, name: databases, services: [redis]}
applications:
  - {name: redis, version: '7'}
";

const CONFIG: &str = "sources:
  - name: values
    url: https://git.example.com/fetched-by-us.git
    argo-cd-url: https://git.example.com/customers.git
    repository: example/customers
    token: ${NOT_SET_HERE}
    targets:
      - {ref: refs/heads/main, environment: production, charts-path: elsewhere/, base-chart: charts/base}
cluster:
  argo-cd:
    namespace: delivery
    sync-options: [ServerSideApply=true, 'yes', '1.10']
    provision: {quota: {pods: '60'}, isolate: false, allowed-kinds: [apps/Deployment]}
";

/// A repository with a customer of each format.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("customers/customer-x/Chart.yaml", "name: customer-x\n");
    write("customers/customer-x/values.yaml", VALUES);
    write("cac/customer-y.yaml", CAC);
    write("orchestrator.yaml", CONFIG);
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(folder.path()).status().unwrap();
    assert!(git.success());
    folder
}

/// What is printed, and what is said beside it.
#[track_caller]
fn check(folder: &Path, arguments: &[&str], exit: i32, said: &[&str]) -> String {
    let output = program().arg("generate").args(arguments).current_dir(folder).output().unwrap();
    crate::check(&output, exit, said);
    if said.is_empty() {
        assert_eq!(stderr(&output), "");
    }
    stdout(&output).to_owned()
}

fn items(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let text = check(folder, &[arguments, &["--output", "json"]].concat(), 0, &[]);
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
    list["items"].as_array().unwrap().clone()
}

/// `Kind name`, one by one.
fn names(items: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items.iter().map(|item| format!("{} {}", text(&item["kind"]), text(&item["metadata"]["name"]))).collect()
}

#[test]
fn the_manifests_of_a_small_customer_are_as_agreed() {
    let folder = repository();
    for (name, more) in [
        ("generated", &[][..]),
        ("generated-application-sets", &["--application-sets", "--kind", "applicationset"]),
        (
            "generated-application-sets-per-customer",
            &["--application-sets", "--layout", "application-per-customer", "--kind", "ApplicationSet"],
        ),
    ] {
        let paths = ["customers", "cac", "--repository", URL, "--base-chart", "base"];
        let text = check(folder.path(), &[&paths, more].concat(), 0, &[]);
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text); });
    }
}

#[test]
fn yaml_and_json_are_the_same_objects() {
    let folder = repository();
    let arguments = ["--config", "orchestrator.yaml", "customers", "cac"];
    for more in [&[][..], &["--application-sets"], &["--layout", "application-per-customer"]] {
        let arguments = [&arguments, more].concat();
        let yaml = check(folder.path(), &[&arguments[..], &["--output", "yaml"]].concat(), 0, &[]);
        let documents: Vec<Value> =
            yaml.split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect();
        assert_eq!(documents, items(folder.path(), &arguments));
    }
}

#[test]
fn the_configuration_says_what_the_manifests_are_like() {
    let folder = repository();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let arguments =
        ["-c", "orchestrator.yaml", "customers", "cac", "--source", "values", "--revision", commit];
    let items = items(folder.path(), &arguments);
    assert_eq!(
        names(&items),
        [
            "Namespace customer-x-production",
            "ResourceQuota customer",
            "AppProject customer-x",
            "Application customer-x-base",
            "Application customer-x-redis",
            "Application customer-x-api",
            "Namespace customer-y-production",
            "ResourceQuota customer",
            "AppProject customer-y",
            "Application customer-y-base",
            "Application customer-y-redis",
        ]
    );
    for item in items.iter().filter(|item| item["kind"] == "Application") {
        let (source, namespace) = (&item["spec"]["source"], &item["metadata"]["namespace"]);
        assert_eq!(
            (&source["repoURL"], &source["targetRevision"], namespace),
            (&json!(URL), &json!(commit), &json!("delivery"))
        );
        assert_eq!(
            item["spec"]["syncPolicy"],
            json!({ "syncOptions": ["ServerSideApply=true", "yes", "1.10"] })
        );
        let (path, has_values) = if item["spec"]["project"] == "customer-x" {
            ("elsewhere/customer-x", false)
        } else {
            ("charts/base", true)
        };
        assert_eq!((&source["path"], source["helm"]["valuesObject"].is_object()), (&json!(path), has_values));
    }
    let sets = self::items(
        folder.path(),
        &[&arguments, &["--application-sets", "--layout", "application-per-customer"][..]].concat(),
    );
    let set = sets.iter().find(|item| item["metadata"]["name"] == "customers-values-production").unwrap();
    assert_eq!(set["spec"]["generators"][0]["git"]["revision"], "main");
    assert_eq!(set["spec"]["template"]["spec"]["source"]["targetRevision"], commit);
}

#[test]
fn kinds_are_picked_out() {
    let folder = repository();
    let pick =
        |more: &[&str]| names(&items(folder.path(), &[&["customers", "--repository", URL], more].concat()));
    assert_eq!(
        pick(&["--kind", "appproject", "--kind", "Namespace"]),
        ["Namespace customer-x-production", "AppProject customer-x"]
    );
    assert_eq!(
        pick(&["--application-sets", "--kind", "ApplicationSet"]),
        ["ApplicationSet customer-x-services"]
    );
    let whole = ["--layout", "application-per-customer", "--kind", "Application"];
    assert_eq!(pick(&whole), ["Application customer-x-applications"]);
    let arguments = ["customers", "--repository", URL, "--kind", "ResourceQuota"];
    assert_eq!(
        check(folder.path(), &arguments, 0, &["note: 1 customer makes nothing of ResourceQuota"]).trim(),
        ""
    );
}

#[test]
fn what_cannot_be_generated_is_refused_with_the_remedy() {
    let folder = repository();
    let config = ["-c", "orchestrator.yaml"];
    for (arguments, exit, said) in [
        (&["customers"][..], 2, "--repository URL, or --source NAME (configured: none)"),
        (&["customers", "--source", "lost"], 4, "no source is called lost; configured: none"),
        (&["customers", "--repository", URL, "--source", "x"], 2, "cannot be used with"),
        (&["customers", "--repository", URL, "--kind", "Pod"], 2, "possible values: AppProject"),
        (&["customers", "--repository", URL, "--kind", "ApplicationSet"], 2, "with --application-sets"),
        (&["customers", "--repository", URL, "--revision", "main"], 2, "is not a full commit id"),
        (&["nowhere", "--repository", URL], 4, "no such file or folder"),
    ] {
        check(folder.path(), arguments, exit, &[said]);
    }
    let both = ["customers", "--repository", URL, "--application-sets", "--kind", "application"];
    check(folder.path(), &both, 2, &["instead of Applications"]);

    let values = folder.path().join("customers/customer-x/values.yaml");
    fs::write(folder.path().join("alone.yaml"), VALUES).unwrap();
    check(folder.path(), &["alone.yaml", "--repository", URL], 3, &["there is no chart beside it"]);
    // Where the configuration says where the charts are, none need be here.
    let configured = [&config, &["alone.yaml", "--kind", "Application"][..]].concat();
    assert_eq!(items(folder.path(), &configured)[0]["spec"]["source"]["path"], "elsewhere/customer-x");
    let twice = [&config, &["alone.yaml", "customers"][..]].concat();
    check(folder.path(), &twice, 3, &["Namespace customer-x-production would be made twice"]);
    fs::write(&values, VALUES.replace("environment: production", "environment: staging")).unwrap();
    check(folder.path(), &[&config, &["customers"][..]].concat(), 3, &["deploys to staging"]);
    fs::write(&values, VALUES.replace("[redis]", "[rediss]")).unwrap();
    check(folder.path(), &["customers", "--repository", URL], 3, &["no manifests can be made", "rediss"]);
    fs::write(&values, VALUES).unwrap();
    fs::remove_dir_all(folder.path().join(".git")).unwrap();
    check(folder.path(), &["customers", "--repository", URL], 3, &["is in no git repository"]);
}
