//! Features of a shop's customers and items, computed line by line in the order of events.
//!
//! Pure: lines and times in, features out. Amounts of money are whole thousandths of a pound, so
//! that a sum does not depend on its order and what leaves a window leaves nothing behind.

pub mod line;
pub mod window;

pub mod customer;
pub mod item;

pub mod state;

#[cfg(test)]
mod tests;
