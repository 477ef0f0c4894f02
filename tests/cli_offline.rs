//! The commands that need no server: what they print, and the codes they end with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const A: &str = "examples/helm-charts/customers/customer-a";
const CUSTOMERS: &str = "examples/helm-charts/customers";
const C: &str = "examples/cac-configs/customer-c.yaml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_argocd-orchestrator"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("ORCHESTRATOR_CONFIG")
        .env_remove("ORCHESTRATOR_LOG")
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs in the repository; `said` must all stand in what is printed, `complained` in what goes to standard error.
fn check(arguments: &[&str], code: i32, said: &[&str], complained: &[&str]) -> String {
    check_in(&root(), arguments, code, said, complained)
}

fn check_in(folder: &Path, arguments: &[&str], code: i32, said: &[&str], complained: &[&str]) -> String {
    let output = run_in(folder, arguments);
    let (out, err) = (out(&output), err(&output));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    for text in said {
        assert!(out.contains(text), "{arguments:?} does not print {text:?}:\n{out}");
    }
    for text in complained {
        assert!(err.contains(text), "{arguments:?} does not complain {text:?}:\n{err}");
    }
    out
}

fn json(arguments: &[&str], code: i32) -> Value {
    let out = check(arguments, code, &[], &[]);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{out}"))
}

#[test]
fn the_examples_have_no_faults() {
    check(&["validate", CUSTOMERS, C, "--strict"], 0, &["nothing wrong in 3 files with 165 services"], &[]);
    check(&["validate", "examples/cac-configs"], 0, &["nothing wrong in 1 file with 55 services"], &[]);
    assert_eq!(json(&["validate", A, "--output", "json"], 0), serde_json::json!({"diagnostics": []}));
    check(&["validate", A, "--output", "yaml"], 0, &["diagnostics: []"], &[]);
}

#[test]
fn every_broken_file_ends_with_its_fault_and_its_code() {
    let mut files = 0;
    for entry in fs::read_dir(root().join("tests/fixtures/broken")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (file, code) =
            (format!("tests/fixtures/broken/{name}"), name.trim_end_matches(".yaml").to_owned());
        let is_doubt = code == "unknown-key" || code == "missing-wave";
        let found = json(&["validate", &file, "-o", "json"], if is_doubt { 0 } else { 3 });
        let found = found["diagnostics"].as_array().unwrap();
        assert!(
            code == "many" || found.iter().all(|fault| fault["code"] == code.as_str()),
            "{file}: {found:#?}"
        );
        for fault in found {
            assert_eq!(fault["file"], file.as_str());
            assert!(fault["line"].is_u64() && fault["column"].is_u64() && fault["message"].is_string());
            assert!(fault["severity"] == "error" || fault["severity"] == "warning");
        }
        // The table for people ends with the same code, and --strict has no doubts.
        check(&["validate", &file], if is_doubt { 0 } else { 3 }, &[&format!("{file}: ")], &[]);
        check(&["validate", "--strict", &file], 3, &[], &[]);
        files += 1;
    }
    assert_eq!(files, 26);
}

#[test]
fn all_that_is_wrong_is_shown_with_its_line() {
    insta::assert_snapshot!(
        "many-for-people",
        check(&["validate", "tests/fixtures/broken/many.yaml"], 3, &[], &[])
    );
    let found = check(&["validate", "tests/fixtures/broken/many.yaml", "-o", "json"], 3, &[], &[]);
    insta::assert_snapshot!("many-for-programs", found);
}

#[test]
fn what_is_not_there_is_said_so() {
    for arguments in [
        &["validate", "no/such/path"][..],
        &["graph", "no-such.yaml"],
        &["plan", "no-such.yaml"],
        &["validate", A, "src"],
        &["explain", A, "payment-servic"],
        &["plan", A, "--service", "payment-servic"],
        &["plan", A, "--wave", "9"],
        &["plan", A, "--against", "no-such-revision"],
        &["simulate", A, "--durations", "no-such.yaml"],
    ] {
        check(arguments, 4, &[], &["error: "]);
    }
    check(&["explain", A, "payment-servic"], 4, &[], &["did you mean `payment-service`?"]);
    check(&["plan", A, "--against", "no-such"], 4, &[], &["neither a path that exists nor a revision"]);
}

