use super::bundle::{BundleError, Layout, Maker, objects};
use super::customer::Customer;
use super::*;
use crate::domain::catalog::{Catalog, Limits, Order, Service};
use crate::domain::diagnostic::Place;
use crate::domain::graph::Graph;
use crate::domain::values::{self, Expected};

const HELM: &str = "
global: {customerId: customer-x, environment: production, imageTag: v1}
configMaps: {app-config: customer-x-app-config}
microservices:
  databases:
    sync-wave: 0
    services:
      - {name: redis, image: 'redis:7'}
  apis:
    sync-wave: 1
    services:
      - {name: api, image: 'rtte/api:{{ .Values.global.imageTag }}', dependencies: [redis]}
      - {name: idle, image: 'rtte/idle:1', enabled: false}
";

const CAC: &str = "
customer-id: customer-y
environment: production
namespace: customer-y-production
image-prefix: rtte
config-maps: {app-config: customer-y-app-config}
sync-waves:
  - {wave: 0, name: databases, services: [redis]}
applications:
  - {name: redis, version: '7'}
  - {name: api, version: '1.10', dependencies: [redis]}
  - {name: web, version: '2', dependencies: [api], replicas: 2}
";

fn rules() -> Rules {
    Rules {
        argo_cd: "argocd".parse().unwrap(),
        server: "https://kubernetes.default.svc".into(),
        value_files: vec!["../../overlays/local.yaml".into()],
        sync_options: vec!["ServerSideApply=true".into()],
        allowed_kinds: vec![(String::new(), "ConfigMap".into()), ("apps".into(), "Deployment".into())],
        quota: Some(json!({ "pods": "60" })),
        limits: Some(json!([{ "type": "Container", "default": { "memory": "1Gi" } }])),
        isolate: true,
    }
}

fn revision() -> Revision {
    "a".repeat(40).parse().unwrap()
}

struct Read {
    catalog: Catalog,
    graph: Graph,
    path: &'static str,
}

fn understood(text: &str, file: &str) -> Catalog {
    let (catalog, faults) = values::read(file, text, &Expected::default(), &Limits::default());
    assert!(faults.iter().all(|fault| !fault.is_error()), "{faults:?}");
    catalog.unwrap()
}

fn read(text: &str, path: &'static str) -> Read {
    let catalog = understood(text, &format!("{path}.yaml"));
    let (graph, faults) = Graph::build(&catalog, Order::Waves, &Limits::default());
    assert!(faults.iter().all(|fault| !fault.is_error()), "{faults:?}");
    Read { catalog, graph, path }
}

fn reads() -> [Read; 3] {
    [
        read(HELM, "customers/customer-x"),
        read(&HELM.replace("customer-x", "customer-z"), "customers/customer-z"),
        read(CAC, "base"),
    ]
}

fn customer(read: &Read) -> Customer<'_> {
    Customer {
        tenant: Tenant {
            customer: read.catalog.customer.clone(),
            environment: read.catalog.environment.clone(),
            namespace: read.catalog.namespace.clone(),
            repository: "https://example.com/r.git".into(),
        },
        source: "values".parse().unwrap(),
        reference: "main".into(),
        path: read.path.into(),
        catalog: &read.catalog,
        graph: &read.graph,
    }
}

fn made(layout: Layout, maker: Maker) -> Vec<Value> {
    let reads = reads();
    let customers: Vec<Customer<'_>> = reads.iter().map(customer).collect();
    objects(&customers, layout, maker, Some(&revision()), &rules()).unwrap()
}

fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
}

