//! The settings of one node: what its file may say, and the defaults.

use super::{
    credentials::CredentialSettings,
    source,
    units::{Size, Span},
};
use proto::{limits, name::Name};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// Everything that one node's file may say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// Which cluster it belongs to and how it finds it.
    #[serde(default)]
    pub cluster: Cluster,
    /// What it is.
    pub node: Node,
    /// Where it listens.
    #[serde(default)]
    pub listen: Listen,
    /// How others reach it, where that differs.
    #[serde(default)]
    pub advertise: Advertise,
    /// TLS for clients; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Its disk and memory.
    #[serde(default)]
    pub store: Store,
    /// How clients of Feast are answered.
    #[serde(default)]
    pub feast: Feast,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
    /// What it shows to the brokers of regions, by the names that the regions' settings use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, CredentialSettings>,
}

impl NodeSettings {
    /// The credentials of a name. Variables of an environment have no `-` in their names, so it is taken
    /// for `_` there, and is the same here.
    #[must_use]
    pub fn credentials_named(&self, name: &str) -> Option<&CredentialSettings> {
        let mut sections = self.credentials.iter();
        let found = sections.find(|(section, _)| source::is_same_key(section, name));
        found.map(|(_, section)| section)
    }
}

/// What a node logs besides what always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// From what time on a lookup, or a read for another node's, is logged as slow; "0s" logs none.
    pub slow_lookup: Span,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            slow_lookup: Span(Duration::from_millis(100)),
        }
    }
}

impl Log {
    /// The time, if anything is slow.
    #[must_use]
    pub fn slow_lookup(&self) -> Option<Duration> {
        Some(self.slow_lookup.0).filter(|span| !span.is_zero())
    }
}

/// How clients of Feast are answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feast {
    /// The project of requests that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    /// Whose behaviour is shown where Feast's specification and its Python server differ.
    pub compat: FeastCompat,
}

/// See [`Feast::compat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeastCompat {
    /// The specification's.
    #[default]
    Spec,
    /// The Python server's.
    Python,
}

/// Which cluster a node belongs to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The cluster's name; a node of another name is refused.
    #[serde(default)]
    pub name: String,
    /// Peer addresses of some nodes, of any region. An empty data directory with seeds joins.
    #[serde(default)]
    pub seeds: Vec<String>,
    /// A file with the token that lets an empty node join. Nothing reads it until nodes ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_token_file: Option<PathBuf>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It holds rows.
    Node,
    /// It answers lookups and writes.
    Gateway,
    /// It votes on metadata; alone, it holds nothing else.
    Voter,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name, for people; its id comes from its data directory.
    pub name: String,
    /// Its region.
    pub region: Name,
    /// Its failure domain within the region.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// What it does.
    #[serde(default = "default_roles")]
    pub roles: Vec<Role>,
    /// Where its files lie.
    pub data_dir: PathBuf,
}

fn default_zone() -> String {
    "default".into()
}

fn default_roles() -> Vec<Role> {
    vec![Role::Node, Role::Gateway, Role::Voter]
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// gRPC for clients.
    pub grpc: SocketAddr,
    /// HTTP for clients, health and metrics.
    pub http: SocketAddr,
    /// Nodes of the region, and metadata (TCP).
    pub peer: SocketAddr,
    /// Other regions (UDP, QUIC).
    pub link: SocketAddr,
    /// Liveness and load (UDP).
    pub gossip: SocketAddr,
    /// Allows addresses other than loopback without TLS and access control.
    pub insecure_open: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self::on_ports_from(6570)
    }
}

impl Listen {
    /// Loopback, on five ports from `port`.
    #[must_use]
    pub fn on_ports_from(port: u16) -> Self {
        let at = |offset: u16| SocketAddr::from(([127, 0, 0, 1], port + offset));
        Self {
            grpc: at(0),
            http: at(1),
            peer: at(2),
            link: at(3),
            gossip: at(4),
            insecure_open: false,
        }
    }

    /// The first of the clients' addresses that is not loopback, with its key.
    #[must_use]
    pub fn first_open_to_clients(&self) -> Option<(&'static str, SocketAddr)> {
        let clients = [("grpc", self.grpc), ("http", self.http)];
        let mut open = clients.into_iter();
        open.find(|(_, address)| !address.ip().is_loopback())
    }

    /// The first address that is not loopback, with its key.
    #[must_use]
    pub fn first_open(&self) -> Option<(&'static str, SocketAddr)> {
        let all = [
            ("grpc", self.grpc),
            ("http", self.http),
            ("peer", self.peer),
            ("link", self.link),
            ("gossip", self.gossip),
        ];
        all.into_iter()
            .find(|(_, address)| !address.ip().is_loopback())
    }
}

/// How others reach a node; what is left out is as it listens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Advertise {
    /// gRPC for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// HTTP for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Nodes of the region, and metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Other regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Liveness and load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip: Option<String>,
}

/// TLS for clients, on gRPC and HTTP. Files are read again when they change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate and those it rests on, as PEM. Left out: one of the cluster's authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Clients must show a certificate of one of the authorities in this file as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
}

/// When a write counts as durable on a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On its disk.
    Fsync,
    /// In the memory of several replicas; a member that is left alone counts by its disk.
    Replicated,
}

/// A node's disk and memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// How much disk the store may take; beyond it writes are refused.
    pub max_bytes: Size,
    /// How much memory the index may take; beyond three quarters new keys are refused.
    pub index_memory: Size,
    /// How much memory hot rows may take.
    pub row_cache: Size,
    /// The size of one segment file.
    pub segment_bytes: Size,
    /// When a write counts as durable; the same on all nodes of a region, for ever.
    pub durability: Durability,
    /// With `durability = "replicated"`: how long what is written may wait for its sync.
    pub sync_within: Span,
    /// With `durability = "replicated"`: how much may be written and not synced; beyond it writes
    /// wait for the disk.
    pub sync_bytes: Size,
    /// How far back the log is kept for requests that are sent again. In no file: it is as long as they may be
    /// sent, and only a test whose clients give up sooner may shorten it.
    #[serde(skip)]
    pub remembered: Span,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            max_bytes: Size(100 << 30),
            index_memory: Size(4 << 30),
            row_cache: Size(1 << 30),
            segment_bytes: Size(64 << 20),
            durability: Durability::Fsync,
            sync_within: Span(Duration::from_millis(100)),
            sync_bytes: Size(16 << 20),
            remembered: Span(limits::REQUEST_ID_WINDOW),
        }
    }
}