#[test]
fn wrong_arguments_are_told_apart_from_wrong_input() {
    check(&["graph", CUSTOMERS], 2, &[], &["holds 2 customers", "customer-b"]);
    check(&["plan", A, "--against=--output=x"], 2, &[], &["begins with `-`"]);
    check(&["plan", A, "--order", "sideways"], 2, &[], &["waves"]);
    check(&["graph", A, "--format", "png"], 2, &[], &["mermaid"]);
    check(&["schema", "everything"], 2, &[], &["microservice"]);
    check(&["validate", A, "--environment", "staging"], 3, &["customer-mismatch"], &[]);
    check(&["validate", A, "--max-services", "10"], 3, &["limit-exceeded"], &[]);
    check(&["validate", A, "--max-waves", "3"], 3, &["wave-out-of-range"], &[]);
    check(&["validate", A, "--max-bytes", "100"], 3, &["at most 100 are read"], &[]);
    check(&["plan", "tests/fixtures/broken/many.yaml"], 3, &[], &["nothing can be planned", "wrong-type"]);
    check(&["simulate", "tests/fixtures/broken/dependency-cycle.yaml"], 3, &[], &["dependency-cycle"]);
}

#[test]
fn a_graph_is_printed_in_every_form() {
    let graph = json(&["graph", A, "--output", "json"], 0);
    let fields: Vec<&String> = graph.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["cycles", "edges", "services", "waves"]);
    assert_eq!(graph["services"].as_array().unwrap().len(), 55);
    assert_eq!(graph["waves"].as_array().unwrap().len(), 5);
    check(&["graph", A, "-o", "json", "--format", "dot"], 0, &["digraph \"customer-a production\" {"], &[]);
    check(&["graph", A, "--format", "mermaid"], 0, &["flowchart LR"], &[]);
    check(&["graph", C, "--format", "svg"], 0, &["<svg", "</svg>"], &[]);
    insta::assert_snapshot!("graph-for-people", check(&["graph", A], 0, &[], &[]));
    let file = format!("{A}/values.yaml");
    let recorded =
        fs::read_to_string(root().join("examples/dependency-graphs/customer-a-dependencies.yaml")).unwrap();
    assert_eq!(check(&["graph", &file, "--output", "yaml"], 0, &[], &[]), recorded);
}

#[test]
fn a_graph_with_a_ring_is_printed_beside_its_fault() {
    let ring = "tests/fixtures/broken/dependency-cycle.yaml";
    check(&["graph", ring], 3, &["↻", "3 services in a ring"], &["error[dependency-cycle]"]);
    let graph = json(&["graph", ring, "-o", "json"], 3);
    assert_eq!(graph["cycles"].as_array().unwrap().len(), 1);
    check(&["graph", ring, "--format", "svg"], 3, &["<svg"], &["remove the dependency of"]);
}

#[test]
fn a_service_is_explained() {
    insta::assert_snapshot!("explained", check(&["explain", A, "payment-service"], 0, &[], &[]));
    check(&["explain", A, "redis"], 0, &["depends on nothing", "is waited for by 8 services"], &[]);
    check(&["explain", A, "storefront"], 0, &["nothing waits for it"], &[]);
    let told = json(&["explain", A, "payment-service", "--order", "dependencies", "-o", "json"], 0);
    assert_eq!((&told["wave"], &told["start_seconds"], &told["of"]), (&3.into(), &180.0.into(), &55.into()));
    let taken = "tests/fixtures/broken/missing-wave.yaml";
    check(&["explain", taken, "api"], 0, &["taken from the graph: one more than redis"], &["2 warnings"]);
}

#[test]
fn both_orders_are_simulated_side_by_side() {
    insta::assert_snapshot!("simulated", check(&["simulate", A], 0, &[], &[]));
    let first = check(&["simulate", A, "--seed", "7", "-o", "json"], 0, &[], &[]);
    assert_eq!(first, check(&["simulate", A, "--seed", "7", "-o", "json"], 0, &[], &[]));
    let simulation: Value = serde_json::from_str(&first).unwrap();
    let run = |at: usize| &simulation["orders"][at];
    assert_eq!((&run(0)["order"], &run(1)["order"]), (&"waves".into(), &"dependencies".into()));
    assert!(run(0)["makespan_seconds"].as_f64() >= run(1)["makespan_seconds"].as_f64());
    assert_eq!(run(1)["ratio"], 1.0);
    let one = json(&["simulate", A, "--slots", "4", "--order", "waves", "-o", "json"], 0);
    assert_eq!((&one["slots"], &one["orders"][0]["most_at_once"]), (&4.into(), &4.into()));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("durations.yaml");
    for (text, code, complaint) in [
        ("redis: 2m\npostgres: 45s\n", 0, ""),
        ("redis: soon\n", 3, "\"soon\" is not a duration"),
        ("rediss: 2m\n", 4, "did you mean `redis`?"),
        ("- redis\n", 3, "not lines such as"),
    ] {
        fs::write(&file, text).unwrap();
        check(&["simulate", A, "--durations", file.to_str().unwrap()], code, &[], &[complaint]);
    }
}

