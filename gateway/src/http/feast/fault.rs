//! Faults as Feast's server tells them: a JSON string that holds an exception, or the details of what a
//! body lacks.

use super::Compat;
use crate::failure::Failure;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Why a request was refused.
#[derive(Debug)]
pub enum Fault {
    /// The body is not of its form.
    Body(Vec<Value>),
    /// An exception of Feast's own, which its client raises again.
    Feast {
        status: StatusCode,
        class: &'static str,
        message: String,
    },
    /// Any other exception; `status` by the specification, 500 where Python raised it.
    Other { status: StatusCode, message: String },
    /// Not the caller's fault: the same either way.
    Ours { status: StatusCode, message: String },
}

impl Fault {
    /// A fault that no exception of Feast's own stands for, with the same status either way.
    pub fn text(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Ours { status, message }
    }

    /// The caller's fault, where Python fails with what it stumbled over.
    pub fn caller(message: impl Into<String>) -> Self {
        Self::Other {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    /// An exception of Feast's own.
    pub fn feast(status: StatusCode, class: &'static str, message: impl Into<String>) -> Self {
        Self::Feast {
            status,
            class,
            message: message.into(),
        }
    }

    /// The answer.
    pub fn answer(self, compat: Compat) -> Response {
        match self {
            Self::Body(details) => {
                let body = json!({ "detail": details });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
            }
            Self::Feast {
                status,
                class,
                message,
            } => {
                // As Python writes it, spaces and order included; its client reads it as JSON.
                let exception = format!(
                    "{{\"module\": \"feast.errors\", \"class\": \"{class}\", \"message\": {}}}",
                    Value::String(message)
                );
                (status, Json(exception)).into_response()
            }
            Self::Other { status, message } => {
                let status = match compat {
                    Compat::Spec => status,
                    Compat::Python => StatusCode::INTERNAL_SERVER_ERROR,
                };
                (status, Json(message)).into_response()
            }
            Self::Ours { status, message } => (status, Json(message)).into_response(),
        }
    }
}

/// What the gateway refused: the caller's faults are as any of them, ours keep their status.
impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let status = StatusCode::from_u16(failure.reason.http_status())
            .expect("reasons have valid statuses");
        let message = format!("{} [{}]", failure.message, failure.reason);
        if status == StatusCode::BAD_REQUEST {
            Self::Other { status, message }
        } else {
            Self::Ours { status, message }
        }
    }
}
