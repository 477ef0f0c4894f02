//! Small files that are named on the command line.

use std::path::Path;

use super::{Exit, Failure};

/// The largest file that is read: a token, a certificate, or values.
const LARGEST: u64 = 1 << 20;

/// A text file of bounded length.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let wrong = |what: &dyn std::fmt::Display| {
        Failure::new(Exit::InvalidInput, format!("{}: {what}", file.display()))
    };
    let length = std::fs::metadata(file).map_err(|error| wrong(&error))?.len();
    if length > LARGEST {
        return Err(wrong(&format!("it is longer than {LARGEST} bytes")));
    }
    std::fs::read_to_string(file).map_err(|error| wrong(&error))
}

/// A file that only its owner may read.
pub(super) fn read_secret(file: &Path) -> Result<String, Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).map_or(0, |found| found.permissions().mode() & 0o777);
        if mode & 0o077 != 0 {
            let name = file.display();
            let message = format!("{name} may be read by others (mode {mode:03o}): `chmod 600 {name}` first");
            return Err(Failure::new(Exit::InvalidInput, message));
        }
    }
    read(file)
}