#[test]
fn schemas_and_completions_are_printed() {
    for kind in ["values", "microservice", "dependency"] {
        let schema = json(&["schema", kind], 0);
        assert!(schema["$id"].as_str().unwrap().ends_with(&format!("{kind}.json")));
    }
    assert_eq!(json(&["schema"], 0), json(&["schema", "values", "-o", "json"], 0));
    for shell in ["bash", "zsh", "fish"] {
        check(&["completion", shell], 0, &["argocd-orchestrator", "simulate"], &[]);
    }
}

/// A repository of its own with a chart for one customer, committed.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let one = Self(tempfile::tempdir().unwrap());
        one.write("base/templates/all.yaml", "kind: x\n");
        one.write("base/Chart.yaml", "name: base\n");
        one.write("customers/customer-x/Chart.yaml", "name: customer-x\n");
        one.write("customers/customer-x/values.yaml", VALUES);
        one.link("../../../base", "customers/customer-x/charts/base");
        one.git(&["init", "--quiet", "--initial-branch=main"]);
        one.commit();
        one
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, target: &str, at: &str) {
        let path = self.0.path().join(at);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").args(who).args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "x"]);
    }

    fn change(&self, from: &str, to: &str) {
        let path = self.0.path().join("customers/customer-x/values.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn plan(&self, arguments: &[&str], said: &[&str]) -> String {
        check_in(self.0.path(), &[&["plan"], arguments].concat(), 0, said, &[])
    }

    /// The first plan's changes as `service action reason`.
    fn changes(&self, arguments: &[&str]) -> Vec<String> {
        let plans: Value =
            serde_json::from_str(&self.plan(&[arguments, &["-o", "json"]].concat(), &[])).unwrap();
        let line = |change: &Value| {
            let reasons: Vec<&str> = change["reasons"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["reason"].as_str().unwrap())
                .collect();
            let service = change["service"].as_str().unwrap_or("base");
            format!("{service} {} {}", change["action"]["action"].as_str().unwrap(), reasons.join(","))
        };
        plans["plans"][0]["plan"]["changes"].as_array().unwrap().iter().map(line).collect()
    }
}

const VALUES: &str = "global:
  customerId: customer-x
  environment: production
  imageTag: v1
  namespace: customer-x-production
microservices:
  databases:
    sync-wave: 0
    services:
      - {name: redis, image: 'redis:7'}
      - {name: postgres, image: 'postgres:15'}
  apis:
    sync-wave: 1
    services:
      - {name: api, image: 'rtte/api:{{ .Values.global.imageTag }}', dependencies: [redis]}
      - {name: worker, image: 'rtte/worker:1.2', dependencies: [redis, postgres]}
";

const X: &str = "customers/customer-x";

#[test]
fn without_anything_to_compare_with_all_is_new() {
    let repository = Repository::new();
    let new = ["base sync new", "redis sync new", "postgres sync new", "api sync new", "worker sync new"];
    assert_eq!(repository.changes(&[X]), new);
    let text = repository.plan(&["customers"], &["touched    4 of 4 services, in 2 of 2 waves"]);
    assert!(
        text.contains("1m in the order of waves") || text.contains("1m00s in the order of waves"),
        "{text}"
    );
    fs::remove_dir_all(repository.0.path().join(".git")).unwrap();
    let plan = repository.plan(&[X], &["uncommitted files"]);
    let stable: Vec<&str> = plan.lines().filter(|line| !line.trim_start().starts_with("plan ")).collect();
    insta::assert_snapshot!("planned-new", stable.join("\n"));
}

