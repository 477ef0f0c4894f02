//! The shape of the source, held by reading it as text: who may know whom, and what stands where.
//!
//! `docs/architecture.md` says why. An exception stands in the test's list, with its reason.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lines that a file may have at most.
const LONGEST: usize = 800;

/// From here on, a file is worth a second look.
const LONG: usize = 500;

/// A source file without comments and tests.
struct Source {
    /// Its path below the repository, with `/`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// All Rust files below a folder, by their paths below the repository.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let named = found.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text)
    });
    named.collect()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// What the program is made of: no tests, no comments.
fn sources() -> Vec<Source> {
    let product = files("src").into_iter().filter(|(path, _)| !is_test(path));
    product.map(|(path, text)| Source { path, text: code(&text) }).collect()
}

/// The text without its comments and without the test module that stands last in it.
fn code(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_module = |next: &&str| next.contains("mod ") && next.trim_end().ends_with('{');
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(opens_module) {
            break;
        }
        if !line.trim_start().starts_with("//") {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// Whether the word stands in the line, and not only as the end of a longer one.
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// None of these files has a line with one of these words, but for the exceptions: path, word and reason.
fn check(what: &str, within: impl Fn(&str) -> bool, words: &[&str], exceptions: &[(&str, &str, &str)]) {
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| within(&source.path)) {
        for line in source.text.lines() {
            let Some(word) = words.iter().find(|word| mentions(line, word)) else { continue };
            let exception = exceptions.iter().position(|(path, allowed, reason)| {
                source.path.starts_with(path) && line.contains(allowed) && !reason.is_empty()
            });
            match exception {
                Some(position) => {
                    used.insert(position);
                }
                None => wrong.push(format!("{}: `{word}` in: {}", source.path, line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "{what}\n{}", wrong.join("\n"));
    let idle: Vec<_> = (0..exceptions.len()).filter(|position| !used.contains(position)).collect();
    assert!(idle.is_empty(), "{what}: nobody needs these exceptions any more: {idle:?}");
}

#[test]
fn the_domain_does_no_input_and_output_and_knows_no_clock_and_no_chance() {
    let outside = [
        "tokio::",
        "kube::",
        "sqlx::",
        "tonic::",
        "axum::",
        "reqwest::",
        "prost::",
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "fs::",
        "SystemTime",
        "Instant",
        "Timestamp::now",
        "Zoned::now",
        "fastrand",
        "uuid::",
        "async ",
        "tracing::",
        "crate::adapters",
        "crate::app",
        "crate::cli",
        "crate::config",
        "crate::grpc",
        "crate::http",
        "crate::ports",
        "crate::store",
        "crate::worker",
    ];
    let value = "an address is a value: nothing is connected to";
    check(
        "the domain is pure",
        |path| path.starts_with("src/domain"),
        &outside,
        &[
            ("src/domain/probe/address.rs", "use std::net::{IpAddr,", value),
            ("src/domain/probe/network.rs", "use std::net::IpAddr;", value),
        ],
    );
}

#[test]
fn ports_speak_of_the_domain_alone() {
    let others = [
        "crate::adapters",
        "crate::app",
        "crate::cli",
        "crate::config",
        "crate::grpc",
        "crate::http",
        "crate::store",
        "crate::worker",
    ];
    check("ports are our own words", |path| path == "src/ports.rs", &others, &[]);
}

#[test]
fn adapters_know_ports_and_the_domain_and_never_each_other() {
    let others =
        ["crate::app", "crate::cli", "crate::config", "crate::grpc", "crate::store", "crate::worker"];
    check("adapters stand alone", |path| path.starts_with("src/adapters"), &others, &[]);
    let mut adapters: Vec<String> =
        files("src/adapters").into_iter().map(|(path, _)| adapter(&path)).collect();
    adapters.dedup();
    assert!(adapters.len() > 1, "{adapters:?}");
    for one in &adapters {
        let foreign: Vec<String> =
            adapters.iter().filter(|other| *other != one).map(|other| format!("adapters::{other}")).collect();
        let words: Vec<&str> = foreign.iter().map(String::as_str).collect();
        check(
            "adapters do not know each other",
            |path| path.starts_with("src/adapters") && adapter(path) == *one,
            &words,
            &[],
        );
    }
}

/// `src/adapters/git/cache.rs` and `src/adapters/git.rs` are both of `git`.
fn adapter(path: &str) -> String {
    let rest = path.strip_prefix("src/adapters/").unwrap_or(path);
    rest.split(['/', '.']).next().unwrap_or(rest).to_owned()
}

#[test]
fn the_store_knows_the_domain_alone() {
    let others = [
        "crate::adapters",
        "crate::app",
        "crate::cli",
        "crate::config",
        "crate::grpc",
        "crate::http",
        "crate::ports",
        "crate::worker",
    ];
    check("the store keeps and decides nothing", |path| path.starts_with("src/store"), &others, &[]);
}

#[test]
fn sql_stands_in_the_store_alone() {
    let sql = ["sqlx::", "\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"CREATE ", "\"PRAGMA "];
    check("SQL", |path| !path.starts_with("src/store"), &sql, &[]);
}

#[test]
fn a_kubernetes_client_stands_in_its_adapter_alone() {
    check("kube", |path| !path.starts_with("src/adapters/argocd"), &["kube::", "k8s_openapi::"], &[]);
}

#[test]
fn generated_protobuf_stands_in_the_trigger_alone() {
    let demo = "the demo is a sensor: it calls the trigger as a client";
    let otlp = "the messages of OTLP are Protobuf, and those of a library";
    check(
        "protobuf",
        |path| path != "src/grpc.rs",
        &["prost::", "generated::", "include_proto", "tonic::"],
        &[
            ("src/cli/demo/sensor.rs", "crate::grpc::generated::", demo),
            ("src/cli/demo/sensor.rs", "tonic::transport::Channel", demo),
            ("src/adapters/otlp.rs", "opentelemetry_proto::tonic::", otlp),
            ("src/adapters/otlp.rs", "use prost::Message as _;", otlp),
        ],
    );
}

#[test]
fn the_edges_do_not_know_each_others_insides() {
    check(
        "the trigger",
        |path| path.starts_with("src/grpc"),
        &["crate::cli", "crate::worker", "crate::adapters"],
        &[],
    );
    let wires = "the command line starts the trigger's server";
    check(
        "the command line",
        |path| path.starts_with("src/cli"),
        &["grpc::"],
        &[
            ("src/cli/demo.rs", "grpc::serve(", wires),
            ("src/cli/serve.rs", "grpc::serve(", wires),
            (
                "src/cli/demo/sensor.rs",
                "crate::grpc::",
                "the demo is a sensor: it calls the trigger as a client",
            ),
        ],
    );
    check(
        "the HTTP interface",
        |path| path.starts_with("src/http"),
        &["crate::cli", "crate::worker", "crate::adapters", "crate::grpc"],
        &[],
    );
    let views =
        ["crate::cli", "crate::worker", "crate::adapters", "crate::grpc", "crate::http", "crate::app"];
    check("views show what is given to them", |path| path.starts_with("src/view"), &views, &[]);
    let inside = |path: &str| path.starts_with("src/app") || path.starts_with("src/worker");
    check("use cases do not know who asks", inside, &["crate::cli", "crate::grpc", "crate::http"], &[]);
}

#[test]
fn steps_and_the_plugin_know_the_client_and_the_domain_alone() {
    let others = [
        "crate::adapters",
        "crate::app",
        "crate::cli::",
        "crate::config",
        "crate::grpc",
        "crate::http",
        "crate::store",
        "crate::worker",
    ];
    let inside = |path: &str| path.starts_with("src/step") || path == "src/plugin.rs";
    check("steps are a client's side", inside, &others, &[]);
}

#[test]
fn only_main_and_the_command_line_print_exit_and_read_the_environment() {
    let words = [
        "println!",
        "print!",
        "eprintln!",
        "eprint!",
        "process::exit",
        "env::",
        "stdout()",
        "stderr()",
        "process::abort",
    ];
    check(
        "printing, exiting, environment",
        |path| path != "src/main.rs" && !path.starts_with("src/cli"),
        &words,
        &[(
            "src/store/connect.rs",
            "std::env::current_dir",
            "a path is made absolute before anybody changes folders",
        )],
    );
}

#[test]
fn nothing_is_left_to_be_done() {
    check("unfinished code", |_| true, &["todo!", "unimplemented!", "dbg!"], &[]);
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in files("src").into_iter().chain(files("tests")) {
        let lines = text.lines().count();
        if lines > LONG {
            println!("{path} has {lines} lines: worth a second look");
        }
        assert!(lines <= LONGEST, "{path} has {lines} lines");
    }
}

/// The files of the modules that a file declares, and of those below.
fn reach(file: &Path, folder: &Path, found: &mut BTreeSet<PathBuf>) {
    found.insert(file.to_owned());
    let text = std::fs::read_to_string(file).unwrap();
    for line in text.lines() {
        let declared = line.trim().trim_start_matches("pub").trim_start();
        let declared = declared
            .split_once(") ")
            .filter(|(scope, _)| scope.starts_with('('))
            .map_or(declared, |(_, rest)| rest);
        let Some(name) = declared.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) else {
            continue;
        };
        let file = folder.join(format!("{name}.rs"));
        assert!(file.is_file(), "{} is not there (no `mod.rs`, no `#[path]` under src)", file.display());
        reach(&file, &folder.join(name), found);
    }
}

#[test]
fn every_file_is_reached_by_a_module_declaration() {
    let source = root().join("src");
    let mut reached = BTreeSet::new();
    reach(&source.join("lib.rs"), &source, &mut reached);
    reach(&source.join("main.rs"), &source, &mut reached);
    let mut there = Vec::new();
    walk(&source, &mut there);
    let lost: Vec<_> = there.iter().filter(|path| !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "no module declares {lost:?}");
}

#[test]
fn names_of_tests_are_sentences() {
    let mut wrong = Vec::new();
    for (path, text) in files("src").into_iter().chain(files("tests")) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            if !line.starts_with("#[test]") && !line.starts_with("#[tokio::test") {
                continue;
            }
            let declared = lines[number..].iter().find_map(|line| line.split_once("fn "));
            let name = declared.map_or("", |(_, rest)| rest.split('(').next().unwrap_or(rest));
            if !name.contains('_') {
                wrong.push(format!("{path}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
