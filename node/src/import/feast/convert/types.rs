//! Feast's types and times, by the numbers and messages of its registry.

use crate::import::feast::registry::{Duration, Field};

/// Feast's number of a list of float32, which its vectors are.
const FLOAT_LIST: i32 = 16;

/// The type of a feature.
pub fn feature_type(field: &Field) -> Option<String> {
    if field.value_type == FLOAT_LIST && field.vector_length > 0 {
        return Some(format!("vector<float32, {}>", field.vector_length));
    }
    match field.value_type {
        11..=18 => Some(format!("list<{}>", scalar(field.value_type - 10)?)),
        number => scalar(number).map(str::to_owned),
    }
}

/// The type of a join key, which is no float.
pub fn key_type(number: i32) -> Option<&'static str> {
    scalar(number).filter(|ty| !ty.starts_with("float"))
}

fn scalar(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "bytes",
        2 => "string",
        3 => "int32",
        4 => "int64",
        5 => "float64",
        6 => "float32",
        7 => "bool",
        8 => "timestamp",
        _ => return None,
    })
}

/// Feast's name of a type, for people.
pub fn type_name(number: i32) -> String {
    let name = match number {
        5 => "double",
        6 => "float",
        20 => "map",
        21 => "list of maps",
        22..=29 | 40 | 41 | 43 | 46 => "set",
        32 => "json",
        33 => "list of json",
        34 => "struct",
        35 => "list of structs",
        36 | 37 => "uuid",
        38 | 39 => "list of uuids",
        42 => "list of lists",
        44 => "decimal",
        45 => "list of decimals",
        47 => "map of scalars",
        48 => "time with a zone",
        _ => return format!("number {number} of Feast's"),
    };
    name.to_owned()
}

/// Feast's zero is for ever. What is shorter than a second is one.
pub fn ttl(ttl: Option<&Duration>) -> Option<String> {
    let ttl = ttl.filter(|ttl| ttl.seconds > 0 || ttl.nanos > 0)?;
    let seconds = ttl.seconds.max(1);
    Some(match (seconds % 86_400, seconds % 3_600) {
        (0, _) => format!("{}d", seconds / 86_400),
        (_, 0) => format!("{}h", seconds / 3_600),
        _ => format!("{seconds}s"),
    })
}
