//! A shard's snapshot: a stream of chunks, each guarded by itself, all of them by the last.
//!
//! Made while writes go on: the header's state stands from before the scan, the trailer says up to
//! where rows may have been seen. Rows are whole records, so nothing is merged or built anew.

mod carried;
mod chunk;
mod install;
mod scan;

pub(crate) use carried::EXTENSION as CARRIED;
pub use chunk::{RowsOfChunk, SnapshotChunk, Trailer};
pub use install::{Install, InstallError, Installed};
pub use scan::{SnapshotError, SnapshotReader};
