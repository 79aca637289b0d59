//! What clients saw: every attempted write with its outcome, every lookup with its answer, what
//! nodes said of their epochs, and the reads that close a run.
//!
//! Event-sourced and append-only: calls are recorded when they leave and when they are answered, so
//! a process that dies leaves its calls open, and an open write may have happened. Bounded: when
//! full, new calls are refused and answers still fit. A history names all that a judge needs, so
//! one that a test on real processes dumped as JSON lines is judged again on another day.
//!
//! Times are the harness's own monotonic microseconds, one clock for the whole history. Nothing
//! here judges; see [`crate::checker`].

mod data;
mod event;
mod header;
mod jsonl;
mod log;
mod text;

pub use data::{Bytes, Datum, Micros, RowKey, TokenBytes};
pub use event::{
    Acknowledged, CallId, Change, Closed, Committed, Entry, Event, FinalRead, Holds, LookupAnswer,
    LookupAnswered, LookupIssued, OriginAge, Primary, ReadCell, RejectedRow, Shipped, Status,
    Values, Wanted, WriteAnswer, WriteAnswered, WriteIssued, WriteRow,
};
pub use header::{FORMAT, Header, OrderBy, ViewRule};
pub use jsonl::JsonlError;
pub use log::{History, Limits, RecordError, Recorder};
