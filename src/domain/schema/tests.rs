use super::*;
use crate::domain::catalog::Limits;
use crate::domain::yaml;

fn faults(kind: Kind, text: &str) -> Vec<String> {
    let (node, diagnostics) = yaml::parse("x.yaml", text, &Limits::default());
    assert_eq!(diagnostics, []);
    let schema = schema(kind);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = yaml::to_json(&node.unwrap());
    validator.iter_errors(&value).map(|error| format!("{} {error}", error.instance_path())).collect()
}

fn check(kind: Kind, text: &str, fits: bool) {
    let faults = faults(kind, text);
    assert_eq!(faults.is_empty(), fits, "{text}\n{faults:#?}");
}

#[test]
fn a_helm_file_fits_in_both_spellings() {
    let camel = "global: {customerId: a, environment: prod, imageTag: 'v1'}
microservices:
  core:
    syncWave: 1
    services:
      - {name: x, image: 'x:{{ .Values.global.imageTag }}', healthCheck: {endpoint: /h}, unknown: 1}
";
    check(Kind::Values, camel, true);
    let kebab = camel.replace("customerId", "customer-id").replace("syncWave", "sync-wave");
    check(Kind::Values, &kebab.replace("healthCheck", "health-check"), true);
    check(Kind::Values, &camel.replace("customerId", "customer"), false);
    check(Kind::Values, &camel.replace("'v1'", "1.10"), false);
    check(Kind::Values, &camel.replace("/h", "h"), false);
}

#[test]
fn a_cac_file_fits() {
    let text = "customer-id: a
environment: prod
config-maps: {app: a-app}
sync-waves: [{wave: 0, name: core, services: [x]}]
applications:
  - name: x
    version: '1.0'
    config-maps: [{name: app, key: k}]
    volume-claims: {logs: pvc-logs, data: {size: 5Gi}}
    deployment-strategy: blue_green
";
    check(Kind::Values, text, true);
    check(Kind::Values, &text.replace("blue_green", "purple"), false);
    check(Kind::Values, &text.replace("wave: 0", "wave: zero"), false);
}

#[test]
fn a_service_and_a_dependency_have_schemas_of_their_own() {
    check(Kind::Microservice, "{name: x, image: 'x:1', dependencies: [redis]}", true);
    let checked = "{name: x, healthCheck: {endpoint: /h, failureThreshold: 2, prometheus: {query: up}}}";
    check(Kind::Microservice, checked, true);
    check(Kind::Microservice, &checked.replace("failureThreshold: 2", "success-threshold: 0"), false);
    check(Kind::Microservice, &checked.replace("query: up", "url: x"), false);
    check(Kind::Microservice, "{image: 'x:1'}", false);
    check(Kind::Microservice, "{name: X}", false);
    check(Kind::Dependency, "user-service", true);
    check(Kind::Dependency, "user_service", false);
    check(Kind::Dependency, "[a]", false);
}

#[test]
fn a_schema_is_found_by_its_name() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert!(schema(kind)["$id"].as_str().unwrap().contains(&kind.to_string()));
    }
    assert!("value".parse::<Kind>().is_err());
}
