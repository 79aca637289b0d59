//! Values of Arrow arrays as values of our types, exactly: a number that its feature's type cannot
//! hold to the last bit is refused, never rounded.
//!
//! [`admits`] judges a column once, before the first row; [`read`] reads one value of such a column.

use super::event_time::Unit;
use crate::client::{cell::BadValue, value_json, value_text};
use arrow_array::{
    AnyDictionaryArray, Array, ArrayRef,
    cast::AsArray,
    types::{
        Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
        UInt64Type,
    },
};
use arrow_schema::{DataType, TimeUnit};
use half::f16;
use proto::{
    types::{Element, Scalar, Type},
    value::{Value, widen_float_bits},
};

const DAY_MICROS: i64 = 86_400_000_000;

/// Whether values of an Arrow type can be values of `ty`.
#[must_use]
pub fn admits(data_type: &DataType, ty: Type) -> bool {
    match (data_type, ty) {
        (DataType::Dictionary(_, values), ty) => admits(values, ty),
        (data_type, Type::Scalar(scalar)) => admits_scalar(data_type, scalar),
        (
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _),
            Type::List(scalar),
        ) => admits_scalar(item.data_type(), scalar),
        (
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _),
            Type::Vector(element, _),
        ) => match element {
            Element::Float32 | Element::Float16 => {
                item.data_type().is_numeric() && !is_decimal(item.data_type())
            }
            Element::Int8 => item.data_type().is_integer(),
        },
        _ => false,
    }
}

fn admits_scalar(data_type: &DataType, scalar: Scalar) -> bool {
    match scalar {
        Scalar::Bool => *data_type == DataType::Boolean,
        Scalar::Int32 | Scalar::Int64 => data_type.is_integer(),
        Scalar::Float32 | Scalar::Float64 => data_type.is_numeric() && !is_decimal(data_type),
        Scalar::String => is_text(data_type),
        Scalar::Bytes => matches!(
            data_type,
            DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
        ),
        Scalar::Timestamp => is_time(data_type),
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    data_type.is_numeric() && !data_type.is_integer() && !data_type.is_floating()
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        _ => false,
    }
}

fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
    )
}

/// The value in row `row` of a column that [`admits`] let pass.
pub fn read(array: &dyn Array, row: usize, ty: Type) -> Result<Value, BadValue> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        return match dictionary.is_null(row) {
            true => Ok(Value::Null),
            false => read(dictionary.values(), dictionary_key(dictionary, row), ty),
        };
    }
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    match ty {
        Type::Scalar(scalar) => read_scalar(array, row, scalar),
        Type::List(scalar) => {
            let items = items(array, row).ok_or_else(|| unreadable(array, ty))?;
            (0..items.len())
                .map(|index| element(&items, index, |index| read_scalar(&items, index, scalar)))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Type::Vector(element, dimension) => {
            let items = items(array, row).ok_or_else(|| unreadable(array, ty))?;
            if items.len() != dimension as usize {
                let given = format!("a list of {} elements", items.len());
                return Err(BadValue(format!("{given} is not a {ty}")));
            }
            read_vector(&items, element)
        }
    }
}

fn element<T>(
    items: &dyn Array,
    index: usize,
    read: impl FnOnce(usize) -> Result<T, BadValue>,
) -> Result<T, BadValue> {
    if items.is_null(index) {
        return Err(BadValue(format!(
            "element {index} of the list is null; lists and vectors hold values only"
        )));
    }
    read(index)
}

fn items(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        _ => None,
    }
}

fn read_vector(items: &dyn Array, of: Element) -> Result<Value, BadValue> {
    let range = 0..items.len();
    match of {
        Element::Float32 => range
            .map(|index| element(items, index, |index| float32(items, index)))
            .collect::<Result<_, _>>()
            .map(Value::Float32Vector),
        Element::Float16 => range
            .map(|index| element(items, index, |index| float16(items, index)))
            .collect::<Result<_, _>>()
            .map(Value::Float16Vector),
        Element::Int8 => range
            .map(|index| element(items, index, |index| whole(items, index, "int8")))
            .collect::<Result<_, _>>()
            .map(Value::Int8Vector),
    }
}

