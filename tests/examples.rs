//! The examples are what they say: they read without faults, fit the schemas, mean what Helm makes of them, and
//! the graphs recorded of them are those of today. Each broken file shows the fault it is named for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use argocd_orchestrator::domain::catalog::{Catalog, Limits, Order, Strategy};
use argocd_orchestrator::domain::diagnostic::{Code, Diagnostic};
use argocd_orchestrator::domain::graph::Graph;
use argocd_orchestrator::domain::names::Wave;
use argocd_orchestrator::domain::schema::{Kind, schema};
use argocd_orchestrator::domain::values::{self, Expected, helm_values};
use argocd_orchestrator::domain::yaml;
use serde_json::{Value, json};

const CUSTOMER_A: &str = "examples/helm-charts/customers/customer-a/values.yaml";
const CUSTOMER_B: &str = "examples/helm-charts/customers/customer-b/values.yaml";
const CUSTOMER_C: &str = "examples/cac-configs/customer-c.yaml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Everything that is wrong with a file, graph included.
fn read(file: &str, text: &str) -> (Option<(Catalog, Graph)>, Vec<Diagnostic>) {
    let limits = Limits::default();
    let (catalog, mut diagnostics) = values::read(file, text, &Expected::default(), &limits);
    let loaded = catalog.map(|catalog| {
        let (graph, more) = Graph::build(&catalog, Order::Waves, &limits);
        diagnostics.extend(more);
        (catalog, graph)
    });
    (loaded, diagnostics)
}

fn good(file: &str) -> (Catalog, Graph) {
    let (loaded, diagnostics) = read(file, &text(file));
    assert_eq!(diagnostics, [], "{file}");
    loaded.unwrap()
}

#[test]
fn the_examples_have_no_faults_and_their_promised_size() {
    for file in [CUSTOMER_A, CUSTOMER_B, CUSTOMER_C] {
        let (catalog, graph) = good(file);
        assert_eq!((graph.len(), catalog.config_maps.len()), (55, 8), "{file}");
        let waves: Vec<Wave> = graph.waves().into_iter().map(|(wave, _)| wave).collect();
        assert_eq!(waves, [0, 1, 2, 3, 4].map(Wave), "{file}");
    }
    let catalogs = [CUSTOMER_A, CUSTOMER_B, CUSTOMER_C].map(|file| good(file).0);
    assert_eq!(values::colliding(&catalogs), []);
}

fn as_json(text: &str) -> Value {
    let (node, diagnostics) = yaml::parse("x.yaml", text, &Limits::default());
    assert_eq!(diagnostics, []);
    yaml::to_json(&node.unwrap())
}

