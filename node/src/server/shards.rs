//! The shards of a node, as the rest of the process reaches them.

mod admit;
mod batches;
mod board;
mod digest;
mod driver;
mod effects;
mod holds;
mod input;
mod links;
mod merging;
pub mod message_codec;
mod outbox;
mod pace;
mod pieces;
mod prepare;
mod recovered;
mod reporting;
mod room;
pub mod run;
mod seldom;
mod snapshots;
mod standing;

pub use board::{Board, Standing};
pub use driver::{Driver, Parts, Place, Proposed};
pub use input::{Input, LinkReport, NodeReport, OutboxReport, PartAnswer, PartWrite, ShardReport};
pub use links::{
    Arrived, Beat, Came, Copied, CopyOrder, LinkBoard, LinkInput, LinkParts, Load, Loaded, Streams,
};
pub use outbox::Outbox;
pub use pace::Pace;
pub use recovered::{Found, head, of_store};
pub use snapshots::{Arrival, OpenSnapshot, SnapshotInput, SnapshotOrder};

#[cfg(test)]
mod tests;
