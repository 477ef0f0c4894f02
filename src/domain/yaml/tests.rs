use std::time::{Duration, Instant};

use super::*;
use crate::domain::catalog::Limits;

/// Everything found wrong, one line each, and the tree as JSON.
fn check(text: &str, json: &str, faults: &[&str]) {
    let (node, diagnostics) = parse("v.yaml", text, &Limits::default());
    let found: Vec<String> =
        diagnostics.iter().map(|d| format!("{} {} {}", d.place, d.code, d.message)).collect();
    assert_eq!(found, faults, "{text}");
    assert_eq!(node.map_or_else(|| "none".into(), |node| to_json(&node).to_string()), json, "{text}");
}

/// A fault that leaves no tree.
fn refuses(text: &str, fault: &str) {
    check(text, "none", &[fault]);
}

fn resolves(text: &str, expected: Resolved<'_>) {
    let scalar = Scalar { text: text.into(), form: Form::Plain };
    assert_eq!(scalar.resolve(), expected, "{text}");
}

#[test]
fn plain_scalars_are_what_helm_takes_them_for() {
    use Resolved::{Bool, Float, Int, Null, Text};
    // As `helm template` of Helm 3.19 shows them.
    for (text, expected) in [
        ("1.10", Float(1.1)),
        ("20240101", Int(20_240_101)),
        ("0755", Int(493)),
        ("0o17", Int(15)),
        ("08", Float(8.0)),
        ("1e3", Float(1000.0)),
        ("1_000", Int(1000)),
        ("0x1F", Int(31)),
        ("0b11", Int(3)),
        ("-0", Int(0)),
        ("+7", Int(7)),
        (".5", Float(0.5)),
        ("1.", Float(1.0)),
        ("12345678901234567890123", Float(12_345_678_901_234_567_890_123.0)),
        ("yes", Bool(true)),
        ("y", Bool(true)),
        ("On", Bool(true)),
        ("OFF", Bool(false)),
        ("n", Bool(false)),
        ("", Null),
        ("~", Null),
        ("Null", Null),
        ("7e12345", Text("7e12345")),
        ("2024-01-02", Text("2024-01-02")),
        ("1:30", Text("1:30")),
        ("v1.10", Text("v1.10")),
        ("1.2.3", Text("1.2.3")),
        ("0x", Text("0x")),
        ("-", Text("-")),
        ("1-2", Text("1-2")),
        (".", Text(".")),
        ("yEs", Text("yEs")),
        ("12a", Text("12a")),
    ] {
        resolves(text, expected);
    }
}

#[test]
fn quotes_and_blocks_are_always_texts() {
    check(
        "a: '1.10'\nb: \"yes\"\nc: |-\n  5\nd: !!str 6\n",
        r#"{"a":"1.10","b":"yes","c":"5","d":"6"}"#,
        &[],
    );
}

#[test]
fn every_node_knows_its_place() {
    let (node, _) = parse("v.yaml", "a:\n  - x\n  - b: ü, ü\n    c: z\n", &Limits::default());
    let node = node.unwrap();
    let Value::List(items) = &node.get("a").unwrap().value else { panic!("no list") };
    let at = |node: &Node| (node.line, node.column);
    assert_eq!(at(&items[0]), (2, 5));
    assert_eq!(at(&items[1]), (3, 5));
    assert_eq!(at(items[1].get("c").unwrap()), (4, 8));
}

