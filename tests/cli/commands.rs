//! Commands that look at the database, and those that leave a command in it.

use crate::{check, run, stdout};

#[test]
fn without_a_database_there_is_nothing_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nothing");
    for arguments in [
        &["status"][..],
        &["why"],
        &["history", "d-1"],
        &["approve", "d-1"],
        &["pause", "d-1"],
        &["abort", "d-1"],
        &["retry", "d-1"],
        &["skip", "d-1", "web"],
        &["rollback", "d-1"],
    ] {
        check(&run(&data, arguments), 4, &["orchestrator.db is not there", "see --data-dir"]);
    }
    assert!(!data.exists());
}

#[test]
fn a_database_is_made_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = run(folder.path(), &["migrate"]);
        check(&output, 0, &[]);
        assert!(stdout(&output).contains("is up to date"));
    }
    for (arguments, shown) in [(&["status"][..], "no deployments"), (&["why"], "nothing is waiting")] {
        let output = run(folder.path(), arguments);
        check(&output, 0, &[]);
        assert_eq!(stdout(&output).trim_end(), shown);
    }
}

#[test]
fn an_unknown_deployment_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    check(&run(folder.path(), &["migrate"]), 0, &[]);
    for arguments in [
        &["status", "d-1"][..],
        &["why", "d-1"],
        &["history", "d-1"],
        &["approve", "d-1"],
        &["reject", "d-1"],
        &["pause", "d-1"],
        &["resume", "d-1"],
        &["abort", "d-1"],
        &["retry", "d-1"],
        &["skip", "d-1", "web"],
        &["rollback", "d-1"],
    ] {
        check(&run(folder.path(), arguments), 4, &["there is no deployment d-1"]);
    }
    check(&run(folder.path(), &["deploy", "customer-a"]), 4, &["no configured source"]);
    check(&run(folder.path(), &["status", "d-1;DROP TABLE"]), 2, &["must be 1 to 128"]);
}

#[test]
fn results_are_printed_as_json_and_yaml_too() {
    let folder = tempfile::tempdir().unwrap();
    check(&run(folder.path(), &["migrate"]), 0, &[]);
    for arguments in
        [&["status"][..], &["why"], &["history", "--customer", "customer-a", "--environment", "production"]]
    {
        let json = run(folder.path(), &[arguments, &["--output", "json"]].concat());
        check(&json, 0, &[]);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap(), serde_json::json!([]));
        let yaml = run(folder.path(), &[arguments, &["--output", "yaml"]].concat());
        check(&yaml, 0, &[]);
        assert_eq!(serde_saphyr::from_str::<Vec<String>>(stdout(&yaml)).unwrap(), Vec::<String>::new());
    }
}
