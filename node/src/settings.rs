//! Settings: numbers and addresses that an operator chooses. Parts that one plugs in (clock, disk,
//! network) are components and never stand here.
//!
//! A node's own file and the environment make [`NodeSettings`]; the file given to `atoll init`
//! makes [`ClusterSettings`], which then live in the cluster's metadata.

mod cluster;
mod credentials;
mod node;
mod region;
mod source;
mod units;

pub use cluster::{ClusterSettings, Founding, RegionSettings, Transport};
pub use credentials::{BrokersError, CredentialFileError, CredentialSettings, Password, brokers};
pub use node::{
    Advertise, Cluster, Durability, Feast, FeastCompat, Listen, Log, Node, NodeSettings, Role,
    Store, Tls,
};
pub use region::{Kafka, KafkaMechanism, KafkaSecurity, Objects};
pub use source::{SettingsError, load, print};
pub use units::{Size, Span};
