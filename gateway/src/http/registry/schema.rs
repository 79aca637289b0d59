//! The schemas of the registry's answers, which `crate::registry::json` puts together.

use super::super::operation::{list as list_of, object as object_of};
use serde_json::{Value, json};

fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    list_of(&text())
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn change_schema() -> Value {
    object_of(&[
        (
            "action",
            json!({ "enum": ["create", "alter", "deprecate", "remove"] }),
        ),
        ("project", text()),
        ("object", text()),
        ("field", text()),
        ("from", text_or_null()),
        ("to", text_or_null()),
        ("breaks_readers", json!({ "type": "boolean" })),
        ("read_by", texts()),
        ("summary", text()),
    ])
}

/// What plan answers.
pub fn plan_schema() -> Value {
    let refusal = object_of(&[("reason", text()), ("field", text()), ("message", text())]);
    object_of(&[
        ("base_revision", number()),
        ("breaks_readers", json!({ "type": "boolean" })),
        ("changes", list_of(&change_schema())),
        ("kept", texts()),
        ("refusals", list_of(&refusal)),
    ])
}

/// What apply answers.
pub fn applied_schema() -> Value {
    object_of(&[
        ("revision", number()),
        ("changes", list_of(&change_schema())),
    ])
}

/// What the history is told as.
pub fn history_schema() -> Value {
    let entry = object_of(&[
        ("revision", number()),
        ("applied_at", text_or_null()),
        ("author", text()),
        ("changes", texts()),
    ]);
    object_of(&[("entries", list_of(&entry))])
}

/// One object of the registry.
pub fn object_schema() -> Value {
    object_of(&[
        (
            "object",
            json!({ "enum": ["project", "entity", "view", "service"] }),
        ),
        ("project", text()),
        ("name", text()),
        ("revision", number()),
        ("changed_revision", json!({ "type": ["integer", "null"] })),
        ("summary", text()),
        ("read_by", texts()),
        ("columns", texts()),
        (
            "definition",
            json!({ "type": ["object", "null"], "additionalProperties": true }),
        ),
    ])
}

/// A list of objects.
pub fn list_schema() -> Value {
    object_of(&[
        ("revision", number()),
        ("objects", list_of(&object_schema())),
    ])
}
