//! Export: all rows of a view as Parquet files, each shard as it stood at one position.
//!
//! The path of a row: the gateway scans a shard ([`run`]), [`columns`] gives the rows Arrow types,
//! [`parts`] writes them as files of bounded size, [`manifest`] says what is complete. A shard that
//! breaks off is begun again; a run that breaks off goes on after its last whole shard.

mod builder;
pub mod columns;

pub mod manifest;
pub mod parts;

pub mod run;
