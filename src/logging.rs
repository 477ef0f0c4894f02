//! What is logged: to standard error, to a file where one is configured, at a level that can be changed while the
//! program runs.
//!
//! There is one place where all log lines of a process go (the global subscriber), and so one level.

use std::io;
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::logging::LogFile;

mod file;

/// How long a filter may be.
const FILTER_BYTES: usize = 1024;

/// Where and how.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The filter that holds at first.
    pub filter: &'a str,
    /// Whether lines on standard error are JSON.
    pub json: bool,
    /// Whether they are coloured, where they are not JSON.
    pub colours: bool,
    /// The file beside it.
    pub file: Option<&'a LogFile>,
}

/// The level in force, and how to change it.
struct Level {
    handle: reload::Handle<EnvFilter, Registry>,
    first: String,
    now: Mutex<String>,
}

static LEVEL: OnceLock<Level> = OnceLock::new();

/// Why the level was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// It is not understood.
    #[error("{0}")]
    Filter(String),
    /// Whoever runs this logs in their own way.
    #[error("the log of this process is not ours to change")]
    NotOurs,
}

/// Understands a filter.
///
/// # Errors
/// What is wrong with it.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    if text.trim().is_empty() || text.len() > FILTER_BYTES {
        return Err(
            "is a level (error, warn, info, debug, trace, off), or levels by part: `info,kube=debug`".into(),
        );
    }
    // A word that is no level is taken for the name of a part, and everything else would fall silent.
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    let is_level = |word: &str| levels.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
    let bare =
        text.split(',').map(str::trim).find(|part| !part.contains(['=', '[', ':', '_']) && !is_level(part));
    if let Some(word) = bare {
        return Err(format!("{word:?} is no level: {}; of one part: `{word}=debug`", levels.join(", ")));
    }
    EnvFilter::try_new(text).map_err(|error| format!("{text:?}: {error}"))
}

/// Begins to log. Does nothing where the process logs already.
///
/// # Errors
/// When the filter is not understood, or the file cannot be opened.
pub fn start(settings: &Settings<'_>) -> Result<(), String> {
    let (filter, handle) = reload::Layer::new(filter(settings.filter)?);
    let standard: Box<dyn Layer<_> + Send + Sync> = if settings.json {
        Box::new(json().with_writer(io::stderr))
    } else {
        Box::new(fmt::layer().with_ansi(settings.colours).with_writer(io::stderr))
    };
    let file = settings.file.map(file::Lines::open).transpose()?;
    let file = file.map(|lines| json().with_writer(lines));
    if tracing_subscriber::registry().with(filter).with(standard).with(file).try_init().is_ok() {
        let first = settings.filter.to_owned();
        let _new = LEVEL.set(Level { handle, now: Mutex::new(first.clone()), first });
    }
    Ok(())
}

/// Lines as JSON: what an event says at the top, and the ids of what it happened in under `spans`, the outermost first.
fn json<S>() -> fmt::Layer<S, JsonFields, Format<Json>> {
    fmt::layer().json().flatten_event(true).with_current_span(false)
}

/// The filter in force; none where the log is not ours.
pub fn level() -> Option<String> {
    Some(LEVEL.get()?.now.lock().ok()?.clone())
}

/// Changes the filter until the program ends; none brings back the one that held at first. Answers what holds now.
///
/// # Errors
/// [`LevelError`].
pub fn set_level(text: Option<&str>) -> Result<String, LevelError> {
    let level = LEVEL.get().ok_or(LevelError::NotOurs)?;
    let text = text.unwrap_or(&level.first);
    let filter = filter(text).map_err(LevelError::Filter)?;
    let mut now = level.now.lock().map_err(|_| LevelError::NotOurs)?;
    level.handle.reload(filter).map_err(|_| LevelError::NotOurs)?;
    text.clone_into(&mut now);
    Ok(now.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_everything_by_a_slip_is_refused() {
        for (text, fine) in [
            ("info", true),
            ("INFO", true),
            ("off", true),
            ("warn,argocd_orchestrator=debug", true),
            ("argocd_orchestrator::worker=trace", true),
            ("info,kube=debug", true),
            ("", false),
            ("  ", false),
            ("verbose", false),
            ("info,verbose", false),
            ("argocd_orchestrator=loud", false),
            (&*"x=info,".repeat(1000), false),
        ] {
            let answer = filter(text);
            assert_eq!(answer.is_ok(), fine, "{text:?}: {:?}", answer.err());
        }
    }
}
