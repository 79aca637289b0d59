//! A real node with its gateway as the software of a simulated host.

use super::machine::Machine;
use node::{
    components::Components,
    server::{self, Running, StartError, single},
    settings::{Advertise, ClusterSettings, Durability, NodeSettings},
};
use std::{future::pending, path::Path, time::Duration};

/// Where a node listens for gRPC.
pub const GRPC_PORT: u16 = 6570;
/// Shards of a simulated cluster: few, so that each of them sees enough.
pub const SHARDS: u16 = 8;
/// Far below what production takes, so that a run fills several: entries of the load are small.
const SEGMENT_BYTES: u64 = 64 << 10;

/// The settings of a node that is a cluster by itself.
#[must_use]
pub fn single_node() -> (NodeSettings, ClusterSettings) {
    let (mut node, mut founding) = single::settings(Path::new("a simulated machine"), GRPC_PORT);
    node.store.segment_bytes.0 = SEGMENT_BYTES;
    founding.cluster.shards = SHARDS;
    (node, founding)
}

/// The settings of a simulated node's store.
#[must_use]
pub fn store_settings() -> store::Settings {
    store::Settings {
        segment_bytes: SEGMENT_BYTES,
        ..store::Settings::default()
    }
}

/// The name, and the host, of the region's node number `place`, from 0.
#[must_use]
pub fn name(place: usize) -> String {
    format!("node-{}", place + 1)
}

/// The settings of a region's node number `place` of `nodes`, each in a zone of its own. Every node
/// is a gateway and may vote. What `remembered` does not cover may leave its log.
#[must_use]
pub fn region_node(
    place: usize,
    nodes: usize,
    (durability, remembered): (Durability, Duration),
) -> NodeSettings {
    let (mut node, _) = single_node();
    node.store.durability = durability;
    node.store.remembered.0 = remembered;
    let name = name(place);
    let others = (0..nodes).filter(|other| *other != place);
    let at = |offset: u16| Some(format!("{name}:{}", GRPC_PORT + offset));
    node.cluster.seeds = others
        .map(|other| format!("{}:{}", self::name(other), GRPC_PORT + 2))
        .collect();
    node.advertise = Advertise {
        grpc: at(0),
        http: at(1),
        peer: at(2),
        link: at(3),
        gossip: at(4),
    };
    node.node.zone = format!("zone-{}", place + 1);
    node.node.name = name;
    node
}

/// What the first node of a region founds: shards of `copies` replicas.
#[must_use]
pub fn region_founding(copies: u8) -> ClusterSettings {
    let (_, mut founding) = single_node();
    founding.regions[0].copies = copies;
    founding.regions[0].min_in_sync = 1;
    founding
}

/// Runs a region's node until its host crashes: with `founding` it founds the region if its machine
/// is empty, without it joins the others.
pub async fn run_in_region(
    machine: Machine,
    settings: NodeSettings,
    founding: Option<ClusterSettings>,
    components: Components,
) -> Result<(), Box<dyn std::error::Error>> {
    let started = match founding {
        Some(founding) => server::start_single(settings, founding, components).await,
        None => server::start(settings, components).await,
    };
    until_it_ends(machine, started).await
}

/// Runs a node until its host crashes. That it gives up while its machine loses power is right, and
/// then it does nothing any more; at any other time it is a fault that ends the run.
pub async fn run_single(
    machine: Machine,
    components: Components,
) -> Result<(), Box<dyn std::error::Error>> {
    let (settings, founding) = single_node();
    let started = server::start_single(settings, founding, components).await;
    until_it_ends(machine, started).await
}

/// A node stopped by itself: an invariant of its was broken.
#[derive(Debug, thiserror::Error)]
#[error("the node stopped by itself: {0}")]
pub struct GaveUp(String);

async fn until_it_ends(
    machine: Machine,
    started: Result<Running, StartError>,
) -> Result<(), Box<dyn std::error::Error>> {
    let ended: Box<dyn std::error::Error> = match started {
        Ok(mut running) => GaveUp(running.failed().await.clone()).into(),
        Err(error) => error.into(),
    };
    if machine.is_failing() {
        pending().await
    } else {
        Err(ended)
    }
}
