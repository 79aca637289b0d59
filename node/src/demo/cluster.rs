//! The cluster that the demo drives: where it answers, and how a node of it is taken away.

use crate::client::gateway::GatewayAddress;
use async_trait::async_trait;

/// A running cluster.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// What it consists of, in a line.
    fn describe(&self) -> String;

    /// Where gRPC is answered, in the order in which to try.
    fn gateways(&self) -> Vec<GatewayAddress>;

    /// Where HTTP is answered, as `HOST:PORT`.
    fn http(&self) -> String;

    /// Ends a node as a crash would: nothing is flushed, nobody is told.
    async fn take_away(&self, node: &str) -> anyhow::Result<()>;

    /// Starts the node again on what its disk holds.
    async fn bring_back(&self, node: &str) -> anyhow::Result<()>;
}
