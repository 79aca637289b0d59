//! What nodes know each other by: the cluster's authority, certificates, and secrets on disk.
//!
//! An open cluster has none of it. Who may call from outside is the gateway's business (`gateway::access`).

mod authority;
mod secrets;

pub use authority::{Authority, AuthorityError};
pub use secrets::{FIRST_TOKEN, random_bits};

mod founding;

pub use founding::found;
