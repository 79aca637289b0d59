//! One column while it fills, and the wire column it becomes.

use crate::failure::Failure;
use bytes::Bytes;
use proto::{
    types::{Element, Scalar, Type},
    value::list_items,
};
use wire::twin;

/// A column's values by row; a row that holds none is zeros or nothing.
#[derive(Debug, Clone)]
pub enum Buffer {
    /// Values of one width, end to end.
    Fixed(Vec<u8>),
    /// Values of any length, most of them slices of a part's heap.
    Variable(Vec<Bytes>),
}

impl Buffer {
    /// A column of `rows` empty places for values of type `ty`.
    pub fn new(ty: Type, rows: usize) -> Self {
        match ty.width() {
            None => Self::Variable(vec![Bytes::new(); rows]),
            Some(width) => Self::Fixed(vec![0; rows * width]),
        }
    }

    /// Sets or, with no bytes, clears the place of `row`.
    pub fn set(&mut self, row: usize, width: usize, bytes: &[u8]) {
        match self {
            Self::Fixed(values) => {
                let place = &mut values[row * width..(row + 1) * width];
                if bytes.is_empty() {
                    place.fill(0);
                } else {
                    place.copy_from_slice(bytes);
                }
            }
            Self::Variable(cells) => cells[row] = Bytes::copy_from_slice(bytes),
        }
    }

    /// The wire column, without name, statuses and times.
    pub fn into_column(self, ty: Type) -> Result<twin::Column, Failure> {
        let mut column = twin::Column {
            r#type: type_number(ty),
            ..Default::default()
        };
        match (self, ty) {
            (Self::Fixed(values), Type::Scalar(scalar)) => {
                set_numbers(&mut column, scalar, values.into());
            }
            (Self::Fixed(values), Type::Vector(element, dimension)) => {
                column.dimension = dimension;
                let values = Bytes::from(values);
                match element {
                    Element::Float32 => set_numbers(&mut column, Scalar::Float32, values),
                    Element::Float16 | Element::Int8 => column.raw = values,
                }
            }
            (Self::Variable(cells), Type::Scalar(Scalar::String)) => column.strings = cells,
            (Self::Variable(cells), Type::Scalar(_)) => column.blobs = cells,
            (Self::Variable(cells), Type::List(scalar)) => set_lists(&mut column, scalar, &cells)?,
            (Self::Fixed(_), Type::List(_)) | (Self::Variable(_), Type::Vector(..)) => {
                return Err(Failure::internal("a column's buffer is not of its type"));
            }
        }
        Ok(column)
    }
}

/// The wire's number for a type, or for its elements.
pub fn type_number(ty: Type) -> i32 {
    match ty {
        Type::Scalar(scalar) | Type::List(scalar) => scalar as i32,
        Type::Vector(element, _) => element as i32,
    }
}

fn set_numbers(column: &mut twin::Column, scalar: Scalar, values: Bytes) {
    if values.is_empty() {
        return;
    }
    let field = match scalar {
        Scalar::Bool => &mut column.bools,
        Scalar::Int32 => &mut column.i32,
        Scalar::Int64 | Scalar::Timestamp => &mut column.i64,
        Scalar::Float32 => &mut column.f32,
        Scalar::Float64 => &mut column.f64,
        Scalar::String => &mut column.strings,
        Scalar::Bytes => &mut column.blobs,
    };
    *field = vec![values];
}

fn set_lists(column: &mut twin::Column, scalar: Scalar, cells: &[Bytes]) -> Result<(), Failure> {
    column.list = true;
    let mut items: u32 = 0;
    let mut joined = Vec::new();
    let mut pieces = Vec::new();
    for cell in cells {
        let of_cell = if cell.is_empty() {
            Vec::new()
        } else {
            list_items(scalar, cell).map_err(|error| Failure::internal(error.to_string()))?
        };
        items += u32::try_from(of_cell.len()).expect("a cell is limited to 256 KiB");
        column.ends.push(items);
        match scalar {
            Scalar::String | Scalar::Bytes => {
                pieces.extend(of_cell.iter().map(|item| cell.slice_ref(item)));
            }
            _ => joined.extend_from_slice(cell),
        }
    }
    match scalar {
        Scalar::String => column.strings = pieces,
        Scalar::Bytes => column.blobs = pieces,
        _ => set_numbers(column, scalar, joined.into()),
    }
    Ok(())
}

/// About how many bytes a column takes on the wire.
pub fn size_bytes(column: &twin::Column) -> usize {
    let packed = [
        &column.f64,
        &column.f32,
        &column.i64,
        &column.i32,
        &column.bools,
    ];
    let runs: usize = packed.into_iter().flatten().map(Bytes::len).sum();
    let pieces: usize = column
        .strings
        .iter()
        .chain(&column.blobs)
        .map(|piece| piece.len() + 2)
        .sum();
    runs + pieces + column.raw.len() + column.ends.len() * 4 + 32
}
