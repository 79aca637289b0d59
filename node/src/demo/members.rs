//! Who is in the demo's cluster: names, settings, ports.
//!
//! Two nodes alone could not lose one of them, for two voters are no quorum without the other. So a
//! gateway of its own votes too; with one node there is nothing to lose, and it is the gateway itself.

use crate::settings::{
    Advertise, Cluster, ClusterSettings, Listen, Node, NodeSettings, RegionSettings, Role, Store,
};
use proto::name::Name;
use std::path::{Path, PathBuf};

/// The gateway that votes, and holds no rows.
pub const GATEWAY: &str = "local/gateway";
const REGION: &str = "local";
/// Nodes listen from here on, counted from the gateway's port; each has ten ports.
const NODES_FROM: u16 = 100;
const PORTS_EACH: u16 = 10;
/// Replicas of each shard, where there are nodes enough.
const COPIES: u8 = 2;
/// Small, so that a demo leaves little on the disk.
const SEGMENT_BYTES: u64 = 8 << 20;

/// See the module.
pub struct Plan {
    data_dir: PathBuf,
    port: u16,
    nodes: u16,
}

impl Plan {
    /// A cluster of `nodes` nodes, whose gateway answers at `port`.
    #[must_use]
    pub fn new(data_dir: &Path, port: u16, nodes: u16) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            port,
            nodes,
        }
    }

    /// The members in the order in which they start: the first one founds.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let nodes = (1..=self.nodes).map(|number| format!("{REGION}/{number}"));
        let gateway = self.has_gateway().then(|| GATEWAY.to_owned());
        nodes.chain(gateway).collect()
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let nodes: Vec<String> = self
            .names()
            .into_iter()
            .filter(|name| name != GATEWAY)
            .collect();
        let names = nodes.join(", ");
        match self.has_gateway() {
            true => format!(
                "{} nodes ({names}) with {COPIES} copies of everything, and a gateway that votes",
                nodes.len()
            ),
            false => format!("one node ({names})"),
        }
    }

    /// Where clients call.
    #[must_use]
    pub const fn gateway_port(&self) -> u16 {
        self.port
    }

    const fn has_gateway(&self) -> bool {
        self.nodes > 1
    }

    /// What the member founds where its directory is empty; none for those that join.
    #[must_use]
    pub fn founding(&self, name: &str) -> Option<ClusterSettings> {
        let mut founding = ClusterSettings::single();
        founding.cluster.name = "demo".into();
        founding.regions = vec![RegionSettings {
            name: region(),
            copies: if self.has_gateway() { COPIES } else { 1 },
            min_in_sync: 1,
            kafka: None,
            objects: None,
        }];
        let founds = self.names().first().is_some_and(|first| first == name);
        founds.then_some(founding)
    }

    /// The settings of a member.
    #[must_use]
    pub fn settings(&self, name: &str) -> NodeSettings {
        let others = self.names().into_iter().filter(|other| other != name);
        let seeds = others
            .map(|other| Listen::on_ports_from(self.port_of(&other)).peer.to_string())
            .collect();
        let roles = match (name == GATEWAY, self.has_gateway()) {
            (true, _) => vec![Role::Gateway, Role::Voter],
            (false, true) => vec![Role::Node, Role::Voter],
            (false, false) => vec![Role::Node, Role::Gateway, Role::Voter],
        };
        let plain = name.replace('/', "-");
        NodeSettings {
            cluster: Cluster {
                name: "demo".into(),
                seeds,
                ..Cluster::default()
            },
            node: Node {
                name: plain.clone(),
                region: region(),
                zone: plain.clone(),
                roles,
                data_dir: self.data_dir.join(plain),
            },
            listen: Listen::on_ports_from(self.port_of(name)),
            advertise: Advertise::default(),
            feast: crate::settings::Feast::default(),
            log: crate::settings::Log::default(),
            credentials: std::collections::BTreeMap::new(),
            tls: None,
            store: Store {
                segment_bytes: crate::settings::Size(SEGMENT_BYTES),
                ..Store::default()
            },
        }
    }

    fn port_of(&self, name: &str) -> u16 {
        let number = name
            .rsplit('/')
            .next()
            .and_then(|last| last.parse::<u16>().ok());
        match number.filter(|_| self.has_gateway()) {
            Some(number) => self.port + NODES_FROM + PORTS_EACH * (number - 1),
            None => self.port,
        }
    }
}

fn region() -> Name {
    Name::new(REGION).expect("a valid name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_come_with_a_gateway_that_votes_and_one_node_is_all_itself() {
        let plan = Plan::new(Path::new("d"), 6570, 2);
        assert_eq!(plan.names(), ["local/1", "local/2", GATEWAY]);
        let founds = |name: &str| {
            plan.founding(name)
                .map(|founding| founding.regions[0].copies)
        };
        assert_eq!(
            plan.names()
                .iter()
                .map(|name| founds(name))
                .collect::<Vec<_>>(),
            [Some(2), None, None]
        );
        assert_eq!(plan.settings(GATEWAY).listen.grpc.port(), 6570);
        assert_eq!(
            plan.settings(GATEWAY).node.roles,
            [Role::Gateway, Role::Voter]
        );
        assert_eq!(plan.settings("local/2").listen.grpc.port(), 6680);
        assert_eq!(
            plan.settings("local/2").cluster.seeds,
            ["127.0.0.1:6672", "127.0.0.1:6572"]
        );
        let single = Plan::new(Path::new("d"), 7000, 1);
        assert_eq!(single.names(), ["local/1"]);
        assert_eq!(single.settings("local/1").listen.grpc.port(), 7000);
        assert_eq!(single.founding("local/1").unwrap().regions[0].copies, 1);
    }
}
