//! Who calls, and what they may do (I19): no caller touches a project without right.
//!
//! `secret` turns the text of a token into a hash, `guard` knows the hashes of the cluster, `caller`
//! answers what a caller may do. Every call names what it asks for before it is let in: those of gRPC
//! in `table`, those of HTTP where their route is made. Right to a project is asked for where the
//! request is read, by whoever has it, since only the request says which project.

mod caller;
mod guard;
mod layer;
mod secret;
mod table;
mod trail;

pub use caller::{Caller, Right};
pub use guard::{Guard, Snapshot};
pub use layer::{AccessLayer, AccessService};
pub use secret::{Secret, SecretError};
pub use table::{Endpoint, Kept, Requirement, grpc_endpoints};
pub use trail::{Note, Outcome, Trail, TrailEntry};

pub(crate) use guard::Refused;
pub(crate) use table::of_path;
