//! What an endpoint takes, gives and fails with, in terms that the OpenAPI document is made of.

use crate::{
    access::{Endpoint, Kept, Requirement},
    admission::Load,
};
use axum::routing::MethodRouter;
use proto::reason::Reason;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};
use std::sync::Arc;

/// One endpoint: who may call it, how it is served, and how it is described.
pub(super) struct Operation {
    /// Its method and path, with parameters in braces, and what it asks of its callers.
    pub endpoint: Endpoint,
    pub handler: MethodRouter<Arc<crate::Gateway>>,
    pub about: About,
}

/// The description of one endpoint.
pub(super) struct About {
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub takes: Option<Content>,
    pub gives: Content,
    /// Besides what [`Requirement`](crate::access::Requirement) adds to it.
    pub fails: Fails,
}

/// An endpoint of `GET`.
pub(super) const fn reading(path: &'static str, requirement: Requirement) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        requirement,
        kept: Kept::Unkept,
        load: Load::Free,
    }
}

/// An endpoint of `POST`.
pub(super) const fn posting(path: &'static str, requirement: Requirement) -> Endpoint {
    Endpoint {
        method: "POST",
        ..reading(path, requirement)
    }
}

/// The same, and it leaves a trail.
pub(super) const fn kept(endpoint: Endpoint) -> Endpoint {
    Endpoint {
        kept: Kept::InTrail,
        ..endpoint
    }
}

/// A body.
pub(super) struct Content {
    pub media: &'static str,
    pub schema: SchemaOf,
    /// JSON texts; none for what is not JSON.
    pub examples: &'static [&'static str],
}

/// Where a body's schema comes from.
pub(super) enum SchemaOf {
    /// From the type that is read or written.
    Type(fn(&mut SchemaGenerator) -> Schema),
    /// Written down, where bodies are put together by hand; tests hold it to what is served.
    Text(Value),
}

/// How an endpoint fails.
pub(super) enum Fails {
    /// With Atoll's error body; every reason has its status.
    With(&'static [Reason]),
    /// As Feast's feature server does.
    AsFeast,
    /// Not at all.
    Never,
}

const JSON: &str = "application/json";

/// A body of the type `T`.
pub(super) fn of<T: JsonSchema>(examples: &'static [&'static str]) -> Content {
    Content {
        media: JSON,
        schema: SchemaOf::Type(SchemaGenerator::subschema_for::<T>),
        examples,
    }
}

/// A body with a schema that is written down.
pub(super) fn json_of(schema: Value, examples: &'static [&'static str]) -> Content {
    Content {
        media: JSON,
        schema: SchemaOf::Text(schema),
        examples,
    }
}

/// A body of text.
pub(super) fn text(media: &'static str) -> Content {
    Content {
        media,
        schema: SchemaOf::Text(json!({ "type": "string" })),
        examples: &[],
    }
}

/// An object of these properties, all of which it has.
pub(super) fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// A list of these.
pub(super) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}
