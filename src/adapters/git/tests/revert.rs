//! A commit that takes files back.

use super::*;

fn revert(to: &Revision) -> Revert {
    Revert {
        reference: "refs/heads/main".into(),
        paths: vec!["customers/a".into()],
        to: to.clone(),
        branch: "revert-a".into(),
        message: "Take a back".into(),
        by: "ada".into(),
    }
}

/// Two customers; a was changed in every way since the first commit, and b too.
fn changed() -> (World, Revision, Revision) {
    let world = World::new();
    world.write("customers/a/values.yaml", "tag: v1\n");
    world.write("customers/a/gone.yaml", "gone: later\n");
    world.write("customers/b/values.yaml", "tag: v1\n");
    let first = world.commit();
    world.write("customers/a/values.yaml", "tag: v2\n");
    world.write("customers/a/new.yaml", "new: true\n");
    std::fs::remove_file(world.origin().join("customers/a/gone.yaml")).unwrap();
    world.write("customers/b/values.yaml", "tag: v2\n");
    let second = world.commit();
    (world, first, second)
}

#[tokio::test]
async fn the_files_of_one_customer_go_back_on_a_branch_of_their_own() {
    let (world, first, second) = changed();
    let (commit, mut files) = world.git.revert(&source(), &revert(&first)).await.unwrap();
    files.sort();
    assert_eq!(files, ["customers/a/gone.yaml", "customers/a/new.yaml", "customers/a/values.yaml"]);
    let shown = |arguments: &[&str]| run(&world.origin(), arguments);
    assert_eq!(shown(&["rev-parse", "revert-a"]), commit.to_string());
    assert_eq!(shown(&["rev-parse", "revert-a^"]), second.to_string());
    assert_eq!(shown(&["rev-parse", "main"]), second.to_string(), "what is deployed is not written to");
    assert_eq!(shown(&["show", "revert-a:customers/a/values.yaml"]), "tag: v1");
    assert_eq!(shown(&["show", "revert-a:customers/b/values.yaml"]), "tag: v2");
    assert_eq!(shown(&["log", "-1", "--format=%an: %s", "revert-a"]), "ada: Take a back");
    let tree = shown(&["ls-tree", "-r", "--name-only", "revert-a", "customers/a"]);
    assert_eq!(tree, "customers/a/gone.yaml\ncustomers/a/values.yaml");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_pushed() {
    let (world, first, second) = changed();
    refused(world.git.revert(&source(), &revert(&second)).await);
    refused(world.git.revert(&source(), &Revert { branch: "main".into(), ..revert(&first) }).await);
    refused(world.git.revert(&source(), &Revert { branch: "a b".into(), ..revert(&first) }).await);
    refused(world.git.revert(&source(), &Revert { paths: vec!["../x".into()], ..revert(&first) }).await);
    refused(
        world.git.revert(&source(), &Revert { reference: "refs/heads/no".into(), ..revert(&first) }).await,
    );
    let missing = world.git.revert(&source(), &revert(&nowhere())).await;
    assert!(matches!(missing, Err(SourceError::MissingRevision { .. })), "{missing:?}");
    // A branch that is there already and has something else on it.
    run(&world.origin(), &["branch", "revert-a", first.as_str()]);
    run(&world.origin(), &["checkout", "-q", "revert-a"]);
    world.write("other", "x");
    let other = world.commit();
    refused(world.git.revert(&source(), &revert(&first)).await);
    assert_eq!(run(&world.origin(), &["rev-parse", "revert-a"]), other.to_string());
}
