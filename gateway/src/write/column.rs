//! One feature's column of a write: its form against the feature's type, then its cells.
//!
//! What is wrong with the column's form refuses the request; what is wrong with one cell is told
//! for its row alone.

use crate::catalog::View;
use bytes::Bytes;
use proto::{
    id::FeatureId,
    limits::CELL_BYTES,
    reason::{Reason, Refusal},
    row::Content,
    types::{Element, Scalar, Type},
    value,
};
use wire::{codec::joined, twin};

/// A column whose form was checked.
#[derive(Debug)]
pub struct FeatureValues {
    /// The feature.
    pub feature: FeatureId,
    name: String,
    stored: Type,
    sent: Type,
    cells: Bytes,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// No row has a value.
    Nothing,
    /// Values of one width.
    Fixed(Bytes, usize),
    /// One piece each.
    Pieces(Vec<Bytes>),
    /// Lists of elements of one width, and where each list ends, in elements.
    FixedLists(Bytes, usize, Vec<u32>),
    /// Lists of pieces.
    PieceLists(Vec<Bytes>, Vec<u32>),
}

/// A cell, as its row's write says.
const LEAVE: u8 = 0;
const VALUE: u8 = 1;
const NULL: u8 = 2;

/// Reads a column of `rows` rows for `view`.
pub fn read(column: &twin::Column, view: &View, rows: usize) -> Result<FeatureValues, Refusal> {
    let name = feature_name(&column.feature, view)?;
    let feature = view
        .feature(name)
        .map_err(|failure| Refusal::of_field(failure.reason, name, failure.message))?;
    let stored = view.type_of(feature);
    let sent = sent_type(column, stored, name)?;
    if !column.cells.is_empty() && column.cells.len() != rows {
        return Err(lengths(name, "cells", column.cells.len(), rows));
    }
    let has_values = column.cells.is_empty() || column.cells.contains(&VALUE);
    let data = data(column, sent, name)?;
    let data = match data.rows() {
        0 if !has_values => Data::Nothing,
        count if count != rows => return Err(lengths(name, "values", count, rows)),
        _ => data,
    };
    Ok(FeatureValues {
        feature,
        name: name.to_owned(),
        stored,
        sent,
        cells: column.cells.clone(),
        data,
    })
}

/// `feature`, or `view:feature` with the view's own name.
fn feature_name<'a>(given: &'a str, view: &View) -> Result<&'a str, Refusal> {
    let Some((of_view, name)) = given.split_once(':') else {
        return Ok(given);
    };
    if of_view.split('@').next() == Some(view.name.as_str()) {
        return Ok(name);
    }
    let message = format!("{given:?} is not a feature of view {}", view.name);
    Err(Refusal::of_field(Reason::UnknownFeature, given, message))
}

fn lengths(name: &str, what: &str, count: usize, rows: usize) -> Refusal {
    let message =
        format!("feature {name} has {count} {what} for {rows} rows; give one for each row");
    Refusal::of_field(Reason::UnequalLengths, name, message)
}

/// The type that the column says it has. A narrower one than the feature's is taken: its writer may
/// not know yet that the feature was widened.
fn sent_type(column: &twin::Column, stored: Type, name: &str) -> Result<Type, Refusal> {
    let Some(sent) = declared(column) else {
        return Ok(stored);
    };
    if sent == stored || sent.widens_to(stored) {
        return Ok(sent);
    }
    let message = format!("feature {name} is {stored}, and {sent} is given");
    Err(Refusal::of_field(Reason::WrongType, name, message))
}

