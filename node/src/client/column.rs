//! Typed values into the columns of a write, and out of the columns of an answer.

use super::cell::Cell;
use bytes::{Bytes, BytesMut};
use half::f16;
use proto::{
    types::{Element, Scalar, Type},
    value::{Value, WrongType},
};
use wire::v1;

/// The states of [`v1::Column::cells`].
const LEAVE: u8 = 0;
const SET: u8 = 1;
const NULL: u8 = 2;

/// Collects one feature over the rows of a write.
#[derive(Debug)]
pub struct ColumnBuilder {
    ty: Type,
    column: v1::Column,
    cells: Vec<u8>,
    raw: BytesMut,
}

impl ColumnBuilder {
    /// An empty column of the feature `name`.
    #[must_use]
    pub fn new(name: &str, ty: Type) -> Self {
        let (element, list, dimension) = match ty {
            Type::Scalar(scalar) => (wire_scalar(scalar), false, 0),
            Type::List(scalar) => (wire_scalar(scalar), true, 0),
            Type::Vector(element, dimension) => (wire_element(element), false, dimension),
        };
        let column = v1::Column {
            feature: name.to_owned(),
            r#type: element.into(),
            list,
            dimension,
            ..Default::default()
        };
        Self {
            ty,
            column,
            cells: Vec::new(),
            raw: BytesMut::new(),
        }
    }

    /// Adds a row's cell. A value of another type is refused and adds nothing.
    pub fn push(&mut self, cell: &Cell) -> Result<(), WrongType> {
        match cell {
            Cell::Value(value) => {
                self.push_value(value)?;
                self.cells.push(SET);
            }
            Cell::Null => self.push_empty(NULL),
            Cell::Leave => self.push_empty(LEAVE),
        }
        Ok(())
    }

    /// Whether no row speaks of the feature, so that the request need not either.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.cells.iter().all(|state| *state == LEAVE)
    }

    /// The column.
    #[must_use]
    pub fn finish(mut self) -> v1::Column {
        if self.cells.iter().any(|state| *state != SET) {
            self.column.cells = self.cells.into();
        }
        self.column.raw = self.raw.freeze();
        self.column
    }

    fn push_value(&mut self, value: &Value) -> Result<(), WrongType> {
        let (ty, column) = (self.ty, &mut self.column);
        let wrong = || WrongType {
            expected: ty,
            given: value.kind(),
        };
        match (ty, value) {
            (Type::Scalar(scalar), value) => push_scalar(column, scalar, value).ok_or_else(wrong),
            (Type::List(scalar), Value::List(items)) => {
                // All or nothing: a list with one wrong element leaves no others behind.
                let fits = items.iter().all(|item| is_of(scalar, item));
                fits.then_some(()).ok_or_else(wrong)?;
                items.iter().for_each(|item| {
                    push_scalar(column, scalar, item).expect("its type was just checked");
                });
                let before = column.ends.last().copied().unwrap_or_default();
                column.ends.push(before + count(items.len()));
                Ok(())
            }
            (Type::Vector(element, dimension), value) => {
                push_vector(column, &mut self.raw, element, dimension, value).ok_or_else(wrong)
            }
            (Type::List(_), _) => Err(wrong()),
        }
    }

    /// A place without a value holds zero, or nothing where values have no fixed width.
    fn push_empty(&mut self, state: u8) {
        let column = &mut self.column;
        match self.ty {
            Type::Scalar(scalar) => {
                push_scalar(column, scalar, &zero(scalar)).expect("a scalar's zero is of its type");
            }
            Type::List(_) => {
                let before = column.ends.last().copied().unwrap_or_default();
                column.ends.push(before);
            }
            Type::Vector(Element::Float32, dimension) => {
                column
                    .f32
                    .resize(column.f32.len() + dimension as usize, 0.0);
            }
            Type::Vector(element @ (Element::Float16 | Element::Int8), dimension) => {
                let bytes = element.width() * dimension as usize;
                self.raw.resize(self.raw.len() + bytes, 0);
            }
        }
        self.cells.push(state);
    }
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("a row's limit keeps lists below 2^32 elements")
}

fn push_scalar(column: &mut v1::Column, scalar: Scalar, value: &Value) -> Option<()> {
    match (scalar, value) {
        (Scalar::Bool, Value::Bool(value)) => column.bools.push(*value),
        (Scalar::Int32, Value::Int32(value)) => column.i32.push(*value),
        (Scalar::Int64, Value::Int64(value)) | (Scalar::Timestamp, Value::Timestamp(value)) => {
            column.i64.push(*value);
        }
        (Scalar::Float32, Value::Float32(value)) => column.f32.push(*value),
        (Scalar::Float64, Value::Float64(value)) => column.f64.push(*value),
        (Scalar::String, Value::String(value)) => column.strings.push(value.clone()),
        (Scalar::Bytes, Value::Bytes(value)) => column.blobs.push(Bytes::copy_from_slice(value)),
        _ => return None,
    }
    Some(())
}

