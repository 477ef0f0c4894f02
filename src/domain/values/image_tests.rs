//! Images, tags and templates.

use serde_json::json;

use super::tests::{CAC, HELM, check, check_cac, found, good};

#[test]
fn a_tag_that_helm_would_read_as_a_number_is_refused_once() {
    let line = |given: &str, written: &str| {
        format!(
            "4:13 bad-image-tag `imageTag` is not quoted: Helm takes `{given}` for a number and writes `{written}` (quote it: imageTag: \"{given}\")"
        )
    };
    for (given, written) in [
        ("1.10", "1.1"),
        ("20240101", "2.0240101e+07"),
        ("1e3", "1000"),
        ("0755", "493"),
        ("0.00001", "1e-05"),
    ] {
        check("\"v2.1.0\"", given, &[&line(given, written)]);
    }
    check("\"v2.1.0\"", "\"1.10\"", &[]);
    check(
        "\"v2.1.0\"",
        "on",
        &[
            "4:13 bad-image-tag `imageTag` is not quoted: Helm takes `on` for a boolean and writes `true` (quote it: imageTag: \"on\")",
        ],
    );
    check_cac(
        "\"v2.1.0\"",
        "1.10",
        &[
            "22:14 bad-image-tag `version` is not quoted: Helm takes `1.10` for a number and writes `1.1` (quote it: version: \"1.10\")",
        ],
    );
}

#[test]
fn an_empty_tag_is_refused() {
    check("\"v2.1.0\"", "\"\"", &["4:13 bad-image-tag `imageTag` is empty (write the tag)"]);
    check(
        "postgres:15-alpine",
        "'postgres:'",
        &["13:16 bad-image-tag the image `postgres:` has an empty tag (write the tag after `:`)"],
    );
    check(
        "postgres:15-alpine",
        "'localhost:5000/postgres'",
        &[
            "13:16 bad-image-tag the image `localhost:5000/postgres` has no tag (add `:` and a tag; without one, what runs would change by itself)",
        ],
    );
    check("postgres:15-alpine", &format!("'localhost:5000/postgres@sha256:{}'", "0".repeat(64)), &[]);
}

#[test]
fn templates_are_paths_of_the_file_and_nothing_else() {
    let template = "{{ .Values.global.imageTag }}";
    for fine in
        ["{{.Values.global.imageTag}}", "{{- .Values.global.imageTag -}}", "{{  .Values.global.namespace }}"]
    {
        assert!(
            good(&HELM.replace(template, fine)).services[1].image.starts_with("rtte/user-service:"),
            "{fine}"
        );
    }
    let more = |inside: &str| {
        format!(
            "23:16 unsupported-template the template `{inside}` is more than a path of `.Values` (only `{{{{ .Values.a.b }}}}` is resolved; write the value itself, or a path to it)"
        )
    };
    for bad in
        [".Release.Name", "include \"x\" .", ".Values.global.imageTag | quote", "/* x */", "", ".Values"]
    {
        check(template, &format!("{{{{ {bad} }}}}"), &[&more(bad)]);
    }
    let nowhere =
        "23:16 unknown-template-path `.Values.global.imagTag` leads nowhere (did you mean `imageTag`?)";
    check("global.imageTag", "global.imagTag", &[nowhere]);
    let open =
        "23:16 unsupported-template a template is opened with `{{` and not closed (close it with `}}`)";
    check("rtte/user-service:{{ .Values.global.imageTag }}", "'rtte/user-service:{{ .Values'", &[open]);
    check(
        "global.imageTag",
        "configMaps",
        &[
            "23:16 wrong-type `.Values.configMaps` is a mapping, and a template takes it for a text (write the path of a text)",
        ],
    );
}

#[test]
fn a_template_in_a_template_is_refused() {
    let text = HELM.replace("  namespace:", "  registry: '{{ .Values.global.imageTag }}'\n  namespace:");
    let text = text
        .replace("rtte/user-service:{{ .Values.global.imageTag }}", "'{{ .Values.global.registry }}/u:1'");
    let fault = "5:13 unsupported-template `.Values.global.registry` is a template itself, and is used in one (write the value itself here)";
    assert_eq!(found(&text).1, [fault]);
}

#[test]
fn what_a_template_uses_under_global_is_no_unknown_key() {
    let text = HELM.replace("  namespace:", "  mirror: r.example.com\n  namespace:");
    let unknown = "5:3 unknown-key nobody reads the key `mirror` (it is kept, but nobody reads it: remove it if it is not for your chart)";
    assert_eq!(found(&text).1, [unknown]);
    let catalog = good(
        &text
            .replace("rtte/user-service", "'{{ .Values.global.mirror }}/user-service")
            .replace("imageTag }}\n", "imageTag }}'\n"),
    );
    assert_eq!(catalog.services[1].image, "r.example.com/user-service:v2.1.0");
    assert_eq!(catalog.extra["global"], json!({"mirror": "r.example.com"}));
}

#[test]
fn the_chart_expands_images_only() {
    let fault = "7:15 unsupported-template `app-config` holds a template, and the chart expands those in `image` only (write the value itself)";
    check("app-config: customer-a-app-config", "app-config: '{{ .Values.global.customerId }}-app'", &[fault]);
    let cac = good(&CAC.replace("config: customer-a-app-config", "config: '{{ .Values.environment }}-app'"));
    assert_eq!(cac.config_maps["app-config"], "production-app");
}

#[test]
fn nothing_dangerous_gets_through_an_image() {
    for (given, shown) in
        [("a b:1", " "), ("a:1\\nx", "\\n"), ("a:${x}", "$"), ("a:'1'", "'"), ("a:1}}", "}")]
    {
        let fault = format!("contains `{shown}` (use letters, digits and `. _ / : @ -` only)");
        let faults = found(&HELM.replace("postgres:15-alpine", &format!("\"{given}\""))).1;
        assert!(faults.len() == 1 && faults[0].ends_with(&fault), "{faults:?}");
    }
    for bad in ["-a:1", "a//b:1", "/a:1", "a:b:c", "a/b:5000/c", "a:-1", "a@sha256:12"] {
        let faults = found(&HELM.replace("postgres:15-alpine", &format!("'{bad}'"))).1;
        assert_eq!(faults.len(), 1, "{bad} {faults:?}");
    }
}
