//! Where answers go: tables for people, JSON for programs, on standard output.

use super::arguments::OutputFormat;
use comfy_table::{Table, presets};
use serde_json::Value as Json;
use std::io::{self, Write as _};

/// The way answers are printed.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: OutputFormat,
    /// Whether only the answer itself is printed.
    pub quiet: bool,
}

impl Output {
    /// From the flags.
    #[must_use]
    pub fn new(format: OutputFormat, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// Whether programs read along.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Prints an answer in the form that was asked for.
    pub fn answer(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Json,
    ) -> io::Result<()> {
        if self.is_json() {
            print(&json().to_string())
        } else {
            print(&text())
        }
    }

    /// Prints records: a table, or a line of JSON each.
    pub fn records(
        self,
        table: impl FnOnce() -> String,
        records: impl IntoIterator<Item = Json>,
    ) -> io::Result<()> {
        if !self.is_json() {
            return print(&table());
        }
        records
            .into_iter()
            .try_for_each(|record| print(&record.to_string()))
    }

    /// Says something beside the answer.
    pub fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

/// A reader that has seen enough and closed the pipe is no failure.
fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// A table without lines that are only ornament, so that it can be cut by columns as well.
#[must_use]
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    let lines = table.to_string();
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_header_and_aligned_columns() {
        let text = table(
            ["name", "kind"],
            [["customer_activity", "view"], ["shop", "project"]].map(|row| row.map(str::to_owned)),
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let column = lines[0].find("kind").unwrap();
        assert_eq!(lines[1].find("view"), Some(column));
        assert_eq!(lines[2].find("project"), Some(column));
        assert!(lines.iter().all(|line| !line.ends_with(' ')));
    }
}
