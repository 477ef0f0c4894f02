//! What is logged while the tests of a process run.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

/// What is logged while the tests run.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    /// The log of this whole process: a subscriber of one thread alone could miss what another one was first to
    /// say.
    pub fn of_all() -> &'static Self {
        static ALL: OnceLock<Logged> = OnceLock::new();
        ALL.get_or_init(|| {
            let logged = Self::default();
            let writer = logged.clone();
            tracing_subscriber::fmt()
                .with_env_filter("trace,h2=off,hyper=off,tower=off")
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            logged
        })
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
