//! A Feast repository as a definition file: what `feast apply` wrote into its registry is read, so no
//! Python is needed.

mod convert;
mod registry;
mod repository;

pub use convert::{Definitions, Imported, convert};
pub use registry::Registry;
pub use repository::{Repository, RepositoryError};

use prost::Message as _;

/// Reads a registry's bytes.
pub fn decode(bytes: &[u8]) -> Result<Registry, prost::DecodeError> {
    Registry::decode(bytes)
}
