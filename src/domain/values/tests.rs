use serde_json::json;

use super::*;
use crate::domain::names::Wave;

/// A small file of the Helm format without any fault.
pub(super) const HELM: &str = r#"global:
  customerId: customer-a
  environment: production
  imageTag: "v2.1.0"
  namespace: customer-a-production
configMaps:
  app-config: customer-a-app-config
microservices:
  databases:
    sync-wave: 1
    services:
      - name: postgres
        image: postgres:15-alpine
        volumeClaims:
          - name: data
            size: 20Gi
            storageClass: gp2
  core-apis:
    sync-wave: 2
    services:
      - name: user-service
        enabled: true
        image: rtte/user-service:{{ .Values.global.imageTag }}
        dependencies: [postgres]
        healthCheck:
          endpoint: /health
          method: GET
          expectedStatus: 200
        deploymentStrategy: BLUE_GREEN
        replicas: 3
        resources:
          requests: {cpu: "200m", memory: 512Mi}
        configMaps:
          - name: app-config
            key: customer-a-user-service-config
        secrets:
          - name: db-credentials
            key: customer-a-db-secret
        rollback: {enabled: true, maxVersions: 3, failureThreshold: 2}
"#;

/// The same in the other format.
pub(super) const CAC: &str = r#"customer-id: customer-a
environment: production
image-prefix: rtte
config-maps:
  app-config: customer-a-app-config
sync-waves:
  - wave: 1
    name: databases
    services: [postgres]
  - wave: 2
    name: core-apis
    services: [user-service]
applications:
  - name: postgres
    image: postgres:15-alpine
    volume-claims:
      - name: data
        size: 20Gi
        storage-class: gp2
  - name: user-service
    enabled: true
    version: "v2.1.0"
    sync-wave: 2
    dependencies: [postgres]
    health-check:
      endpoint: /health
      method: GET
      expected-status: 200
    deployment-strategy: BLUE_GREEN
    replicas: 3
    resources:
      requests: {cpu: "200m", memory: 512Mi}
    config-maps:
      app-config: customer-a-user-service-config
    secrets:
      db-credentials: customer-a-db-secret
    rollback: {enabled: true, max-versions: 3, failure-threshold: 2}
"#;

fn expected() -> Expected {
    Expected {
        customer: Some("customer-a".parse().unwrap()),
        environment: Some("production".parse().unwrap()),
        customer_pattern: Some("customer-*".parse().unwrap()),
        ..Expected::default()
    }
}

pub(super) fn found(text: &str) -> (Option<Catalog>, Vec<String>) {
    let (catalog, diagnostics) = read("v.yaml", text, &expected(), &Limits::default());
    let lines = diagnostics.iter().map(|d| {
        let place = d.place.to_string();
        let help = d.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{} {} {}{help}", place.trim_start_matches("v.yaml:"), d.code, d.message)
    });
    (catalog, lines.collect())
}

pub(super) fn good(text: &str) -> Catalog {
    let (catalog, faults) = found(text);
    assert_eq!(faults, [""; 0], "{text}");
    catalog.unwrap()
}

/// The Helm file with one piece replaced has exactly these faults.
pub(super) fn check(from: &str, to: &str, faults: &[&str]) {
    assert!(HELM.contains(from), "{from}");
    assert_eq!(found(&HELM.replace(from, to)).1, faults, "{to}");
}

/// The CAC file with one piece replaced has exactly these faults.
pub(super) fn check_cac(from: &str, to: &str, faults: &[&str]) {
    assert!(CAC.contains(from), "{from}");
    assert_eq!(found(&CAC.replace(from, to)).1, faults, "{to}");
}

#[test]
fn both_formats_give_the_same_services() {
    let (helm, cac) = (good(HELM), good(CAC));
    assert_eq!((helm.format, cac.format), (Format::Helm, Format::Cac));
    let comparable = |catalog: &Catalog| {
        let mut services = serde_json::to_value(&catalog.services).unwrap();
        for service in services.as_array_mut().unwrap() {
            service.as_object_mut().unwrap().remove("follows_image_tag");
        }
        services
    };
    assert_eq!(comparable(&helm), comparable(&cac));
    assert_eq!(helm.namespace, cac.namespace);
    assert_eq!(helm.config_maps, cac.config_maps);
    assert_eq!(helm.image_tag.as_deref(), Some("v2.1.0"));
    let user = &helm.services[1];
    assert_eq!(user.image, "rtte/user-service:v2.1.0");
    assert!(user.follows_image_tag && !helm.services[0].follows_image_tag);
    assert_eq!((user.wave, user.group.as_deref()), (Some(Wave(2)), Some("core-apis")));
    assert_eq!(user.place.to_string(), "v.yaml:21:9");
    assert_eq!(user.dependencies[0].place.to_string(), "v.yaml:24:24");
}

