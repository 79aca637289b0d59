//! Atoll's vocabulary: everything that two crates must mean alike.
//!
//! Ids and names, typed values, keys and where they live, the hybrid clock, versions and the merge
//! rule, the bytes of rows and entries, limits and error kinds. Pure: no clock, no IO, no
//! randomness, no async runtime. The protobuf schema stands apart, in `wire`.

pub mod id;
pub mod limits;
pub mod name;
pub mod nearby;
pub mod reason;

pub mod types;
pub mod value;

pub mod hlc;
pub mod time;
pub mod version;

pub mod key;
pub mod shard;

pub mod merge;
pub mod row;
pub mod schema;

pub mod codec;
pub mod entry;
pub mod record;

pub mod request;
pub mod token;

pub mod link;
