//! Protobuf messages from JSON and to JSON by their descriptors alone.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use serde_json::{Map, Value as Json, json};

/// A message of the named fields. Bytes are base64, floats that JSON has no numbers for are texts.
pub fn message(descriptor: MessageDescriptor, json: &Json) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, json) in json.as_object().unwrap() {
        let field = descriptor
            .get_field_by_name(name)
            .unwrap_or_else(|| panic!("no field {name}"));
        let value = match json.as_array() {
            Some(items) if field.is_list() => {
                Value::List(items.iter().map(|item| value(&field, item)).collect())
            }
            _ => value(&field, json),
        };
        message.set_field(&field, value);
    }
    message
}

fn value(field: &FieldDescriptor, json: &Json) -> Value {
    let signed = || json.as_i64().unwrap();
    let unsigned = || json.as_u64().unwrap();
    match field.kind() {
        Kind::Double => Value::F64(float(json)),
        Kind::Float => Value::F32(float(json) as f32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::try_from(signed()).unwrap()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(signed()),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::try_from(unsigned()).unwrap()),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(unsigned()),
        Kind::Bool => Value::Bool(json.as_bool().unwrap()),
        Kind::String => Value::String(json.as_str().unwrap().to_owned()),
        Kind::Bytes => Value::Bytes(STANDARD.decode(json.as_str().unwrap()).unwrap().into()),
        Kind::Message(inner) => Value::Message(message(inner, json)),
        Kind::Enum(names) => Value::EnumNumber(
            names
                .get_value_by_name(json.as_str().unwrap())
                .unwrap()
                .number(),
        ),
    }
}

fn float(json: &Json) -> f64 {
    json.as_f64()
        .unwrap_or_else(|| json.as_str().unwrap().parse().unwrap())
}

/// All fields of a message, with their defaults where they are not set and have one.
pub fn json_of(message: &DynamicMessage) -> Json {
    let fields = message.descriptor();
    let shown = fields
        .fields()
        .filter(|field| !field.supports_presence() || message.has_field(field));
    let shown = shown.map(|field| {
        (
            field.name().to_owned(),
            json_of_value(&message.get_field(&field), &field),
        )
    });
    Json::Object(shown.collect::<Map<_, _>>())
}

fn json_of_value(value: &Value, field: &FieldDescriptor) -> Json {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::I32(number) => json!(number),
        Value::I64(number) => json!(number),
        Value::U32(number) => json!(number),
        Value::U64(number) => json!(number),
        Value::F32(number) if number.is_finite() => json!(number),
        Value::F64(number) if number.is_finite() => json!(number),
        Value::F32(number) => json!(number.to_string()),
        Value::F64(number) => json!(number.to_string()),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!(STANDARD.encode(bytes)),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(names) => json!(names.get_value(*number).unwrap().name()),
            kind => panic!("{kind:?} with the number of an enum"),
        },
        Value::Message(inner) => json_of(inner),
        Value::List(items) => items
            .iter()
            .map(|item| json_of_value(item, field))
            .collect(),
        Value::Map(entries) => {
            let text = |key: &MapKey| key.as_str().unwrap().to_owned();
            let entries = entries
                .iter()
                .map(|(key, value)| (text(key), json_of_value(value, field)));
            Json::Object(entries.collect())
        }
    }
}
