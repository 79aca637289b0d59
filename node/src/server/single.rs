//! `atoll serve --single`: one node, one region `local`, the defaults and no settings file.

use crate::settings::{Cluster, ClusterSettings, Listen, Node, NodeSettings, Role};
use proto::name::Name;
use std::path::Path;

/// The settings of the one node, and of the cluster that it founds when its directory is empty.
#[must_use]
pub fn settings(data_dir: &Path, port: u16) -> (NodeSettings, ClusterSettings) {
    let founding = ClusterSettings::single();
    let node = NodeSettings {
        cluster: Cluster {
            name: founding.cluster.name.clone(),
            ..Cluster::default()
        },
        node: Node {
            name: "local-1".into(),
            region: Name::new("local").expect("a valid name"),
            zone: "local".into(),
            roles: vec![Role::Node, Role::Gateway, Role::Voter],
            data_dir: data_dir.to_owned(),
        },
        listen: Listen::on_ports_from(port),
        advertise: crate::settings::Advertise::default(),
        tls: None,
        store: crate::settings::Store::default(),
        feast: crate::settings::Feast::default(),
        log: crate::settings::Log::default(),
        credentials: std::collections::BTreeMap::new(),
    };
    (node, founding)
}