#[test]
fn every_key_may_be_in_either_spelling() {
    let keys = ["customerId", "imageTag", "configMaps", "volumeClaims", "storageClass", "healthCheck"];
    let more = ["expectedStatus", "deploymentStrategy", "maxVersions", "failureThreshold"];
    let kebab = keys.iter().chain(&more).fold(HELM.to_owned(), |text, key| {
        text.replace(&format!("{key}:"), &format!("{}:", reading::kebab(key)))
    });
    let (catalog, faults) = found(&kebab);
    let helm_is_exact = "23:16 unknown-template-path the file has `image-tag`, which Helm does not find as `imageTag` \
                         (write the key as `imageTag`)";
    assert_eq!(faults, [helm_is_exact]);
    let comparable = |catalog: &Catalog| serde_json::to_value(&catalog.services).unwrap();
    assert_eq!(comparable(&catalog.unwrap()), comparable(&good(HELM)));
    check(
        "        replicas: 3\n",
        "        replicas: 3\n        health-check: {endpoint: /x}\n",
        &[
            "31:9 duplicate-key `health-check` is given twice; first as `healthCheck` at v.yaml:25:9 (remove one of them)",
        ],
    );
}

#[test]
fn a_health_check_says_how_often_it_must_say_the_same() {
    let of = |text: &str| good(text).services[1].health_check.clone().unwrap();
    let plain = of(HELM);
    assert_eq!((plain.failure_threshold, plain.success_threshold, plain.prometheus), (3, 1, None));
    let query = "sum(up{job=\"user\"}) > 0";
    let more = format!(
        "failureThreshold: 5\n          successThreshold: 2\n          prometheus: {{query: '{query}'}}\n"
    );
    let helm = of(&HELM.replace("expectedStatus: 200\n", &format!("expectedStatus: 200\n          {more}")));
    assert_eq!((helm.failure_threshold, helm.success_threshold), (5, 2));
    assert_eq!(helm.prometheus.as_ref().unwrap().query, query);
    let kebab = more
        .replace("failureT", "failure-t")
        .replace("successT", "success-t")
        .replace("\n          ", "\n      ");
    let cac = of(&CAC.replace("expected-status: 200\n", &format!("expected-status: 200\n      {kebab}")));
    assert_eq!(cac, helm);
    check(
        "expectedStatus: 200",
        "failureThreshold: 0",
        &["28:29 bad-value `failureThreshold` is 0 (write a number from 1 to 100)"],
    );
    check(
        "expectedStatus: 200",
        "prometheus: {url: 'http://evil'}",
        &[
            "28:23 missing-key `query` is missing (write `query: up{...} == 1`)",
            "28:24 unknown-key nobody reads the key `url` (it is kept, but nobody reads it: remove it if it is not for your chart)",
        ],
    );
    let path = "begin with one `/`, then letters, digits and `-._~/?=&%:`, no `..`; host and port are the service's own";
    for trick in ["//evil", "http://evil/", "/x@evil", "/../x", "/%2e%2e/x", "/a%0d%0ab"] {
        let fault = format!("26:21 bad-value `endpoint` takes a path, not `{trick}` ({path})");
        check("endpoint: /health", &format!("endpoint: '{trick}'"), &[&fault]);
    }
}

#[test]
fn generated_values_give_the_same_services_again() {
    let cac = good(CAC);
    let values = helm_values(&cac);
    let again = good(&serde_json::to_string_pretty(&values).unwrap());
    let sorted = |catalog: &Catalog| {
        let mut services = catalog.services.clone();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        serde_json::to_value(services).unwrap()
    };
    assert_eq!(sorted(&again), sorted(&cac));
    assert_eq!(values["microservices"]["core-apis"]["sync-wave"], json!(2));
    assert_eq!(values["global"]["namespace"], json!("customer-a-production"));
}

