//! Failures as HTTP answers: `{"error": {"code", "reason", "message", "fields"}}`.

use crate::{access::Outcome, failure::Failure};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use proto::reason::{Code, Reason, Refusal};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

/// What every call of Atoll's own answers where it fails.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody {
    error: ErrorOfCall,
}

/// Why a call was refused.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorOfCall {
    /// The gRPC code.
    code: String,
    /// For programs: the stable name of what is wrong.
    #[schemars(schema_with = "reasons")]
    reason: String,
    /// For a person: what is wrong and what to change.
    message: String,
    /// The fields at fault; empty where the call as a whole is.
    fields: Vec<FieldFault>,
}

/// One field at fault.
#[derive(Debug, Serialize, JsonSchema)]
struct FieldFault {
    /// Its path, as `rows.customer_id[1]`.
    field: String,
    #[schemars(schema_with = "reasons")]
    reason: String,
    message: String,
}

/// The names of all reasons there are.
fn reasons(_: &mut SchemaGenerator) -> Schema {
    let names = Reason::ALL.iter().map(|reason| reason.as_str());
    json_schema!({ "type": "string", "enum": names.collect::<Vec<_>>() })
}

/// A failure on its way out.
#[derive(Debug)]
pub struct HttpFailure(Failure);

impl From<Failure> for HttpFailure {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<Refusal> for HttpFailure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for HttpFailure {
    fn into_response(self) -> Response {
        // For the trail: what is in the body cannot be read again.
        let outcome = Outcome::from(&self.0);
        let Failure {
            reason,
            message,
            fields,
            retry_after,
        } = self.0;
        let status =
            StatusCode::from_u16(reason.http_status()).expect("reasons have valid statuses");
        let mut response = answer(
            status,
            code_name(reason.code()),
            reason.as_str(),
            &message,
            &fields,
        );
        response.extensions_mut().insert(outcome);
        if let Some(wait) = retry_after {
            // Whole seconds, and never too early.
            let seconds = wait.as_micros().div_ceil(1_000_000).to_string();
            if let Ok(seconds) = HeaderValue::from_str(&seconds) {
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
        }
        response
    }
}

fn answer(
    status: StatusCode,
    code: &str,
    reason: &str,
    message: &str,
    fields: &[Refusal],
) -> Response {
    let fault = |field: &Refusal| FieldFault {
        field: field.field.clone(),
        reason: field.reason.to_string(),
        message: field.message.clone(),
    };
    let error = ErrorOfCall {
        code: code.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        fields: fields.iter().map(fault).collect(),
    };
    (status, Json(ErrorBody { error })).into_response()
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A path that nothing answers.
pub async fn no_such_path(uri: axum::http::Uri) -> Response {
    let message = format!(
        "there is nothing at {}; /openapi.json names what there is",
        uri.path()
    );
    answer(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        Reason::InvalidRequest.as_str(),
        &message,
        &[],
    )
}

/// A path that answers another method.
pub async fn no_such_method(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    let message = format!("{} does not answer {method}", uri.path());
    answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "INVALID_ARGUMENT",
        Reason::InvalidRequest.as_str(),
        &message,
        &[],
    )
}
