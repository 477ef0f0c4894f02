//! Where a text is printed.

use console::{Style, Term};

/// Width where nobody looks.
const WIDTH: usize = 120;

/// Where a text is printed: colours and width depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// How wide it is: a terminal's width, or 120.
    pub(in crate::cli) fn width(self) -> usize {
        let term = match self {
            Self::Out => Term::stdout(),
            Self::Err => Term::stderr(),
        };
        term.size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns).max(40))
    }

    /// The text in a style, where this is a terminal that shows colours.
    pub(in crate::cli) fn paint(self, style: &Style, text: &str) -> String {
        match self {
            Self::Out => style.apply_to(text).to_string(),
            Self::Err => style.clone().for_stderr().apply_to(text).to_string(),
        }
    }
}
