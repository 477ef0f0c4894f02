//! A log file that never fills the disk: a new one begins each day or when it is full, and so many older ones are kept.
//!
//! Lines are written by a thread of their own. What comes faster than the disk takes it is dropped and counted: a log
//! must not hold up a deployment.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use jiff::Timestamp;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::logging::{LogFile, Rotation};

/// Lines that wait to be written, at most.
const WAITING: usize = 8192;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// Lines on their way to a file.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    queue: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    /// Opens the file, and begins to write.
    pub(super) fn open(settings: &LogFile) -> Result<Self, String> {
        let rolling = Rolling::open(settings, Timestamp::now());
        let rolling =
            rolling.map_err(|error| format!("logging.file.path: {}: {error}", settings.path.display()))?;
        let (queue, waiting) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let missing = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("log-file".into())
            .spawn(move || write(rolling, &waiting, &missing))
            .map_err(|error| format!("logging.file: {error}"))?;
        Ok(Self { queue, dropped })
    }
}

fn write(mut rolling: Rolling, waiting: &Receiver<Vec<u8>>, dropped: &AtomicU64) {
    while let Ok(line) = waiting.recv() {
        let now = Timestamp::now();
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let said =
                format!("{{\"level\":\"WARN\",\"message\":\"{missing} lines of the log were dropped\"}}\n");
            // A disk that takes nothing is not told of to itself.
            let _ = rolling.write(said.as_bytes(), now);
        }
        if rolling.write(&line, now).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(line.to_vec())
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A file, and the older ones beside it.
#[derive(Debug)]
struct Rolling {
    path: PathBuf,
    file: File,
    written: u64,
    day: i64,
    daily: bool,
    max: u64,
    keep: u32,
}

impl Rolling {
    fn open(settings: &LogFile, now: Timestamp) -> io::Result<Self> {
        let file = append(&settings.path)?;
        let there = file.metadata()?;
        // A file of yesterday is continued as one of yesterday.
        let modified = there.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        let day = if there.len() == 0 { day(now) } else { modified.map_or(day(now), day) };
        Ok(Self {
            path: settings.path.clone(),
            written: there.len(),
            file,
            day,
            daily: settings.rotation == Rotation::Daily,
            max: settings.max_size.as_u64(),
            keep: settings.keep,
        })
    }

    fn write(&mut self, line: &[u8], now: Timestamp) -> io::Result<()> {
        let full = self.written > 0 && self.written + line.len() as u64 > self.max;
        let old = self.daily && day(now) > self.day;
        if full || old {
            self.turn()?;
        }
        self.day = day(now);
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    /// Gives each file the next number, and begins anew. The last one goes.
    fn turn(&mut self) -> io::Result<()> {
        for number in (0..self.keep).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if self.keep == 0 {
            std::fs::remove_file(&self.path)?;
        }
        self.file = append(&self.path)?;
        self.written = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Readable by its owner alone, as the database is.
fn append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn day(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;

    fn check(rotation: Rotation, keep: u32, lines: &[(i64, &str)], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let settings = LogFile { path, rotation, max_size: ByteSize::b(10), keep };
        let at = |hour: i64| Timestamp::now() + jiff::SignedDuration::from_hours(hour);
        let mut rolling = Rolling::open(&settings, at(0)).unwrap();
        for (hour, line) in lines {
            rolling.write(line.as_bytes(), at(*hour)).unwrap();
        }
        let found: Vec<String> = (0..=keep + 1)
            .map_while(|number| std::fs::read_to_string(rolling.numbered(number)).ok())
            .collect();
        assert_eq!(found, expected, "{rotation:?} {keep} {lines:?}");
    }

    #[test]
    fn a_new_file_begins_when_one_is_full_or_a_day_is_over_and_the_oldest_goes() {
        let lines = [(0, "one,\n"), (0, "two,\n"), (0, "three\n"), (25, "four\n"), (50, "five\n")];
        check(Rotation::Size, 2, &lines, &["four\nfive\n", "three\n", "one,\ntwo,\n"]);
        check(Rotation::Daily, 3, &lines, &["five\n", "four\n", "three\n", "one,\ntwo,\n"]);
        check(Rotation::Daily, 1, &lines, &["five\n", "four\n"]);
        check(Rotation::Daily, 0, &lines, &["five\n"]);
        // A line that is longer than a file may be has one for itself.
        check(Rotation::Size, 9, &[(0, "longer than that\n"), (0, "a\n")], &["a\n", "longer than that\n"]);
    }
}
