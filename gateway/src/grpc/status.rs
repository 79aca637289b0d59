//! Failures as gRPC statuses, with the details that clients read by machine; and deadlines.

use crate::failure::Failure;
use axum::http::HeaderMap;
use proto::reason::Code;
use std::{collections::HashMap, time::Duration};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of [`tonic_types::ErrorInfo`].
const DOMAIN: &str = "atoll";

/// The status of a failure: its code, `ErrorInfo` with the reason, `BadRequest` with the fields at
/// fault, and `RetryInfo`.
#[must_use]
pub fn to_status(failure: Failure) -> Status {
    let mut details =
        ErrorDetails::with_error_info(failure.reason.as_str(), DOMAIN, HashMap::new());
    for field in &failure.fields {
        details.add_bad_request_violation(&field.field, &field.message);
    }
    if let Some(wait) = failure.retry_after {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code(failure.reason.code()), failure.message, details)
}

/// The library's name for a code.
pub fn code(code: Code) -> tonic::Code {
    match code {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Code::NotFound => tonic::Code::NotFound,
        Code::PermissionDenied => tonic::Code::PermissionDenied,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
        Code::Aborted => tonic::Code::Aborted,
        Code::Internal => tonic::Code::Internal,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
    }
}

/// What the call's `grpc-timeout` leaves; `None` where the caller set none or it cannot be read.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // At most 8 digits, says the protocol.
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::reason::{Reason, Refusal};

    #[test]
    fn a_failure_carries_its_reason_fields_and_retry_hint() {
        let refusal = Refusal::of_field(Reason::NearlyFull, "writes", "the store is nearly full");
        let status = to_status(Failure::from(refusal).retry_after(Duration::from_secs(2)));
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("NEARLY_FULL", "atoll")
        );
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            "writes"
        );
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(2))
        );
    }

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (text, expected) in [
            ("20m", Some(20_000)),
            ("3S", Some(3_000_000)),
            ("7u", Some(7)),
            ("x", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(
                timeout(&headers),
                expected.map(Duration::from_micros),
                "{text:?}"
            );
        }
    }
}
