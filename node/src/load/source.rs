//! A file of rows, whatever its format: opened, bound to the view's columns, read row by row.

use super::{
    binding::{BindError, Binding},
    csv::CsvSource,
    jsonl::JsonlSource,
    parquet::ParquetSource,
    row::SourceRow,
};
use std::{
    fmt,
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The formats that can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header; an empty field is null.
    Csv,
    /// A JSON object per line.
    Jsonl,
}

/// A file cannot be read as rows of the view.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is damaged, or not of this format.
    #[error("{} cannot be read as {format}: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The format.
        format: Format,
        /// What its reader said.
        cause: String,
    },
    /// Its name does not tell the format.
    #[error("the format of {} is not known by its name; it must end in .parquet, .csv or .jsonl", .0.display())]
    UnknownFormat(PathBuf),
    /// Its columns are not the view's.
    #[error(transparent)]
    Columns(#[from] BindError),
    /// Columns have types that cannot become the view's.
    #[error("{0}")]
    ColumnTypes(String),
}

impl Format {
    /// The format that a file's name tells.
    pub fn of(path: &Path) -> Result<Self, SourceError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending
            .and_then(|ending| ending.to_ascii_lowercase().parse().ok())
            .ok_or_else(|| SourceError::UnknownFormat(path.to_owned()))
    }
}

impl FromStr for Format {
    type Err = ();

    fn from_str(ending: &str) -> Result<Self, ()> {
        match ending {
            "parquet" | "pq" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::Jsonl => "JSON lines",
        })
    }
}

/// An open file, bound to a view.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Parquet(ParquetSource),
    Csv(CsvSource<File>),
    Jsonl(JsonlSource<BufReader<File>>),
}

/// What a format's reader says; the file's name is added here.
#[derive(Debug)]
pub enum ReadError {
    /// The columns do not fit.
    Columns(BindError),
    /// Columns' types do not fit.
    ColumnTypes(String),
    /// The file cannot be read on.
    Damaged(String),
}

impl From<BindError> for ReadError {
    fn from(error: BindError) -> Self {
        Self::Columns(error)
    }
}

impl Source {
    /// Opens `path` and settles `binding` with its columns. The rows before `first_row`, counted
    /// from 0, are passed over.
    pub fn open(path: &Path, binding: Binding, first_row: u64) -> Result<Self, SourceError> {
        let format = Format::of(path)?;
        let file = File::open(path).map_err(|cause| SourceError::Io {
            path: path.to_owned(),
            cause,
        })?;
        let opened = match format {
            Format::Parquet => ParquetSource::open(file, binding, first_row).map(Reader::Parquet),
            Format::Csv => CsvSource::open(file, binding, first_row).map(Reader::Csv),
            Format::Jsonl => {
                JsonlSource::open(BufReader::new(file), binding, first_row).map(Reader::Jsonl)
            }
        };
        let reader = opened.map_err(|error| at(path, format, error))?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// The settled binding.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        match &self.reader {
            Reader::Parquet(source) => source.binding(),
            Reader::Csv(source) => source.binding(),
            Reader::Jsonl(source) => source.binding(),
        }
    }

    /// How many rows the file has, where that is known without reading it.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        match &self.reader {
            Reader::Parquet(source) => Some(source.rows()),
            Reader::Csv(_) | Reader::Jsonl(_) => None,
        }
    }

    /// The next row; `None` at the file's end.
    pub fn next_row(&mut self) -> Result<Option<SourceRow>, SourceError> {
        let (format, row) = match &mut self.reader {
            Reader::Parquet(source) => (Format::Parquet, source.next_row()),
            Reader::Csv(source) => (Format::Csv, source.next_row()),
            Reader::Jsonl(source) => (Format::Jsonl, source.next_row()),
        };
        row.map_err(|error| at(&self.path, format, error))
    }
}

fn at(path: &Path, format: Format, error: ReadError) -> SourceError {
    match error {
        ReadError::Columns(error) => error.into(),
        ReadError::ColumnTypes(message) => SourceError::ColumnTypes(message),
        ReadError::Damaged(cause) => SourceError::Damaged {
            path: path.to_owned(),
            format,
            cause,
        },
    }
}
