//! Join keys on the command line: `k=v` for one key, `k=v1,v2,…` for one of each row.
//!
//! Their types are not guessed from how they look: the entities' definitions say them.

use super::failure::WrongUsage;
use crate::client::{definition::JoinKey, key_column::KeyColumnBuilder, value_text};
use std::str::FromStr;
use wire::v1;

/// `k=v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The join key.
    pub name: String,
    /// Its value, or values with commas between.
    pub text: String,
}

/// The text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not KEY=VALUE, for example customer_id=17850")]
pub struct InvalidKeyValue(String);

impl FromStr for KeyValue {
    type Err = InvalidKeyValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                text: value.to_owned(),
            }),
            _ => Err(InvalidKeyValue(text.to_owned())),
        }
    }
}

/// A key column with one value.
pub fn single(given: &KeyValue, keys: &[JoinKey]) -> Result<v1::KeyColumn, WrongUsage> {
    column(given, keys, std::iter::once(given.text.as_str()))
}

/// A key column with a value for each row. A value with a comma in it needs JSON or another client.
pub fn many(given: &KeyValue, keys: &[JoinKey]) -> Result<v1::KeyColumn, WrongUsage> {
    column(given, keys, given.text.split(','))
}

fn column<'a>(
    given: &KeyValue,
    keys: &[JoinKey],
    texts: impl Iterator<Item = &'a str>,
) -> Result<v1::KeyColumn, WrongUsage> {
    let key = keys
        .iter()
        .find(|key| key.name == given.name)
        .ok_or_else(|| {
            let known: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            WrongUsage(format!(
                "{} is not a join key here; those are {}",
                given.name,
                known.join(", ")
            ))
        })?;
    let mut builder = KeyColumnBuilder::new(&key.name, key.ty);
    for text in texts {
        let value = value_text::parse_scalar(key.ty, text)
            .map_err(|bad| WrongUsage(format!("join key {}: {bad}", key.name)))?;
        builder
            .push(&value)
            .map_err(|wrong| WrongUsage(format!("join key {}: {wrong}", key.name)))?;
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::key_column::texts;
    use proto::types::Scalar;

    fn keys() -> Vec<JoinKey> {
        let key = |name: &str, ty| JoinKey {
            name: name.to_owned(),
            ty,
        };
        vec![
            key("customer_id", Scalar::Int64),
            key("stock_code", Scalar::String),
        ]
    }

    #[test]
    fn keys_have_the_types_of_their_entity_whatever_they_look_like() {
        let column = single(&"customer_id=17850".parse().unwrap(), &keys()).unwrap();
        assert_eq!(column.ints, [17_850]);
        let column = many(&"stock_code=71053,84406B".parse().unwrap(), &keys()).unwrap();
        assert_eq!(texts(&column), ["71053", "84406B"]);
        let column = single(&"stock_code=a=b,c".parse().unwrap(), &keys()).unwrap();
        assert_eq!(texts(&column), ["a=b,c"]);
    }

    #[test]
    fn wrong_keys_are_said_with_what_is_right() {
        let message = single(&"customer=1".parse().unwrap(), &keys())
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "customer is not a join key here; those are customer_id, stock_code"
        );
        let message = single(&"customer_id=x".parse().unwrap(), &keys())
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("join key customer_id: \"x\" is not int64"),
            "{message}"
        );
        assert!("customer_id".parse::<KeyValue>().is_err());
    }
}
