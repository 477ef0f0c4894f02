//! `serve`: what it refuses to start with, and how it stops.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::{check, program, run, stderr};

/// A server that listens.
struct Serving {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Serving {
    fn start(data: &Path) -> Self {
        let serving = Self::start_with(data, &[]);
        serving.until("the custom trigger is served");
        serving
    }

    fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let mut child = program()
            .arg("--data-dir")
            .arg(data)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The line that says so.
    fn until(&self, wanted: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30)).expect(wanted);
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Asks it to stop, and gives its exit code and how long that took.
    fn stop(mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        assert!(
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success()
        );
        (self.child.wait().unwrap().code(), asked.elapsed())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Where the test failed on its way.
        let _ = self.child.kill();
    }
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_the_first_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let first = Serving::start(folder.path());
    let second = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    check(&second, 5, &["another worker is running on this database: process "]);
    // Those that only look are welcome.
    check(&run(folder.path(), &["status"]), 0, &[]);
    let (code, took) = first.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    Serving::start(folder.path()).stop();
}

/// This configuration is refused as wrong input.
fn check_config(text: &str, arguments: &[&str], said: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orchestrator.yaml");
    std::fs::write(&file, text).unwrap();
    let mut all = vec!["--config", file.to_str().unwrap()];
    all.extend(arguments);
    let output = run(&folder.path().join("data"), &all);
    check(&output, 3, said);
    assert!(!stderr(&output).contains("canary"), "{}", stderr(&output));
    assert!(!folder.path().join("data").exists(), "something was written");
}

#[test]
fn an_address_for_others_needs_encryption_and_tokens() {
    let serve = ["serve"];
    check_config(
        "",
        &["serve", "--listen", "0.0.0.0:0"],
        &["--listen", "is not a loopback address", "`grpc.tls`"],
    );
    check_config("grpc:\n  listen: 0.0.0.0:0\n", &serve, &["grpc.listen", "allow-plaintext"]);
    check_config("grpc:\n  listen: \"[::]:0\"\n", &serve, &["is not a loopback address"]);
    let without_tokens = "grpc:\n  listen: 0.0.0.0:0\n  allow-plaintext: true\n";
    check_config(without_tokens, &serve, &["without `grpc.tokens` or `grpc.certificates` anybody could"]);
    let without_tls = "grpc:\n  listen: 0.0.0.0:0\n  tokens: [{name: a, token: canary}]\n";
    check_config(without_tls, &serve, &["`grpc.tls`"]);
}

#[test]
fn http_for_others_needs_encryption_by_somebody_and_tokens() {
    let serve = ["serve"];
    let given = ["serve", "--listen-http", "0.0.0.0:0"];
    check_config("", &given, &["--listen-http", "is not a loopback address", "`http.allow-plaintext: true`"]);
    check_config("http:\n  listen: 0.0.0.0:0\n", &serve, &["http.listen", "allow-plaintext"]);
    let without_tokens = "http:\n  listen: 0.0.0.0:0\n  allow-plaintext: true\n";
    check_config(
        without_tokens,
        &serve,
        &["without `http.tokens`, `http.oidc` or `http.certificates` anybody"],
    );
    let not_hashed = "http:\n  tokens: [{name: a, sha256: canary}]\n";
    check_config(not_hashed, &serve, &["SHA-256", "line 2"]);
}

#[test]
fn a_stop_ends_open_streams_and_keeps_no_one_waiting() {
    use std::io::{Read, Write};

    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start_with(folder.path(), &["--listen-http", "127.0.0.1:0"]);
    let said = serving.until("the HTTP interface is served");
    let address = said.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let (code, took) = serving.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: ready"), "{rest}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place_and_without_its_secrets() {
    let serve = ["serve"];
    let unknown = "grpc:\n  tokens:\n    - name: a\n      token: canary-1\n      tokn: canary-2\n";
    check_config(unknown, &serve, &["orchestrator.yaml", "tokn", "line 5"]);
    check_config("sync-wave:\n  max-wave: 3\n", &serve, &["max-wave", "line 2"]);
    check_config("git:\n  timeout: soon\n", &serve, &["line 2"]);
    check_config("git:\n  timeout: 0s\n", &serve, &["git.timeout"]);
    check_config(
        "grpc:\n  tokens: [{name: a, token: \"${NOT_SET}\"}]\n",
        &serve,
        &["grpc.tokens[a].token", "NOT_SET"],
    );
    let twice = "sources:\n  - {name: shop, url: \"https://git.example.com/a\", repository: a/b, targets: []}\n  - {name: shop, url: \"https://git.example.com/a\", repository: a/b, targets: []}\n";
    check_config(twice, &serve, &["sources[shop]", "twice"]);
    let often = "sources:\n  - {name: shop, url: \"https://git.example.com/a\", repository: a/b, poll: 1s, targets: []}\n";
    check_config(often, &serve, &["sources[shop].poll", "1s is too often", "10s"]);
}

#[test]
fn an_address_of_a_repository_is_checked_and_its_password_not_told() {
    for url in [
        "ext::sh -c canary",
        "file:///etc/canary",
        "--upload-pack=canary",
        "https://user:canary@git.example.com/a",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orchestrator.yaml");
        let text = format!("sources:\n  - {{name: shop, url: \"{url}\", repository: a/b, targets: []}}\n");
        std::fs::write(&file, text).unwrap();
        let arguments = ["--config", file.to_str().unwrap(), "serve", "--listen", "127.0.0.1:0"];
        let output = run(&folder.path().join("data"), &arguments);
        check(&output, 3, &["shop"]);
        assert!(!stderr(&output).contains(":canary@"), "{}", stderr(&output));
    }
}
