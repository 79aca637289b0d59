//! The cluster itself as callers see it through the gateway: who its nodes are, where its shards stand.
//! The gateway only passes these calls on; the node that answers knows.

pub mod forms;
pub mod lag;

use crate::failure::Failure;
use async_trait::async_trait;
use wire::v1;

/// Answers calls about the cluster.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Regions, nodes, groups, and what could still be lost.
    async fn status(&self, request: v1::StatusRequest) -> Result<v1::StatusResponse, Failure>;
    /// The shard map of the region.
    async fn shards(&self, request: v1::ShardsRequest) -> Result<v1::ShardsResponse, Failure>;
    /// The regions of the cluster, and their gateways as far as they are known.
    fn regions(&self) -> Result<v1::ListRegionsResponse, Failure>;
    /// How far reads can be behind, by the region in which a write was taken.
    async fn lag(&self, request: v1::LagRequest) -> Result<v1::LagResponse, Failure>;
    /// How many gateways of the region share the calls of clients; 1 at least.
    fn gateways(&self) -> usize;
}