#[test]
fn a_plan_against_a_revision_touches_what_changed_since() {
    let repository = Repository::new();
    let idle = ["base leave unchanged", "redis leave unchanged", "postgres leave unchanged"];
    assert_eq!(repository.changes(&[X, "--against", "HEAD"])[..3], idle);
    repository.plan(&[X, "--against", "main"], &["nothing to do", "touched  0 of 4 services"]);

    repository.change("imageTag: v1", "imageTag: v2");
    repository.change("dependencies: [redis, postgres]", "dependencies: [postgres]");
    let changed = [
        "base gate unchanged",
        "redis gate unchanged",
        "postgres gate unchanged",
        "api sync image-tag",
        "worker sync dependencies",
    ];
    assert_eq!(repository.changes(&[X, "--against", "HEAD"]), changed);
    let said = ["image tag v1 -> v2", "worker waits for redis", "uncommitted files, compared with HEAD ("];
    repository.plan(&["customers", "--against", "HEAD"], &said);
    let values = "customers/customer-x/values.yaml";
    assert_eq!(repository.changes(&[values, "--against", "HEAD"]), changed);
    repository.commit();
    assert_eq!(repository.changes(&[X, "--against", "HEAD~1"]), changed);
    repository.plan(&[X, "--against", "HEAD~1", "--all"], &["shared part"]);
}

#[test]
fn a_chart_that_changed_touches_all_of_its_services() {
    let repository = Repository::new();
    repository.write("base/templates/all.yaml", "kind: y\n");
    let changes = repository.changes(&[X, "--against", "HEAD"]);
    assert!(changes.iter().all(|change| change.ends_with(" sync chart")), "{changes:?}");
    // An editor's backup is not part of it.
    repository.write("base/templates/all.yaml", "kind: x\n");
    repository.write("base/templates/all.yaml~", "kind: y\n");
    repository.plan(&[X, "--against", "HEAD"], &["nothing to do"]);
}

#[test]
fn a_plan_against_another_folder_or_against_nothing_there() {
    let repository = Repository::new();
    repository.change("imageTag: v1", "imageTag: v2");
    repository.write("old/values.yaml", VALUES);
    let changes = repository.changes(&["customers/customer-x/values.yaml", "--against", "old"]);
    assert!(changes[3].contains("image-tag"), "{changes:?}");
    repository.commit();
    repository.git(&["checkout", "--quiet", "--orphan", "empty"]);
    repository.git(&["reset", "--quiet", "--hard"]);
    repository.commit();
    repository.git(&["checkout", "--quiet", "main"]);
    let output = run_in(repository.0.path(), &["plan", X, "--against", "empty"]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(err(&output).contains("there is nothing of customer-x production at empty"), "{}", err(&output));
}

#[test]
fn what_was_asked_for_alone_is_planned() {
    let repository = Repository::new();
    let changes = repository.changes(&[X, "--against", "HEAD", "--service", "api"]);
    assert_eq!(changes[1], "redis gate unchanged");
    assert_eq!(changes[3..], ["api sync asked", "worker leave unchanged"]);
    let forced = repository.changes(&[X, "--against", "HEAD", "--force"]);
    assert!(forced.iter().all(|change| change.ends_with(" sync asked")), "{forced:?}");
    let wave = repository.changes(&[X, "--against", "HEAD", "--wave", "0"]);
    assert_eq!(wave[1..3], ["redis sync asked", "postgres sync asked"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_repository_only() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    let check = |target: &str, complaint: &str| {
        let _ = fs::remove_file(repository.0.path().join("customers/customer-x/charts/other"));
        repository.link(target, "customers/customer-x/charts/other");
        check_in(repository.0.path(), &["validate", X], 3, &[complaint], &[]);
    };
    check(outside.path().to_str().unwrap(), "leads out of the repository");
    check("..", "lead in a circle");
    check("other", "cannot be followed");
    check("nowhere", "leads nowhere");
    let _ = fs::remove_file(repository.0.path().join("customers/customer-x/charts/other"));
    let pipe = repository.0.path().join("customers/customer-x/pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    check_in(repository.0.path(), &["validate", X], 3, &["neither a regular file nor a folder"], &[]);
}

#[test]
fn customers_may_not_take_names_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let write = |customer: &str, text: &str| {
        let path = folder.path().join(customer);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("values.yaml"), text).unwrap();
    };
    write("customer-x", VALUES);
    write(
        "customer",
        &VALUES
            .replace("customer-x", "customer")
            .replace("name: redis", "name: x-redis")
            .replace("[redis", "[x-redis"),
    );
    check_in(folder.path(), &["validate", "."], 3, &["name-collision", "`customer-x-redis`"], &[]);
    write("customer", VALUES);
    check_in(
        folder.path(),
        &["validate", "."],
        3,
        &["customer-mismatch", "nobody can say which counts"],
        &[],
    );
    write("Customer_Y", VALUES);
    check_in(folder.path(), &["validate", "."], 3, &["its name cannot be a customer's"], &[]);
}
