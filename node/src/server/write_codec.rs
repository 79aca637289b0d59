//! Write path, step 4 between nodes: one part of a write, and what became of it, as bytes.
//!
//! ```text
//! version and checksum, as `frames` says
//! part:   time left 8 (µs) | incarnation 4 | epoch 4 | follows 8 | project 4 | revision 8 | request 16
//!         | ack 1 | slot 2 | shard 2 | placement 2 | number 2 | rows 4
//!   row:  write 4 | row 4 | view 4 | schema 2 | hash 8 | event time 8 | key: length 2, bytes
//!         | cells 2 (0xffff deletes the row)
//!   cell: feature 2, rising | length 4 (0xffffffff is null) | bytes
//! answer: kind 1 (0 unknown, 1 written, 2 refused)
//!   written: copies 4 | position 8 | placement 2 | incarnation 4 | sequence 8 | hlc 8 | outcome as stored
//!   refused: reason 2 | retry after 8 (µs, all ones for none) | field: length 2, bytes | message: the same
//! ```
//!
//! Little endian. Nothing of it is stored. Cells are slices of what came; nothing is copied.

mod answer;
mod part;

pub use answer::{decode_answer, encode_answer};
pub use part::{SentPart, decode_part, encode_part};

const VERSION: u16 = 1;

#[cfg(test)]
mod tests;
