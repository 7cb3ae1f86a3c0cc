//! Columns, as `docker images` lines them up.

use std::fmt::Write as _;

/// How wide a column is at least, with the spaces behind it, as docker's.
const LEAST: usize = 10;
const SPACES: usize = 3;

/// Rows below a heading, three spaces between columns, nothing behind the last.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its heading.
    pub(crate) fn new(heading: &[&str]) -> Table {
        Table { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row, which has as many cells as the heading.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text, with a line end behind each row.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns)
            .map(|i| self.rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0))
            .map(|width| (width + SPACES).max(LEAST))
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", "ID"]);
        table.row(vec!["a-long-name".into(), "1".into()]);
        assert_eq!(table.render(), "NAME          ID\na-long-name   1\n");
        let mut table = Table::new(&["ID", "N"]);
        table.row(vec!["1".into(), "2".into()]);
        assert_eq!(table.render(), "ID        N\n1         2\n");
    }
}
