//! The forms of Feast's bodies, checked as its server checks them, with the same details.

use super::fault::Fault;
use crate::http::patience;
use axum::body::Body;
use serde_json::{Map, Value, json};

/// A body under examination: what is wrong with it gathers in `details`.
pub struct Form {
    body: Map<String, Value>,
    details: Vec<Value>,
}

impl Form {
    /// Reads a body.
    pub async fn read(body: Body) -> Result<Self, Fault> {
        let bytes = patience::read(body).await?;
        if bytes.is_empty() {
            let detail = detail("missing", json!(["body"]), "Field required", &Value::Null);
            return Err(Fault::Body(vec![detail]));
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
            let mut fault = detail(
                "json_invalid",
                json!(["body", error.column().saturating_sub(1)]),
                "JSON decode error",
                &json!({}),
            );
            fault["ctx"] = json!({ "error": error.to_string() });
            Fault::Body(vec![fault])
        })?;
        match value {
            Value::Object(body) => Ok(Self {
                body,
                details: Vec::new(),
            }),
            other => {
                let message = "Input should be a valid dictionary or object to extract fields from";
                let kind = "model_attributes_type";
                Err(Fault::Body(vec![detail(
                    kind,
                    json!(["body"]),
                    message,
                    &other,
                )]))
            }
        }
    }

    fn wrong(&mut self, kind: &str, at: &[Value], message: &str, input: &Value) {
        let mut place = vec![json!("body")];
        place.extend_from_slice(at);
        self.details
            .push(detail(kind, place.into(), message, input));
    }

    /// A field that must be there.
    fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.body.get(name).cloned();
        if value.is_none() {
            let body = Value::Object(self.body.clone());
            self.wrong("missing", &[json!(name)], "Field required", &body);
        }
        value
    }

    fn as_text(&mut self, at: &[Value], value: &Value) -> String {
        if let Some(text) = value.as_str() {
            return text.to_owned();
        }
        self.wrong("string_type", at, "Input should be a valid string", value);
        String::new()
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> String {
        self.required(name)
            .map_or_else(String::new, |value| self.as_text(&[json!(name)], &value))
    }

    /// A text with a default.
    pub fn text_or(&mut self, name: &str, default: &str) -> String {
        match self.body.get(name).cloned() {
            None => default.to_owned(),
            Some(value) => self.as_text(&[json!(name)], &value),
        }
    }

    /// A text that may be null.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.body.get(name).cloned() {
            None | Some(Value::Null) => None,
            Some(value) => Some(self.as_text(&[json!(name)], &value)),
        }
    }

    /// A list of texts; empty where it is left out.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        match self.body.get(name).cloned() {
            None => Vec::new(),
            Some(Value::Array(items)) => (0..)
                .zip(&items)
                .map(|(place, item): (usize, _)| self.as_text(&[json!(name), json!(place)], item))
                .collect(),
            Some(other) => {
                self.wrong(
                    "list_type",
                    &[json!(name)],
                    "Input should be a valid list",
                    &other,
                );
                Vec::new()
            }
        }
    }

    /// A flag, in every form that stands for one.
    pub fn flag(&mut self, name: &str, default: Flag) -> Flag {
        let Some(value) = self.body.get(name).cloned() else {
            return default;
        };
        let text = match &value {
            Value::Bool(flag) => return Flag::from(*flag),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.to_lowercase(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                self.wrong(
                    "bool_type",
                    &[json!(name)],
                    "Input should be a valid boolean",
                    &value,
                );
                return default;
            }
        };
        match text.as_str() {
            "1" | "1.0" | "true" | "t" | "yes" | "y" | "on" => Flag::Yes,
            "0" | "0.0" | "false" | "f" | "no" | "n" | "off" => Flag::No,
            _ => {
                let message = "Input should be a valid boolean, unable to interpret input";
                self.wrong("bool_parsing", &[json!(name)], message, &value);
                default
            }
        }
    }

    /// An object of anything.
    pub fn object(&mut self, name: &str) -> Map<String, Value> {
        match self.required(name) {
            Some(Value::Object(object)) => object,
            Some(other) => {
                self.wrong(
                    "dict_type",
                    &[json!(name)],
                    "Input should be a valid dictionary",
                    &other,
                );
                Map::new()
            }
            None => Map::new(),
        }
    }

    /// An object of lists.
    pub fn lists(&mut self, name: &str) -> Vec<(String, Vec<Value>)> {
        let object = self.object(name);
        let mut lists = Vec::with_capacity(object.len());
        for (key, value) in object {
            match value {
                Value::Array(items) => lists.push((key, items)),
                other => {
                    let at = [json!(name), json!(key)];
                    self.wrong("list_type", &at, "Input should be a valid list", &other);
                }
            }
        }
        lists
    }

    /// Fails where anything was wrong.
    pub fn check(self) -> Result<(), Fault> {
        if self.details.is_empty() {
            Ok(())
        } else {
            Err(Fault::Body(self.details))
        }
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    Yes,
    No,
}

impl From<bool> for Flag {
    fn from(flag: bool) -> Self {
        if flag { Self::Yes } else { Self::No }
    }
}

fn detail(kind: &str, place: Value, message: &str, input: &Value) -> Value {
    json!({ "type": kind, "loc": place, "msg": message, "input": input })
}