#[test]
fn a_file_of_neither_format_is_refused() {
    let help = "(write either Helm values (`global`, `configMaps`, `microservices`) or Config as Code \
                (`customer-id`, `sync-waves`, `applications`))";
    let (catalog, faults) = found("a: 1\n");
    assert!(catalog.is_none());
    assert_eq!(
        faults,
        [format!("v.yaml unknown-format neither `microservices` nor `applications` stands here {help}")]
    );
    let (_, faults) = found("microservices: {}\napplications: []\n");
    assert!(faults[0].contains("both `microservices` and `applications`"), "{faults:?}");
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = HELM
        .replace("replicas: 3", "replicas: -3")
        .replace("expectedStatus: 200", "expectedStatus: 20")
        .replace("image: postgres:15-alpine", "image: postgres")
        .replace("BLUE_GREEN", "BLUE_GREN")
        .replace("sync-wave: 1", "sync-wave: 11");
    let faults = [
        "10:16 wave-out-of-range `sync-wave` is 11 (write a number from 0 to 9)",
        "13:16 bad-image-tag the image `postgres` has no tag (add `:` and a tag; without one, what runs would change by itself)",
        "28:27 bad-value `expectedStatus` is 20 (write a number from 100 to 599)",
        "29:29 bad-value `BLUE_GREN` is not a deployment strategy (did you mean `BLUE_GREEN`?)",
        "30:19 bad-value `replicas` is -3 (write a number from 0 to 10000)",
    ];
    assert_eq!(found(&text).1, faults);
}

#[test]
fn a_wrong_type_says_what_stands_there_instead() {
    let quote = "13:16 wrong-type `image` takes a text, not the number `15` (quote it: \"15\")";
    check("image: postgres:15-alpine", "image: 15", &[quote]);
    check(
        "replicas: 3",
        "replicas: '3'",
        &["30:19 wrong-type `replicas` takes a whole number, not the text `3` (remove the quotes)"],
    );
    let flag = "22:18 wrong-type `enabled` takes `true` or `false`, not the text `maybe` (write true or false, without quotes)";
    check("enabled: true\n        image", "enabled: maybe\n        image", &[flag]);
    let list = "24:23 wrong-type `dependencies` takes a list, not the text `postgres` (write one `- ` line for each entry, or [a, b])";
    check("[postgres]", "postgres", &[list]);
    check(
        "{cpu: \"200m\", memory: 512Mi}",
        "5",
        &[
            "32:21 wrong-type `requests` takes a mapping, not the number `5` (write `cpu: ...` and `memory: ...` lines under it)",
        ],
    );
    check(
        "512Mi",
        "512MB",
        &[
            "32:43 bad-value `memory` takes a Kubernetes quantity, not `512MB` (write something like 500m, 2, 512Mi or 20Gi)",
        ],
    );
}

#[test]
fn what_is_missing_is_named() {
    let name = "12:9 missing-key `name` is missing (write `name: ...`)";
    check("- name: postgres\n        image", "- image", &[name]);
    check(
        "        image: postgres:15-alpine\n",
        "",
        &["12:9 missing-key `image` is missing (write `image: name:tag`)"],
    );
    check(
        "  customerId: customer-a\n",
        "",
        &["2:3 missing-key `customerId` is missing (write `customerId: customer-a`)"],
    );
    check_cac(
        "    version: \"v2.1.0\"\n",
        "",
        &[
            "20:5 missing-key neither `version` nor `image` is given for `user-service` (write `version: \"1.0.0\"`, or `image: name:tag`)",
        ],
    );
}

#[test]
fn a_service_twice_is_reported_with_both_places() {
    let twice = "21:9 duplicate-service the service `postgres` stands twice; first at v.yaml:12:9 (remove one, or rename it)";
    let own = "24:24 self-dependency `postgres` depends on itself (remove it)";
    check("name: user-service", "name: postgres", &[twice, own]);
}

