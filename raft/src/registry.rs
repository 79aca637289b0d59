//! The registry: the state machine of the global group.
//!
//! Definition files come in (`yaml`, `check`), are compared with the state (`plan`), and change it
//! by one command in every replica alike (`command`, `apply`). Gateways and nodes read it as a
//! `catalog`. Pure: no IO, no clock, no async; who and when come with the command.

pub mod literal;
pub mod reference;
pub mod span;

pub mod check;
pub mod definition;
pub mod schema;
pub mod yaml;

pub mod access;
pub mod history;
pub mod quota;
pub mod region;
pub mod state;

mod columns;

mod apply;
pub mod command;
mod define;
mod export;
mod parts;
pub mod plan;

pub mod catalog;

pub use catalog::Catalog;
pub use command::{Breaking, RegistryCommand, RegistryOutcome, Request};
pub use definition::DefinitionFile;
pub use plan::{Change, LeftOut, Plan};
pub use state::Registry;
pub use yaml::{DefinitionError, parse_yaml, place_of_object};

#[cfg(test)]
mod tests;
