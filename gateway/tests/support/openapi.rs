//! Bodies held to `/openapi.json`: what is sent and answered must be documented, field by field.

use serde_json::{Value, json};
use std::sync::OnceLock;

/// The document with every object closed: for clients it may grow, a test must not meet what it lacks.
fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = gateway::http::document();
        close(&mut document);
        document
    })
}

fn close(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object)
                && !map.contains_key("additionalProperties")
            {
                map.insert("additionalProperties".into(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The faults of `value` by a schema of the document.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema],
        "components": document()["components"],
    });
    let validator = jsonschema::validator_for(&root).expect("the document has valid schemas");
    let faults = validator.iter_errors(value);
    faults
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect()
}

/// The operation that answers a path, and its template.
pub fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or(path);
    let paths = document()["paths"].as_object().expect("paths");
    let fits = |template: &str| {
        let (template, given) = (template.split('/'), path.split('/'));
        template.clone().count() == given.clone().count()
            && template
                .zip(given)
                .all(|(part, given)| part == given || part.starts_with('{') && !given.is_empty())
    };
    let exact = paths.get(path);
    let found = exact.or_else(|| {
        paths
            .iter()
            .find(|(template, _)| fits(template))
            .map(|(_, item)| item)
    });
    found?.get(method.to_lowercase())
}

/// Fails the test where an exchange is not as the document says. A path of nobody and another method
/// are described in its introduction, with the error body.
pub fn check(method: &str, path: &str, sent: &str, status: u16, answer: &str) {
    let about = || {
        format!(
            "{method} {path}: {status} {}",
            &answer[..answer.len().min(600)]
        )
    };
    let Some(operation) = operation(method, path) else {
        assert!(
            matches!(status, 404 | 405),
            "not in /openapi.json: {}",
            about()
        );
        let error = json!({ "$ref": "#/components/schemas/Error" });
        let answer = serde_json::from_str(answer).expect("an error body");
        assert_eq!(faults(&error, &answer), Vec::<String>::new(), "{}", about());
        return;
    };
    let described = &operation["responses"][status.to_string()];
    assert!(
        !described.is_null(),
        "the status is not in /openapi.json: {}",
        about()
    );
    if status < 400
        && let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema")
    {
        let sent: Value = serde_json::from_str(sent).expect("what was taken is JSON");
        assert_eq!(
            faults(schema, &sent),
            Vec::<String>::new(),
            "sent to {}: {sent}",
            about()
        );
    }
    if let Some(schema) = described.pointer("/content/application~1json/schema") {
        let answer = serde_json::from_str(answer).expect("the answer is JSON");
        assert_eq!(
            faults(schema, &answer),
            Vec::<String>::new(),
            "answered by {}",
            about()
        );
    }
}
