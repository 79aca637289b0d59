//! The rejects file: a line of JSON for each row that was not taken, with its number, the reason,
//! and the row itself, so that it can be corrected and loaded again.

use super::{
    arrow_value,
    row::{Raw, RowFault},
};
use serde::Serialize;
use serde_json::{Value as Json, value::RawValue};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// An open rejects file. It comes to be with the first rejected row.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

/// Whether a file that is there already may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayReplace {
    /// It may.
    Yes,
    /// It may not.
    No,
}

#[derive(Serialize)]
struct Line<'a> {
    row: u64,
    reason: &'a str,
    field: &'a str,
    message: &'a str,
    raw: Json,
}

impl Rejects {
    /// Begins a new file. One that an earlier load left is in the way, unless it may go.
    pub fn begin(path: &Path, may_replace: MayReplace) -> io::Result<Self> {
        if path.exists() {
            match may_replace {
                MayReplace::Yes => std::fs::remove_file(path)?,
                MayReplace::No => {
                    return Err(io::Error::new(
                        io::ErrorKind::AlreadyExists,
                        "an earlier load left it; move it away, or begin anew with --restart",
                    ));
                }
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file: None,
            bytes: 0,
        })
    }

    /// Goes on after `bytes` of an earlier run: what a crash left behind that is cut off, because
    /// those rows are read again.
    pub fn go_on(path: &Path, bytes: u64) -> io::Result<Self> {
        // A person may have taken the file away meanwhile; it is not filled up with nothing.
        let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut rejects = Self {
            path: path.to_owned(),
            file: None,
            bytes: bytes.min(length),
        };
        if length > 0 {
            rejects.file()?;
        }
        Ok(rejects)
    }

    /// Adds a row.
    pub fn add(&mut self, number: u64, raw: &Raw, fault: &RowFault) -> io::Result<()> {
        let line = Line {
            row: number,
            reason: &fault.reason,
            field: &fault.field,
            message: &fault.message,
            raw: json(raw),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file()?.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    /// How long the file is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        if self.file.is_none() {
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&self.path)?;
            file.set_len(self.bytes)?;
            file.seek(SeekFrom::End(0))?;
            self.file = Some(BufWriter::new(file));
        }
        Ok(self.file.as_mut().expect("it was just opened"))
    }
}

fn json(raw: &Raw) -> Json {
    match raw {
        Raw::Arrow(batch, row) => {
            let schema = batch.schema();
            let fields = schema.fields().iter().zip(batch.columns());
            fields
                .map(|(field, array)| (field.name().clone(), arrow_value::json(array, *row)))
                .collect()
        }
        Raw::Csv(columns, record) => {
            // A line with too many fields keeps them: under the numbers of their columns.
            let names = |index: usize| match columns.get(index) {
                Some(name) => name.clone(),
                None => format!("column {}", index + 1),
            };
            let fields = record.iter().enumerate();
            fields
                .map(|(index, text)| (names(index), Json::from(text)))
                .collect()
        }
        // Its own digits where it is JSON at all; else the text.
        Raw::Json(text) => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
            Err(_) => Json::from(text.as_str()),
        },
    }
}