fn declared(column: &twin::Column) -> Option<Type> {
    let number = u8::try_from(column.r#type).ok()?;
    if column.dimension > 0 {
        let elements = [Element::Float32, Element::Float16, Element::Int8];
        let element = elements
            .into_iter()
            .find(|element| *element as u8 == number)?;
        return Some(Type::Vector(element, column.dimension));
    }
    let scalar = Scalar::ALL
        .into_iter()
        .find(|scalar| *scalar as u8 == number)?;
    Some(if column.list {
        Type::List(scalar)
    } else {
        Type::Scalar(scalar)
    })
}

fn data(column: &twin::Column, sent: Type, name: &str) -> Result<Data, Refusal> {
    let expected = match sent {
        Type::Scalar(scalar) | Type::List(scalar) => Field::of(scalar),
        Type::Vector(Element::Float32, _) => Field::F32,
        Type::Vector(Element::Float16 | Element::Int8, _) => Field::Raw,
    };
    if let Some(other) = Field::ALL
        .into_iter()
        .find(|field| *field != expected && field.is_filled(column))
    {
        let message = format!(
            "feature {name} is {sent}, whose values stand in {}, and {} is filled",
            expected.as_str(),
            other.as_str()
        );
        return Err(Refusal::of_field(Reason::WrongType, name, message));
    }
    let malformed = |fault: &str| {
        Refusal::of_field(
            Reason::InvalidRequest,
            name,
            format!("feature {name}: {fault}"),
        )
    };
    match sent {
        Type::Scalar(scalar) => match scalar.width() {
            Some(width) => {
                fixed(expected.bytes(column), width).ok_or_else(|| malformed("a value is cut"))
            }
            None => Ok(Data::Pieces(expected.pieces(column).to_vec())),
        },
        Type::Vector(element, dimension) => {
            let width = element.width() * dimension as usize;
            fixed(expected.bytes(column), width)
                .ok_or_else(|| malformed(&format!("its elements are no multiple of {dimension}")))
        }
        Type::List(scalar) => {
            let ends = column.ends.clone();
            let data = match scalar.width() {
                Some(width) => Data::FixedLists(expected.bytes(column), width, ends),
                None => Data::PieceLists(expected.pieces(column).to_vec(), ends),
            };
            if data.ends_fit() {
                Ok(data)
            } else {
                Err(malformed(
                    "its ends do not rise to the number of its elements",
                ))
            }
        }
    }
}

fn fixed(bytes: Bytes, width: usize) -> Option<Data> {
    bytes
        .len()
        .is_multiple_of(width)
        .then_some(Data::Fixed(bytes, width))
}

/// The fields of a wire column that hold values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    F64,
    F32,
    I64,
    I32,
    Bools,
    Raw,
    Strings,
    Blobs,
}

impl Field {
    const ALL: [Self; 8] = [
        Self::F64,
        Self::F32,
        Self::I64,
        Self::I32,
        Self::Bools,
        Self::Raw,
        Self::Strings,
        Self::Blobs,
    ];

    const fn of(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool => Self::Bools,
            Scalar::Int32 => Self::I32,
            Scalar::Int64 | Scalar::Timestamp => Self::I64,
            Scalar::Float32 => Self::F32,
            Scalar::Float64 => Self::F64,
            Scalar::String => Self::Strings,
            Scalar::Bytes => Self::Blobs,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::Bools => "bools",
            Self::Raw => "raw",
            Self::Strings => "strings",
            Self::Blobs => "blobs",
        }
    }

    fn is_filled(self, column: &twin::Column) -> bool {
        if self == Self::Raw {
            !column.raw.is_empty()
        } else {
            !self.pieces(column).is_empty()
        }
    }

    fn bytes(self, column: &twin::Column) -> Bytes {
        if self == Self::Raw {
            column.raw.clone()
        } else {
            joined(self.pieces(column))
        }
    }

    fn pieces(self, column: &twin::Column) -> &[Bytes] {
        match self {
            Self::F64 => &column.f64,
            Self::F32 => &column.f32,
            Self::I64 => &column.i64,
            Self::I32 => &column.i32,
            Self::Bools => &column.bools,
            Self::Raw => &[],
            Self::Strings => &column.strings,
            Self::Blobs => &column.blobs,
        }
    }
}

