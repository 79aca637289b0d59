//! Real processes with injected faults: a cluster of `atoll` processes on loopback that are killed,
//! frozen and wiped under load, and judged by what their clients saw.
//!
//! It knows the product as its users do: by its binary, its settings files, gRPC and HTTP. Load,
//! histories and the judge of promises are those of `sim`; what only real processes can show
//! (whether a lookup was answered that could be, how long writes stood still) is judged here, by
//! [`judge`], after the fact.
//!
//! Control is plain synchronous code on the caller's thread; the load runs beside it on a runtime of
//! its own. Every wait has a bound, and no child outlives its owner.

pub mod clock;

pub mod atoll;
pub mod http;
pub mod namespace;
pub mod ports;
pub mod process;

pub mod cluster;

pub mod load;

pub mod judge;

mod ending;
pub mod frozen;
pub mod full_disk;
pub mod limping;
pub mod one_way;
pub mod operations;
pub mod report;
pub mod requests;
pub mod rounds;
pub mod schema;
pub mod slow_clients;
pub mod slow_disk;
