//! Definitions of other feature stores as Atoll's definition files.

pub mod feast;
