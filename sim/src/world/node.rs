//! A real node with its gateway as the software of a simulated host.

use super::machine::Machine;
use node::{
    components::Components,
    server::{self, single},
    settings::{ClusterSettings, NodeSettings},
};
use std::{future::pending, path::Path};

/// Where a node listens for gRPC.
pub const GRPC_PORT: u16 = 6570;
/// Shards of a simulated cluster: few, so that each of them sees enough.
const SHARDS: u16 = 8;
/// Far below what production takes, so that a run fills several: entries of the load are small.
const SEGMENT_BYTES: u64 = 128 << 10;

/// The settings of a node that is a cluster by itself.
#[must_use]
pub fn single_node() -> (NodeSettings, ClusterSettings) {
    let (mut node, mut founding) = single::settings(Path::new("a simulated machine"), GRPC_PORT);
    node.store.segment_bytes.0 = SEGMENT_BYTES;
    founding.cluster.shards = SHARDS;
    (node, founding)
}

/// Runs a node until its host crashes. That it gives up while its machine loses power is right, and
/// then it does nothing any more; at any other time it is a fault that ends the run.
pub async fn run_single(
    machine: Machine,
    components: Components,
) -> Result<(), Box<dyn std::error::Error>> {
    let (settings, founding) = single_node();
    let ended: Box<dyn std::error::Error> =
        match server::start_single(settings, founding, components).await {
            Ok(mut running) => {
                format!("the node stopped by itself: {}", running.failed().await).into()
            }
            Err(error) => error.into(),
        };
    if machine.is_failing() {
        pending().await
    } else {
        Err(ended)
    }
}