fn check_schema(kind: Kind, value: &Value, what: &str) {
    let validator = jsonschema::validator_for(&schema(kind)).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{} {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {faults:#?}");
}

#[test]
fn the_examples_fit_the_schemas() {
    for file in [CUSTOMER_A, CUSTOMER_B, CUSTOMER_C] {
        let value = as_json(&text(file));
        check_schema(Kind::Values, &value, file);
        let groups = value["microservices"].as_object().into_iter().flat_map(|groups| groups.values());
        let in_groups = groups.flat_map(|group| group["services"].as_array().into_iter().flatten());
        let services: Vec<&Value> =
            in_groups.chain(value["applications"].as_array().into_iter().flatten()).collect();
        assert_eq!(services.len(), 55, "{file}");
        for service in services {
            check_schema(Kind::Microservice, service, file);
            for dependency in service["dependencies"].as_array().into_iter().flatten() {
                check_schema(Kind::Dependency, dependency, file);
            }
        }
    }
}

/// The recordings are made by Helm: `scripts/record-renderings.sh`.
#[test]
fn a_service_means_to_us_what_helm_makes_of_it() {
    for (file, recording) in [
        (CUSTOMER_A, "tests/fixtures/renderings/customer-a.json"),
        (CUSTOMER_B, "tests/fixtures/renderings/customer-b.json"),
    ] {
        let (catalog, graph) = good(file);
        let ours: BTreeMap<String, Value> = catalog
            .enabled()
            .map(|service| {
                let kind = match service.strategy {
                    Strategy::RollingUpdate => "Deployment",
                    Strategy::BlueGreen | Strategy::Canary => "Rollout",
                };
                let on: Vec<&str> = service.dependencies.iter().map(|on| on.on.as_str()).collect();
                let wave = graph.wave(graph.index(&service.name).unwrap());
                let facts = json!({
                    "image": service.image,
                    "kind": kind,
                    "replicas": service.replicas,
                    "sync-wave": wave.to_string(),
                    "dependencies": on,
                });
                (service.name.to_string(), facts)
            })
            .collect();
        let helms: BTreeMap<String, Value> = serde_json::from_str(&text(recording)).unwrap();
        assert_eq!(ours.keys().collect::<Vec<_>>(), helms.keys().collect::<Vec<_>>(), "{file}");
        for (name, facts) in &ours {
            assert_eq!(facts, &helms[name], "{name} of {file}");
        }
    }
}

#[test]
fn config_as_code_rendered_as_helm_values_reads_back_as_the_same_services() {
    for file in [CUSTOMER_A, CUSTOMER_B, CUSTOMER_C] {
        let (catalog, _) = good(file);
        let generated = serde_saphyr::to_string(&helm_values(&catalog)).unwrap();
        check_schema(Kind::Values, &as_json(&generated), file);
        let (again, diagnostics) = read("generated.yaml", &generated);
        let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|fault| fault.is_error()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let (again, _) = again.unwrap();
        assert_eq!(again.config_maps, catalog.config_maps, "{file}");
        assert_eq!(again.namespace, catalog.namespace, "{file}");
        // Groups and what is written out change the order and the text, not the services.
        let services = |catalog: &Catalog| -> BTreeMap<String, Value> {
            let facts = |service| {
                let mut facts = serde_json::to_value(service).unwrap();
                for field in ["group", "follows_image_tag", "followsImageTag"] {
                    facts.as_object_mut().unwrap().remove(field);
                }
                facts
            };
            catalog.services.iter().map(|service| (service.name.to_string(), facts(service))).collect()
        };
        let (ours, theirs) = (services(&catalog), services(&again));
        assert_eq!(ours.len(), theirs.len(), "{file}");
        for (name, facts) in &ours {
            assert_eq!(&theirs[name], facts, "{name} of {file}");
        }
    }
}

#[test]
fn the_recorded_graphs_are_those_of_the_examples() {
    for (file, recording) in [
        (CUSTOMER_A, "examples/dependency-graphs/customer-a-dependencies.yaml"),
        (CUSTOMER_B, "examples/dependency-graphs/customer-b-dependencies.yaml"),
    ] {
        let (_, graph) = good(file);
        let today = serde_saphyr::to_string(&graph.view(None)).unwrap();
        assert!(today == text(recording), "{recording} is out of date: run scripts/record-graphs.sh");
    }
}

fn broken() -> Vec<(String, String)> {
    let folder = root().join("tests/fixtures/broken");
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (stem(&path), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn each_broken_file_shows_the_fault_it_is_named_for_and_no_other() {
    for (name, text) in broken() {
        if name == "many" {
            continue;
        }
        let (_, diagnostics) = read(&format!("{name}.yaml"), &text);
        let codes: BTreeSet<String> = diagnostics.iter().map(|fault| fault.code.to_string()).collect();
        assert_eq!(codes, BTreeSet::from([name]), "{diagnostics:#?}");
    }
}

#[test]
fn there_is_a_broken_file_for_every_fault_that_one_file_can_have() {
    // A new code stops here until somebody says where it comes from.
    let from_a_file = |code: Code| match code {
        Code::BadYaml
        | Code::LimitExceeded
        | Code::DuplicateKey
        | Code::WrongType
        | Code::BadValue
        | Code::MissingKey
        | Code::UnknownKey
        | Code::UnknownFormat
        | Code::BadName
        | Code::NameCollision
        | Code::CustomerMismatch
        | Code::DuplicateService
        | Code::UnknownService
        | Code::UnknownDependency
        | Code::DisabledDependency
        | Code::SelfDependency
        | Code::DuplicateDependency
        | Code::DependencyCycle
        | Code::WaveOrder
        | Code::WaveOutOfRange
        | Code::WaveConflict
        | Code::MissingWave
        | Code::BadImageTag
        | Code::UnsupportedTemplate
        | Code::UnknownTemplatePath => true,
        Code::MissingFile | Code::MissingRevision | Code::BadRequest => false,
    };
    let names: Vec<String> =
        broken().into_iter().map(|(name, _)| name).filter(|name| name != "many").collect();
    for name in &names {
        let code: Code = serde_json::from_value(json!(name)).unwrap();
        assert!(from_a_file(code), "{name}");
    }
    assert_eq!(names.len(), 25, "{names:?}");
}

#[test]
fn all_that_is_wrong_is_found_at_once() {
    let file = "tests/fixtures/broken/many.yaml";
    let (_, mut diagnostics) = read(file, &text(file));
    diagnostics.sort_by_key(|fault| (fault.place.line, fault.place.column));
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
