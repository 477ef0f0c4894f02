//! No text, however hostile, makes the reader panic, loop or eat memory.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::{CAC, HELM};
use super::*;

fn read_any(text: &str) {
    let small = Limits { max_services: 5, max_dependencies: 5, max_waves: 3, ..Limits::default() };
    for limits in [Limits::default(), small] {
        let (catalog, diagnostics) = read("v.yaml", text, &Expected::default(), &limits);
        assert!(catalog.is_some() || diagnostics.iter().any(Diagnostic::is_error), "{text}");
        for diagnostic in &diagnostics {
            assert!(!diagnostic.message.contains(|c: char| c.is_control()), "{diagnostic:?}");
        }
        if let Some(catalog) = catalog {
            helm_values(&catalog);
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        read_any(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(text in r"([a-c]|[-:?,\[\]{}&*!|>'%@#\n \t]|microservices: |<<: |\{\{ |\}\}){0,60}") {
        read_any(&text);
        read_any(&format!("microservices:\n  a:\n    services:\n{text}"));
    }

    #[test]
    fn no_mutation_of_a_good_file_makes_it_panic(
        helm in any::<bool>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[ -~\n]{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = if helm { HELM } else { CAC }.chars().collect();
        for (at, length, inserted) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, inserted.chars());
        }
        read_any(&text.into_iter().collect::<String>());
    }
}

fn within_a_moment(name: &str, text: &str, code: Code) {
    let start = Instant::now();
    let (_, diagnostics) = read("v.yaml", text, &Expected::default(), &Limits::default());
    let took = start.elapsed();
    assert!(diagnostics.iter().any(|d| d.code == code), "{name}: {:?}", diagnostics.first());
    assert!(diagnostics.len() <= 1_002, "{name}: {}", diagnostics.len());
    // Within 50 ms when optimised; here the parser is not, and other tests run beside. Without the bounds it
    // would be minutes.
    assert!(took < Duration::from_secs(20), "{name} took {took:?}");
    println!("{name}: {took:?}, {} faults", diagnostics.len());
}

#[test]
fn many_faults_and_large_templates_are_bounded() {
    let head =
        "global: {customerId: a, environment: prod, imageTag: v1}\nmicroservices:\n  g:\n    services:\n";
    let keys: String = (0..60_000).map(|n| format!("key{n}: 1\n")).collect();
    within_a_moment("unknown keys", &format!("{head}{keys}"), Code::UnknownKey);
    let services: String = (0..20_000).map(|n| format!("      - {{name: s{n}, image: x}}\n")).collect();
    within_a_moment("services", &format!("{head}{services}"), Code::LimitExceeded);
    let image = "{{ .Values.big }}".repeat(20_000);
    let big = format!("big: {}\n{head}      - {{name: x, image: \"{image}\"}}\n", "x".repeat(500_000));
    within_a_moment("templates", &big, Code::LimitExceeded);
    let names: Vec<String> =
        (0..9_000).map(|n| format!("service-with-a-long-name-{n:020}-and-more")).collect();
    let listed = names[4_500..].join(", ").replace('-', "_");
    let applications: String =
        names[..1_900].iter().map(|name| format!("- {{name: {name}, version: v1}}\n")).collect();
    let cac = format!("sync-waves: [{{wave: 0, services: [{listed}]}}]\napplications:\n{applications}");
    within_a_moment("near names", &cac, Code::UnknownService);
    let many: Vec<String> = (0..60_000).map(|n| format!("d{n}")).collect();
    let one = format!("{head}      - {{name: x, image: 'x:1', dependencies: [{}]}}\n", many.join(", "));
    within_a_moment("dependencies", &one, Code::LimitExceeded);
}
