//! Feast's JSON values as those that Atoll's own bodies have. Under `python` what its server converts
//! is converted, and what it fails on fails.

use super::Compat;
use proto::types::{Scalar, Type};
use serde_json::{Value, json};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A feature's value.
pub fn feature(value: &Value, ty: Type, compat: Compat) -> Result<Value, String> {
    match (value, ty) {
        (Value::Null, _) => Ok(Value::Null),
        (value, Type::Scalar(ty)) => scalar(value, ty, compat),
        (Value::Array(items), Type::List(ty)) => {
            let items = items.iter().map(|item| scalar(item, ty, compat));
            items.collect::<Result<_, _>>().map(Value::Array)
        }
        (value, Type::List(_) | Type::Vector(..)) => Ok(value.clone()),
    }
}

/// A scalar's value.
pub fn scalar(value: &Value, ty: Scalar, compat: Compat) -> Result<Value, String> {
    match (ty, compat) {
        (Scalar::Timestamp, Compat::Spec) => {
            Ok(value.as_i64().map_or_else(|| value.clone(), micros))
        }
        (Scalar::Timestamp, Compat::Python) => {
            let seconds = integer(value)?;
            Ok(micros(seconds.as_i64().unwrap_or(i64::MAX)))
        }
        (Scalar::Int32 | Scalar::Int64, Compat::Python) => integer(value),
        (Scalar::String, Compat::Python) => Ok(match value {
            Value::Number(number) => number.to_string().into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            other => other.clone(),
        }),
        (Scalar::Bytes, Compat::Python) if value.is_string() => {
            Err("Type `<class 'str'>` not in {<class 'bytes'>}".to_owned())
        }
        _ => Ok(value.clone()),
    }
}

/// Feast's times are whole seconds.
fn micros(seconds: i64) -> Value {
    seconds.saturating_mul(MICROS_PER_SECOND).into()
}

/// What Python's `int` makes of a value.
fn integer(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(flag) => Ok(i64::from(*flag).into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(_), _) => Ok(value.clone()),
            (None, Some(float)) if float.abs() < 9.2e18 => Ok((float.trunc() as i64).into()),
            _ => Err(format!("Value out of range: {number}")),
        },
        Value::String(text) => text
            .trim()
            .parse::<i64>()
            .map(|number| json!(number))
            .map_err(|_| format!("invalid literal for int() with base 10: '{text}'")),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!(
            "int() argument must be a string or a real number, not {value}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: &str, value: Value, spec: Option<Value>, python: Option<Value>) {
        let ty: Type = ty.parse().unwrap();
        assert_eq!(
            feature(&value, ty, Compat::Spec).ok(),
            spec,
            "{value} as {ty}"
        );
        assert_eq!(
            feature(&value, ty, Compat::Python).ok(),
            python,
            "{value} as {ty}"
        );
    }

    #[test]
    fn python_converts_what_the_specification_leaves_exact() {
        check("int64", json!(1.5), Some(json!(1.5)), Some(json!(1)));
        check("int64", json!("x"), Some(json!("x")), None);
        check("string", json!(5), Some(json!(5)), Some(json!("5")));
        let (second, text) = (json!(1_000_000), json!("2023-11-14T22:13:20Z"));
        check("timestamp", json!(1), Some(second.clone()), Some(second));
        check("timestamp", text.clone(), Some(text), None);
        check("bytes", json!("aGk="), Some(json!("aGk=")), None);
        check(
            "list<int64>",
            json!([true]),
            Some(json!([true])),
            Some(json!([1])),
        );
    }
}
