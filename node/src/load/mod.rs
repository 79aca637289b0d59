//! Bulk load: a file of rows into one view, resumable, with every row that is not taken kept with
//! its reason.
//!
//! The path of a row: a [`source`] reads it and gives its values the view's types by what
//! [`binding`] found, a [`batch`] turns rows into a request, [`run`] keeps several requests in
//! flight by [`send`], and what became of each row goes to [`rejects`], [`state`] and [`progress`].
//! Nothing is judged here that the cluster judges: event times, limits and keys are its business.

pub mod event_time;
pub mod mapping;

pub mod binding;
pub mod row;

pub mod files;
pub mod source;

pub mod arrow_value;
pub mod csv;
pub mod jsonl;
pub mod parquet;

pub mod batch;
pub mod rejects;
pub mod send;
pub mod state;

pub mod pace;
pub mod progress;
pub mod run;

#[cfg(test)]
mod tests;
