//! The one place that runs the `git` binary.
//!
//! What git does is decided by what is given here and by nothing that lies about on the machine: no system or
//! user configuration, no inherited `GIT_*` variables, no hooks, no prompts, no redirects, no protocol but the
//! one that the repository's address needs.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// How much of what git says of a failure is kept.
const STDERR_BYTES: usize = 16 * 1024;

/// One run of git.
pub(super) struct Call<'a> {
    /// The binary.
    pub(super) program: &'a OsStr,
    /// The repository, where there is one already.
    pub(super) directory: Option<&'a Path>,
    /// What to do. Anything from outside comes after `--` or has been checked.
    pub(super) arguments: &'a [&'a str],
    /// Protocols that may be used, as `GIT_ALLOW_PROTOCOL`; empty for what needs none.
    pub(super) protocols: &'a str,
    /// Further configuration, and further variables. May be secret: goes into the environment, never into the
    /// arguments, which everybody on the machine can read.
    pub(super) configuration: &'a [(String, String)],
    pub(super) variables: &'a [(&'static str, String)],
    /// A file to hold open for as long as git or any child of it runs: its lock then outlives us.
    pub(super) held: Option<File>,
    pub(super) timeout: Duration,
    pub(super) max_output_bytes: u64,
}

/// What git answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The exit code; none when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    /// May contain secrets until it is scrubbed.
    pub(super) stderr: String,
}

/// Why git gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("git could not be run: {0}")]
    Start(io::Error),
    #[error("git could not be read: {0}")]
    Read(#[from] io::Error),
    #[error("git took longer than {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("git gave more than {0} bytes")]
    TooMuch(u64),
}

/// Variables that would change what git does or make it print secrets.
const REMOVED: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_ATTR_SOURCE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_SYSTEM",
    "GIT_CURL_VERBOSE",
    "GIT_DEFAULT_HASH",
    "GIT_DEFAULT_REF_FORMAT",
    "GIT_DIR",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_PROXY_COMMAND",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_NO_VERIFY",
    "GIT_TEMPLATE_DIR",
    "GIT_TRACE",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_TRACE_CURL",
    "GIT_TRACE_CURL_NO_DATA",
    "GIT_TRACE_PACKET",
    "GIT_TRACE_PACKFILE",
    "GIT_TRACE_REDACT",
    "GIT_TRACE_SETUP",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
];

const VARIABLES: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("LC_ALL", "C"),
];

/// Commits that no branch has any more are what a rollback goes back to, so nothing is ever pruned.
const CONFIGURATION: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("fetch.recurseSubmodules", "false"),
    ("transfer.bundleURI", "false"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1"),
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
    ("gc.cruftPacks", "true"),
    ("gc.pruneExpire", "never"),
];

/// Runs git and waits for it, but not for longer and not for more output than allowed; then it is killed.
pub(super) async fn git(call: Call<'_>) -> Result<Answer, RunError> {
    let (timeout, limit) = (call.timeout, call.max_output_bytes);
    let mut child = command(call).spawn().map_err(RunError::Start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let run = async {
        let (stdout, stderr, status) =
            tokio::try_join!(read(stdout, limit), read_some(stderr), async { Ok(child.wait().await?) })?;
        Ok(Answer { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    };
    match tokio::time::timeout(timeout, run).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(RunError::TimedOut(timeout)),
    }
}

fn command(call: Call<'_>) -> Command {
    let mut command = Command::new(call.program);
    for name in REMOVED {
        command.env_remove(name);
    }
    command.envs(VARIABLES.iter().copied());
    command.env("GIT_ALLOW_PROTOCOL", call.protocols);
    // A connection on which nothing comes any more ends by itself, should its process outlive a killed git.
    let low_speed = ("http.lowSpeedTime".to_owned(), call.timeout.as_secs().max(1).to_string());
    let fixed = CONFIGURATION.iter().map(|(key, value)| (*key, *value));
    let given =
        call.configuration.iter().chain([&low_speed]).map(|(key, value)| (key.as_str(), value.as_str()));
    let mut count = 0;
    for (key, value) in fixed.chain(given) {
        command.env(format!("GIT_CONFIG_KEY_{count}"), key).env(format!("GIT_CONFIG_VALUE_{count}"), value);
        count += 1;
    }
    command.env("GIT_CONFIG_COUNT", count.to_string());
    command.envs(call.variables.iter().map(|(name, value)| (*name, value.as_str())));
    if let Some(directory) = call.directory {
        command.arg("--git-dir").arg(directory);
    }
    command.args(call.arguments);
    command
        .stdin(call.held.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Its own group: a key pressed on the terminal stops us, and then we stop it.
    command.process_group(0).kill_on_drop(true);
    command
}

async fn read(from: Option<impl AsyncRead + Unpin>, limit: u64) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(limit.saturating_add(1)).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > limit { Err(RunError::TooMuch(limit)) } else { Ok(bytes) }
}

/// Reads to the end, so that git never waits for us, and keeps the last part.
async fn read_some(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, RunError> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return Ok(kept) };
    let mut chunk = [0; 4096];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&chunk[..read]);
        if kept.len() > 2 * STDERR_BYTES {
            kept.drain(..kept.len() - STDERR_BYTES);
        }
    }
}