impl Data {
    fn rows(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Fixed(bytes, width) => bytes.len() / width,
            Self::Pieces(pieces) => pieces.len(),
            Self::FixedLists(_, _, ends) | Self::PieceLists(_, ends) => ends.len(),
        }
    }

    fn ends_fit(&self) -> bool {
        let (items, ends) = match self {
            Self::FixedLists(bytes, width, ends) if bytes.len().is_multiple_of(*width) => {
                (bytes.len() / width, ends)
            }
            Self::PieceLists(pieces, ends) => (pieces.len(), ends),
            Self::FixedLists(..) | Self::Nothing | Self::Fixed(..) | Self::Pieces(_) => {
                return false;
            }
        };
        ends.is_sorted() && ends.last().copied().unwrap_or(0) as usize == items
    }

    fn value(&self, row: usize) -> Bytes {
        let span = |ends: &[u32]| {
            let start = if row == 0 { 0 } else { ends[row - 1] as usize };
            start..ends[row] as usize
        };
        match self {
            Self::Nothing => Bytes::new(),
            Self::Fixed(bytes, width) => bytes.slice(row * width..(row + 1) * width),
            Self::Pieces(pieces) => pieces[row].clone(),
            Self::FixedLists(bytes, width, ends) => {
                let items = span(ends);
                bytes.slice(items.start * width..items.end * width)
            }
            Self::PieceLists(pieces, ends) => stored_list(&pieces[span(ends)]),
        }
    }
}

/// The stored form of a list of strings or bytes: a count, the end of each, and all of them.
fn stored_list(items: &[Bytes]) -> Bytes {
    let word = |number: usize| {
        u32::try_from(number)
            .expect("a request is limited to 64 MiB")
            .to_le_bytes()
    };
    let mut stored = Vec::with_capacity(4 + items.iter().map(|item| item.len() + 4).sum::<usize>());
    stored.extend(word(items.len()));
    let mut end = 0;
    for item in items {
        end += item.len();
        stored.extend(word(end));
    }
    items.iter().for_each(|item| stored.extend_from_slice(item));
    stored.into()
}

impl FeatureValues {
    /// What the row sets the feature to; `None` leaves it as it is.
    pub fn cell(&self, row: usize) -> Result<Option<Content>, Refusal> {
        match self.cells.get(row).copied().unwrap_or(VALUE) {
            LEAVE => Ok(None),
            NULL => Ok(Some(Content::Null)),
            VALUE => self.value(row).map(Content::Value).map(Some),
            other => {
                let fault =
                    format!("a cell is 0 (leave), 1 (value) or 2 (null), and {other} is given");
                Err(self.refusal(Reason::InvalidRequest, &fault))
            }
        }
    }

    fn value(&self, row: usize) -> Result<Bytes, Refusal> {
        let value = self.data.value(row);
        if value.len() > CELL_BYTES {
            let fault = format!(
                "a value may have {CELL_BYTES} bytes, and this one has {}",
                value.len()
            );
            return Err(self.refusal(Reason::TooLarge, &fault));
        }
        let is_sound = match self.sent {
            Type::Scalar(Scalar::Bool) | Type::List(Scalar::Bool) => {
                value.iter().all(|byte| *byte <= 1)
            }
            Type::Scalar(Scalar::String) => std::str::from_utf8(&value).is_ok(),
            Type::List(Scalar::String) => self.list_is_text(&value),
            Type::Scalar(_) | Type::List(_) | Type::Vector(..) => true,
        };
        if !is_sound {
            let fault = format!(
                "a value is not {}: bools are 0 or 1, strings are UTF-8",
                self.sent
            );
            return Err(self.refusal(Reason::WrongType, &fault));
        }
        if self.sent == self.stored {
            return Ok(value);
        }
        let wide = value::widen(self.sent, self.stored, &value);
        wide.map(Bytes::from)
            .ok_or_else(|| self.refusal(Reason::WrongType, "its value does not widen"))
    }

    fn list_is_text(&self, stored: &[u8]) -> bool {
        let items = value::list_items(Scalar::String, stored);
        items.is_ok_and(|items| items.iter().all(|item| std::str::from_utf8(item).is_ok()))
    }

    fn refusal(&self, reason: Reason, fault: &str) -> Refusal {
        Refusal::of_field(
            reason,
            self.name.clone(),
            format!("feature {}: {fault}", self.name),
        )
    }
}
