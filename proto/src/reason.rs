//! Reasons: the stable, machine-readable part of every error a caller sees.
//!
//! A reason says what the caller should do; its message says it to a person. The edge turns a
//! reason into a gRPC code and an HTTP status, nothing else does.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $code:ident, $http:literal, $action:ident;)*) => {
        /// Why a call, or one row of it, was refused. Numbers are stored and only grow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u16)]
        pub enum Reason { $($(#[$doc])* #[serde(rename = $text)] $name = $number,)* }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name that travels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The gRPC status code.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }

            /// What the caller should do.
            #[must_use]
            pub const fn action(self) -> Action {
                match self { $(Self::$name => Action::$action,)* }
            }

            /// The reason of a stored number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Change the request.
    Correct,
    /// Send it again, after the hint if there is one.
    Retry,
    /// Send it to another gateway or region.
    RetryElsewhere,
    /// Read the registry again, then decide.
    Refresh,
    /// Ask a person.
    Stop,
}

/// gRPC's status codes, those that Atoll uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// 3
    InvalidArgument,
    /// 4
    DeadlineExceeded,
    /// 5
    NotFound,
    /// 7
    PermissionDenied,
    /// 8
    ResourceExhausted,
    /// 9
    FailedPrecondition,
    /// 10
    Aborted,
    /// 13
    Internal,
    /// 14
    Unavailable,
    /// 16
    Unauthenticated,
}

reasons! {
    /// No project of that name.
    UnknownProject = 1, "UNKNOWN_PROJECT", NotFound, 404, Correct;
    /// No feature view of that name or version.
    UnknownView = 2, "UNKNOWN_VIEW", NotFound, 404, Correct;
    /// The view has no such feature.
    UnknownFeature = 3, "UNKNOWN_FEATURE", NotFound, 404, Correct;
    /// No feature service of that name.
    UnknownService = 4, "UNKNOWN_SERVICE", NotFound, 404, Correct;
    /// No entity of that name.
    UnknownEntity = 5, "UNKNOWN_ENTITY", NotFound, 404, Correct;
    /// No node of that id or name in the region, or several of that name.
    UnknownNode = 6, "UNKNOWN_NODE", NotFound, 404, Correct;
    /// A value does not have its feature's or key's type.
    WrongType = 10, "WRONG_TYPE", InvalidArgument, 400, Correct;
    /// A join key is not given.
    MissingKey = 11, "MISSING_KEY", InvalidArgument, 400, Correct;
    /// Columns of one request have different lengths.
    UnequalLengths = 12, "UNEQUAL_LENGTHS", InvalidArgument, 400, Correct;
    /// More rows or values than one request may have.
    TooManyRows = 13, "TOO_MANY_ROWS", InvalidArgument, 400, Correct;
    /// A key, cell, row or message above its limit.
    TooLarge = 14, "TOO_LARGE", InvalidArgument, 400, Correct;
    /// The event is dated further ahead than `max_future`.
    EventTimeInFuture = 15, "EVENT_TIME_IN_FUTURE", InvalidArgument, 400, Correct;
    /// The event is dated before 1970 or further back than the view's `max_late`.
    EventTimeTooOld = 16, "EVENT_TIME_TOO_OLD", InvalidArgument, 400, Correct;
    /// The request is malformed in a way no other reason names.
    InvalidRequest = 17, "INVALID_REQUEST", InvalidArgument, 400, Correct;
    /// The definition files contradict themselves or the rules of definitions.
    InvalidDefinition = 18, "INVALID_DEFINITION", InvalidArgument, 400, Correct;
    /// The body of the request did not arrive in time.
    TooSlow = 19, "TOO_SLOW", DeadlineExceeded, 408, Retry;
    /// The request id was given to other rows before.
    RequestIdReused = 24, "REQUEST_ID_REUSED", InvalidArgument, 400, Correct;
    /// No answer as fresh as asked for by the deadline.
    Stale = 20, "STALE", Aborted, 409, RetryElsewhere;
    /// The registry moved on since the revision the caller expected.
    RevisionChanged = 21, "REVISION_CHANGED", Aborted, 409, Refresh;
    /// The consistency token is not of this cluster or cannot be read.
    TokenUnknown = 30, "TOKEN_UNKNOWN", FailedPrecondition, 412, Correct;
    /// The change would break readers or stored rows.
    IncompatibleChange = 31, "INCOMPATIBLE_CHANGE", FailedPrecondition, 412, Correct;
    /// The view is not held in this region.
    NotHeldHere = 32, "NOT_HELD_HERE", FailedPrecondition, 412, RetryElsewhere;
    /// The request id is older than the window in which repeats are known, or from the future.
    RequestIdExpired = 33, "REQUEST_ID_EXPIRED", FailedPrecondition, 412, Correct;
    /// Something still rests on what is to be taken away.
    StillNeeded = 34, "STILL_NEEDED", FailedPrecondition, 412, Correct;
    /// The process does not have the role gateway.
    NotAGateway = 36, "NOT_A_GATEWAY", FailedPrecondition, 412, RetryElsewhere;
    /// The store is nearly full: writes are refused, reads go on.
    NearlyFull = 40, "NEARLY_FULL", ResourceExhausted, 429, Retry;
    /// Too much work is queued.
    Overloaded = 41, "OVERLOADED", ResourceExhausted, 429, Retry;
    /// The project's quota is used up.
    Quota = 42, "QUOTA", ResourceExhausted, 429, Retry;
    /// The shard has no primary that can be reached.
    NoPrimary = 50, "NO_PRIMARY", Unavailable, 503, Retry;
    /// Fewer copies than `min_in_sync`.
    UnderReplicated = 51, "UNDER_REPLICATED", Unavailable, 503, Retry;
    /// The global group has no quorum: definitions cannot change now.
    NoGlobalQuorum = 52, "NO_GLOBAL_QUORUM", Unavailable, 503, Retry;
    /// The node cannot answer now: starting, stopping, or not part of a cluster yet.
    NotReady = 53, "NOT_READY", Unavailable, 503, RetryElsewhere;
    /// The row stands in a damaged place and waits for repair from a replica.
    Damaged = 54, "DAMAGED", Unavailable, 503, Retry;
    /// No answer by the deadline. A write may have happened: repeat it with the same request id.
    Deadline = 60, "DEADLINE", DeadlineExceeded, 504, Retry;
    /// No or a wrong token.
    Unauthenticated = 70, "UNAUTHENTICATED", Unauthenticated, 401, Correct;
    /// The token has no right to this.
    Forbidden = 71, "FORBIDDEN", PermissionDenied, 403, Correct;
    /// A fault of ours.
    Internal = 80, "INTERNAL", Internal, 500, Stop;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One fault of a request: where it lies and what to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The machine-readable part.
    pub reason: Reason,
    /// The path of the field at fault, empty where the whole request is.
    pub field: String,
    /// For a person: what is wrong and what to change.
    pub message: String,
}

impl Refusal {
    /// A refusal of a whole request.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            field: String::new(),
            message: message.into(),
        }
    }

    /// A refusal because of one field.
    pub fn of_field(reason: Reason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason,
            field: field.into(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_reasons() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(*reason as u16), Some(*reason));
        }
        assert_eq!(Reason::from_number(9_999), None);
    }
}
