//! A call that is refused as a whole: one reason, a message, the fields at fault, and when to retry.

use proto::reason::{Reason, Refusal};
use std::time::Duration;

/// Why a call was refused. The edges turn it into a gRPC status or an HTTP error body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The machine-readable part.
    pub reason: Reason,
    /// For a person: what is wrong and what to change.
    pub message: String,
    /// The fields at fault; empty where the call as a whole is.
    pub fields: Vec<Refusal>,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A refusal of the call as a whole.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Refusal::new(reason, message).into()
    }

    /// A refusal because of one field.
    pub fn of_field(reason: Reason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal::of_field(reason, field, message).into()
    }

    /// A fault of ours: an invariant between two parts does not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }

    /// The same, to be tried again after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let Refusal {
            reason,
            ref message,
            ref field,
        } = refusal;
        let (message, at_field) = (message.clone(), !field.is_empty());
        let fields = if at_field { vec![refusal] } else { Vec::new() };
        Self {
            reason,
            message,
            fields,
            retry_after: None,
        }
    }
}
