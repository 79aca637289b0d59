//! Read path, step 3 between nodes: rows of shards, asked of whoever holds them.
//!
//! `own` reads this node's shards, for its own gateway and for others; `codec` is what travels;
//! `taken` answers others. `asking`, `health` and `budget` decide who is asked, and when somebody
//! else is; [`super::replicas`] drives them.

mod asking;
mod budget;
mod codec;
mod health;
mod layouts;
mod own;
mod remote;
mod taken;

pub use asking::{Ask, Asking, Candidate, Surroundings, Verdict};
pub use budget::{Budget, Hedges, IsUsed};
pub use codec::Version;
pub use health::{Health, Nearness};
pub use own::{Answer, Asked, OwnShards, ShardAnswer};
pub use remote::{RemoteError, RemoteShards};
pub use taken::TakenFetches;