#[test]
fn dependencies_are_checked_as_far_as_one_service_shows() {
    check(
        "[postgres]",
        "[user-service]",
        &["24:24 self-dependency `user-service` depends on itself (remove it)"],
    );
    check(
        "[postgres]",
        "[postgres, postgres]",
        &["24:34 duplicate-dependency the dependency on `postgres` stands twice (remove one of them)"],
    );
    let bad = "24:24 bad-name `Post_gres` is not a DNS label (use lower-case letters, digits and '-', and begin and end with a letter or digit)";
    check("[postgres]", "[Post_gres]", &[bad]);
}

#[test]
fn unknown_keys_are_kept_with_a_warning() {
    let text = HELM.replace(
        "replicas: 3",
        "replica: 3\n        port: 80\n        security-context: {a: 1}\n        x: 1",
    );
    let (catalog, faults) = found(&text);
    let unread = "33:9 unknown-key nobody reads the key `x` (it is kept, but nobody reads it: remove it if it is not for your chart)";
    assert_eq!(
        faults,
        ["30:9 unknown-key nobody reads the key `replica` (did you mean `replicas`?)", unread]
    );
    let extra = &catalog.unwrap().services[1].extra;
    assert_eq!(json!(extra), json!({"replica": 3, "port": 80, "securityContext": {"a": 1}, "x": 1}));
}

#[test]
fn customer_environment_and_namespace_fit_what_is_expected() {
    let folder = "2:15 customer-mismatch the customer is `customer-b`, but `customer-a` is expected here (write `customer-a`, or move the file to where customer-b belongs)";
    let namespace = "5:14 customer-mismatch the namespace `customer-a-production` does not fit `customer-b-production` (write a namespace that fits, or change the configured pattern)";
    check("customerId: customer-a", "customerId: customer-b", &[folder, namespace]);
    let environment = "3:16 customer-mismatch the environment is `staging`, but `production` is expected here (write `production`, or configure the source for staging)";
    let namespace = "5:14 customer-mismatch the namespace `customer-a-production` does not fit `customer-a-staging` (write a namespace that fits, or change the configured pattern)";
    check("environment: production", "environment: staging", &[environment, namespace]);
    let other =
        Expected { customer: None, customer_pattern: Some("client-*".parse().unwrap()), ..expected() };
    let (_, diagnostics) = read("v.yaml", HELM, &other, &Limits::default());
    assert_eq!(diagnostics[0].message, "the customer `customer-a` does not fit the pattern `client-*`");
    check(
        "customerId: customer-a",
        "customerId: Customer",
        &[
            "2:15 bad-name `Customer` is not a DNS label (use lower-case letters, digits and '-', and begin and end with a letter or digit)",
        ],
    );
}

#[test]
fn names_that_collide_once_joined_are_refused() {
    let active = "21:9 name-collision the name `customer-a-postgres-active` belongs to the service `postgres-active` already; there at v.yaml:12:9 (rename one of the two services)";
    let text = HELM.replace("name: postgres\n", "name: postgres-active\n").replace("[postgres]", "[]");
    assert_eq!(found(&text.replace("name: user-service", "name: postgres")).1, [active]);
    let base = "12:9 name-collision the name `base` belongs to what all services share (rename the service)";
    check("name: postgres\n", "name: base\n", &[base]);
    let long = "x".repeat(60);
    let fault = format!(
        "12:9 bad-name `customer-a-{long}` has 71 characters; Kubernetes allows 63 (shorten the name of the service or of the customer)"
    );
    check("name: postgres\n", &format!("name: {long}\n"), &[&fault]);
    let preview = "x".repeat(48);
    let fault = format!(
        "21:9 bad-name `customer-a-{preview}-preview` has 67 characters; Kubernetes allows 63 (shorten the name of the service or of the customer)"
    );
    check("name: user-service", &format!("name: {preview}"), &[&fault]);
}