fn read_scalar(array: &dyn Array, row: usize, scalar: Scalar) -> Result<Value, BadValue> {
    match scalar {
        Scalar::Bool => array
            .as_boolean_opt()
            .map(|values| Value::Bool(values.value(row))),
        Scalar::Int32 => return whole(array, row, "int32").map(Value::Int32),
        Scalar::Int64 => return whole(array, row, "int64").map(Value::Int64),
        Scalar::Float32 => return float32(array, row).map(Value::Float32),
        Scalar::Float64 => return float64(array, row).map(Value::Float64),
        Scalar::String => text(array, row).map(|text| Value::String(text.to_owned())),
        Scalar::Bytes => binary(array, row).map(|bytes| Value::Bytes(bytes.to_vec())),
        Scalar::Timestamp => micros(array, row).transpose()?.map(Value::Timestamp),
    }
    .ok_or_else(|| unreadable(array, Type::Scalar(scalar)))
}

/// A row's event time in microseconds: from a column of times, of whole numbers with `unit`, or of
/// text in RFC 3339. `None` where it is null.
pub fn read_event_time(
    array: &dyn Array,
    row: usize,
    unit: Option<Unit>,
) -> Result<Option<i64>, BadValue> {
    if array.is_null(row) {
        return Ok(None);
    }
    let read = match unit {
        Some(unit) => whole(array, row, "int64").and_then(|count| unit.micros(count)),
        None => match text(array, row) {
            Some(text) => value_text::parse_micros(text),
            None => micros(array, row)
                .unwrap_or_else(|| Err(unreadable(array, Type::Scalar(Scalar::Timestamp)))),
        },
    };
    read.map(Some)
}

/// Whether a column can be the rows' event time, and what to do where it cannot.
pub fn admits_event_time(data_type: &DataType, unit: Option<Unit>) -> Result<(), &'static str> {
    let is_usable = is_time(data_type) || is_text(data_type);
    match (data_type.is_integer(), unit) {
        (true, Some(_)) => Ok(()),
        (true, None) => {
            Err("holds whole numbers; say their unit with --event-time COLUMN:s, :ms, :us or :ns")
        }
        (false, Some(_)) if is_usable => {
            Err("holds times, which have their own unit; write --event-time COLUMN without one")
        }
        (false, None) if is_usable => Ok(()),
        (false, _) => Err(
            "holds no times; an event time is a timestamp, a date, a text in RFC 3339, or a whole number with a unit",
        ),
    }
}

/// Where a dictionary's value of row `row` stands; the row is not null.
fn dictionary_key(dictionary: &dyn AnyDictionaryArray, row: usize) -> usize {
    integer(dictionary.keys(), row)
        .and_then(|key| usize::try_from(key).ok())
        .expect("keys of a dictionary are whole numbers from 0")
}

fn integer(array: &dyn Array, row: usize) -> Option<i128> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        _ => return None,
    })
}

fn whole<T: TryFrom<i128>>(array: &dyn Array, row: usize, name: &str) -> Result<T, BadValue> {
    let value = integer(array, row)
        .ok_or_else(|| BadValue(format!("a {} is not {name}", array.data_type())))?;
    T::try_from(value).map_err(|_| BadValue(format!("{value} does not fit {name}")))
}

fn float32(array: &dyn Array, row: usize) -> Result<f32, BadValue> {
    if let Some(values) = array.as_primitive_opt::<Float32Type>() {
        return Ok(values.value(row));
    }
    let wide = float64(array, row)?;
    let value = wide as f32;
    if wide.is_nan() || f64::from(value) == wide {
        return Ok(value);
    }
    Err(BadValue(format!(
        "{wide} is not a float32 exactly; define the feature as float64, or round the column in the source"
    )))
}

