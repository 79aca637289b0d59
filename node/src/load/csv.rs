//! Rows of a CSV file: a header, then a line per row. All values are text, read by the types of the
//! view; an empty field is null, so an empty string cannot be told from it and needs another format.

use super::{
    binding::{Binding, Place, Target},
    row::{self, Raw, RowFault, SourceRow, no_event_time},
    source::ReadError,
};
use crate::client::{cell::BadValue, rows::TypedRow, value_text};
use ::csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use proto::{reason::Reason, types::Type, value::Value};
use std::{io::Read, sync::Arc};

/// An open CSV file.
#[derive(Debug)]
pub struct CsvSource<R> {
    binding: Binding,
    columns: Arc<[String]>,
    targets: Vec<Target>,
    reader: Reader<R>,
    row: u64,
}

impl<R: Read> CsvSource<R> {
    /// Reads the header, settles `binding` with it and passes over the first rows.
    pub fn open(file: R, mut binding: Binding, first_row: u64) -> Result<Self, ReadError> {
        // Flexible: a line with too few or too many fields is that row's fault, not the file's.
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let header = reader.headers().map_err(damaged)?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        let targets = binding.settle(&columns)?;
        let mut source = Self {
            binding,
            columns: columns.into(),
            targets,
            reader,
            row: 0,
        };
        let mut passed_over = ByteRecord::new();
        while source.row < first_row && source.next_record(&mut passed_over)? {}
        Ok(source)
    }

    /// The settled binding.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The next row; `None` at the file's end.
    pub fn next_row(&mut self) -> Result<Option<SourceRow>, ReadError> {
        let mut record = ByteRecord::new();
        if !self.next_record(&mut record)? {
            return Ok(None);
        }
        let (text, read) = match StringRecord::from_byte_record(record) {
            Ok(text) => {
                let read = self.read(&text);
                (text, read)
            }
            Err(error) => {
                let fault = RowFault::new(
                    Reason::WrongType,
                    "",
                    "the line is not UTF-8; convert the file",
                );
                let lossy = error.into_byte_record();
                let lossy = lossy
                    .iter()
                    .map(|field| String::from_utf8_lossy(field).into_owned());
                (lossy.collect(), Err(fault))
            }
        };
        Ok(Some(SourceRow {
            number: self.row,
            raw: Raw::Csv(Arc::clone(&self.columns), text),
            read,
        }))
    }

    fn next_record(&mut self, record: &mut ByteRecord) -> Result<bool, ReadError> {
        let is_one = self.reader.read_byte_record(record).map_err(damaged)?;
        self.row += u64::from(is_one);
        Ok(is_one)
    }

    fn read(&self, record: &StringRecord) -> Result<TypedRow, RowFault> {
        if record.len() != self.columns.len() {
            let message = format!(
                "the line has {} fields and the header {}; a comma within a value wants quotes around it",
                record.len(),
                self.columns.len()
            );
            return Err(RowFault::new(Reason::UnequalLengths, "", message));
        }
        let mut row = row::empty(&self.binding);
        for (target, text) in self.targets.iter().zip(record) {
            if target.event_time {
                row.event_time = Some(self.event_time(text)?);
            }
            let Some(place) = target.value else { continue };
            let value = if text.is_empty() {
                Value::Null
            } else {
                self.value(place, text)?
            };
            row::set(&mut row, &self.binding, place, value)?;
        }
        Ok(row)
    }

    fn value(&self, place: Place, text: &str) -> Result<Value, RowFault> {
        let ty = match place {
            Place::Key(index) => Type::Scalar(self.binding.keys[index].ty),
            Place::Feature(index) => self.binding.features[index].ty,
        };
        value_text::parse(ty, text)
            .map_err(|bad| RowFault::of_value(self.binding.name_of(place), &bad))
    }

    fn event_time(&self, text: &str) -> Result<i64, RowFault> {
        if text.is_empty() {
            return Err(no_event_time(&self.binding));
        }
        let option = &self.binding.event_time;
        let micros = match option.unit {
            None => value_text::parse_micros(text),
            Some(unit) => text
                .parse()
                .map_err(|_| BadValue::new(text, format_args!("is not a whole number of {unit}")))
                .and_then(|count| unit.micros(count)),
        };
        micros.map_err(|bad| RowFault::of_value(&option.column, &bad))
    }
}

fn damaged(error: ::csv::Error) -> ReadError {
    ReadError::Damaged(error.to_string())
}
