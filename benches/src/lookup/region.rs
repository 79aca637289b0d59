//! A region in processes of their own: nodes that hold rows, and a gateway that holds none.

use super::server::Process;
use anyhow::{Context as _, bail};
use node::{client::gateways::Gateways, demo::members::Plan};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use wire::v1;

/// Nodes that hold rows; each shard has two copies.
pub const NODES: u16 = 3;
const COPIES: usize = 2;
/// Below the ports that the kernel gives out.
const PORTS: std::ops::Range<u16> = 14_000..30_000;
/// More than the members of a region use from their first port on.
const STEP: usize = 200;
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// The processes of a region, the gateway last.
pub fn start(data_dir: &Path) -> anyhow::Result<Vec<Process>> {
    let port = free_port(data_dir)?;
    let plan = Plan::new(data_dir, port, NODES);
    let members = plan.names().into_iter();
    members
        .map(|name| Process::member(data_dir, port, NODES, &name))
        .collect()
}

/// Where a whole region finds its ports free.
fn free_port(data_dir: &Path) -> anyhow::Result<u16> {
    let is_free = |at: SocketAddr| TcpListener::bind(at).is_ok();
    PORTS
        .step_by(STEP)
        .find(|port| {
            let plan = Plan::new(data_dir, *port, NODES);
            plan.names().iter().all(|name| {
                let listen = plan.settings(name).listen;
                [listen.grpc, listen.http, listen.peer]
                    .into_iter()
                    .all(is_free)
            })
        })
        .context("no free ports for a region; stop what holds them")
}

/// Waits until every shard has all its copies in sync, so that a measurement meets no copying.
pub async fn wait_whole(gateway: SocketAddr) -> anyhow::Result<()> {
    let gateways = Gateways::new(&[gateway.to_string().parse()?], None)?;
    let end = Instant::now() + WHOLE_WITHIN;
    loop {
        let request = v1::ShardsRequest { shards: vec![] };
        let answer = gateways.shards(request, Duration::from_secs(5)).await?;
        let is_whole = |shard: &v1::ShardStatus| {
            shard.replicas.iter().filter(|it| it.in_sync).count() >= COPIES
        };
        if !answer.shards.is_empty() && answer.shards.iter().all(is_whole) {
            return Ok(());
        }
        if Instant::now() >= end {
            bail!("the region did not get {COPIES} copies of every shard in {WHOLE_WITHIN:?}");
        }
        sleep(Duration::from_millis(100)).await;
    }
}
