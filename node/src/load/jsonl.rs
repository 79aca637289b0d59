//! Rows of JSON, one object a line, with the values that HTTP bodies have. A field that is absent
//! keeps its value; null is a value.

use super::{
    binding::{Binding, Place},
    row::{self, Raw, RowFault, SourceRow},
    source::ReadError,
};
use crate::client::{cell::BadValue, rows::TypedRow, value_json, value_text};
use proto::{limits::MESSAGE_BYTES, reason::Reason, types::Type, value::Value};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    io::{BufRead, Read as _},
};

/// A line longer than a whole request could never be written.
const LINE_BYTES: u64 = MESSAGE_BYTES as u64;

/// An open file, or standard input.
#[derive(Debug)]
pub struct JsonlSource<R> {
    binding: Binding,
    reader: R,
    row: u64,
}

impl<R: BufRead> JsonlSource<R> {
    /// Passes over the first lines.
    pub fn open(reader: R, binding: Binding, first_row: u64) -> Result<Self, ReadError> {
        let mut source = Self {
            binding,
            reader,
            row: 0,
        };
        while source.row < first_row && source.next_line()?.is_some() {}
        Ok(source)
    }

    /// The binding.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The next row; `None` at the file's end. Rows are numbered by their lines; empty ones are
    /// passed over.
    pub fn next_row(&mut self) -> Result<Option<SourceRow>, ReadError> {
        while let Some(line) = self.next_line()? {
            let text = match String::from_utf8(line) {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => text,
                Err(error) => {
                    let fault =
                        RowFault::new(Reason::WrongType, "", "the line is not UTF-8, as JSON is");
                    let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    return Ok(Some(self.row(lossy, Err(fault))));
                }
            };
            let read = self.read(&text);
            return Ok(Some(self.row(text, read)));
        }
        Ok(None)
    }

    fn row(&self, text: String, read: Result<TypedRow, RowFault>) -> SourceRow {
        SourceRow {
            number: self.row,
            raw: Raw::Json(text),
            read,
        }
    }

    /// The next line without its end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.reader).take(LINE_BYTES);
        let length = bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| ReadError::Damaged(error.to_string()))?;
        if length == 0 {
            return Ok(None);
        }
        self.row += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == LINE_BYTES {
            let message = format!(
                "line {} is longer than {LINE_BYTES} bytes; is it JSON lines",
                self.row
            );
            return Err(ReadError::Damaged(message));
        }
        Ok(Some(line))
    }

    fn read(&self, text: &str) -> Result<TypedRow, RowFault> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|error| {
            RowFault::new(
                Reason::InvalidRequest,
                "",
                format!("the line is not a JSON object: {error}"),
            )
        })?;
        let mut row = row::empty(&self.binding);
        for (name, json) in &fields {
            self.take(&mut row, name, json.get())?;
        }
        let missing = row.keys.iter().position(|key| *key == Value::Null);
        if let Some(index) = missing {
            let name = &self.binding.keys[index].name;
            return Err(RowFault::new(
                Reason::MissingKey,
                name,
                "the join key is not given; every row needs it",
            ));
        }
        if row.event_time.is_none() && self.binding.event_time_required {
            let column = &self.binding.event_time.column;
            return Err(RowFault::new(
                Reason::MissingKey,
                column,
                "the row has no event time; every row of this file needs one",
            ));
        }
        Ok(row)
    }

    fn take(&self, row: &mut TypedRow, name: &str, json: &str) -> Result<(), RowFault> {
        let Some(target) = self.binding.find(name) else {
            let message = format!(
                "view {} has no join key or feature of this name; leave it out of the row, or add it to the view first",
                self.binding.view
            );
            return Err(RowFault::new(Reason::UnknownFeature, name, message));
        };
        if target.event_time {
            let micros = self
                .event_time(json)
                .map_err(|bad| RowFault::of_value(name, &bad))?;
            row.event_time = Some(micros);
        }
        let Some(place) = target.value else {
            return Ok(());
        };
        let ty = match place {
            Place::Key(index) => Type::Scalar(self.binding.keys[index].ty),
            Place::Feature(index) => self.binding.features[index].ty,
        };
        let value = value_json::parse(ty, json)
            .map_err(|bad| RowFault::of_value(self.binding.name_of(place), &bad))?;
        row::set(row, &self.binding, place, value)
    }

    fn event_time(&self, json: &str) -> Result<i64, BadValue> {
        if let Some(unit) = self.binding.event_time.unit {
            let count = json.parse().map_err(|_| {
                BadValue::new(json, format_args!("is not a whole number of {unit}"))
            })?;
            return unit.micros(count);
        }
        let text: String = serde_json::from_str(json).map_err(|_| {
            BadValue::new(
                json,
                "is not a time as text, such as \"2026-11-20T10:00:00Z\"; for whole numbers say --event-time COLUMN:UNIT",
            )
        })?;
        value_text::parse_micros(&text)
    }
}
