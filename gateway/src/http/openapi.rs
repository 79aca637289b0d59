//! `GET /openapi.json`: the endpoints as an OpenAPI 3.1 document, made from the list that is served.

use super::{
    endpoints::operations,
    error::ErrorBody,
    operation::{Content, Fails, Operation, SchemaOf},
};
use crate::{Gateway, access::Requirement};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use proto::reason::Reason;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// Answers with the document, which is made once.
pub async fn serve(State(_): State<Arc<Gateway>>) -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_string());
    ([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let error = schemas.given.subschema_for::<ErrorBody>().to_value();
    let mut paths = Map::new();
    for operation in operations() {
        let endpoint = operation.endpoint;
        let at = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        at[endpoint.method.to_lowercase()] = describe(&operation, &error, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Atoll",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A feature database for personalisation",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The gateway that gave this document" }],
        "tags": TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "securitySchemes": { BEARER: { "type": "http", "scheme": "bearer", "description": TOKENS } },
        },
    })
}

const ABOUT: &str = "Values in JSON: integers are exact numbers (strings are accepted), NaN, Infinity and -Infinity \
    are strings, bytes are base64, timestamps are RFC 3339 in UTC with up to six digits after the second, lists and \
    vectors are arrays, durations are a number and us, ms, s, m or h. Bodies are read as JSON whatever their \
    Content-Type says. A path of nobody answers 404 and another method 405, both with the error body.";

/// How callers say who they are.
const BEARER: &str = "token";
const TOKENS: &str = "A token of the cluster, as `atoll token create` prints it. A cluster that was founded open \
    asks for none.";

const TAGS: &[(&str, &str)] = &[
    ("features", "What models read and pipelines write"),
    ("registry", "What is defined"),
    ("cluster", "Nodes, shards and how far they are behind"),
    ("process", "What operators and their tools ask"),
    (
        "feast",
        "The feature server of Feast, for clients that speak it",
    ),
];

/// Schemas of what is read and of what is written differ: what may be left out there is always here.
struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
        }
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.taken.take_definitions(true);
        all.extend(self.given.take_definitions(true));
        all
    }
}

fn describe(operation: &Operation, error: &Value, schemas: &mut Schemas) -> Value {
    let Operation {
        endpoint, about, ..
    } = operation;
    let mut answers = Map::new();
    let good = content(&about.gives, &mut schemas.given);
    answers.insert(
        "200".into(),
        json!({ "description": "Done", "content": good }),
    );
    let asked = refusals(endpoint.requirement);
    match about.fails {
        Fails::With(reasons) => answers.extend(failures(&[asked, reasons].concat(), error)),
        Fails::AsFeast => {
            answers.extend(super::feast::failures(error));
            // Who may call is asked before what is called, and answered as everywhere.
            answers.extend(failures(asked, error));
        }
        Fails::Never => {}
    }
    let mut described = json!({
        "operationId": about.id,
        "tags": [about.tag],
        "summary": about.summary,
        "description": endpoint.requirement.to_string(),
        "security": security(endpoint.requirement),
        "responses": answers,
    });
    if let Some(taken) = &about.takes {
        let taken = content(taken, &mut schemas.taken);
        described["requestBody"] = json!({ "required": true, "content": taken });
    }
    let parameters = parameters(endpoint.path);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    described
}

fn security(requirement: Requirement) -> Value {
    match requirement {
        Requirement::Open => json!([]),
        Requirement::Token | Requirement::InProject(_) | Requirement::Everywhere(_) => {
            json!([{ BEARER: [] }])
        }
    }
}

/// What the guard before an endpoint refuses with.
const fn refusals(requirement: Requirement) -> &'static [Reason] {
    match requirement {
        Requirement::Open => &[],
        Requirement::Token => &[Reason::Unauthenticated],
        Requirement::InProject(_) | Requirement::Everywhere(_) => {
            &[Reason::Unauthenticated, Reason::Forbidden]
        }
    }
}

fn content(content: &Content, generator: &mut SchemaGenerator) -> Value {
    let schema = match &content.schema {
        SchemaOf::Type(make) => make(generator).to_value(),
        SchemaOf::Text(schema) => schema.clone(),
    };
    let mut body = json!({ "schema": schema });
    let named = content.examples.iter().enumerate().map(|(place, text)| {
        let value: Value = serde_json::from_str(text).expect("examples are JSON");
        (format!("example{}", place + 1), json!({ "value": value }))
    });
    let examples: Map<String, Value> = named.collect();
    if !examples.is_empty() {
        body["examples"] = examples.into();
    }
    let mut by_media = Map::new();
    by_media.insert(content.media.to_owned(), body);
    by_media.into()
}

/// One answer for each status, which names the reasons that have it.
fn failures(reasons: &[Reason], error: &Value) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for reason in reasons {
        let known = by_status.entry(reason.http_status()).or_default();
        known.push(reason.as_str());
    }
    let answer = |(status, reasons): (u16, Vec<&str>)| {
        let description = format!("Refused: {}", reasons.join(", "));
        let mut answer = json!({
            "description": description,
            "content": { "application/json": { "schema": error } },
        });
        if status == 429 || status == 503 {
            let header = json!({ "description": "Seconds to wait, where that helps", "schema": { "type": "integer" } });
            answer["headers"] = json!({ "Retry-After": header });
        }
        (status.to_string(), answer)
    };
    by_status.into_iter().map(answer).collect()
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}
