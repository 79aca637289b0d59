//! What a gateway said when it refused a call, read from the status and its details, in one line.

use proto::reason::{Action, Reason};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
pub struct Fault {
    /// gRPC's status code.
    pub code: Code,
    /// The machine-readable part; absent where what answered was not a gateway of Atoll.
    pub reason: Option<String>,
    /// For a person: what is wrong and what to change.
    pub message: String,
    /// Fields at fault, each with what is wrong with it.
    pub fields: Vec<FieldFault>,
    /// When to try again, where the gateway said so.
    pub retry_after: Option<Duration>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// The field's path.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Fault {
    /// Reads a status with its details.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let fields = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations
                .iter()
                .map(|violation| FieldFault {
                    field: violation.field.clone(),
                    message: violation.description.clone(),
                })
                .collect()
        });
        Self {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()),
            message: status.message().to_owned(),
            fields,
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }

    /// The reason, where it is one that this version knows.
    #[must_use]
    pub fn known_reason(&self) -> Option<Reason> {
        let name = self.reason.as_deref()?;
        Reason::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == name)
    }

    /// What to do about it. A fault without a known reason is judged by its code.
    #[must_use]
    pub fn action(&self) -> Action {
        match (self.known_reason(), self.code) {
            (Some(reason), _) => reason.action(),
            (None, Code::Unavailable | Code::Cancelled) => Action::RetryElsewhere,
            (None, Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted) => {
                Action::Retry
            }
            (None, Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition) => {
                Action::Correct
            }
            (None, _) => Action::Stop,
        }
    }

    fn line(&self) -> String {
        let mut line = one_line(&self.message);
        if line.is_empty() {
            line = format!("the gateway answered {:?} without a message", self.code);
        }
        for field in &self.fields {
            let message = one_line(&field.message);
            // A single fault often stands in both places.
            if message.is_empty() || line.contains(&message) {
                if !field.field.is_empty() && !line.contains(&field.field) {
                    line.push_str(&format!(" (field {})", field.field));
                }
            } else {
                line.push_str(&format!("; {}: {message}", field.field));
            }
        }
        if let Some(reason) = &self.reason {
            line.push_str(&format!(" [{reason}]"));
        }
        if let Some(delay) = self.retry_after {
            line.push_str(&format!("; try again in {:.1} s", delay.as_secs_f64()));
        }
        line
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    fn check(details: ErrorDetails, code: Code, message: &str, line: &str) -> Fault {
        let fault = Fault::of(&Status::with_error_details(code, message, details));
        assert_eq!(fault.to_string(), line);
        fault
    }

    #[test]
    fn a_refusal_is_one_line_with_its_reason() {
        let mut details = ErrorDetails::new();
        details.set_error_info("UNKNOWN_VIEW", "atoll", HashMap::new());
        let fault = check(
            details,
            Code::NotFound,
            "project shop has no view custmer_activity;\n did you mean customer_activity",
            "project shop has no view custmer_activity; did you mean customer_activity [UNKNOWN_VIEW]",
        );
        assert_eq!(fault.known_reason(), Some(Reason::UnknownView));
        assert_eq!(fault.action(), Action::Correct);
    }

    #[test]
    fn fields_at_fault_are_named_once() {
        let mut details = ErrorDetails::new();
        details
            .add_bad_request_violation("writes[0].features[2]", "it is float64, the feature int64");
        details.add_bad_request_violation("writes[0].keys", "key customer_id is not given");
        details.set_error_info("WRONG_TYPE", "atoll", HashMap::new());
        check(
            details,
            Code::InvalidArgument,
            "it is float64, the feature int64",
            "it is float64, the feature int64 (field writes[0].features[2]); \
             writes[0].keys: key customer_id is not given [WRONG_TYPE]",
        );
    }

    #[test]
    fn overload_says_when_to_try_again() {
        let mut details = ErrorDetails::new();
        details.set_error_info("OVERLOADED", "atoll", HashMap::new());
        details.set_retry_info(Some(Duration::from_millis(1_500)));
        let fault = check(
            details,
            Code::ResourceExhausted,
            "too many calls wait",
            "too many calls wait [OVERLOADED]; try again in 1.5 s",
        );
        assert_eq!(fault.action(), Action::Retry);
        assert_eq!(fault.retry_after, Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn a_status_without_details_is_judged_by_its_code() {
        let fault = Fault::of(&Status::unavailable("no leader"));
        assert_eq!(
            (fault.action(), fault.to_string().as_str()),
            (Action::RetryElsewhere, "no leader")
        );
        let fault = Fault::of(&Status::internal(""));
        assert_eq!(fault.action(), Action::Stop);
        assert_eq!(
            fault.to_string(),
            "the gateway answered Internal without a message"
        );
    }
}
