//! Histories as JSON lines: the header first, then one event a line.

use super::{
    event::Entry,
    header::{FORMAT, Header},
    log::{History, RecordError},
};
use std::io::{self, BufRead, Write};

/// A file is no history.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// It cannot be read.
    #[error("read history: {0}")]
    Io(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the history: {source}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// There is no first line.
    #[error("the history is empty; its first line is the header")]
    Empty,
    /// A newer program wrote it.
    #[error(
        "the history has format {0}, and this program reads {FORMAT}; judge it with the program that wrote it"
    )]
    Format(u32),
    /// An event does not fit those before it.
    #[error("the history contradicts itself: {0}")]
    Record(#[from] RecordError),
}

impl History {
    /// Writes the whole history.
    pub fn write_jsonl(&self, to: &mut impl Write) -> io::Result<()> {
        write_line(self.header(), to)?;
        self.entries()
            .iter()
            .try_for_each(|entry| write_line(entry, to))
    }

    /// Reads a whole history.
    pub fn read_jsonl(from: impl BufRead) -> Result<Self, JsonlError> {
        let mut lines = from.lines().enumerate();
        let (_, first) = lines.next().ok_or(JsonlError::Empty)?;
        let header: Header = parse(0, &first?)?;
        if header.format != FORMAT {
            return Err(JsonlError::Format(header.format));
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (place, line) in lines {
            entries.push(parse(place, &line?)?);
        }
        Ok(Self::of(header, entries)?)
    }
}

fn write_line(value: &impl serde::Serialize, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

fn parse<T: serde::de::DeserializeOwned>(place: usize, line: &str) -> Result<T, JsonlError> {
    serde_json::from_str(line).map_err(|source| JsonlError::Line {
        line: place + 1,
        source,
    })
}