fn push_vector(
    column: &mut v1::Column,
    raw: &mut BytesMut,
    element: Element,
    dimension: u32,
    value: &Value,
) -> Option<()> {
    let dimension = dimension as usize;
    match (element, value) {
        (Element::Float32, Value::Float32Vector(items)) if items.len() == dimension => {
            column.f32.extend(items);
        }
        (Element::Float16, Value::Float16Vector(items)) if items.len() == dimension => {
            items
                .iter()
                .for_each(|item| raw.extend_from_slice(&item.to_le_bytes()));
        }
        (Element::Int8, Value::Int8Vector(items)) if items.len() == dimension => {
            items
                .iter()
                .for_each(|item| raw.extend_from_slice(&item.to_le_bytes()));
        }
        _ => return None,
    }
    Some(())
}

fn is_of(scalar: Scalar, value: &Value) -> bool {
    matches!(
        (scalar, value),
        (Scalar::Bool, Value::Bool(_))
            | (Scalar::Int32, Value::Int32(_))
            | (Scalar::Int64, Value::Int64(_))
            | (Scalar::Float32, Value::Float32(_))
            | (Scalar::Float64, Value::Float64(_))
            | (Scalar::String, Value::String(_))
            | (Scalar::Bytes, Value::Bytes(_))
            | (Scalar::Timestamp, Value::Timestamp(_))
    )
}

fn zero(scalar: Scalar) -> Value {
    match scalar {
        Scalar::Bool => Value::Bool(false),
        Scalar::Int32 => Value::Int32(0),
        Scalar::Int64 => Value::Int64(0),
        Scalar::Float32 => Value::Float32(0.0),
        Scalar::Float64 => Value::Float64(0.0),
        Scalar::String => Value::String(String::new()),
        Scalar::Bytes => Value::Bytes(Vec::new()),
        Scalar::Timestamp => Value::Timestamp(0),
    }
}

fn wire_scalar(scalar: Scalar) -> v1::Type {
    match scalar {
        Scalar::Bool => v1::Type::Bool,
        Scalar::Int32 => v1::Type::Int32,
        Scalar::Int64 => v1::Type::Int64,
        Scalar::Float32 => v1::Type::Float32,
        Scalar::Float64 => v1::Type::Float64,
        Scalar::String => v1::Type::String,
        Scalar::Bytes => v1::Type::Bytes,
        Scalar::Timestamp => v1::Type::Timestamp,
    }
}

fn wire_element(element: Element) -> v1::Type {
    match element {
        Element::Float32 => v1::Type::Float32,
        Element::Float16 => v1::Type::Float16,
        Element::Int8 => v1::Type::Int8,
    }
}

