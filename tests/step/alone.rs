//! Steps that need no server: `--standalone`, and writing to Git.

use std::path::{Path, PathBuf};

use crate::stage::{Ended, prepared};
use crate::support::MAIN;
use crate::support::repo::{CUSTOMERS, Repo, values_file};

/// A repository, and a configuration that deploys it to a simulated cluster.
struct Alone {
    folder: tempfile::TempDir,
    repo: Repo,
}

impl Alone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::create(&folder.path().join("repository"), &["customer-a"]);
        let text = format!(
            "cluster: {{simulated: {{speed: 50}}}}\nsources:\n  - name: shop\n    url: {}\n    repository: rtte/shop\n    \
             allow-file: true\n    targets:\n      - {{ref: {MAIN}, environment: production, charts-path: {CUSTOMERS}, \
             base-chart: charts/base}}\n",
            repo.url()
        );
        std::fs::write(folder.path().join("orchestrator.yaml"), text).unwrap();
        Self { folder, repo }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn step(&self, arguments: &[&str]) -> Ended {
        let mut step = prepared(arguments);
        let (config, data) = (self.path("orchestrator.yaml"), self.path("data"));
        step.command.arg("--config").arg(config).arg("--data-dir").arg(data);
        step.ended().await
    }
}

#[tokio::test]
async fn without_a_server_a_volume_keeps_what_one_step_leaves_to_the_next() {
    let alone = Alone::new();
    let place = ["--standalone", "--customer-id", "customer-a", "--workflow-uid", "u-1"];
    let values = alone.step(&[&["validate-helm-values"], &place[..]].concat()).await.check(0, "is right");
    assert_eq!(values.text("image-tag"), "v1");
    let asked = alone.step(&[&["trigger-application-set"], &place[..]].concat()).await.check(0, "deploys");
    let id = asked.text("deployment-id");
    let about = ["--standalone", "--deployment-id", &id];
    alone.step(&[&["monitor-sync-waves"], &about[..]].concat()).await.check(0, "4 of 4 healthy");
    alone.step(&[&["validate-deployment"], &about[..]].concat()).await.check(0, "healthy");
    let twice = alone.step(&[&["trigger-application-set"], &place[..]].concat()).await.check(0, "");
    assert_eq!(twice.text("deployment-id"), id);
    alone.step(&["abort", "--standalone", "--deployment-id", &id]).await.check(0, "nothing to abort");
    let server = ["abort", "--standalone", "--deployment-id", &id, "--server", "http://127.0.0.1:1"];
    alone.step(&server).await.check(2, "leave --server out");
}

#[tokio::test]
async fn an_image_tag_is_written_as_a_commit_that_changes_nothing_else() {
    let alone = Alone::new();
    // What is pushed to is a bare copy, as anywhere.
    let bare = alone.path("bare.git");
    let origin = alone.repo.url();
    alone.repo.git(&["clone", "--quiet", "--bare", &origin, bare.to_str().unwrap()]);
    let config = crate::stage::read(&alone.path("orchestrator.yaml"));
    let config = config.replace(&origin, &format!("file://{}", bare.display()));
    std::fs::write(alone.path("orchestrator.yaml"), config).unwrap();
    let head = alone.repo.head();
    let write = |tag: &'static str| ["write-image-tag", "--customer-id", "customer-a", "--image-tag", tag];
    let author = ["--author", "CI Bot <ci@example.com>"];

    let same = alone.step(&write("v1")).await.check(0, "has the image tag v1 already");
    assert_eq!(same.text("revision"), head.as_str());
    let written =
        alone.step(&[&write("v2")[..], &author].concat()).await.check(0, "has the image tag v2 since");
    let commit = written.text("revision");
    let in_bare = |arguments: &[&str]| git(&bare, arguments);
    assert_eq!(in_bare(&["rev-parse", "refs/heads/main"]).trim(), commit);
    assert_eq!(in_bare(&["rev-parse", "main^"]).trim(), head.as_str());
    assert_eq!(
        in_bare(&["log", "-1", "--format=%an <%ae>|%s", "main"]).trim(),
        "CI Bot <ci@example.com>|Set the image tag of customer-a to v2"
    );
    let changed = in_bare(&["diff", "--numstat", "main^", "main"]);
    assert_eq!(changed.trim(), format!("1\t1\t{}", values_file("customer-a")));
    let again = alone.step(&write("v2")).await.check(0, "already");
    assert_eq!(again.text("revision"), commit);
    let nobody = ["write-image-tag", "--customer-id", "customer-z", "--image-tag", "v2"];
    alone.step(&nobody).await.check(12, "customer-z is not there");
    alone.step(&write("v2/x")).await.check(2, "is not an image tag");

    // A branch that takes nothing.
    let hook = bare.join("hooks/pre-receive");
    std::fs::create_dir_all(bare.join("hooks")).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    alone.step(&write("v3")).await.check(17, "does not take refs/heads/main");
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = std::process::Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
