//! Kinds of work that do not take each other's place.

use axum::http::{HeaderMap, HeaderValue};

/// The header, and the metadata of gRPC, in which a caller says that its work may wait for others'.
pub const CLASS_HEADER: &str = "atoll-class";

/// What an endpoint asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Little, or seldom: it is let in whatever else goes on.
    Free,
    /// A lookup.
    Lookup,
    /// A write.
    Write,
    /// A write with each message: these are let in one by one.
    Writes,
}

/// A kind of work with room of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody waits for a page.
    Lookup,
    /// A stream of fresh features.
    Write,
    /// A bulk load, which gives way to both.
    Bulk,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lookup, Self::Write, Self::Bulk];

    /// Its name in metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Write => "write",
            Self::Bulk => "bulk",
        }
    }

    /// The class of writes that come with these headers.
    #[must_use]
    pub fn of_writes(headers: &HeaderMap) -> Self {
        match headers.get(CLASS_HEADER).map(HeaderValue::as_bytes) {
            Some(b"bulk") => Self::Bulk,
            Some(_) | None => Self::Write,
        }
    }

    /// The class in which a call is let in; none where it need not be.
    pub(crate) fn of(load: Load, headers: &HeaderMap) -> Option<Self> {
        match load {
            Load::Free | Load::Writes => None,
            Load::Lookup => Some(Self::Lookup),
            Load::Write => Some(Self::of_writes(headers)),
        }
    }
}
