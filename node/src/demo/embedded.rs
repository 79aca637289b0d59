//! The demo's cluster: a node in this process, on a runtime of its own, so that it can be taken
//! away as a crash would take it.

use super::cluster::Cluster;
use crate::{
    client::gateway::GatewayAddress,
    components::Components,
    server::{self, Running, single},
};
use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Mutex,
    time::{Instant, sleep},
};

/// The node's name for `--kill`.
const NODE: &str = "local/1";
/// A node that was taken away lets go of its directory and its ports within this time.
const LETS_GO_WITHIN: Duration = Duration::from_secs(20);

/// See the module.
pub struct Embedded {
    data_dir: PathBuf,
    port: u16,
    node: Mutex<Option<Node>>,
    /// Removed with everything in it at the end, where the demo made it.
    _scratch: Option<tempfile::TempDir>,
}

struct Node {
    runtime: Runtime,
    running: Running,
}

impl Embedded {
    /// Starts it in `data_dir`, or in a new place that goes with the demo.
    pub async fn start(data_dir: Option<&Path>, port: u16) -> anyhow::Result<Self> {
        let scratch = match data_dir {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("atoll-demo-")
                    .tempdir()
                    .context("make a place for the data")?,
            ),
        };
        let data_dir = data_dir
            .or(scratch.as_ref().map(tempfile::TempDir::path))
            .expect("one of them is there");
        let (data_dir, port) = (data_dir.to_owned(), port);
        let node = start(&data_dir, port).await?;
        wait_ready(&node.running).await?;
        Ok(Self {
            data_dir,
            port,
            node: Mutex::new(Some(node)),
            _scratch: scratch,
        })
    }

    /// Ends it in order.
    pub async fn stop(&self) {
        if let Some(Node { runtime, running }) = self.node.lock().await.take() {
            let stopped = runtime.spawn(running.stop());
            // What did not stop in time goes with the process.
            let _ = stopped.await;
            runtime.shutdown_background();
        }
    }

    fn check(node: &str) -> anyhow::Result<()> {
        if node == NODE {
            Ok(())
        } else {
            Err(anyhow!("there is no node {node}; this cluster has {NODE}"))
        }
    }
}

async fn start(data_dir: &Path, port: u16) -> anyhow::Result<Node> {
    let (settings, founding) = single::settings(data_dir, port);
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("node")
        .build()
        .context("start a runtime")?;
    let components = Components::of_this_machine();
    let started = runtime
        .spawn(server::start_single(settings, founding, components))
        .await;
    match started.context("start the node")? {
        Ok(running) => Ok(Node { runtime, running }),
        Err(error) => {
            runtime.shutdown_background();
            Err(error.into())
        }
    }
}

async fn wait_ready(running: &Running) -> anyhow::Result<()> {
    let deadline = Instant::now() + LETS_GO_WITHIN;
    while let Some(why) = running.not_ready() {
        if Instant::now() >= deadline {
            return Err(anyhow!("the node is not ready: {why}"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[async_trait]
impl Cluster for Embedded {
    fn describe(&self) -> String {
        format!(
            "one node ({NODE}) in this process, its data in {}",
            self.data_dir.display()
        )
    }

    fn gateways(&self) -> Vec<GatewayAddress> {
        let address = format!("127.0.0.1:{}", self.port);
        vec![address.parse().expect("loopback and a port are an address")]
    }

    fn http(&self) -> String {
        format!("127.0.0.1:{}", self.port + 1)
    }

    async fn take_away(&self, node: &str) -> anyhow::Result<()> {
        Self::check(node)?;
        if let Some(Node { runtime, running }) = self.node.lock().await.take() {
            runtime.shutdown_background();
            drop(running);
        }
        Ok(())
    }

    async fn bring_back(&self, node: &str) -> anyhow::Result<()> {
        Self::check(node)?;
        let deadline = Instant::now() + LETS_GO_WITHIN;
        let started = loop {
            match start(&self.data_dir, self.port).await {
                Ok(node) => break node,
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        };
        wait_ready(&started.running).await?;
        *self.node.lock().await = Some(started);
        Ok(())
    }
}