/// The type that an answer's column says it has.
#[must_use]
pub fn type_of(column: &v1::Column) -> Option<Type> {
    let element = v1::Type::try_from(column.r#type).ok()?;
    if column.dimension > 0 {
        let element = match element {
            v1::Type::Float32 => Element::Float32,
            v1::Type::Float16 => Element::Float16,
            v1::Type::Int8 => Element::Int8,
            _ => return None,
        };
        return Some(Type::Vector(element, column.dimension));
    }
    let scalar = match element {
        v1::Type::Bool => Scalar::Bool,
        v1::Type::Int32 => Scalar::Int32,
        v1::Type::Int64 => Scalar::Int64,
        v1::Type::Float32 => Scalar::Float32,
        v1::Type::Float64 => Scalar::Float64,
        v1::Type::String => Scalar::String,
        v1::Type::Bytes => Scalar::Bytes,
        v1::Type::Timestamp => Scalar::Timestamp,
        v1::Type::Unspecified | v1::Type::Float16 | v1::Type::Int8 => return None,
    };
    Some(if column.list {
        Type::List(scalar)
    } else {
        Type::Scalar(scalar)
    })
}

/// The value in row `row`; `None` where the column is shorter than that or of no known type.
#[must_use]
pub fn value_at(column: &v1::Column, row: usize) -> Option<Value> {
    match type_of(column)? {
        Type::Scalar(scalar) => scalar_at(column, scalar, row),
        Type::List(scalar) => {
            let end = *column.ends.get(row)? as usize;
            let start = row
                .checked_sub(1)
                .map_or(0, |before| column.ends[before] as usize);
            let items = (start..end).map(|index| scalar_at(column, scalar, index));
            items.collect::<Option<_>>().map(Value::List)
        }
        Type::Vector(element, dimension) => vector_at(column, element, dimension as usize, row),
    }
}

fn scalar_at(column: &v1::Column, scalar: Scalar, index: usize) -> Option<Value> {
    Some(match scalar {
        Scalar::Bool => Value::Bool(*column.bools.get(index)?),
        Scalar::Int32 => Value::Int32(*column.i32.get(index)?),
        Scalar::Int64 => Value::Int64(*column.i64.get(index)?),
        Scalar::Timestamp => Value::Timestamp(*column.i64.get(index)?),
        Scalar::Float32 => Value::Float32(*column.f32.get(index)?),
        Scalar::Float64 => Value::Float64(*column.f64.get(index)?),
        Scalar::String => Value::String(column.strings.get(index)?.clone()),
        Scalar::Bytes => Value::Bytes(column.blobs.get(index)?.to_vec()),
    })
}

fn vector_at(column: &v1::Column, element: Element, dimension: usize, row: usize) -> Option<Value> {
    let (start, end) = (row * dimension, (row + 1) * dimension);
    let raw = || {
        column
            .raw
            .get(start * element.width()..end * element.width())
    };
    Some(match element {
        Element::Float32 => Value::Float32Vector(column.f32.get(start..end)?.to_vec()),
        Element::Float16 => {
            let (items, _) = raw()?.as_chunks();
            Value::Float16Vector(items.iter().map(|item| f16::from_le_bytes(*item)).collect())
        }
        Element::Int8 => Value::Int8Vector(raw()?.iter().map(|byte| byte.cast_signed()).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_round_trip(ty: &str, values: Vec<Value>) {
        let ty = ty.parse().unwrap();
        let mut builder = ColumnBuilder::new("f", ty);
        builder.push(&Cell::Null).unwrap();
        for value in &values {
            builder.push(&Cell::Value(value.clone())).unwrap();
        }
        builder.push(&Cell::Leave).unwrap();
        let column = builder.finish();
        assert_eq!(type_of(&column), Some(ty));
        let read: Vec<Value> = (1..=values.len())
            .map(|row| value_at(&column, row).unwrap())
            .collect();
        assert_eq!(read, values);
        let mut states = vec![NULL];
        states.extend(values.iter().map(|_| SET));
        states.push(LEAVE);
        assert_eq!(column.cells, states);
        assert!(
            value_at(&column, values.len() + 1).is_some(),
            "a place without a value is held"
        );
        assert_eq!(value_at(&column, values.len() + 2), None);
    }

    #[test]
    fn columns_read_back_what_was_put_in() {
        check_round_trip("bool", vec![Value::Bool(true)]);
        check_round_trip("int32", vec![Value::Int32(i32::MIN)]);
        check_round_trip("int64", vec![Value::Int64(i64::MAX), Value::Int64(1)]);
        check_round_trip("float32", vec![Value::Float32(f32::NAN)]);
        check_round_trip("float64", vec![Value::Float64(f64::INFINITY)]);
        check_round_trip(
            "string",
            vec![Value::String("ä".into()), Value::String("".into())],
        );
        check_round_trip("bytes", vec![Value::Bytes(vec![0, 255])]);
        check_round_trip("timestamp", vec![Value::Timestamp(-1)]);
        let strings = |items: &[&str]| {
            Value::List(
                items
                    .iter()
                    .map(|item| Value::String((*item).into()))
                    .collect(),
            )
        };
        check_round_trip(
            "list<string>",
            vec![strings(&["a", "b"]), strings(&[]), strings(&["c"])],
        );
        check_round_trip(
            "vector<float32, 2>",
            vec![Value::Float32Vector(vec![1.0, 2.0])],
        );
        let halves = vec![f16::from_f32(0.5), f16::from_f32(-2.0)];
        check_round_trip("vector<float16, 2>", vec![Value::Float16Vector(halves)]);
        check_round_trip(
            "vector<int8, 3>",
            vec![Value::Int8Vector(vec![-128, 0, 127])],
        );
    }

    #[test]
    fn a_column_with_every_value_set_carries_no_states() {
        let mut builder = ColumnBuilder::new("f", "int64".parse().unwrap());
        builder.push(&Cell::Value(Value::Int64(1))).unwrap();
        assert!(builder.finish().cells.is_empty());
    }

    #[test]
    fn a_value_of_another_type_adds_nothing() {
        let mut builder = ColumnBuilder::new("f", "list<int64>".parse().unwrap());
        let mixed = Value::List(vec![Value::Int64(1), Value::String("x".into())]);
        assert!(builder.push(&Cell::Value(mixed)).is_err());
        builder
            .push(&Cell::Value(Value::List(vec![Value::Int64(7)])))
            .unwrap();
        let column = builder.finish();
        assert_eq!((column.i64, column.ends), (vec![7], vec![1]));
    }
}
