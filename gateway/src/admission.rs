//! Admission: how many calls are worked on at once, which wait for their turn, and which are told at
//! once to come back later.
//!
//! A call is counted from the moment its head is read until its answer is made, so the calls that wait
//! in the runtime's own queue are among those inside. What tells that there are too many is a process
//! that is busy all the time while calls stay long: a call that waits for another node stays long too
//! and is no sign of overload. Besides,
//! each project has its quota. The cores (`limit`, `room`, `quota`) know neither clock nor task.

mod answers;
mod class;
mod gate;
mod layer;
mod limit;
mod metrics;
pub mod quota;
mod room;
mod turns;

pub use crate::metrics::Refusals;
pub(crate) use answers::AnswerBytes;
pub use class::{CLASS_HEADER, Class, Load};
pub use gate::{Fill, Gate, Permit};
pub(crate) use layer::AdmissionLayer;
pub(crate) use metrics::Rooms;