/// Every text in which a template stands, with what each names replaced.
fn filled(value: &Value, parameters: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            while let Some(start) = text.find("{{") {
                let end = start + text[start..].find("}}").unwrap();
                let path = text[start + 2..end].trim();
                let mut found = parameters;
                for key in path.strip_prefix('.').unwrap_or_else(|| panic!("{path}")).split('.') {
                    found = found.get(key).unwrap_or_else(|| panic!("no {key} of {path} in {parameters}"));
                }
                text.replace_range(start..end + 2, found.as_str().unwrap());
            }
            json!(text)
        }
        Value::Array(list) => list.iter().map(|one| filled(one, parameters)).collect(),
        Value::Object(map) => map.iter().map(|(key, one)| (key.clone(), filled(one, parameters))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The Applications that Argo CD makes from a set.
fn generated(set: &Value) -> Vec<Value> {
    let spec = &set["spec"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for generator in list(&spec["generators"]) {
        let folders = list(&generator["git"]["directories"]).into_iter().map(|folder| {
            let path = folder["path"].as_str().unwrap().to_owned();
            let name = path.rsplit('/').next().unwrap().to_owned();
            let mut parameters =
                json!({ "path": { "path": path, "basename": name, "basenameNormalized": name } });
            parameters["values"] = filled(&generator["git"]["values"], &parameters);
            parameters
        });
        for parameters in list(&generator["list"]["elements"]).into_iter().chain(folders) {
            let mut application = filled(&spec["template"], &parameters);
            application["apiVersion"] = json!("argoproj.io/v1alpha1");
            application["kind"] = json!("Application");
            if let Some(patch) = spec["templatePatch"].as_str() {
                let lines: Vec<&str> = patch.lines().map(str::trim).collect();
                assert_eq!(lines, ["spec:", "source:", "helm:", "valuesObject: {{ toJson .values }}"]);
                application["spec"]["source"]["helm"]["valuesObject"] = parameters["values"].clone();
            }
            all.push(application);
        }
    }
    all
}

#[test]
fn every_manifest_has_its_kind_its_name_and_its_place() {
    for layout in [Layout::PerService, Layout::PerCustomer] {
        for maker in [Maker::Directly, Maker::ApplicationSets] {
            for object in made(layout, maker) {
                let (kind, metadata) = (object["kind"].as_str().unwrap(), &object["metadata"]);
                let version = match kind {
                    "Namespace" | "ResourceQuota" | "LimitRange" => "v1",
                    "NetworkPolicy" => "networking.k8s.io/v1",
                    "AppProject" | "Application" | "ApplicationSet" => "argoproj.io/v1alpha1",
                    other => panic!("{other}"),
                };
                assert_eq!(object["apiVersion"], version, "{object}");
                assert!(metadata["name"].as_str().is_some_and(|name| name.len() <= 63), "{object}");
                let namespace = metadata["namespace"].as_str();
                match kind {
                    "Namespace" => assert_eq!(namespace, None),
                    "ResourceQuota" | "LimitRange" | "NetworkPolicy" => {
                        assert!(namespace.unwrap().ends_with("-production"), "{object}");
                    }
                    _ => assert_eq!(namespace, Some("argocd"), "{object}"),
                }
                assert_eq!(metadata["labels"][MANAGED_BY.0], MANAGED_BY.1, "{object}");
                assert!(object.pointer("/spec/syncPolicy/automated").is_none(), "{object}");
            }
        }
    }
}

#[test]
fn a_customer_has_an_application_for_each_service_and_one_for_what_they_share() {
    let names: Vec<Value> = of_kind(&made(Layout::PerService, Maker::Directly), "Application")
        .iter()
        .map(|application| application["metadata"]["name"].clone())
        .collect();
    let expected = [
        "customer-x-base",
        "customer-x-redis",
        "customer-x-api",
        "customer-z-base",
        "customer-z-redis",
        "customer-z-api",
        "customer-y-base",
        "customer-y-redis",
        "customer-y-api",
        "customer-y-web",
    ];
    assert_eq!(names, expected);
    let wholes = of_kind(&made(Layout::PerCustomer, Maker::Directly), "Application");
    assert_eq!(wholes.len(), 3);
    for whole in wholes {
        assert!(whole["metadata"]["labels"].get(SERVICE).is_none(), "{whole}");
        assert!(whole["spec"]["source"]["helm"].get("parameters").is_none(), "{whole}");
    }
}

#[test]
fn sets_make_the_applications_that_are_made_directly() {
    for layout in [Layout::PerService, Layout::PerCustomer] {
        let order = |application: &Value| application["metadata"]["name"].to_string();
        let mut directly = of_kind(&made(layout, Maker::Directly), "Application");
        let sets = of_kind(&made(layout, Maker::ApplicationSets), "ApplicationSet");
        let mut by_sets: Vec<Value> = sets.iter().flat_map(generated).collect();
        directly.sort_by_key(order);
        by_sets.sort_by_key(order);
        assert_eq!(by_sets.len(), directly.len());
        for (one, other) in by_sets.iter().zip(&directly) {
            for field in [
                "/metadata/name",
                "/metadata/namespace",
                "/metadata/labels",
                "/spec/project",
                "/spec/source/repoURL",
                "/spec/source/path",
                "/spec/source/targetRevision",
                "/spec/source/helm/parameters",
                "/spec/source/helm/valueFiles",
                "/spec/source/helm/valuesObject",
                "/spec/destination",
                "/spec/syncPolicy",
            ] {
                assert_eq!(one.pointer(field), other.pointer(field), "{field} of {}", order(other));
            }
            assert_eq!(one, other);
        }
    }
}

#[test]
fn sets_fall_into_none_of_the_traps() {
    for layout in [Layout::PerService, Layout::PerCustomer] {
        let sets = of_kind(&made(layout, Maker::ApplicationSets), "ApplicationSet");
        assert!(!sets.is_empty());
        for set in sets {
            let (spec, text) = (&set["spec"], set.to_string());
            assert_eq!(spec["goTemplate"], true);
            assert_eq!(spec["goTemplateOptions"], json!(["missingkey=error"]));
            let left = json!([{ "jsonPointers": ["/spec/source/targetRevision", "/spec/syncPolicy"] }]);
            assert_eq!(spec["ignoreApplicationDifferences"], left);
            let policy = json!({ "applicationsSync": "create-update", "preserveResourcesOnDeletion": true });
            assert_eq!(spec["syncPolicy"], policy);
            assert!(spec.get("strategy").is_none(), "RollingSync requests syncs of its own");
            assert!(spec["template"]["spec"]["syncPolicy"].get("automated").is_none());
            // Not where they have no effect.
            assert!(
                spec.get("annotations").is_none() && spec["template"]["spec"].get("annotations").is_none()
            );
            for legacy in ["{{name}}", "{{ name }}", "{{path}}", "{{ path", "{{.name}}*"] {
                assert!(!text.contains(legacy), "{legacy} in {text}");
            }
            for generator in spec["generators"].as_array().unwrap() {
                let git = &generator["git"];
                assert!(git.get("targetRevision").is_none(), "the generator calls it revision");
                for directory in git["directories"].as_array().into_iter().flatten() {
                    let path = directory["path"].as_str().unwrap();
                    assert!(!path.ends_with('/') && !path.contains('*'), "{path}");
                }
            }
        }
    }
}

#[test]
fn a_set_of_folders_needs_one_generator_for_namespaces_that_follow_one_rule() {
    let sets = of_kind(&made(Layout::PerCustomer, Maker::ApplicationSets), "ApplicationSet");
    let names: Vec<&Value> = sets.iter().map(|set| &set["metadata"]["name"]).collect();
    assert_eq!(names, ["customer-y-applications", "customers-values-production"]);
    let generators = json!([{ "git": {
        "repoURL": "https://example.com/r.git",
        "revision": "main",
        "directories": [{ "path": "customers/customer-x" }, { "path": "customers/customer-z" }],
        "values": { "namespace": "{{ .path.basenameNormalized }}-production" },
    } }]);
    assert_eq!(sets[1]["spec"]["generators"], generators);

    let mut reads = reads();
    reads[0].catalog.namespace = "shop".parse().unwrap();
    let customers: Vec<Customer<'_>> = reads.iter().map(customer).collect();
    let sets = set::of_customers(&customers, None, &rules()).unwrap();
    let namespaces: Vec<Value> =
        generated(&sets[1]).iter().map(|made| made["spec"]["destination"]["namespace"].clone()).collect();
    assert_eq!(namespaces, ["shop", "customer-z-production"].map(|name| json!(name)).to_vec());
}

/// A service without what tells only where it stands.
fn plain(service: &Service) -> Service {
    let mut service = Service { place: Place::default(), group: None, ..service.clone() };
    service.dependencies.iter_mut().for_each(|dependency| dependency.place = Place::default());
    service
}

#[test]
fn config_as_code_stands_in_the_applications_one_service_in_each() {
    let read_again = |values: &Value| understood(&values.to_string(), "again.yaml");
    let original = read(CAC, "base");
    let customer = customer(&original);
    let whole = read_again(&customer.whole().unwrap().values.unwrap());
    assert_eq!(whole.services.len(), 3);
    for spec in customer.applications().unwrap() {
        let application = application(&spec, "https://example.com/r.git", None, &rules());
        let catalog = read_again(&application["spec"]["source"]["helm"]["valuesObject"]);
        assert_eq!(catalog.config_maps, original.catalog.config_maps);
        assert_eq!(catalog.namespace, original.catalog.namespace);
        let found: Vec<Service> = catalog.services.iter().map(plain).collect();
        let wanted = spec.service.as_ref().map(|name| plain(whole.service(name).unwrap()));
        assert_eq!(found, Vec::from_iter(wanted));
        for service in &catalog.services {
            let place = original.graph.index(&service.name).unwrap();
            assert_eq!(service.wave, Some(original.graph.wave(place)));
        }
    }
    let helm = read(HELM, "customers/customer-x");
    for spec in self::customer(&helm).applications().unwrap() {
        assert_eq!(spec.values, None, "its chart has values");
    }
}

#[test]
fn values_in_an_application_have_no_keys_without_anything_behind_them() {
    let text = CAC.replace("replicas: 2", "replicas: 2, labels: {a: ~, b: [1, {c: ~}]}");
    let read = read(&text, "base");
    for spec in customer(&read).applications().unwrap() {
        assert!(!spec.values.unwrap().to_string().contains("null"));
    }
}

#[test]
fn without_a_revision_there_is_no_pin() {
    for layout in [Layout::PerService, Layout::PerCustomer] {
        for maker in [Maker::Directly, Maker::ApplicationSets] {
            let reads = reads();
            let customers: Vec<Customer<'_>> = reads.iter().map(customer).collect();
            for object in objects(&customers, layout, maker, None, &rules()).unwrap() {
                assert!(!object.to_string().contains("\"targetRevision\""), "{object}");
            }
        }
    }
}

#[test]
fn what_two_claim_is_made_for_neither() {
    let (x, mut again) = (read(HELM, "customers/customer-x"), read(HELM, "customers/customer-x2"));
    let fault = |customers: &[Customer<'_>], layout, maker| {
        objects(customers, layout, maker, None, &rules()).unwrap_err()
    };
    let both = fault(&[customer(&x), customer(&again)], Layout::PerService, Maker::Directly);
    let message = "Namespace customer-x-production would be made twice: customers/customer-x.yaml and \
                   customers/customer-x2.yaml both claim it";
    assert_eq!(both.to_string(), message);
    // Two environments of one customer would share its project and its Applications.
    again.catalog.environment = "staging".parse().unwrap();
    again.catalog.namespace = "customer-x-staging".parse().unwrap();
    let both = fault(&[customer(&x), customer(&again)], Layout::PerService, Maker::Directly);
    assert!(both.to_string().starts_with("AppProject customer-x would be made twice"), "{both}");
    let misnamed = fault(&[customer(&again)], Layout::PerCustomer, Maker::ApplicationSets);
    assert!(matches!(misnamed, BundleError::Misnamed { .. }), "{misnamed}");
}

#[test]
fn a_set_from_applications_is_the_one_from_the_catalogue_where_charts_have_the_values() {
    let [one, _, cac] = &reads();
    let (customer, generated) = (customer(one), customer(cac));
    let from_catalogue = set::of_services(&customer, None, &rules()).unwrap();
    let specs = customer.applications().unwrap();
    let mut made = set::of_applications(&customer.tenant, &customer.path, &specs, &rules());
    let left = json!([{ "jsonPointers": ["/spec/source", "/spec/syncPolicy"] }]);
    assert_eq!(made["spec"]["ignoreApplicationDifferences"], left, "a set writes to all at once");
    let names = |set: &Value| -> Vec<String> {
        let elements = set["spec"]["generators"][0]["list"]["elements"].as_array().cloned().unwrap();
        elements.iter().map(|element| element["name"].to_string()).collect()
    };
    let mut sorted = names(&from_catalogue);
    sorted.sort();
    assert_eq!(names(&made), sorted, "whatever their waves are");
    for field in ["ignoreApplicationDifferences", "generators"] {
        made["spec"][field] = from_catalogue["spec"][field].clone();
    }
    assert_eq!(made, from_catalogue);
    let specs = generated.applications().unwrap();
    let made = set::of_applications(&generated.tenant, &generated.path, &specs, &rules());
    assert_eq!(made["spec"].get("templatePatch"), None, "values come with the pin");
    assert!(!made.to_string().contains("\"values\""), "{made}");
}
