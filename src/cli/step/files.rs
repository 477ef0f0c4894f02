//! What a step leaves behind: outputs, progress, and the container's last words.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::step::{Name, Outcome, Standing, StepExit};

/// Kubernetes keeps as much of a termination message.
const TERMINATION: usize = 4_096;

/// What is in `message` at most, so that it fits a workflow's object.
const MESSAGE: usize = 8_192;

/// The files of one step.
pub(super) struct Files {
    outputs: PathBuf,
    termination_log: PathBuf,
    progress: Option<PathBuf>,
    /// What was told last, so that it is told once.
    told: RefCell<Standing>,
}

impl Files {
    pub(super) fn new(outputs: PathBuf, termination_log: PathBuf, progress: Option<PathBuf>) -> Self {
        Self { outputs, termination_log, progress, told: RefCell::default() }
    }

    /// Tells how far it is: `N/M` for the executor, a line for people where it is news.
    pub(super) fn tell(&self, standing: &Standing) {
        if *self.told.borrow() == *standing {
            return;
        }
        if let (Some(file), Some(progress)) = (&self.progress, standing.progress())
            && let Err(error) = fs::write(file, format!("{progress}\n"))
        {
            tracing::debug!(%error, "progress cannot be told");
        }
        eprintln!("{}", standing.message);
        *self.told.borrow_mut() = standing.clone();
    }

    /// Writes everything that is left behind, and says how it ended.
    pub(super) fn end(&self, step: Name, outcome: &Outcome) -> StepExit {
        let message = cut(&outcome.message, MESSAGE);
        let failed = outcome.exit != StepExit::Done;
        eprintln!("{}{message}", if failed { "error: " } else { "" });
        if failed {
            self.last_words(message);
        }
        let mut all = outcome.all(step);
        all.push(("message", message.to_owned()));
        for (name, value) in all {
            if let Err(error) = write(&self.outputs, name, &value) {
                let message = format!("{} cannot be written: {error}", self.outputs.join(name).display());
                eprintln!("error: {message}");
                if !failed {
                    self.last_words(&message);
                    return StepExit::Failure;
                }
            }
        }
        outcome.exit
    }

    /// The container's termination message: only where the kubelet gave a file for it.
    fn last_words(&self, message: &str) {
        let is_file = fs::symlink_metadata(&self.termination_log).is_ok_and(|found| found.is_file());
        if !is_file {
            return;
        }
        let file = fs::OpenOptions::new().write(true).truncate(true).open(&self.termination_log);
        let written = file.and_then(|mut file| file.write_all(cut(message, TERMINATION).as_bytes()));
        if let Err(error) = written {
            tracing::debug!(%error, "the termination message cannot be written");
        }
    }
}

/// Writes a file whole or not at all.
fn write(folder: &Path, name: &str, value: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(value.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The executor may run as somebody else.
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(folder.join(name))?;
    Ok(())
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
