//! Nodes with a network namespace each, and a router between them that can lose what goes one way.
//!
//! All of it lies in a namespace of this process: it vanishes with its last process, however that ends,
//! and the machine's own network is never touched. Node N is 10.77.N.2; the router, in whose namespace
//! the clients run, is 10.77.N.1 to it. What is lost is dropped by a rule of routing, silently, and
//! nothing that clients and nodes say to each other ever meets such a rule.

use crate::{cluster::Host, namespace};
use anyhow::{Context as _, Result, ensure};
use std::{fs, net::Ipv4Addr, path::PathBuf};

/// What the scenario takes.
pub const NEEDS: &str = "one-way makes network namespaces, which takes root, and `unshare`, `nsenter`, \
                         `mount` (util-linux) and `ip` (iproute2)";
/// Which of a node's packets to and from other nodes are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Those that it sends.
    Sent,
    /// Those that the others send to it.
    Received,
}

/// See the module.
#[derive(Debug)]
pub struct Net {
    nodes: usize,
}

/// Begins this program anew in namespaces of its own, unless it is there already.
pub fn enter() -> Result<()> {
    namespace::enter(&["--net", "--mount"], NEEDS)
}

impl Net {
    /// Makes the namespaces and the wires.
    pub fn build(nodes: usize) -> Result<Self> {
        ensure!(
            namespace::is_own(),
            "the process is in no namespace of its own"
        );
        // `ip netns` keeps its files here; those of others are not seen from now on.
        run("mount", &["-t", "tmpfs", "none", "/run"])?;
        ip("link set lo up")?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("let this namespace forward")?;
        let net = Self { nodes };
        for place in 0..nodes {
            net.wire(place)?;
        }
        Ok(net)
    }

    fn wire(&self, place: usize) -> Result<()> {
        let (name, port) = (name(place), port(place));
        let [router, node] = [1, 2].map(|last| address(place, last));
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {port} type veth peer name wire netns {name}"
        ))?;
        ip(&format!("addr add {router}/24 dev {port}"))?;
        ip(&format!("link set {port} up"))?;
        ip(&format!("-n {name} addr add {node}/24 dev wire"))?;
        for device in ["lo", "wire"] {
            ip(&format!("-n {name} link set {device} up"))?;
        }
        ip(&format!("-n {name} route add default via {router}"))
    }

    /// Where a node runs.
    #[must_use]
    pub fn host(&self, place: usize) -> Host {
        let namespace = PathBuf::from("/run/netns").join(name(place));
        Host::within(namespace, address(place, 2))
    }

    /// Loses packets of one node from now on.
    pub fn lose(&self, victim: usize, lost: Lost) -> Result<()> {
        for rule in rules(self.nodes, victim, lost) {
            ip(&format!("rule add pref {PREFERENCE} {rule}"))?;
        }
        Ok(())
    }

    /// Loses nothing any more.
    pub fn repair(&self) -> Result<()> {
        ip(&format!("rule flush pref {PREFERENCE}"))
    }
}

/// After the table of this namespace's own addresses, before that of the wires.
const PREFERENCE: u32 = 100;

/// What the router drops. Packets for the router itself are found before, in the table of its own
/// addresses, and its own packets come in through no wire: clients meet no rule.
fn rules(nodes: usize, victim: usize, lost: Lost) -> Vec<String> {
    match lost {
        Lost::Sent => vec![format!("iif {} blackhole", port(victim))],
        Lost::Received => {
            let others = (0..nodes).filter(|other| *other != victim);
            let to = address(victim, 2);
            others
                .map(|other| format!("iif {} to {to} blackhole", port(other)))
                .collect()
        }
    }
}

fn name(place: usize) -> String {
    format!("node-{}", place + 1)
}

fn port(place: usize) -> String {
    format!("to-{}", name(place))
}

fn address(place: usize, last: u8) -> Ipv4Addr {
    let node = u8::try_from(place + 1).expect("a cluster on one machine is small");
    Ipv4Addr::new(10, 77, node, last)
}

fn ip(words: &str) -> Result<()> {
    run("ip", &words.split(' ').collect::<Vec<_>>())
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    namespace::run(program, arguments, NEEDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_between_nodes_is_lost() {
        assert_eq!(rules(3, 1, Lost::Sent), ["iif to-node-2 blackhole"]);
        let to_second =
            ["to-node-1", "to-node-3"].map(|from| format!("iif {from} to 10.77.2.2 blackhole"));
        assert_eq!(rules(3, 1, Lost::Received), to_second);
    }
}
