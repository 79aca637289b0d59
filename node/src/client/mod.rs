//! The client side of Atoll's gRPC: what the commands, the bulk loader and the demo call with.
//!
//! It knows addresses, deadlines and faults, and turns typed values into columns and back. It is
//! no SDK: nothing here is meant for programs of others.

pub mod gateway;
pub mod tls;

pub mod gateways;

pub mod fault;

pub mod call;
pub mod duration;

pub mod definition;

pub mod cell;
pub mod column;
pub mod key_column;
pub mod rows;

pub mod value_json;
pub mod value_text;

pub mod request_id;

#[cfg(test)]
pub mod test_gateway;
