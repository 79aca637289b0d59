//! An answer's column as JSON: one value per row, null where there is none to give.

use super::text::{encode_bytes, timestamp};
use crate::lookup::gather::{DEFAULTED, Status};
use bytes::Bytes;
use half::f16;
use serde::{Serialize, Serializer, ser::SerializeSeq};
use wire::{codec::joined, twin};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Integers as numbers, exactly.
    #[default]
    Numbers,
    /// int64 as strings, for readers whose numbers are floats.
    Int64AsText,
    /// As Feast's server does: times in whole seconds, float32 with the digits of the float64 that it is.
    Feast,
}

/// A column's values.
pub struct Values<'a> {
    column: &'a twin::Column,
    /// Values of fixed width end to end.
    fixed: Bytes,
    rows: usize,
    statuses: Option<&'a [u8]>,
    style: Style,
}

impl<'a> Values<'a> {
    /// The values of `column` for `rows` rows.
    pub fn new(
        column: &'a twin::Column,
        rows: usize,
        statuses: Option<&'a [u8]>,
        style: Style,
    ) -> Self {
        let pieces = match column.r#type() {
            twin::Type::Bool => &column.bools,
            twin::Type::Int32 => &column.i32,
            twin::Type::Int64 | twin::Type::Timestamp => &column.i64,
            twin::Type::Float32 => &column.f32,
            twin::Type::Float64 => &column.f64,
            _ => &column.f64,
        };
        let fixed = if column.raw.is_empty() {
            joined(pieces)
        } else {
            column.raw.clone()
        };
        Self {
            column,
            fixed,
            rows,
            statuses,
            style,
        }
    }

    fn has_value(&self, row: usize) -> bool {
        self.statuses.is_none_or(|statuses| {
            statuses[row] == Status::Present as u8 || statuses[row] & DEFAULTED != 0
        })
    }

    fn item(&self, place: usize) -> Item<'_> {
        match self.column.r#type() {
            twin::Type::Bool => Item::Bool(self.fixed[place] != 0),
            twin::Type::Int32 => Item::Int(i64::from(i32::from_le_bytes(self.word(place)))),
            twin::Type::Int64 if self.style == Style::Int64AsText => {
                Item::IntText(i64::from_le_bytes(self.word(place)))
            }
            twin::Type::Int64 => Item::Int(i64::from_le_bytes(self.word(place))),
            twin::Type::Timestamp if self.style == Style::Feast => {
                Item::Int(i64::from_le_bytes(self.word(place)).div_euclid(1_000_000))
            }
            twin::Type::Timestamp => Item::Time(i64::from_le_bytes(self.word(place))),
            twin::Type::Float32 if self.style == Style::Feast => {
                Item::Float64(f32::from_le_bytes(self.word(place)).into())
            }
            twin::Type::Float32 => Item::Float32(f32::from_le_bytes(self.word(place))),
            twin::Type::Float64 => Item::Float64(f64::from_le_bytes(self.word(place))),
            twin::Type::Float16 => Item::Float32(f16::from_le_bytes(self.word(place)).to_f32()),
            twin::Type::Int8 => Item::Int(i64::from(self.fixed[place].cast_signed())),
            twin::Type::String => Item::Text(&self.column.strings[place]),
            twin::Type::Bytes | twin::Type::Unspecified => Item::Blob(&self.column.blobs[place]),
        }
    }

    fn word<const WIDTH: usize>(&self, place: usize) -> [u8; WIDTH] {
        *self.fixed[place * WIDTH..]
            .first_chunk()
            .expect("a column has a value for each row")
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(Some(self.rows))?;
        for row in 0..self.rows {
            if !self.has_value(row) {
                values.serialize_element(&())?;
            } else if self.column.list {
                let start = if row == 0 {
                    0
                } else {
                    self.column.ends[row - 1] as usize
                };
                values.serialize_element(&Run {
                    of: self,
                    places: start..self.column.ends[row] as usize,
                })?;
            } else if self.column.dimension > 0 {
                let dimension = self.column.dimension as usize;
                values.serialize_element(&Run {
                    of: self,
                    places: row * dimension..(row + 1) * dimension,
                })?;
            } else {
                values.serialize_element(&self.item(row))?;
            }
        }
        values.end()
    }
}

/// The elements of one list or vector.
struct Run<'a> {
    of: &'a Values<'a>,
    places: std::ops::Range<usize>,
}

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.places.clone().map(|place| self.of.item(place)))
    }
}

enum Item<'a> {
    Bool(bool),
    Int(i64),
    IntText(i64),
    Float32(f32),
    Float64(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
    Time(i64),
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::IntText(number) => serializer.collect_str(number),
            Self::Float32(float) if float.is_finite() => serializer.serialize_f32(*float),
            Self::Float32(float) => serializer.serialize_str(name_of(f64::from(*float))),
            Self::Float64(float) if float.is_finite() => serializer.serialize_f64(*float),
            Self::Float64(float) => serializer.serialize_str(name_of(*float)),
            // Strings were checked when they were written.
            Self::Text(text) => serializer.serialize_str(&String::from_utf8_lossy(text)),
            Self::Blob(bytes) => serializer.serialize_str(&encode_bytes(bytes)),
            Self::Time(micros) => match timestamp(*micros) {
                Some(text) => serializer.serialize_str(&text),
                None => serializer.serialize_i64(*micros),
            },
        }
    }
}

fn name_of(float: f64) -> &'static str {
    if float.is_nan() {
        "NaN"
    } else if float > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
