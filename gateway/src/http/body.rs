//! JSON bodies: read whatever the content type says, with faults told by line and column; and
//! objects whose names are data, which keep their order and stand once each.

use super::{error::HttpFailure, patience};
use crate::failure::Failure;
use axum::extract::{FromRequest, Request};
use proto::reason::Reason;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor},
};
use serde_json::Value;
use std::{collections::HashSet, fmt};

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = HttpFailure;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpFailure> {
        let bytes = patience::read(request.into_body()).await?;
        parse(&bytes).map(Self).map_err(HttpFailure::from)
    }
}

/// Reads a body.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The library reads 127 levels; the largest value of ours needs four.
        let what = if error.to_string().starts_with("recursion limit") {
            "is nested too deeply"
        } else if error.is_data() {
            "is not what this call takes"
        } else {
            "is not JSON"
        };
        // The library's message ends with line and column.
        Failure::new(Reason::InvalidRequest, format!("the body {what}: {error}"))
    })
}

/// An object whose names are data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(pub Vec<(String, Value)>);

impl Object {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut names = HashSet::new();
        let mut object = Object::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!(
                    "{name:?} stands twice in one object"
                )));
            }
            object.0.push((name, value));
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_with_line_and_column() {
        let message = parse::<Object>(b"{\n \"a\": 1,,\n}").unwrap_err().message;
        assert!(
            message.contains("is not JSON") && message.contains("at line 2 column"),
            "{message}"
        );
        let deep = [b"{\"a\":".as_slice(), &b"[".repeat(1 << 20)].concat();
        let message = parse::<Object>(&deep).unwrap_err().message;
        assert!(message.contains("is nested too deeply"), "{message}");
        let message = parse::<Object>(b"{\"a\": 1, \"a\": 2}")
            .unwrap_err()
            .message;
        assert!(message.contains("\"a\" stands twice"), "{message}");
    }
}