#[test]
fn customers_of_one_environment_may_not_collide() {
    let other = HELM.replace("customer-a", "customer").replace("name: postgres", "name: a-postgres");
    let expected = Expected::default();
    let (other, _) = read("w.yaml", &other, &expected, &Limits::default());
    let faults = colliding([&good(HELM), &other.unwrap()]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(
        faults[0].message,
        "the name `customer-a-postgres` is also that of `postgres` of `customer-a`; there at v.yaml:12:9"
    );
    assert_eq!(colliding([&good(HELM)]), []);
}

#[test]
fn waves_of_the_list_and_of_the_application_must_agree() {
    let conflict = "23:16 wave-conflict the wave is 3 here and 2 in `sync-waves`; there at v.yaml:10:11 (write the same in both places, or in one only)";
    check_cac("sync-wave: 2", "sync-wave: 3", &[conflict]);
    let unknown =
        "12:16 unknown-service `user-servic` has no entry in `applications` (did you mean `user-service`?)";
    check_cac("services: [user-service]", "services: [user-servic]", &[unknown]);
    let twice = "12:16 duplicate-service `postgres` is listed in `sync-waves` twice; first at v.yaml:9:16 (remove one of them)";
    check_cac("services: [user-service]", "services: [postgres]", &[twice]);
    let catalog = good(&CAC.replace("    services: [user-service]\n", "").replace("    sync-wave: 2\n", ""));
    assert_eq!(catalog.services[1].wave, None);
}

#[test]
fn the_head_may_stand_under_global() {
    let text = CAC.replace(
        "customer-id: customer-a\nenvironment: production\nimage-prefix: rtte\n",
        "global: {customerId: customer-a, environment: production, image-prefix: rtte, imageTag: v3}\n",
    );
    let text = text.replace("    version: \"v2.1.0\"\n", "");
    let catalog = good(&text);
    assert_eq!(catalog.services[1].image, "rtte/user-service:v3");
    assert!(catalog.services[1].follows_image_tag);
    check_cac(
        "image-prefix: rtte",
        "global: {image-prefix: x}\nimage-prefix: rtte",
        &[
            "3:10 duplicate-key `image-prefix` is given twice; first as `image-prefix` at v.yaml:4:1 (remove one of them)",
        ],
    );
}

#[test]
fn lists_and_mappings_are_read_alike() {
    let list = CAC
        .replace(
            "config-maps:\n  app-config: customer-a-app-config\n",
            "config-maps: [{name: app-config, key: customer-a-app-config}]\n",
        )
        .replace(
            "      app-config: customer-a-user-service-config\n",
            "      - {name: app-config, key: customer-a-user-service-config}\n",
        )
        .replace(
            "      db-credentials: customer-a-db-secret\n",
            "      - {name: db-credentials, key: customer-a-db-secret}\n",
        );
    let plain = |catalog: Catalog| serde_json::to_value(catalog).unwrap();
    assert_eq!(plain(good(&list)), plain(good(CAC)));
    let claims = good(&CAC.replace(
        "      - name: data\n        size: 20Gi\n        storage-class: gp2\n",
        "      data: pvc-data\n      logs: {size: 5Gi}\n",
    ));
    assert_eq!(
        json!(claims.services[0].volume_claims),
        json!([{"name": "data", "claim": "pvc-data"}, {"name": "logs", "size": "5Gi"}])
    );
    let short =
        good(&CAC.replace("      db-credentials: customer-a-db-secret\n", "      - db-credentials\n"));
    assert_eq!(short.services[1].secrets[0].key, "customer-a-db-credentials");
}

#[test]
fn a_catalogue_beside_faults_still_has_its_services() {
    let (catalog, faults) = found(&HELM.replace("postgres:15-alpine", "postgres"));
    assert_eq!(faults.len(), 1);
    assert_eq!(catalog.unwrap().services.len(), 2);
}

#[test]
fn limits_on_services_and_dependencies_hold() {
    let limits = Limits { max_services: 1, max_dependencies: 0, max_waves: 2, ..Limits::default() };
    let (catalog, diagnostics) = read("v.yaml", HELM, &expected(), &limits);
    let lines: Vec<String> =
        diagnostics.iter().map(|d| format!("{} {} {}", d.place, d.code, d.message)).collect();
    assert_eq!(
        lines,
        [
            "v.yaml:19:16 wave-out-of-range `sync-wave` is 2",
            "v.yaml:21:9 limit-exceeded more than 1 services"
        ]
    );
    assert_eq!(catalog.unwrap().services.len(), 1);
    let (_, diagnostics) =
        read("v.yaml", HELM, &expected(), &Limits { max_dependencies: 0, ..Limits::default() });
    assert_eq!(diagnostics[0].message, "more than 0 dependencies in all");
}
