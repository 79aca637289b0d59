//! JSON values as typed values. Exact: no integer passes through a float, and a value that does not
//! fit its type is refused, never rounded or cut.

use super::text::{decode_bytes, micros};
use half::f16;
use proto::{
    types::{Element, Scalar, Type},
    value::Value,
};
use serde_json::Value as Json;

/// The value of a feature of type `ty`; the fault in words where it has none.
pub fn value(json: &Json, ty: Type) -> Result<Value, String> {
    match ty {
        _ if json.is_null() => Ok(Value::Null),
        Type::Scalar(ty) => scalar(json, ty),
        Type::List(ty) => {
            let items = json.as_array().ok_or_else(|| expected(json, "an array"))?;
            items
                .iter()
                .map(|item| scalar(item, ty))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Type::Vector(element, dimension) => vector(json, element, dimension),
    }
}

/// The value of a scalar type.
pub fn scalar(json: &Json, ty: Scalar) -> Result<Value, String> {
    match ty {
        Scalar::Bool => json
            .as_bool()
            .map(Value::Bool)
            .ok_or_else(|| expected(json, "true or false")),
        Scalar::Int32 => {
            let number = integer(json)?;
            i32::try_from(number)
                .map(Value::Int32)
                .map_err(|_| format!("{number} does not fit an int32"))
        }
        Scalar::Int64 => integer(json).map(Value::Int64),
        Scalar::Float32 => float32(json).map(Value::Float32),
        Scalar::Float64 => float(json).map(Value::Float64),
        Scalar::String => json
            .as_str()
            .map(|text| Value::String(text.to_owned()))
            .ok_or_else(|| expected(json, "a string")),
        Scalar::Bytes => {
            let text = json
                .as_str()
                .ok_or_else(|| expected(json, "a string of base64"))?;
            decode_bytes(text).map(Value::Bytes)
        }
        Scalar::Timestamp => micros(json).map(Value::Timestamp),
    }
}

fn expected(json: &Json, what: &str) -> String {
    let given: String = json.to_string().chars().take(60).collect();
    format!("{what} is expected, and {given} is given")
}

fn integer(json: &Json) -> Result<i64, String> {
    let text = json.as_str().and_then(|text| text.parse().ok());
    json.as_i64()
        .or(text)
        .ok_or_else(|| expected(json, "an integer of 64 bits"))
}

fn float(json: &Json) -> Result<f64, String> {
    match json.as_str() {
        Some("NaN") => Ok(f64::NAN),
        Some("Infinity") => Ok(f64::INFINITY),
        Some("-Infinity") => Ok(f64::NEG_INFINITY),
        _ => json
            .as_f64()
            .ok_or_else(|| expected(json, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"")),
    }
}

fn float32(json: &Json) -> Result<f32, String> {
    let wide = float(json)?;
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return Err(format!("{wide} does not fit a float32"));
    }
    Ok(narrow)
}

fn vector(json: &Json, element: Element, dimension: u32) -> Result<Value, String> {
    let items = json.as_array().ok_or_else(|| expected(json, "an array"))?;
    if items.len() != dimension as usize {
        return Err(format!(
            "a vector of {dimension} elements is expected, and {} are given",
            items.len()
        ));
    }
    match element {
        Element::Float32 => items
            .iter()
            .map(float32)
            .collect::<Result<_, _>>()
            .map(Value::Float32Vector),
        Element::Float16 => items
            .iter()
            .map(float16)
            .collect::<Result<_, _>>()
            .map(Value::Float16Vector),
        Element::Int8 => items
            .iter()
            .map(int8)
            .collect::<Result<_, _>>()
            .map(Value::Int8Vector),
    }
}

fn float16(json: &Json) -> Result<f16, String> {
    let wide = float(json)?;
    let narrow = f16::from_f64(wide);
    if narrow.is_infinite() && wide.is_finite() {
        return Err(format!("{wide} does not fit a float16"));
    }
    Ok(narrow)
}

fn int8(json: &Json) -> Result<i8, String> {
    let number = integer(json)?;
    i8::try_from(number).map_err(|_| format!("{number} does not fit an int8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(ty: &str, json: &str, expected: Option<Value>) {
        let json: Json = serde_json::from_str(json).unwrap();
        assert_eq!(
            value(&json, ty.parse().unwrap()).ok(),
            expected,
            "{ty} of {json}"
        );
    }

    #[test]
    fn integers_are_exact_or_refused() {
        check("int64", "9223372036854775807", Some(Value::Int64(i64::MAX)));
        check(
            "int64",
            "\"9223372036854775807\"",
            Some(Value::Int64(i64::MAX)),
        );
        check(
            "int64",
            "-9223372036854775808",
            Some(Value::Int64(i64::MIN)),
        );
        check("int64", "9223372036854775808", None);
        check("int64", "1.0", None);
        check("int64", "true", None);
        check("int32", "2147483648", None);
        check("vector<int8, 2>", "[1, 128]", None);
    }

    #[test]
    fn floats_take_names_for_what_json_cannot_write() {
        check(
            "float64",
            "\"-Infinity\"",
            Some(Value::Float64(f64::NEG_INFINITY)),
        );
        check("float32", "\"NaN\"", Some(Value::Float32(f32::NAN)));
        check("float64", "-0.0", Some(Value::Float64(-0.0)));
        check("float64", "0.1", Some(Value::Float64(0.1)));
        check("float32", "1e39", None);
        check("float64", "\"1\"", None);
    }

    #[test]
    fn lists_and_vectors_are_arrays() {
        check(
            "list<string>",
            "[\"a\", \"\"]",
            Some(Value::List(vec![
                Value::String("a".into()),
                Value::String(String::new()),
            ])),
        );
        check("list<int64>", "[1, null]", None);
        check("vector<float32, 2>", "[1, 2, 3]", None);
        assert_eq!(
            value(&json!(null), "vector<int8, 3>".parse().unwrap()),
            Ok(Value::Null)
        );
    }
}
