//! What is logged, and where to.

use std::path::PathBuf;

use bytesize::ByteSize;
use serde::Deserialize;

/// What is logged. The command line's `--log` and `--log-json` win.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Logging {
    /// A level (`info`), or levels by part (`info,argocd_orchestrator::worker=debug`). `info` for a server where it is
    /// not given.
    pub level: Option<String>,
    /// Whether lines are JSON. Default false.
    pub json: bool,
    /// A file beside standard error; none for none. Its lines are always JSON.
    pub file: Option<LogFile>,
}

/// A file that is logged to, and the older ones beside it (`<path>.1` is the newest of them).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogFile {
    /// Where. Its folder must be there.
    pub path: PathBuf,
    /// Whether a new one begins each day (UTC), or only when it is full. Default `daily`.
    #[serde(default)]
    pub rotation: Rotation,
    /// How large it may grow until a new one begins. Default 64 MiB.
    #[serde(default = "max_size")]
    pub max_size: ByteSize,
    /// How many older ones are kept. Default 7.
    #[serde(default = "keep")]
    pub keep: u32,
}

/// When a new file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Each day, and when it is full.
    #[default]
    Daily,
    /// When it is full.
    Size,
}

fn max_size() -> ByteSize {
    ByteSize::mib(64)
}

fn keep() -> u32 {
    7
}

/// More files than anybody looks at, and each is renamed at every turn.
const MOST: u32 = 1000;

impl Logging {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if let Some(level) = &self.level {
            crate::logging::filter(level).map_err(|reason| ("logging.level".to_owned(), reason))?;
        }
        let Some(file) = &self.file else { return Ok(()) };
        if file.path.file_name().is_none() {
            return Err(("logging.file.path".into(), format!("{} names no file", file.path.display())));
        }
        if file.max_size < ByteSize::kib(64) {
            return Err((
                "logging.file.max-size".into(),
                format!("{} is too small: 64 KiB at least", file.max_size),
            ));
        }
        if file.keep > MOST {
            return Err(("logging.file.keep".into(), format!("{} are too many: {MOST} at most", file.keep)));
        }
        Ok(())
    }
}
