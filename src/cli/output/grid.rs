//! Columns of coloured text that fit a width: colours never count, and only the last column wraps.

use console::Style;

/// Between two columns.
const GAP: usize = 2;
/// The last column gets at least this much, however narrow the terminal is.
const LEAST: usize = 20;

/// One cell: a text and how it looks.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a style.
    pub(in crate::cli) fn new(text: impl ToString, style: Style) -> Self {
        Self { text: super::plain(&text.to_string()), style }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Style::new())
    }
}

/// Rows of cells below their headings.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Grid {
    headings: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// No rows yet. A heading that begins with `>` stands, like its column, to the right.
    pub(in crate::cli) fn new(headings: &[&str]) -> Self {
        Self {
            headings: headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect(),
            right: headings.iter().map(|heading| heading.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(in crate::cli) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// The text, each line indented by two and at most `width` wide, where the columns before the last allow it.
    pub(in crate::cli) fn render(&self, width: usize) -> String {
        let count = self.headings.len();
        let widths: Vec<usize> = (0..count)
            .map(|at| {
                let cells = self.rows.iter().map(|row| letters(&row[at].text));
                cells.chain([letters(&self.headings[at])]).max().unwrap_or(0)
            })
            .collect();
        let before: usize = GAP + widths[..count - 1].iter().map(|width| width + GAP).sum::<usize>();
        let rest = width.saturating_sub(before).max(LEAST);
        let bold = || Style::new().bold();
        let headings: Vec<Cell> = self.headings.iter().map(|heading| Cell::new(heading, bold())).collect();
        let mut text = String::new();
        // Without any heading there is no line for them.
        let headings = Some(&headings).filter(|_| self.headings.iter().any(|heading| !heading.is_empty()));
        for row in headings.into_iter().chain(&self.rows) {
            self.line(row, &widths, before, rest, &mut text);
        }
        text
    }

    fn line(&self, row: &[Cell], widths: &[usize], before: usize, rest: usize, text: &mut String) {
        let Some((last, first)) = row.split_last() else { return };
        let mut line = " ".repeat(GAP);
        for (at, cell) in first.iter().enumerate() {
            let space = " ".repeat(widths[at] - letters(&cell.text));
            let painted = super::paint(&cell.style, &cell.text);
            let parts = if self.right[at] { [&*space, &*painted] } else { [&*painted, &*space] };
            line.extend(parts);
            line.push_str(&" ".repeat(GAP));
        }
        for (at, part) in wrap(&last.text, rest).iter().enumerate() {
            if at > 0 {
                line = " ".repeat(before);
            }
            if self.right.last() == Some(&true) {
                line.push_str(&" ".repeat(widths[widths.len() - 1].min(rest).saturating_sub(letters(part))));
            }
            if !part.is_empty() {
                line.push_str(&super::paint(&last.style, part));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
}

/// The text in lines of at most `width` letters, broken at spaces; a longer word stays whole. Never without a line.
pub(in crate::cli) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if letters(line) + 1 + letters(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// How many cells of a terminal a text of ours takes: names are ASCII, and our signs one cell wide.
pub(in crate::cli) fn letters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_column_wraps() {
        let mut grid = Grid::new(&["service", ">wave", "why"]);
        grid.row(["postgres".into(), 1.into(), "new here".into()]);
        grid.row([
            "user-service".into(),
            12.into(),
            "image tag v2.1.0 -> v2.2.0, and its values as well".into(),
        ]);
        assert_eq!(
            grid.render(50),
            "  service       wave  why\n  postgres         1  new here\n  user-service    12  image tag v2.1.0 -> v2.2.0,\n                      and its values as well\n"
        );
    }

    #[test]
    fn a_word_longer_than_the_width_stays_whole() {
        assert_eq!(wrap("a verylongword b", 4), ["a", "verylongword", "b"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