fn float16(array: &dyn Array, row: usize) -> Result<f16, BadValue> {
    if let Some(values) = array.as_primitive_opt::<Float16Type>() {
        return Ok(values.value(row));
    }
    let wide = float64(array, row)?;
    let value = f16::from_f64(wide);
    if wide.is_nan() || value.to_f64() == wide {
        return Ok(value);
    }
    Err(BadValue(format!(
        "{wide} is not a float16 exactly; round the column in the source"
    )))
}

fn float64(array: &dyn Array, row: usize) -> Result<f64, BadValue> {
    if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        return Ok(values.value(row));
    }
    if let Some(values) = array.as_primitive_opt::<Float32Type>() {
        return Ok(f64::from_bits(widen_float_bits(
            values.value(row).to_bits(),
        )));
    }
    if let Some(values) = array.as_primitive_opt::<Float16Type>() {
        return Ok(values.value(row).to_f64());
    }
    let value = integer(array, row)
        .ok_or_else(|| BadValue(format!("a {} is not a float", array.data_type())))?;
    let float = value as f64;
    if float as i128 == value {
        return Ok(float);
    }
    Err(BadValue(format!(
        "{value} is not a float64 exactly; define the feature as int64"
    )))
}

fn text(array: &dyn Array, row: usize) -> Option<&str> {
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary_key(dictionary, row);
            return text(dictionary.values(), key);
        }
        _ => return None,
    })
}

fn binary(array: &dyn Array, row: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => return None,
    })
}

fn micros(array: &dyn Array, row: usize) -> Option<Result<i64, BadValue>> {
    let (unit, count) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => (
            Unit::Seconds,
            array.as_primitive::<TimestampSecondType>().value(row),
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => (
            Unit::Millis,
            array.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        DataType::Timestamp(TimeUnit::Microsecond, _) => (
            Unit::Micros,
            array.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => (
            Unit::Nanos,
            array.as_primitive::<TimestampNanosecondType>().value(row),
        ),
        DataType::Date64 => (Unit::Millis, array.as_primitive::<Date64Type>().value(row)),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            (Unit::Micros, i64::from(days) * DAY_MICROS)
        }
        _ => return None,
    };
    Some(unit.micros(count))
}

fn unreadable(array: &dyn Array, ty: Type) -> BadValue {
    BadValue(format!("a {} is not a {ty}", array.data_type()))
}

/// A value as JSON, in the type it has in the file: for rows that are kept because they were not
/// taken.
#[must_use]
pub fn json(array: &dyn Array, row: usize) -> serde_json::Value {
    if let Some(number) = integer(array, row).filter(|_| !array.is_null(row)) {
        return match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => number.to_string().into(),
        };
    }
    natural_type(array.data_type())
        .and_then(|ty| read(array, row, ty).ok())
        .map_or_else(
            || format!("a {}", array.data_type()).into(),
            |value| value_json::render(&value),
        )
}

fn natural_type(data_type: &DataType) -> Option<Type> {
    match data_type {
        DataType::Dictionary(_, values) => natural_type(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            natural_scalar(item.data_type()).map(Type::List)
        }
        data_type => natural_scalar(data_type).map(Type::Scalar),
    }
}

fn natural_scalar(data_type: &DataType) -> Option<Scalar> {
    // The narrower first: a float32 is shown with its own digits.
    let candidates = [
        (Scalar::Bool, admits_scalar(data_type, Scalar::Bool)),
        (Scalar::Int64, data_type.is_integer()),
        (Scalar::Float32, *data_type == DataType::Float32),
        (Scalar::Float64, admits_scalar(data_type, Scalar::Float64)),
        (Scalar::String, is_text(data_type)),
        (Scalar::Bytes, admits_scalar(data_type, Scalar::Bytes)),
        (Scalar::Timestamp, is_time(data_type)),
    ];
    candidates
        .into_iter()
        .find_map(|(scalar, is_it)| is_it.then_some(scalar))
}
