//! The demo: real data as streaming features, written and looked up at once, and shown as it goes.
//!
//! [`shop`] computes features from transaction lines and knows nothing of clusters; [`data`] reads
//! the lines; [`history`] loads what was before, [`stream`] writes what happens now, [`lookups`]
//! asks all the while; [`meter`] counts, [`display`] prints; [`outage`] takes a node away. How the
//! cluster is started is not its business: it is given as a [`cluster::Cluster`].

pub mod data;
pub mod shop;

pub mod article;
pub mod definitions;
pub mod table;

pub mod cluster;
pub mod members;

pub mod embedded;
pub mod outage;

pub mod history;
pub mod lookups;
pub mod stream;

pub mod display;
pub mod meter;
pub mod next_steps;

pub mod run;
