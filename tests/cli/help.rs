//! The help of every command, as it was last agreed to. After a change on purpose:
//! `INSTA_UPDATE=always cargo test --test cli help`.

use argocd_orchestrator::cli::{Cli, Exit};
use clap::CommandFactory;

use crate::{check, program, stdout};

fn check_help(name: &str, arguments: &[&str]) -> String {
    let output = program().args(arguments).arg("--help").output().unwrap();
    check(&output, 0, &[]);
    let text = stdout(&output).to_owned();
    insta::with_settings!({snapshot_path => "../fixtures/help", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
    text
}

#[test]
fn the_help_of_every_command_is_as_agreed() {
    check_help("argocd-orchestrator", &[]);
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let text = check_help(name, &[name]);
        assert!(text.contains("Usage: argocd-orchestrator"), "{name}");
    }
}

#[test]
fn every_exit_code_is_documented_in_the_help() {
    let help = Cli::command().render_help().to_string();
    let codes = [
        Exit::Success,
        Exit::Failure,
        Exit::Usage,
        Exit::InvalidInput,
        Exit::NotFound,
        Exit::Refused,
        Exit::DeploymentFailed,
        Exit::Unavailable,
        Exit::Interrupted,
    ];
    for exit in codes {
        let code = exit as u8;
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))),
            "{code} in:\n{help}"
        );
        assert!(code != 64 && code != 65, "the executor of Argo Workflows uses {code}");
    }
}

#[test]
fn wrong_arguments_end_with_the_code_for_them() {
    for arguments in [
        &["deplyo"][..],
        &[],
        &["demo", "--speed", "fast"],
        &["approve"],
        &["status", "--output", "xml"],
        &["rollback"],
    ] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    check(&program().arg("deplyo").output().unwrap(), 2, &["deploy"]);
}