#[test]
fn a_key_twice_is_a_fault_and_the_first_counts() {
    let first = "v.yaml:3:1 duplicate-key `a` stands twice in this mapping; first at v.yaml:1:1";
    check("a: 1\nb: {x: 1}\na: 2\n", r#"{"a":1,"b":{"x":1}}"#, &[first]);
    let inner = "v.yaml:1:11 duplicate-key `x` stands twice in this mapping; first at v.yaml:1:5";
    check("b: {x: 1, 'x': 2}\n", r#"{"b":{"x":1}}"#, &[inner]);
}

#[test]
fn merge_keys_give_what_is_not_written() {
    check("d: &d {a: 1, b: 2}\ne:\n  <<: *d\n  b: 3\n", r#"{"d":{"a":1,"b":2},"e":{"a":1,"b":3}}"#, &[]);
    check("e:\n  <<: [{a: 1}, {a: 2, b: 2}]\n", r#"{"e":{"a":1,"b":2}}"#, &[]);
    let ambiguous =
        "v.yaml:2:3 duplicate-key `b` stands before `<<`, which gives it too: Helm takes the latter";
    check("e:\n  b: 3\n  <<: {b: 2}\n", r#"{"e":{"b":3}}"#, &[ambiguous]);
    refuses(
        "e:\n  <<: 5\n",
        "v.yaml:2:7 bad-yaml `<<` takes a mapping or a list of mappings, not the number `5`",
    );
    check("'<<': 1\n", r#"{"<<":1}"#, &[]);
}

#[test]
fn what_is_not_one_document_is_refused() {
    refuses("", "v.yaml bad-yaml the file is empty");
    refuses("# nothing\n", "v.yaml bad-yaml the file is empty");
    refuses("---\n", "v.yaml bad-yaml the file is empty");
    refuses("a: 1\n---\nb: 2\n", "v.yaml:2:1 bad-yaml a second document begins here");
    refuses("a: [1\n", "v.yaml:2:1 bad-yaml not YAML: while parsing a flow sequence, expected ',' or ']'");
    refuses("%TAG ! x\n---\na: 1\n", "v.yaml:1:1 bad-yaml YAML directives are not read");
    refuses("a: 1\nb: \0\nc: 2\n", "v.yaml:2:4 bad-yaml the control character U+0000");
    refuses("a: *b\n", "v.yaml:1:4 bad-yaml not YAML: while parsing node, found unknown anchor");
    refuses("a: &a [*a]\n", "v.yaml:1:8 bad-yaml the alias stands inside of what it repeats");
    refuses("a: !secret x\n", "v.yaml:1:4 bad-yaml the YAML tag `!secret` is not read");
    refuses("a: !!binary x\n", "v.yaml:1:4 bad-yaml the YAML tag `!!binary` is not read");
}

#[test]
fn a_template_without_quotes_is_recognised() {
    let (_, diagnostics) = parse("v.yaml", "a: {{ .Values.x }}\n", &Limits::default());
    let fault = &diagnostics[0];
    assert_eq!(
        fault.to_string().lines().next(),
        Some("v.yaml:1:5: error: a mapping's key must be a text [bad-yaml]")
    );
    assert!(fault.help.as_ref().unwrap().contains("quote it"));
}

#[test]
fn numbers_that_json_does_not_know_are_faults() {
    let fault = "v.yaml:1:4 bad-value `.nan` is not a number that Helm can pass on";
    check("a: .nan\n", r#"{"a":null}"#, &[fault]);
}

#[test]
fn limits_hold() {
    let small = Limits { max_bytes: 200, max_depth: 3, max_nodes: 20, ..Limits::default() };
    let check = |text: &str, expected: &str| {
        let (node, diagnostics) = parse("v.yaml", text, &small);
        let found: Vec<String> =
            diagnostics.iter().map(|d| format!("{} {} {}", d.place, d.code, d.message)).collect();
        assert_eq!(found, [expected]);
        assert!(node.is_none());
    };
    check(&"a".repeat(201), "v.yaml limit-exceeded the file has 201 bytes; 200 are allowed");
    check("a: [[[1]]]", "v.yaml:1:6 limit-exceeded nested more than 3 deep");
    check("a: &a [[1]]\nb: [*a]", "v.yaml:2:5 limit-exceeded nested more than 3 deep");
    let nodes = "v.yaml:2:13 limit-exceeded more than 20 values, aliases counted as what they repeat";
    check("a: &a [1, 2, 3, 4]\nb: [*a, *a, *a]", nodes);
    let long = format!("a: &a {}\nb: [*a, *a, *a]", "x".repeat(90));
    check(&long, "v.yaml:2:13 limit-exceeded aliases repeat more than 200 bytes of text");
}

#[test]
fn bombs_are_refused_in_no_time() {
    let laughs = (1..10).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let before = vec![format!("*a{}", n - 1); 9].join(",");
        text + &format!("a{n}: &a{n} [{before}]\n")
    });
    let merges = (1..40).fold("a0: &a0 {k: v}\n".to_owned(), |text, n| {
        text + &format!("a{n}: &a{n}\n  <<: [*a{}, *a{}]\n  k{n}: v\n", n - 1, n - 1)
    });
    let tags = format!("a: [{}]", "!!str x, ".repeat(100_000));
    for (name, text) in [
        ("laughs", laughs),
        ("merges", merges),
        ("brackets", "[".repeat(200_000)),
        ("braces", "{a: ".repeat(200_000)),
        ("dashes", "- ".repeat(200_000)),
        ("question marks", "? ".repeat(200_000)),
        ("a huge key", format!("{}: 1", "k".repeat(1_000_000))),
        ("a huge quoted key", format!("? \"{}\"\n: 1", "k".repeat(1_000_000))),
        ("ten megabytes", "k".repeat(10_000_000)),
        ("tags", tags),
        ("anchors", "- &a x\n".repeat(140_000)),
        ("duplicate keys", "a: 1\n".repeat(100_000)),
        ("not a number", "- .nan\n".repeat(100_000)),
    ] {
        let start = Instant::now();
        let (node, diagnostics) = parse("v.yaml", &text, &Limits::default());
        let took = start.elapsed();
        assert!(diagnostics.len() <= 500, "{name}: {}", diagnostics.len());
        assert!(!diagnostics.is_empty() || node.is_some(), "{name}");
        // Within 50 ms when optimised; here the parser is not, and other tests run beside.
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
        println!("{name}: {took:?}, {} faults", diagnostics.len());
    }
}
