//! The demo's cluster in this process: nodes and a voting gateway, each on a runtime of its own, so
//! that a node can be taken away as a crash would take it.

use super::{
    cluster::Cluster,
    members::{GATEWAY, Plan},
};
use crate::{
    client::gateway::GatewayAddress,
    components::{Components, runtime},
    server::{self, Running},
};
use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    sync::Mutex,
    time::{Instant, sleep},
};

/// A member that was taken away lets go of its directory and its ports within this time, and one
/// that starts is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// See the module.
pub struct Embedded {
    plan: Plan,
    data_dir: PathBuf,
    running: Mutex<BTreeMap<String, Member>>,
    /// Removed with everything in it at the end, where the demo made it.
    _scratch: Option<tempfile::TempDir>,
}

struct Member {
    runtime: Runtime,
    running: Running,
}

impl Embedded {
    /// Starts `nodes` nodes in `data_dir`, or in a new place that goes with the demo.
    pub async fn start(data_dir: Option<&Path>, port: u16, nodes: u16) -> anyhow::Result<Self> {
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
            .expect("one of them is there")
            .to_owned();
        let plan = Plan::new(&data_dir, port, nodes);
        let mut running = BTreeMap::new();
        for name in plan.names() {
            running.insert(name.clone(), start(&plan, &name).await?);
        }
        for (name, member) in &running {
            wait_ready(name, &member.running).await?;
        }
        Ok(Self {
            plan,
            data_dir,
            running: Mutex::new(running),
            _scratch: scratch,
        })
    }

    /// Ends it in order.
    pub async fn stop(&self) {
        for Member { runtime, running } in
            std::mem::take(&mut *self.running.lock().await).into_values()
        {
            let stopped = runtime.spawn(running.stop());
            // What did not stop in time goes with the process.
            let _ = stopped.await;
            runtime.shutdown_background();
        }
    }

    fn check(&self, node: &str) -> anyhow::Result<()> {
        let nodes: Vec<String> = self
            .plan
            .names()
            .into_iter()
            .filter(|name| name != GATEWAY)
            .collect();
        if nodes.iter().any(|name| name == node) {
            return Ok(());
        }
        let nodes = nodes.join(", ");
        Err(anyhow!(
            "there is no node {node} to take away; this cluster has {nodes}"
        ))
    }
}

async fn start(plan: &Plan, name: &str) -> anyhow::Result<Member> {
    let settings = plan.settings(name);
    let founding = plan.founding(name);
    let runtime = runtime()
        .thread_name("member")
        .build()
        .context("start a runtime")?;
    let components = Components::of_this_machine();
    let started = match founding {
        Some(founding) => {
            runtime
                .spawn(server::start_single(settings, founding, components))
                .await
        }
        None => runtime.spawn(server::start(settings, components)).await,
    };
    match started.with_context(|| format!("start {name}"))? {
        Ok(running) => Ok(Member { runtime, running }),
        Err(error) => {
            runtime.shutdown_background();
            Err(error.into())
        }
    }
}

async fn wait_ready(name: &str, running: &Running) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while let Some(why) = running.not_ready() {
        if Instant::now() >= deadline {
            return Err(anyhow!("{name} is not ready: {why}"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[async_trait]
impl Cluster for Embedded {
    fn describe(&self) -> String {
        let place = self.data_dir.display();
        format!("{} in this process, data in {place}", self.plan.describe())
    }

    fn gateways(&self) -> Vec<GatewayAddress> {
        let address = format!("127.0.0.1:{}", self.plan.gateway_port());
        vec![address.parse().expect("loopback and a port are an address")]
    }

    fn http(&self) -> String {
        format!("127.0.0.1:{}", self.plan.gateway_port() + 1)
    }

    async fn take_away(&self, node: &str) -> anyhow::Result<()> {
        self.check(node)?;
        if let Some(Member { runtime, running }) = self.running.lock().await.remove(node) {
            runtime.shutdown_background();
            drop(running);
        }
        Ok(())
    }

    async fn bring_back(&self, node: &str) -> anyhow::Result<()> {
        self.check(node)?;
        let deadline = Instant::now() + READY_WITHIN;
        let started = loop {
            match start(&self.plan, node).await {
                Ok(member) => break member,
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        };
        wait_ready(node, &started.running).await?;
        self.running.lock().await.insert(node.to_owned(), started);
        Ok(())
    }
}
