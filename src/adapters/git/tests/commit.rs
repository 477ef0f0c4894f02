//! A commit that changes one file on a branch that others push to.

use super::*;

fn change(head: &Revision, content: &str) -> FileChange {
    FileChange {
        reference: "refs/heads/deploy".into(),
        head: head.clone(),
        path: "customers/a/values.yaml".into(),
        content: content.into(),
        message: "Set the tag".into(),
        author: "ada".into(),
        email: "ada@example.com".into(),
    }
}

/// A repository with a branch that nobody has checked out.
async fn deployed() -> (World, Revision) {
    let world = World::new();
    world.write("customers/a/values.yaml", "tag: v1\n");
    world.write("customers/b/values.yaml", "tag: v1\n");
    let head = world.commit();
    run(&world.origin(), &["branch", "deploy"]);
    world.git.fetch(&source()).await.unwrap();
    (world, head)
}

#[tokio::test]
async fn one_file_changes_on_top_of_the_branch() {
    let (world, head) = deployed().await;
    let made = world.git.commit(&source(), &change(&head, "tag: v2\n")).await.unwrap().unwrap();
    let shown = |arguments: &[&str]| run(&world.origin(), arguments);
    assert_eq!(shown(&["rev-parse", "deploy"]), made.to_string());
    assert_eq!(shown(&["rev-parse", "deploy^"]), head.to_string());
    assert_eq!(shown(&["diff", "--name-only", "deploy^", "deploy"]), "customers/a/values.yaml");
    assert_eq!(shown(&["show", "deploy:customers/a/values.yaml"]), "tag: v2");
    assert_eq!(
        shown(&["log", "-1", "--format=%an <%ae>: %s", "deploy"]),
        "ada <ada@example.com>: Set the tag"
    );
}

#[tokio::test]
async fn who_loses_a_race_is_told_and_nobodys_commit_is_lost() {
    let (world, head) = deployed().await;
    world.write("customers/b/values.yaml", "tag: v2\n");
    let theirs = world.commit();
    run(&world.origin(), &["branch", "--force", "deploy", theirs.as_str()]);
    assert_eq!(world.git.commit(&source(), &change(&head, "tag: v2\n")).await.unwrap(), None);
    assert_eq!(run(&world.origin(), &["rev-parse", "deploy"]), theirs.to_string());
    let now = world.git.head(&source(), "refs/heads/deploy").await.unwrap().unwrap();
    assert_eq!(now, theirs, "the branch was read again");
    world.git.commit(&source(), &change(&now, "tag: v2\n")).await.unwrap().unwrap();
    assert_eq!(run(&world.origin(), &["show", "deploy:customers/b/values.yaml"]), "tag: v2");
}

#[tokio::test]
async fn what_is_no_file_of_a_branch_is_refused() {
    let (world, head) = deployed().await;
    for wrong in [
        FileChange { reference: "refs/tags/v1".into(), ..change(&head, "x") },
        FileChange { reference: "deploy".into(), ..change(&head, "x") },
        FileChange { path: "../x".into(), ..change(&head, "x") },
        FileChange { path: "customers/a".into(), ..change(&head, "x") },
        FileChange { path: "customers/z".into(), ..change(&head, "x") },
    ] {
        refused(world.git.commit(&source(), &wrong).await);
    }
    let hook = world.origin().join(".git/hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    refused(world.git.commit(&source(), &change(&head, "x")).await);
    assert_eq!(run(&world.origin(), &["rev-parse", "deploy"]), head.to_string());
}
