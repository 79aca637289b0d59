//! One node's rows on memory and SSD. The log is the store.
//!
//! Synchronous over a [`disk::Disk`]: it starts no thread, reads no clock, draws no random number.
//! Append, write, sync, commit, cut, hint, compact, sweep are steps that `node` or `sim` drives; so
//! a test stops it at every one of them. Knows shards, entries and records; nothing of projects,
//! definitions, primaries or time to live.
//!
//! Three parties share a store:
//! - readers, on any thread, hold an `Arc<`[`Store`]`>`: [`Store::read_batch`], [`Store::read_log`],
//!   [`Store::snapshot`];
//! - the one [`Writer`] appends, syncs, commits and cuts; [`Writer::take_batch`] lets a second thread
//!   write and sync while the first appends on;
//! - background steps, on a thread with time, go by `&Store`, one at a time: [`Store::hint_step`],
//!   [`Store::compact_step`], [`Store::sweep_step`], [`Store::prepare_step`].
//!
//! # Steps of a write
//! 1. `writer/append.rs`: entries are checked, grouped (≤ 1 MiB) and remembered as pending.
//! 2. `segment/writer.rs`: groups are written and synced.
//! 3. `writer/commit.rs`: the driver says that enough replicas have them; rows enter the index.
//! 4. `keeper/hints.rs`: a full segment whose entries are all settled gets its hint file.
//! 5. `keeper/compact.rs`, `release.rs`: its live rows move on, its file is used again.
//!
//! # Steps of a read
//! 1. `read/mod.rs`: keys are ordered by shard and probed under each shard's lock.
//! 2. The records are read from the page cache, checked (checksum, then key) and copied by plan.
//! 3. What is not cached is read by a thread that may wait.
//!
//! # What holds
//! - What was synced is found after any crash, whole; what was not is found whole or not at all.
//! - The index shows committed entries only, each whole. A restart applies no further than the
//!   commit point that is durable; later entries are pending again.
//! - A failed write or sync is final: every later one is refused.
//! - Bytes with a wrong checksum are never served, and a row that cannot be read is never taken for
//!   absent. Rot is told from a torn tail ([`segment`]) and reported; the shard then waits for a copy.
//! - What purging, compaction or a cut took away does not come back at a restart.
//!
//! # Modules, bottom-up
//! `disk` files, real or faulty · `segment` a log in files, also Raft's · `preface`, `state`, `hint`
//! stored formats · `place`, `index`, `views`, `shard`, `body` what is in memory · `pending`, `tail`
//! entries in memory · `store` what all share · `writer`, `read`, `catchup`, `snapshot`, `damage`,
//! `holders` operations · `keeper` background steps · `recover` opening.

pub mod disk;
pub mod segment;

mod hint;
mod preface;
mod state;

mod body;
mod index;
mod place;
mod shard;
mod views;

mod pending;
mod tail;

mod error;
mod settings;
mod store;

mod catchup;
mod damage;
mod holders;
mod read;
mod scan;
mod snapshot;
mod writer;

mod keeper;
mod recover;
mod work;

pub use catchup::LogRead;
pub use damage::{DamagedRow, RepairCounts};
pub use error::{AppendError, CommitError, CutError, Full, OpenError};
pub use holders::HolderId;
pub use keeper::{Compacted, RepairError, StepError, Swept, WantedRow};
pub use read::{Copy, Known, Plan, ReadRequest, RowState, Run, StagedRow, Staging};
pub use recover::{Naming, Recovered, RecoveredShard};
pub use scan::ViewScan;
pub use settings::Settings;
pub use snapshot::{
    Install, InstallError, Installed, RowsOfChunk, SnapshotChunk, SnapshotError, SnapshotReader,
    Trailer,
};
pub use state::{Condition, LogEnd, RecentRequest, ShardState, StreamMark};
pub use store::Store;
pub use work::WorkDone;
pub use writer::{Appended, Batch, NewEntry, Writer};

#[cfg(test)]
#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;
