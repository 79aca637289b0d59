//! The JSON Schema of definition files, as far as a schema can say what the reader says.
//!
//! The rest (duplicates by name, defaults that fit their types, what exists) is `check`'s and
//! `plan`'s. Tests hold it against the reader.

use super::definition::DefinitionFile;
use proto::limits::{FEATURES_PER_LOOKUP, FEATURES_PER_VIEW, KEYS_PER_ENTITY, NAME_BYTES, REGIONS};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

const SCALARS: &str = "bool|int32|int64|float32|float64|string|bytes|timestamp";

/// The schema, as it is published.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(DefinitionFile).to_value();
    schema["title"] = json!("Atoll definition file");
    schema
}

fn name_pattern() -> String {
    format!("[a-z][a-z0-9_]{{0,{}}}", NAME_BYTES - 1)
}

pub(super) fn name(_: &mut SchemaGenerator) -> Schema {
    let pattern = format!("^{}$", name_pattern());
    json_schema!({ "type": "string", "pattern": pattern, "not": { "const": "event_time" } })
}

fn list(items: &Schema, least: usize, most: usize) -> Schema {
    json_schema!({ "type": "array", "items": items, "minItems": least, "maxItems": most })
}

fn or_null(schema: &Schema) -> Schema {
    json_schema!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn keys(generator: &mut SchemaGenerator) -> Schema {
    let key = generator.subschema_for::<super::definition::KeyDefinition>();
    list(&key, 1, KEYS_PER_ENTITY)
}

pub(super) fn key_type(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["bool", "int32", "int64", "string", "bytes", "timestamp"] })
}

pub(super) fn shard_by(generator: &mut SchemaGenerator) -> Schema {
    let mut names = list(&name(generator), 1, KEYS_PER_ENTITY);
    names.insert("uniqueItems".into(), json!(true));
    or_null(&names)
}

pub(super) fn copies(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["sharded", "every_node"] })
}

pub(super) fn combine(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["latest", "sum", "min", "max", null] })
}

pub(super) fn feature_type(_: &mut SchemaGenerator) -> Schema {
    let pattern = format!(
        "^({SCALARS}|list< *({SCALARS}) *>|vector< *(float32|float16|int8) *, *[1-9][0-9]{{0,4}} *>)$"
    );
    json_schema!({ "type": "string", "pattern": pattern })
}

pub(super) fn features(generator: &mut SchemaGenerator) -> Schema {
    let feature = generator.subschema_for::<super::definition::FeatureDefinition>();
    list(&feature, 1, FEATURES_PER_VIEW)
}

pub(super) fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": u16::MAX, "default": 1 })
}

pub(super) fn references(_: &mut SchemaGenerator) -> Schema {
    let name = name_pattern();
    let pattern = format!("^{name}(@[1-9][0-9]{{0,4}})?:(\\*|{name})$");
    let reference = json_schema!({ "type": "string", "pattern": pattern });
    let mut references = list(&reference, 1, FEATURES_PER_LOOKUP);
    references.insert("uniqueItems".into(), json!(true));
    references
}

pub(super) fn columns(_: &mut SchemaGenerator) -> Schema {
    let name = name_pattern();
    let pattern = format!("^{name}@[1-9][0-9]{{0,4}}:{name}$");
    let column = json_schema!({ "type": "string", "pattern": pattern });
    or_null(&list(&column, 0, FEATURES_PER_LOOKUP))
}

pub(super) fn regions(generator: &mut SchemaGenerator) -> Schema {
    let mut names = list(&name(generator), 1, REGIONS);
    names.insert("uniqueItems".into(), json!(true));
    json_schema!({ "anyOf": [{ "const": "all" }, names] })
}

pub(super) fn tags(_: &mut SchemaGenerator) -> Schema {
    let tag =
        json_schema!({ "type": "string", "minLength": 1, "maxLength": super::check::WORD_BYTES });
    let mut tags = list(&tag, 0, super::check::TAGS);
    tags.insert("uniqueItems".into(), json!(true));
    or_null(&tags)
}
