//! What goes wrong, and when: crashes, partitions, pauses, lost disks, drawn from a seed.
//!
//! Pure: a schedule is a list that prints, reads back and is carried out by whoever runs hosts, the
//! simulated world or a harness over real processes. It keeps within a budget, for beyond it
//! acknowledged writes may be lost and nothing could be judged, and it ends healed.

mod plan;
mod power;
mod schedule;

pub use plan::{Budget, draw};
pub use power::PowerLoss;
pub use schedule::{Event, Fault, Host, ParseError, Schedule};
